/**
 * What systemd wants to know of a service (sd_notify(3)): when it is ready, reloads, stops, lives, and which process is the main one.
 *
 * It takes datagrams over a unix socket, which Node can't send: `systemd-notify`, which is where systemd is, does. As it is a process of
 * its own, the unit needs `NotifyAccess=all`. Nothing fails for want of it but an upgrade, at whose end systemd would end the unit.
 */
import { spawn } from 'node:child_process';
import type { Logger } from '../observe/logger.ts';

const PROGRAM = 'systemd-notify';
const NOTIFY_MS = 5_000;
/** One that comes late, or not at all while a data thread is replaced, is not the last one in time. */
const PINGS_PER_TIMEOUT = 3;

/** Why this process can't be followed by another; undefined: it can. */
export function whyNotFollowed(env: NodeJS.ProcessEnv, pid: number): string | undefined {
  if (pid === 1) {
    return 'it is process 1, with which its container ends: start another container and drain this one';
  }
  const isMain = env['SYSTEMD_EXEC_PID'] === String(pid);
  if (isMain && !isHeard(env)) {
    return 'systemd would end the unit with this process: the unit needs NotifyAccess=all, or Type=notify with it';
  }
  return undefined;
}

/** Says so, where systemd listens. @throws why it does not know */
export async function tellMainPid(env: NodeJS.ProcessEnv, pid: number): Promise<void> {
  if (isHeard(env)) await tell(env, [`MAINPID=${pid}`]);
}

export interface ServiceManagerOptions {
  /** As systemd has set it. Nobody is told anything without `NOTIFY_SOCKET`. */
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  readonly log: Logger;
  /** It took the place of another process, which has said that the service is ready. */
  readonly isSuccessor: boolean;
}

export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #isHeard: boolean;
  /** One at a time: their order says something. */
  #last: Promise<void> = Promise.resolve();
  #hasFailed = false;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    this.#isHeard = isHeard(options.env);
  }

  /**
   * It listens. With a watchdog, systemd hears from now on that it is well.
   * @param isWell whether it is
   */
  begin(isWell: () => boolean): void {
    if (!this.#options.isSuccessor) void this.#say('READY=1');
    const timeoutMs = this.#watchdogMs();
    if (timeoutMs === undefined) return;
    let isPinging = false;
    const ping = (): void => {
      // On a machine so busy that one takes longer than the time between two, they must not pile up.
      if (isPinging || !isWell()) return;
      isPinging = true;
      void this.#say('WATCHDOG=1').finally(() => {
        isPinging = false;
      });
    };
    this.#watchdog = setInterval(ping, timeoutMs / PINGS_PER_TIMEOUT).unref();
    ping();
  }

  /** With `Type=notify-reload`, systemd waits for both: that it has begun after the signal, and that it is over. */
  async whileReloading<T>(reload: () => Promise<T>): Promise<T> {
    const [seconds, nanoseconds] = process.hrtime();
    const microseconds = seconds * 1_000_000 + Math.floor(nanoseconds / 1_000);
    void this.#say('RELOADING=1', `MONOTONIC_USEC=${microseconds}`);
    try {
      return await reload();
    } finally {
      void this.#say('READY=1');
    }
  }

  stopping(): void {
    void this.#say('STOPPING=1');
  }

  /** Another process is the service from now on, or there is none. Resolves when all is said. */
  async leave(): Promise<void> {
    clearInterval(this.#watchdog);
    await this.#last;
  }

  /** Undefined: it does not ask for it. */
  #watchdogMs(): number | undefined {
    const { env, pid, isSuccessor } = this.#options;
    const { WATCHDOG_USEC = '', WATCHDOG_PID = String(pid) } = env;
    // Of the process before it, in whose place it is.
    const isForUs = isSuccessor || WATCHDOG_PID === String(pid);
    const ms = Number(WATCHDOG_USEC) / 1_000;
    return this.#isHeard && isForUs && ms > 0 ? ms : undefined;
  }

  /** Never rejects. */
  #say(...assignments: readonly string[]): Promise<void> {
    if (!this.#isHeard) return this.#last;
    this.#last = this.#last
      .then(() => tell(this.#options.env, assignments))
      .catch((error: unknown) => this.#failed(assignments, error));
    return this.#last;
  }

  #failed(assignments: readonly string[], error: unknown): void {
    // The watchdog would say it again and again.
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${reason}: ${assignments.join(' ')}, and perhaps what follows, was not said. Install ${PROGRAM}, or make the unit Type=exec without WatchdogSec=`;
    this.#options.log.warn('service_manager.not_told', message, { reason });
  }
}

function isHeard(env: NodeJS.ProcessEnv): boolean {
  return (env['NOTIFY_SOCKET'] ?? '') !== '';
}

/** @throws why it is not known */
function tell(env: NodeJS.ProcessEnv, assignments: readonly string[]): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const child = spawn(PROGRAM, assignments, { env, stdio: 'ignore', timeout: NOTIFY_MS });
    const fail = (why: string): void =>
      reject(new Error(`systemd can't be told of it: ${PROGRAM} ${why}`));
    child.once('error', (error: NodeJS.ErrnoException) =>
      fail(error.code === 'ENOENT' ? 'is not there' : error.message),
    );
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else fail(`ended with ${code ?? signal}`);
    });
  });
}
