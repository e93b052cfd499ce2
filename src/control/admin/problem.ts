/** Error answers of the admin API: RFC 9457 problem details with a stable `code` and a hint. */
import { STATUS_CODES } from 'node:http';

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

export interface ProblemOptions {
  readonly hint?: string;
  /** Further members of the answer. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown by a handler to answer with an error. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string | undefined;
  readonly members: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.name = 'ProblemError';
    this.status = status;
    this.code = code;
    this.hint = options.hint;
    this.members = options.members ?? {};
    this.headers = options.headers ?? {};
  }
}

export function problemBody(problem: ProblemError): Readonly<Record<string, unknown>> {
  return {
    type: `urn:fairlead:problem:${problem.code}`,
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    ...(problem.hint !== undefined && { hint: problem.hint }),
    ...problem.members,
  };
}
