/** One call of the admin API, from the command line. Whatever goes wrong with it is one kind of error. */
import { userInfo } from 'node:os';
import { formatProblem, type Problem } from '../../config/problem.ts';
import { VERSION } from '../../control/version.ts';
import { printable } from '../../observe/pretty-line.ts';
import { commandHint } from '../command-hints.ts';
import { connectionFault } from '../connection-faults.ts';
import { EXIT_FAILED, EXIT_USAGE } from '../exit.ts';
import { type AdminAnswer, type AdminTls, adminFetch } from './admin-fetch.ts';

/** The longest that a call takes is a first health check, of a second, and a reload. */
const ANSWER_MS = 30_000;
const UNAUTHORIZED = 401;

export type JsonObject = Readonly<Record<string, unknown>>;

/** The call was refused, or there was nobody to take it. Printed as `error: …`. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  readonly exitCode: number;
  /** Of the answer; 0 without one. */
  readonly status: number;

  constructor(message: string, exitCode: number, status: number, cause?: unknown) {
    // It repeats what others have written, and is shown on a terminal.
    super(message.split('\n').map(printable).join('\n'), { cause });
    this.exitCode = exitCode;
    this.status = status;
  }
}

interface CallInit {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface AdminTarget {
  /** Scheme, host, port and perhaps a path, without a slash at its end; or `unix:` and an absolute path. */
  readonly url: string;
  readonly token: string | undefined;
  /** Of https. */
  readonly tls?: AdminTls;
  /** What is wrong with the config that may say where it is; undefined: nothing. */
  readonly unread?: string;
  /** What is wrong with the config that may hold a token; undefined: nothing. */
  readonly tokenUnread?: string;
}

export class AdminClient {
  readonly #target: AdminTarget;
  readonly #answerMs: number;

  constructor(target: AdminTarget, answerMs = ANSWER_MS) {
    this.#target = target;
    this.#answerMs = answerMs;
  }

  /** The JSON of a good answer. @throws AdminError */
  call(method: string, path: string, body?: JsonObject): Promise<unknown> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return this.#call(method, path, text, 'application/json');
  }

  /** A POST of what is no JSON of ours. @throws AdminError */
  callWithText(path: string, body: string, type: string): Promise<unknown> {
    return this.#call('POST', path, body, type);
  }

  /**
   * The body of an answer that goes on until either side ends it, as it comes.
   * @param signal ends it.
   * @throws AdminError before anything has come; afterwards whatever `fetch` has to say.
   */
  async open(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), this.#answerMs);
    try {
      const response = await this.#fetch('GET', path, {
        headers,
        signal: AbortSignal.any([signal, patience.signal]),
      });
      const { body, status, ok } = response;
      if (!ok) throw this.#refused(status, await response.text());
      if (body === null) throw this.#strange(status);
      return body;
    } catch (error) {
      throw this.#noAnswer(error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #call(
    method: string,
    path: string,
    body: string | undefined,
    type: string,
  ): Promise<unknown> {
    let response: AdminAnswer;
    let text: string;
    try {
      response = await this.#fetch(method, path, {
        headers: body === undefined ? {} : { 'Content-Type': type },
        ...(body !== undefined && { body }),
        signal: AbortSignal.timeout(this.#answerMs),
      });
      text = await response.text();
    } catch (error) {
      throw this.#noAnswer(error);
    }
    if (!response.ok) throw this.#refused(response.status, text);
    const json = parse(text);
    if (json !== undefined) return json;
    throw this.#strange(response.status);
  }

  #fetch(method: string, path: string, init: CallInit): Promise<AdminAnswer> {
    const { url, token } = this.#target;
    const headers = {
      'User-Agent': agent(),
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...init.headers,
    };
    if (!url.startsWith('http:')) {
      return adminFetch(url, path, { ...init, method, headers }, this.#target.tls);
    }
    return fetch(url + path, { ...init, method, headers, redirect: 'error' });
  }

  #noAnswer(error: unknown): AdminError {
    if (error instanceof AdminError) return error;
    const { url, unread } = this.#target;
    return new AdminError(
      `no answer from the admin API at ${url}: ${reasonOf(error, this.#answerMs, url.startsWith('https:'))} (say where it is with --admin URL or --config FILE${unread === undefined ? '' : `, for the config here does not: ${unread}`})`,
      EXIT_FAILED,
      0,
      error,
    );
  }

  #refused(status: number, text: string): AdminError {
    const json = parse(text) as JsonObject | undefined;
    if (typeof json?.['detail'] !== 'string') return this.#strange(status);
    const { tokenUnread } = this.#target;
    const isForWantOfOne = status === UNAUTHORIZED && tokenUnread !== undefined;
    return refusal(status, json, isForWantOfOne ? [`the config gives none: ${tokenUnread}`] : []);
  }

  #strange(status: number): AdminError {
    const withStatus = status < 400 ? '' : ` with ${status}`;
    const what = `${this.#target.url} answers${withStatus}, but not like the admin API of Fairlead (is that where its clients come, or another program? say where the admin API is with --admin URL or --config FILE)`;
    return new AdminError(what, EXIT_FAILED, status);
  }

  /** For the calls that answer with an object, which is all but the list of backends. @throws AdminError */
  async callForObject(method: string, path: string, body?: JsonObject): Promise<JsonObject> {
    return (await this.call(method, path, body)) as JsonObject;
  }
}

/** For the audit trail of the instance: over loopback, the address says nothing of who it was. */
function agent(): string {
  return `fairlead/${VERSION} (${user()})`;
}

function user(): string {
  try {
    return userInfo().username.replaceAll(/[^\w.@-]/g, '_');
  } catch {
    // A container may run as a number that has no name.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What `fetch` says itself is that it failed; why is in the cause, or in the causes of each address that was tried. */
function reasonOf(error: unknown, answerMs: number, isTls: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError' || error.name === 'AbortError')
    return `none within ${answerMs / 1000} s`;
  const { cause } = error;
  if (cause instanceof AggregateError)
    return cause.errors.map((one) => reasonOf(one, answerMs, isTls)).join(', ');
  if (cause instanceof Error) return reasonOf(cause, answerMs, isTls);
  // The `fetch` of Node 24 gives it no code.
  const isNoHttp = error.name === 'HTTPParserError';
  const { code = isNoHttp ? 'HPE_INVALID' : undefined } = error as NodeJS.ErrnoException;
  const fault = connectionFault(code, isTls, error.message);
  return fault === undefined ? error.message : `${fault.reason}: ${fault.hint}`;
}

/** Problem details (RFC 9457): what is wrong, and the hint. A value that can't be is a bad argument. */
function refusal(status: number, json: JsonObject, more: readonly string[]): AdminError {
  const { code, detail, problems, write, ...rest } = json;
  const hint = commandHint(code, rest['hint']);
  const what = String(detail);
  const lines = [hint !== undefined ? `${what} (${hint})` : what];
  if (Array.isArray(problems)) {
    for (const problem of problems as Problem[]) lines.push(formatProblem(problem));
  }
  // Only by its id can be told whether the very change was made, and not one like it.
  if (typeof write === 'string') {
    lines.push(`write ${write}: GET /cluster/writes/${write} tells whether it was made`);
  }
  lines.push(...more);
  const isBadArgument = status === 400 || status === 422;
  return new AdminError(lines.join('\n'), isBadArgument ? EXIT_USAGE : EXIT_FAILED, status);
}
