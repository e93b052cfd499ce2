/**
 * Starts Fairlead, in an order that never lets a client see a half-started proxy: state file, data threads, admin API, first
 * round of health checks, and only then the port. Ends it in the other direction.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../config/duration.ts';
import { hasRoute } from '../config/effective-route.ts';
import type { FileFault } from '../config/kept-certificates.ts';
import { urlOfListener } from '../config/listener-name.ts';
import { DEFAULT_POOL, type Settings } from '../config/settings.ts';
import type { Functions } from '../data/relay/hooks.ts';
import type { Logger } from '../observe/logger.ts';
import type { ListenerSnapshot } from '../snapshot/snapshot.ts';
import { explainError } from './admin/explain.ts';
import type { Route } from './admin/router.ts';
import { type AdminServer, startAdminServer } from './admin/server.ts';
import { compose, type Parts, type Phase } from './compose.ts';
import type { FairleadContext } from './context.ts';
import { InheritedSockets } from './inherited-sockets.ts';
import { KeptState } from './kept-state.ts';
import type { Logs, LogsOptions } from './logs.ts';
import { countChanges } from './operator-state.ts';
import { planThreads } from './plan-threads.ts';
import type { ReloadOutcome } from './reload.ts';
import { type ReloadRequest, tellNotes, tellOverrides } from './reloads.ts';
import { adminFailed, listenerFailed, openAllLogs } from './start-failed.ts';
import { VERSION } from './version.ts';

const FIRST_CHECKS_MS = 1000;
const ADMIN_GRACE_MS = 500;
const LOG_FLUSH_MS = 2000;
const EXIT_FAILED = 1;

export interface RunningFairlead {
  /** Of the first listener that has one; 0: none has. */
  readonly port: number;
  readonly adminPort: number;
  /**
   * Not ready any more, no new connections, in-flight requests finish, state and logs are written. Gives the exit code.
   * @param drainMs how long requests in flight have; undefined: `timeouts.drain`.
   */
  shutdown(reason: string, drainMs?: number): Promise<number>;
  /** Ends at once: in-flight requests are cut off. */
  kill(): void;
  /** Resolves with the exit code when all has ended. */
  readonly exited: Promise<number>;
}

/** What the lifecycle needs beyond what the caller gets. */
export interface ControlledFairlead extends RunningFairlead {
  readonly logs: Logs;
  /** Of the admin API, whether it is listened on or not. */
  readonly routes: readonly Route[];
  /** Where it listens, the first one first. */
  readonly urls: readonly string[];
  poolNames(): string[];
  /** Reads the config again. Logged, whatever comes of it; what is refused is thrown as well. */
  reload(request?: ReloadRequest): Promise<ReloadOutcome>;
}

export interface FairleadOptions extends LogsOptions {
  /** Another entry file of the data threads, for tests. */
  readonly workerUrl?: URL;
  /** Of the program that we are a part of: where `threads` is 0, they see each request. */
  readonly functions?: Functions;
  /** False: the admin API is not listened on. */
  readonly hasAdmin?: boolean;
  /** What loading the config found worth telling. */
  readonly notes?: readonly string[];
  /** Files of certificates that it has found broken, and could do without. */
  readonly faults?: readonly FileFault[];
  /** Sockets that were handed to the process. They are for whoever owns it: without this, none is taken. */
  readonly inherited?: InheritedSockets;
}

/** What has to be ended, in whatever state the start or the run is. */
interface Ending extends Parts {
  readonly kept: KeptState;
  readonly logs: Logs;
  admin: AdminServer | undefined;
}

/** Where it listens. */
interface Addresses {
  readonly listeners: readonly ListenerSnapshot[];
  /** 0: nowhere. */
  readonly adminPort: number;
}

/** @throws StartFailed with 3 where an address is in use */
export async function startFairlead(
  settings: Settings,
  context: FairleadContext,
  options: FairleadOptions = {},
): Promise<ControlledFairlead> {
  const { workerUrl, notes = [], faults = [], inherited = new InheritedSockets([]) } = options;
  const logs = openAllLogs(settings, options);
  const { log } = logs;
  tellConfig(log, settings, notes);
  const kept = await KeptState.open({ path: settings.stateFile, log });
  const { count: threadCount, note } = planThreads(settings.threads);
  if (note !== undefined) log.info('threads.settled', note);
  const phase: Phase = { now: 'starting' };
  let running: Running | undefined;
  const parts = compose({
    settings,
    context,
    logs,
    kept,
    threadCount,
    phase,
    inherited,
    onListenerLost: (listener) => void running?.loseListener(listener),
    workerUrl,
    functions: options.functions ?? null,
    notes,
  });
  const all: Ending = { ...parts, kept, logs, admin: undefined };
  let addresses: Addresses;
  try {
    addresses = await open(all, settings, options.hasAdmin ?? true);
    all.certificates.begin(faults);
  } catch (error) {
    await end(all, 0);
    await logs.close(LOG_FLUSH_MS);
    throw error;
  }
  phase.now = 'running';
  tellStart(all, settings, { addresses, threadCount });
  for (const socket of inherited.left) {
    const message = `no listener is for the socket ${socket}, which was open at the start`;
    log.warn('listener.unused_socket', message);
  }
  all.configWatch.follow(settings);
  if (threadCount > 0) all.spareMemory.configRead();
  running = new Running(all, phase, addresses);
  return running;
}

/** Starts everything that was put together; the port comes last. */
async function open(all: Ending, settings: Settings, hasAdmin: boolean): Promise<Addresses> {
  const { registry, threads, pools, discovery, kept } = all;
  // The data threads run before the first call can change what they should run on.
  await Promise.all([threads.start(registry.snapshot()), kept.begin(registry.keptState)]);
  if (hasAdmin && !settings.admin.isOff) all.admin = await openAdmin(all, settings);
  all.tokens.sync();
  pools.begin();
  await Promise.race([
    discovery.sync().then(() => Promise.all(pools.all().map(({ health }) => health.checkAll()))),
    sleep(FIRST_CHECKS_MS, undefined, { ref: false }),
  ]);
  const listeners = await threads.listen().catch((error: unknown) => {
    throw listenerFailed(error, settings);
  });
  return { listeners, adminPort: all.admin?.port ?? 0 };
}

function openAdmin(
  { registry, routes, logs: { log } }: Ending,
  { admin }: Settings,
): Promise<AdminServer> {
  const { host, port, unix } = admin;
  const access = (): Settings['admin'] => registry.settings.admin;
  const server = startAdminServer({
    host,
    port,
    unix,
    tls: () => registry.settings.admin.tls,
    access,
    routes,
    log,
    explain: explainError,
  });
  return server.catch((error: unknown) => {
    throw adminFailed(error, admin);
  });
}

/** Ends all but the logs, which are to tell of it. */
async function end(all: Ending, adminGraceMs: number): Promise<void> {
  const { pools, certificates, metrics, operator, admin, threads, kept } = all;
  all.configWatch.stop();
  all.spareMemory.stop();
  all.tokens.stop();
  all.discovery.stop();
  pools.stop();
  certificates.stop();
  metrics.stop();
  await operator.stop();
  all.followers.close();
  await Promise.all([admin?.close(adminGraceMs), threads.stop()]);
  await kept.close();
}

class Running implements ControlledFairlead {
  readonly adminPort: number;
  readonly logs: Logs;
  readonly routes: readonly Route[];
  readonly exited: Promise<number>;
  readonly #all: Ending;
  readonly #phase: Phase;
  #resolveExited: (exitCode: number) => void = () => {};
  #shuttingDown: Promise<number> | undefined;
  #ending: Promise<void> | undefined;
  #exitCode = 0;

  constructor(all: Ending, phase: Phase, { adminPort }: Addresses) {
    this.#all = all;
    this.#phase = phase;
    this.adminPort = adminPort;
    this.logs = all.logs;
    this.routes = all.routes;
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
  }

  /** A reload may have moved it. */
  get port(): number {
    return firstPort(this.#all.threads.listeners);
  }

  get urls(): readonly string[] {
    return urlsOf(this.#all.threads.listeners);
  }

  poolNames(): string[] {
    return this.#all.registry.pools().map(({ name }) => name);
  }

  reload(request?: ReloadRequest): Promise<ReloadOutcome> {
    return this.#all.reloads.reload(request);
  }

  shutdown(reason: string, drainMs?: number): Promise<number> {
    this.#shuttingDown ??= this.#shutdown(reason, drainMs);
    return this.#shuttingDown;
  }

  kill(): void {
    if (this.#ending !== undefined) return;
    this.logs.log.warn('killed', 'ending at once: requests in flight are cut off');
    this.#ending = this.#end(0);
  }

  /** Nobody comes in by it any more, until whoever has opened it starts Fairlead anew. */
  async loseListener({ name }: ListenerSnapshot): Promise<void> {
    const message = `${name} was closed with the data thread that had it: a new process is needed`;
    this.logs.log.error('listener.lost', message, { listener: name });
    this.#exitCode = EXIT_FAILED;
    await this.shutdown(`${name} is lost`);
  }

  async #shutdown(reason: string, wantedMs?: number): Promise<number> {
    const { registry, threads, pools, configWatch } = this.#all;
    configWatch.stop();
    const { log } = this.logs;
    const drainMs = wantedMs ?? registry.settings.drainMs;
    this.#phase.now = 'ending';
    log.info(
      'stopping',
      `stopping (${reason}): requests in flight have ${formatDuration(drainMs)} to finish`,
      { reason, drain_ms: drainMs },
    );
    pools.drain();
    const reset = await threads.drain(drainMs);
    if (reset > 0) {
      log.warn('drain.cut_off', `${reset} connections were cut off at the deadline`, { reset });
    }
    this.#ending ??= this.#end(ADMIN_GRACE_MS);
    return this.exited;
  }

  async #end(adminGraceMs: number): Promise<void> {
    this.#phase.now = 'ending';
    await end(this.#all, adminGraceMs);
    this.logs.log.info('stopped', 'Fairlead has stopped');
    await this.logs.close(LOG_FLUSH_MS);
    this.#resolveExited(this.#exitCode);
  }
}

/** Before all else: whatever goes wrong later may be the wrong file. */
function tellConfig(log: Logger, { configFile }: Settings, notes: readonly string[]): void {
  if (configFile === undefined) log.info('config.file', 'no config file is used');
  else log.info('config.file', `the config file is ${configFile}`, { file: configFile });
  tellNotes(notes, log);
}

function tellStart(
  { registry, logs: { log } }: Ending,
  settings: Settings,
  {
    addresses: { listeners, adminPort },
    threadCount,
  }: { readonly addresses: Addresses; readonly threadCount: number },
): void {
  const urls = urlsOf(listeners);
  const [url] = urls;
  const { host, unix, tls } = settings.admin;
  const adminUrl =
    unix === null
      ? urlOfListener({ kind: 'tcp', host, port: adminPort }, tls !== undefined)
      : `unix:${unix.path}`;
  const admin = adminPort === 0 && unix === null ? '' : `, admin API on ${adminUrl}`;
  // There is a pool default even where nobody wrote or uses it.
  const pools = registry
    .pools()
    .map(({ name }) => name)
    .filter(
      (name) =>
        name !== DEFAULT_POOL ||
        hasRoute(settings, name) ||
        registry.defaultPool.backends().length > 0,
    );
  log.info('listening', `listening on ${urls.join(', ')}${admin}`, {
    url,
    port: firstPort(listeners),
    ...(urls.length > 1 && { listeners: urls }),
    ...(adminPort !== 0 && { admin_port: adminPort }),
    ...(unix !== null && { admin: adminUrl }),
    backends: registry.backends().length,
    ...(pools.includes(DEFAULT_POOL) && { strategy: registry.defaultPool.strategy }),
    ...(pools.some((name) => name !== DEFAULT_POOL) && { pools }),
    threads: threadCount,
    api_changes: countChanges(registry.operatorState),
    version: VERSION,
  });
  if (registry.backends().length === 0 && settings.routedPools.length > 0) {
    log.warn(
      'backends.none',
      'there are no backends: every request gets 503 (fairlead URL…, the key "backends", TARGET_BACKEND_URLS, or fairlead add URL)',
    );
  }
  tellOverrides(registry, log);
}

function urlsOf(listeners: readonly ListenerSnapshot[]): string[] {
  return listeners.map(({ address, tls }) => urlOfListener(address, tls !== undefined));
}

/** 0: none has one. */
function firstPort(listeners: readonly ListenerSnapshot[]): number {
  return listeners.map(portOf).find((port) => port !== 0) ?? 0;
}

function portOf({ address }: ListenerSnapshot): number {
  return address.kind === 'tcp' ? address.port : 0;
}
