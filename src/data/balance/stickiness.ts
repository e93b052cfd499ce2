/**
 * Sessions: a client stays with the backend it had first, for as long as that backend keeps sessions.
 *
 * What a client is known by decides where its session is kept. A cookie carries it, and the client keeps it. An address, a
 * header or a query parameter carries nothing, so the table that all data threads share remembers who had which backend,
 * as HAProxy's stick tables do. There the first choice is by hash: threads that see a client for the first time at once
 * choose alike, and so does a process that has just started and remembers nobody. What the backends themselves call their
 * sessions is learned from their answers: learned-sessions.ts.
 *
 * A backend that keeps no sessions any more (it failed, it was removed) loses them: the client gets another, and that is
 * its session from then on, also once the former is back. A backend that drains, or weighs 0, keeps those it has and gets
 * no others: it is among the keepers and not among the eligible.
 */
import type { SessionCookie, Sticky } from '../../snapshot/snapshot.ts';
import type { ResponseHead } from '../wire/head.ts';
import { IpHash } from './ip-hash.ts';
import type { AskedSession } from './session-asks.ts';
import type { SessionTable } from './session-table.ts';
import type { Candidate } from './strategy.ts';

/** What sessions may know of a backend. */
export interface SessionBackend extends Candidate {
  readonly spec: { readonly sessionToken: string; readonly otherTokens: readonly string[] };
}

/** Reads the first bytes of an answer's body. */
export interface BodyLearner {
  /** Looks at `buffer[start, end)`, borrowed for the length of the call. @returns whether it wants more. */
  take(buffer: Buffer, start: number, end: number): boolean;
}

/** A body on its way: its first bytes may name a session. */
export interface ObservedBody {
  learner: BodyLearner | null;
}

/** The sessions of a pool, as one data thread sees them. */
export interface Sessions<C extends SessionBackend> {
  /**
   * A session is nothing to any other backend: its requests wait for the one that has it, and are not tried elsewhere unless
   * that has failed them. Else they may do without it for once, and a WebSocket takes its session along from a backend
   * that drains.
   */
  readonly isTied: boolean;
  /** Who gets new clients and who keeps those it has. Called on change only, never per request. */
  rebuild(eligible: readonly C[], keepers: readonly C[]): void;
  /**
   * The backend that a client stays with; null when it has no session, or none that goes on.
   * @param key what the request says at `Sticky.key` (wire/request-key.ts). A request that says nothing has the key null
   * where sessions go by cookie, and else its client's address.
   */
  lookup(key: string | null): C | null;
  /** Whether a session that goes on is at this key: of several that a request has, the first such counts. */
  isKnown(key: string): boolean;
  /** What has to be found out before `lookup`, where other instances may know more; null: nothing. */
  question?(key: string | null): AskedSession | null;
  /** What `lookup` would say, without that it counts as a use. */
  peek(key: string | null): C | null;
  /**
   * The first choice for a client without a session; null when that is the pool's strategy's, or nobody is eligible.
   * @param avoid as in `Strategy.pick`.
   */
  choose(key: string | null, avoid: readonly C[] | null): C | null;
  /**
   * The client got this backend: it stays there from now on.
   * @param former that `lookup` gave, which is another one; null: none.
   */
  bind(key: string | null, backend: C, former: C | null): void;
  /**
   * The field line by which a response from this backend tells its client where it is from now on, ended by CR LF; empty
   * when the request's cookie said so already, and where sessions don't go by cookie.
   * @param isSecure the client came by TLS.
   */
  cookieLine(key: string | null, backend: C, isSecure: boolean): string;
  /**
   * Reads what the answer of this backend says of sessions, where that is where they come from.
   * @param path of the request.
   * @returns who reads on in the body, if it may say so there.
   */
  learn?(key: string | null, path: string, answer: ResponseHead, backend: C): BodyLearner | null;
}

/** By address, header or query parameter. */
export class TableSessions<C extends SessionBackend> implements Sessions<C> {
  readonly isTied = false;
  readonly #table: SessionTable<C>;
  readonly #firstChoice = new IpHash<C>();

  constructor(table: SessionTable<C>) {
    this.#table = table;
  }

  rebuild(eligible: readonly C[], keepers: readonly C[]): void {
    this.#firstChoice.rebuild(eligible);
    this.#table.rebuild(keepers);
  }

  lookup(key: string | null): C | null {
    return key === null ? null : this.#table.lookup(key);
  }

  question(key: string | null): AskedSession | null {
    return key === null ? null : this.#table.question(key);
  }

  peek(key: string | null): C | null {
    return key === null ? null : this.#table.peek(key);
  }

  isKnown(key: string): boolean {
    return this.peek(key) !== null;
  }

  choose(key: string | null, avoid: readonly C[] | null): C | null {
    return key === null ? null : this.#firstChoice.pick(key, avoid);
  }

  bind(key: string | null, backend: C, former: C | null): void {
    if (key !== null) this.#table.bind(key, backend, former);
  }

  cookieLine(): string {
    return '';
  }
}

/**
 * By a cookie of our own (RFC 6265). Its value names a backend by a token that only the holder of the secret can make, and
 * that says nothing to whoever reads it; one that no keeper has, forged or from elsewhere, is no session.
 */
export class CookieSessions<C extends SessionBackend> implements Sessions<C> {
  readonly isTied = false;
  /** Up to the value, and the attributes of each kind. */
  readonly #start: string;
  readonly #attributes: string;
  readonly #secureAttributes: string;
  #keepers: ReadonlyMap<string, C> = new Map();
  /** Made once for each backend. */
  #lines = new Map<C, string>();
  #secureLines = new Map<C, string>();

  constructor({ key, ttlMs }: Sticky, cookie: SessionCookie) {
    this.#start = `Set-Cookie: ${key.name}=`;
    const maxAge = `Max-Age=${Math.ceil(ttlMs / 1_000)}`;
    this.#attributes = attributes(cookie, maxAge, cookie.secure === true);
    this.#secureAttributes = attributes(cookie, maxAge, cookie.secure !== false);
  }

  rebuild(_eligible: readonly C[], keepers: readonly C[]): void {
    this.#keepers = new Map(
      keepers.flatMap((keeper) => {
        const { sessionToken, otherTokens } = keeper.spec;
        return [...otherTokens, sessionToken].map((token) => [token, keeper] as const);
      }),
    );
    this.#lines = new Map();
    this.#secureLines = new Map();
  }

  lookup(key: string | null): C | null {
    return key === null ? null : (this.#keepers.get(key) ?? null);
  }

  peek(key: string | null): C | null {
    return this.lookup(key);
  }

  isKnown(key: string): boolean {
    return this.#keepers.has(key);
  }

  choose(): null {
    return null;
  }

  bind(): void {
    // The response tells the client.
  }

  cookieLine(key: string | null, backend: C, isSecure: boolean): string {
    if (key === backend.spec.sessionToken) return '';
    const lines = isSecure ? this.#secureLines : this.#lines;
    let line = lines.get(backend);
    if (line === undefined) {
      const rest = isSecure ? this.#secureAttributes : this.#attributes;
      line = `${this.#start}${backend.spec.sessionToken}${rest}\r\n`;
      lines.set(backend, line);
    }
    return line;
  }
}

const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const;

function attributes(
  { domain, path, sameSite }: SessionCookie,
  maxAge: string,
  isSecure: boolean,
): string {
  const scope = domain === '' ? '' : `; Domain=${domain}`;
  // Clients refuse SameSite=None without Secure; without SameSite they take it, as Lax or as None.
  const hasSite = isSecure || sameSite !== 'none';
  const site = hasSite ? `; SameSite=${SAME_SITE[sameSite]}` : '';
  return `; Path=${path}${scope}; ${maxAge}; HttpOnly${site}${isSecure ? '; Secure' : ''}`;
}
