/** What the library throws. */
import { formatProblem, type Problem } from '../config/problem.ts';
import { ProblemError } from '../control/admin/problem.ts';
import { ListenError } from '../control/listeners/listening.ts';
import { ConfigRefused } from '../control/reload/reload.ts';
import { StartFailed } from '../control/start-failed.ts';

/** A config that is wrong. Its message says all that is, one line each, as `fairlead check` does. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** Anything else that was refused, or failed. */
export class ProxyError extends Error {
  /** As the admin API has it (`ERR_UNKNOWN_BACKEND`), or the system's (`EADDRINUSE`), or `ERR_NOT_RUNNING`. */
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, hint?: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ProxyError';
    this.code = code;
    this.hint = hint;
  }
}

/** The same error in the words of the library; what it does not know stays what it is. */
export function asLibraryError(error: unknown): unknown {
  if (error instanceof ConfigRefused) return new ConfigError(error.problems);
  if (error instanceof ProblemError) {
    return new ProxyError(error.code, error.message, error.hint, error);
  }
  if (error instanceof StartFailed) {
    return new ProxyError(codeOf(error.cause), error.reason, undefined, error);
  }
  return error;
}

function codeOf(cause: unknown): string {
  if (cause instanceof ListenError) return cause.code;
  const { code } = cause as NodeJS.ErrnoException;
  return code ?? 'ERR_START_FAILED';
}
