/** Calls of the admin API. All go to where the page came from, wherever that is: a proxy in front may have put a prefix before it. */
import type { Problem, Refusal } from './shapes.ts';

const TOKEN_KEY = 'fairlead.token';
const LONGEST_MS = 10_000;

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Without a slash at its beginning. */
  readonly path: string;
  readonly body?: object;
}

export interface Answer<Body = unknown> {
  readonly body: Body;
  readonly etag: string | undefined;
}

/** What the API refused, or that nobody answered (status 0). */
export class CallFailed extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string | undefined;
  readonly problems: readonly Problem[];

  constructor(status: number, code: string, detail: string, more: Partial<Refusal> = {}) {
    super(detail);
    this.status = status;
    this.code = code;
    this.hint = more.hint;
    this.problems = more.problems ?? [];
  }
}

/** Told when a token is asked for, or the one that was shown is not good any more. */
export let onUnauthorized: (detail: string) => void = () => {};
export function whenUnauthorized(tell: typeof onUnauthorized): void {
  onUnauthorized = tell;
}

/** Kept for this tab only, and never in an address. */
function keptToken(): string {
  return sessionStorage.getItem(TOKEN_KEY) ?? '';
}

export function keepToken(token: string): void {
  if (token === '') sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, token);
}

export function urlOf(path: string): string {
  const { origin, pathname } = location;
  return `${origin}${pathname.endsWith('/') ? pathname : `${pathname}/`}${path}`;
}

/** Of a view of this page. */
export function linkTo(fragment: string): string {
  return `${location.origin}${location.pathname}#${fragment}`;
}

export function headersOf(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const token = keptToken();
  return { ...(token !== '' && { Authorization: `Bearer ${token}` }), ...more };
}

/** @throws CallFailed */
export async function call<Body>(
  { method, path, body }: Call,
  { etag, signal }: { readonly etag?: string | undefined; readonly signal?: AbortSignal } = {},
): Promise<Answer<Body>> {
  const deadline = AbortSignal.timeout(LONGEST_MS);
  let response: Response;
  let text: string;
  try {
    response = await fetch(urlOf(path), {
      method,
      cache: 'no-store',
      headers: headersOf({
        Accept: 'application/json',
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(etag !== undefined && { 'If-Match': etag }),
      }),
      signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const why = deadline.aborted ? `no answer within ${LONGEST_MS / 1000} s` : 'no connection';
    throw new CallFailed(0, 'NO_ANSWER', why);
  }
  if (response.ok) {
    const shown = parsed(text) as Body;
    if (shown === undefined) throw notOurs(response.status);
    return { body: shown, etag: response.headers.get('etag') ?? undefined };
  }
  const failed = await refusalOf(response.status, text);
  if (failed.status === 401) onUnauthorized(failed.message);
  throw failed;
}

/** Also of a stream that was refused. */
export async function refusalOf(status: number, text: string): Promise<CallFailed> {
  const problem = parsed(text) as Partial<Refusal> | undefined;
  if (typeof problem?.detail !== 'string') return notOurs(status);
  return new CallFailed(status, problem.code ?? '', problem.detail, problem);
}

/** A proxy in front has an answer of its own. */
function notOurs(status: number): CallFailed {
  return new CallFailed(status, 'NOT_FAIRLEAD', `something that is not Fairlead answers ${status}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export async function get<Body>(path: string, signal?: AbortSignal): Promise<Body> {
  return (await call<Body>({ method: 'GET', path }, signal && { signal })).body;
}
