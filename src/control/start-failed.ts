/** Why the proxy could not start, and what the process says with its exit code. */
import type { Settings } from '../config/settings.ts';
import { ListenError } from './data-threads.ts';
import { type Logs, openLogs } from './logs.ts';

const EXIT_FAILED = 1;
const EXIT_ADDRESS_IN_USE = 3;

/** Could not start; `exitCode` says how the process should end. */
export class StartFailed extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number, cause: unknown) {
    super(message, { cause });
    this.name = 'StartFailed';
    this.exitCode = exitCode;
  }
}

/** @throws StartFailed */
export function openAllLogs(settings: Settings, logFile: string | undefined): Logs {
  try {
    return openLogs(settings, logFile);
  } catch (error) {
    throw new StartFailed(
      `the access log can't be opened: ${messageOf(error)}`,
      EXIT_FAILED,
      error,
    );
  }
}

/** What can't be listened on ends the start; the exit code tells an address in use from the rest. */
export function listenFailed(
  error: unknown,
  what: string,
  flag: string,
  host: string | undefined,
  port: number,
): StartFailed {
  const code = codeOf(error);
  const address = `${host === undefined ? '*' : host.includes(':') ? `[${host}]` : host}:${port}`;
  if (code === 'EADDRINUSE') {
    return new StartFailed(
      `${what} can't listen on ${address}: the address is in use (${flag} PORT takes another one)`,
      EXIT_ADDRESS_IN_USE,
      error,
    );
  }
  return new StartFailed(
    `${what} can't listen on ${address}: ${messageOf(error)}`,
    EXIT_FAILED,
    error,
  );
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof ListenError) return error.code;
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
