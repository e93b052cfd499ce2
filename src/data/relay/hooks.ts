/**
 * Functions of the program that the data plane runs in the thread of: they see each request, and may answer it or say who gets it.
 * What they throw is no bug of ours, and never costs a connection.
 */
import type { PostToControl } from '../../snapshot/messages.ts';
import type { Backend } from '../backend/backend.ts';
import { readyAnswer, refusedBeside, type Terms } from '../pool/terms.ts';
import type { Head } from '../wire/head.ts';
import type { RequestFacts } from '../wire/request.ts';

/** A request as a function of the program sees it. */
export interface AskedRequest {
  readonly id: string;
  readonly method: string;
  /** With its query, as the client sent it. */
  readonly path: string;
  readonly host: string | null;
  /** The client's address. */
  readonly client: string;
  /** By name in lower case. One that came more than once is one list. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A backend that may get it. */
export interface PickCandidate {
  readonly id: number;
  readonly url: string;
  readonly weight: number;
  readonly in_flight: number;
}

export interface HookAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface Functions {
  /** One of the candidates, or nothing: then the strategy chooses. */
  readonly pick?: (
    request: AskedRequest,
    candidates: readonly PickCandidate[],
  ) => PickCandidate | undefined;
  /** Its answer, or nothing: then it goes on. */
  readonly request?: (request: AskedRequest) => HookAnswer | undefined;
}

/** A function that fails fails often. */
const LOG_EVERY_MS = 1_000;
const FIELD_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const FIELD_TEXT = /^[ -~]*$/;
const MOST_MESSAGE_LENGTH = 500;
/** They follow from the body, or are for one hop. */
const OURS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'transfer-encoding',
]);

export class Hooks {
  readonly #functions: Functions;
  readonly #post: PostToControl;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  #unlogged = 0;

  constructor(functions: Functions, post: PostToControl) {
    this.#functions = functions;
    this.#post = post;
  }

  ask(facts: RequestFacts, head: Head, client: string, id: string): AskedRequest {
    const { method, path, host } = facts;
    return { id, method, path, host, client, headers: headersOf(head) };
  }

  /** What stands before the pool, once the function has been asked. What a route refuses it does not see. */
  terms(asked: AskedRequest, terms: Terms | null): Terms | null {
    const { request } = this.#functions;
    if (request === undefined || (terms !== null && terms.refused !== null)) return terms;
    try {
      const given: unknown = request(asked);
      if (given === undefined) return terms;
      const { status, fields, body } = checked(given);
      const answer = readyAnswer({ status, headers: fields, body });
      return {
        refused: null,
        login: terms === null ? null : terms.login,
        answer,
        pages: terms === null ? null : terms.pages,
        hasPool: true,
      };
    } catch (error) {
      this.#failed('request', error);
      return refusedBeside(terms, 'ERR_FUNCTION_FAILED', messageOf(error));
    }
  }

  /** Null: the strategy is to choose. */
  pick(
    asked: AskedRequest,
    eligible: readonly Backend[],
    avoid: readonly Backend[] | null,
  ): Backend | null {
    const { pick } = this.#functions;
    if (pick === undefined) return null;
    const fit = avoid === null ? eligible : eligible.filter((one) => !avoid.includes(one));
    if (fit.length === 0) return null;
    const candidates = fit.map(({ id, spec: { url }, weight, inFlight }) => ({
      id,
      url,
      weight,
      in_flight: inFlight,
    }));
    try {
      const picked: unknown = pick(asked, candidates);
      if (picked === undefined) return null;
      const { id } = asObject(picked) as { readonly id?: unknown };
      // By what it is, not where: it may have sorted them.
      const backend = fit.find((one) => one.id === id);
      if (backend === undefined) throw new Error('it has given none of the candidates');
      return backend;
    } catch (error) {
      this.#failed('pick', error);
      return null;
    }
  }

  #failed(name: string, error: unknown): void {
    this.#unlogged++;
    const nowMs = performance.now();
    if (nowMs - this.#loggedAtMs < LOG_EVERY_MS) return;
    const count = this.#unlogged;
    this.#loggedAtMs = nowMs;
    this.#unlogged = 0;
    const log = {
      error: (event: string, message: string): void =>
        this.#post({
          kind: 'log',
          level: 'error',
          event,
          message,
          fields: { function: name, count },
        }),
    };
    log.error(
      'function.failed',
      `the function ${name} of the program has failed: ${messageOf(error)}`,
    );
  }
}

function headersOf(head: Head): Record<string, string> {
  const headers = Object.create(null) as Record<string, string>;
  for (let field = 0; field < head.fieldCount; field++) {
    const name = head.name(field).toLowerCase();
    const before = headers[name];
    const value = head.value(field);
    // RFC 6265 §5.4, and RFC 9110 §5.3 for all others.
    headers[name] =
      before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return headers;
}

interface CheckedAnswer {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Latin-1 text. */
  readonly body: string;
}

/** @throws Error for what is nothing of the kind. */
function asObject(given: unknown): object {
  if (typeof given !== 'object' || given === null) {
    throw new Error(`it has given ${given === null ? 'null' : `a ${typeof given}`}`);
  }
  if (!('then' in given)) return given;
  // Nobody waits for it: what it fails by is nobody's to catch.
  Promise.resolve(given).catch(() => {});
  throw new Error('it has given a promise, which no request waits for');
}

/** @throws Error for what is no answer of HTTP. */
function checked(given: unknown): CheckedAnswer {
  const { status, headers = {}, body = '' } = asObject(given) as HookAnswer;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new Error(`an answer must have a status from 200 to 599, not ${String(status)}`);
  }
  const fields = Object.entries(headers);
  for (const [name, value] of fields) {
    if (!FIELD_NAME.test(name) || OURS.has(name.toLowerCase())) {
      throw new Error(`an answer can't have the header ${JSON.stringify(name)}`);
    }
    if (typeof value !== 'string' || !FIELD_TEXT.test(value)) {
      throw new Error(`the header ${name} must be visible ASCII`);
    }
  }
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
    throw new Error('the body of an answer must be a text or bytes');
  }
  const isTyped = fields.some(([name]) => name.toLowerCase() === 'content-type');
  if (body.length > 0 && !isTyped) {
    const type =
      typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/octet-stream';
    fields.push(['Content-Type', type]);
  }
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body);
  const mayHaveBody = status !== 204 && status !== 304;
  return { status, fields, body: mayHaveBody ? bytes.toString('latin1') : '' };
}

/** Whatever was thrown: there are things that have no text, and things that throw when they are asked for it. */
function messageOf(error: unknown): string {
  try {
    return textOf(error);
  } catch {
    return 'something that can not be looked at was thrown';
  }
}

/** @throws whatever what was thrown throws */
function textOf(error: unknown): string {
  const text: unknown = error instanceof Error ? error.message : error;
  const isPlain = typeof text !== 'object' && typeof text !== 'function';
  return isPlain ? String(text).slice(0, MOST_MESSAGE_LENGTH) : `a thrown ${typeof text}`;
}
