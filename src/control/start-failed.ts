/** Why the proxy could not start, and what the process says with its exit code. */

import type { Settings } from '../config/settings.ts';
import { bracketed, nameOfListener } from '../config/values/listener-name.ts';
import { ListenError } from './listeners/listening.ts';
import { type Logs, type LogsOptions, openLogs } from './logs.ts';

const EXIT_FAILED = 1;
const EXIT_ADDRESS_IN_USE = 3;

/** Could not start; `exitCode` says how the process should end. */
export class StartFailed extends Error {
  readonly exitCode: number;
  /** The message but for what flag would help. */
  readonly reason: string;

  constructor(reason: string, exitCode: number, cause: unknown, hint = '') {
    super(reason + hint, { cause });
    this.name = 'StartFailed';
    this.exitCode = exitCode;
    this.reason = reason;
  }
}

/** @throws StartFailed */
export function openAllLogs(settings: Settings, options: LogsOptions): Logs {
  try {
    return openLogs(settings, options);
  } catch (error) {
    const { path } = error as NodeJS.ErrnoException;
    const what = path !== undefined && path === options.logFile ? 'log' : 'access log';
    throw new StartFailed(`the ${what} can't be opened: ${messageOf(error)}`, EXIT_FAILED, error);
  }
}

/** The admin API can't be listened on: that ends the start. */
export function adminFailed(error: unknown, { host, port, unix }: Settings['admin']): StartFailed {
  if (unix !== null) return listenFailed(error, `the admin API can't listen on unix:${unix.path}`);
  const address = `${bracketed(host)}:${port}`;
  return listenFailed(error, `the admin API can't listen on ${address}`, '--admin-port');
}

/** Nor one of the listeners. */
export function listenerFailed(error: unknown, { listeners }: Settings): StartFailed {
  if (!(error instanceof ListenError))
    return listenFailed(error, "the proxy can't listen", '--port');
  const { name } = error.listener;
  const path = listeners.find(({ address }) => nameOfListener(address) === name)?.path ?? 'port';
  const what = `the proxy can't listen on ${name}`;
  return path === 'port'
    ? listenFailed(error, what, '--port')
    : listenFailed(error, `${what} (${path})`);
}

/** The exit code tells an address in use from the rest. */
function listenFailed(error: unknown, what: string, flag?: string): StartFailed {
  if (codeOf(error) === 'EADDRINUSE') {
    const hint = flag === undefined ? '' : ` (${flag} PORT takes another one)`;
    return new StartFailed(`${what}: the address is in use`, EXIT_ADDRESS_IN_USE, error, hint);
  }
  return new StartFailed(`${what}: ${messageOf(error)}`, EXIT_FAILED, error);
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof ListenError) return error.code;
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

function messageOf(error: unknown): string {
  if (error instanceof ListenError) return error.reason;
  return error instanceof Error ? error.message : String(error);
}

/** Two processes with the same one have the same address. */
export function adminName({ host, port, unix }: Settings['admin']): string {
  return nameOfListener(unix === null ? { kind: 'tcp', host, port } : { kind: 'unix', ...unix });
}
