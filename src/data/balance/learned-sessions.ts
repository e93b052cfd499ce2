/**
 * Sessions of the backends' own, which Fairlead learns from their answers and writes nothing into: what a backend has given
 * a name to is with that backend, as with `stick store-response` of HAProxy.
 *
 * Only an answer makes an entry, so that clients can't fill the table with names that they make up. A name that nobody has
 * learned (this process has restarted, or the table has forgotten it) goes where any thread and any process sends it.
 */
import type { Sticky } from '../../snapshot/snapshot.ts';
import { asksForHandshake, sessionOfHandshake } from '../wire/engine-io.ts';
import { FIELD_SET_COOKIE } from '../wire/fields.ts';
import type { ResponseHead } from '../wire/head.ts';
import { DELETED, setCookieValue, withoutQuotes } from '../wire/set-cookie.ts';
import { IpHash } from './ip-hash.ts';
import type { AskedSession } from './session-asks.ts';
import type { SessionTable } from './session-table.ts';
import type { BodyLearner, SessionBackend, Sessions } from './stickiness.ts';

/** What the two kinds share. */
abstract class LearnedSessions<C extends SessionBackend> implements Sessions<C> {
  abstract readonly isTied: boolean;
  protected readonly table: SessionTable<C>;
  readonly #firstChoice = new IpHash<C>();

  constructor(table: SessionTable<C>) {
    this.table = table;
  }

  rebuild(eligible: readonly C[], keepers: readonly C[]): void {
    this.#firstChoice.rebuild(eligible);
    this.table.rebuild(keepers);
  }

  lookup(key: string | null): C | null {
    return key === null ? null : this.table.lookup(withoutQuotes(key));
  }

  question(key: string | null): AskedSession | null {
    return key === null ? null : this.table.question(withoutQuotes(key));
  }

  peek(key: string | null): C | null {
    return key === null ? null : this.table.peek(withoutQuotes(key));
  }

  isKnown(key: string): boolean {
    return this.peek(key) !== null;
  }

  choose(key: string | null, avoid: readonly C[] | null): C | null {
    return key === null ? null : this.#firstChoice.pick(withoutQuotes(key), avoid);
  }

  bind(key: string | null, backend: C, former: C | null): void {
    if (key !== null) this.table.move(withoutQuotes(key), backend, former);
  }

  cookieLine(): string {
    return '';
  }

  abstract learn(
    key: string | null,
    path: string,
    answer: ResponseHead,
    backend: C,
  ): BodyLearner | null;
}

/** By a cookie that the backends set. */
export class CookieLearner<C extends SessionBackend> extends LearnedSessions<C> {
  readonly isTied = false;
  readonly #name: string;
  readonly #wallNow: () => number;

  /** @param wallNow for the dates that cookies expire at. */
  constructor({ key }: Sticky, table: SessionTable<C>, wallNow: () => number) {
    super(table);
    this.#name = key.name;
    this.#wallNow = wallNow;
  }

  learn(key: string | null, _path: string, answer: ResponseHead, backend: C): null {
    for (let field = 0; field < answer.fieldCount; field++) {
      if (answer.id(field) !== FIELD_SET_COOKIE) continue;
      const value = setCookieValue(answer.value(field), this.#name, this.#wallNow());
      if (value === null) continue;
      if (value !== DELETED) this.table.put(value, backend);
      else if (key !== null) this.table.forget(withoutQuotes(key));
    }
    return null;
  }
}

/** By the `sid` of engine.io, the transport of socket.io: the body of the answer that opens a session by polling names it. */
export class EngineIoLearner<C extends SessionBackend> extends LearnedSessions<C> {
  /** Its session is in the memory of one process: elsewhere nobody knows it. */
  readonly isTied = true;

  learn(key: string | null, path: string, answer: ResponseHead, backend: C): BodyLearner | null {
    if (key !== null || answer.status !== 200 || !asksForHandshake(path)) return null;
    // What is compressed can't be read.
    for (let field = 0; field < answer.fieldCount; field++) {
      if (answer.isNamed(field, 'content-encoding')) return null;
    }
    return new HandshakeLearner(this.table, backend);
  }
}

/** Of a body: more than any handshake has before its `sid`. */
const MOST_CHARACTERS = 1024;

class HandshakeLearner<C extends SessionBackend> implements BodyLearner {
  readonly #table: SessionTable<C>;
  readonly #backend: C;
  #text = '';

  constructor(table: SessionTable<C>, backend: C) {
    this.#table = table;
    this.#backend = backend;
  }

  take(buffer: Buffer, start: number, end: number): boolean {
    const most = MOST_CHARACTERS - this.#text.length;
    this.#text += buffer.latin1Slice(start, Math.min(end, start + most));
    const session = sessionOfHandshake(this.#text);
    if (session === null) return this.#text.length < MOST_CHARACTERS;
    this.#table.put(session, this.#backend);
    return false;
  }
}
