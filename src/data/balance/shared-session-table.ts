/**
 * Sessions that all instances know (`sticky: { scope: global }`): this table has what this instance knows of them, an engine the rest
 * (session-asks.ts). What is not here is asked for, and so is what was here for a while, since another instance may have moved it
 * meanwhile. Each question says what is known here: an engine that has lost all is told again.
 *
 * A backend is called by its URL there, for ids are each process's own. One that the engine names and that keeps no sessions here
 * is gone, or this instance does not reach it: then the session gets another one, if the engine still names that one by then.
 */
import { ANYTHING, IN_DOUBT } from '../../snapshot/shared-sessions.ts';
import type { AskedSession, SessionAsks, SessionQuestion } from './session-asks.ts';
import { SessionTable, type SessionTableOptions } from './session-table.ts';

/** What is known here for longer may have changed elsewhere. Sessions that are shorter are asked about twice. */
const KNOWN_FOR_MS = 5_000;

/** Whom the engine has not seen before, it knows for so long at most, until a question about that client comes: keys can be made up. */
const FIRST_KNOWN_FOR_MS = 60_000;

/** More than what a table rounds moments by. */
const ROUNDED_MS = 200;
/** No backend's: the session is with one that is none here. */
const ELSEWHERE = -1;

interface SharedBackend {
  readonly id: number;
  readonly spec: { readonly url: string };
}

export class SharedSessionTable<B extends SharedBackend> extends SessionTable<B> {
  readonly #owner: string;
  readonly #ttlMs: number;
  readonly #firstTtlMs: number;
  readonly #knownForMs: number;
  readonly #asks: SessionAsks;
  #byUrl: ReadonlyMap<string, B> = new Map();

  constructor(
    options: SessionTableOptions,
    now: () => number,
    onEvicted: () => void,
    asks: SessionAsks,
  ) {
    super(options, now, onEvicted);
    this.#owner = options.owner;
    this.#ttlMs = options.ttlMs;
    this.#firstTtlMs = Math.min(FIRST_KNOWN_FOR_MS, options.ttlMs);
    this.#knownForMs = Math.min(KNOWN_FOR_MS, options.ttlMs / 2);
    this.#asks = asks;
  }

  override rebuild(keepers: readonly B[]): void {
    super.rebuild(keepers);
    this.#byUrl = new Map(keepers.map((keeper) => [keeper.spec.url, keeper]));
  }

  /** Only the engine's word makes a session last: by its age it is known when it was heard last. */
  protected override get isKeptByUse(): boolean {
    return this.#asks.isEngineDown;
  }

  override question(key: string): AskedSession | null {
    if (this.#asks.isEngineDown) return null;
    const backend = this.peek(key);
    if (backend !== null && this.#isFresh(key)) return null;
    // Whom the engine names then may be whom this client has left.
    const instead = backend !== null && this.#isInDoubt(key) ? ANYTHING : '';
    return {
      ...this.#questionOf(key, backend?.spec.url ?? '', instead),
      onAnswer: (url) => {
        if (url !== null && url !== '') this.#adopt(key, url);
        // Those who come next have no reason to wait for an answer again.
        else if (backend !== null && this.idOf(key) === backend.id) {
          this.putId(key, this.valueOf(key) ?? backend.id);
        }
      },
    };
  }

  /** A backend has said that it has this session: nobody knows better. */
  override put(key: string, backend: B): void {
    // Some say so in each answer.
    if (this.idOf(key) === backend.id && this.#isFresh(key)) return;
    super.put(key, backend);
    this.#asks.tell(this.#questionOf(key, backend.spec.url, ANYTHING), (kept) => {
      if (kept === null) this.#doubt(key, backend);
    });
  }

  override bind(key: string, backend: B, former: B | null): void {
    const before = this.idOf(key);
    if (this.#isNews(before, former)) return;
    super.put(key, backend);
    this.#claim(key, backend, before);
  }

  override move(key: string, backend: B, former: B | null): void {
    const before = this.idOf(key);
    if (before === null || this.#isNews(before, former)) return;
    super.put(key, backend);
    this.#claim(key, backend, before);
  }

  override forget(key: string): void {
    super.forget(key);
    this.#asks.tell(this.#questionOf(key, '', ANYTHING), () => {});
  }

  /** The engine has named it too late for a request that has done without: it keeps the session. */
  #isNews(id: number | null, former: B | null): boolean {
    return id !== null && id !== former?.id && this.keeper(id) !== undefined;
  }

  /** @param before whose it was here; null: nobody's. */
  #claim(key: string, backend: B, before: number | null): void {
    const { url } = backend.spec;
    const formerUrl = before === null ? '' : (this.keeper(before)?.spec.url ?? '');
    const question = this.#questionOf(key, url, formerUrl);
    const firstTtlMs = before === null ? this.#firstTtlMs : this.#ttlMs;
    this.#asks.tell({ ...question, firstTtlMs }, (kept) => {
      if (kept === null) this.#doubt(key, backend);
      if (kept === null || kept === '') return;
      if (kept === url) {
        // It may have been moved since, or forgotten.
        if (this.idOf(key) === backend.id) super.put(key, backend);
        return;
      }
      const other = this.#byUrl.get(kept);
      if (other !== undefined && other.id !== before) {
        // Another instance was first.
        if (this.idOf(key) === backend.id) super.put(key, other);
      } else {
        this.#asks.tell(this.#questionOf(key, url, kept), (now) => {
          if (now === null) this.#doubt(key, backend);
          else if (now !== url) this.#adopt(key, now);
        });
      }
    });
  }

  /** It is where the engine says that it is. */
  #adopt(key: string, url: string): void {
    const backend = this.#byUrl.get(url);
    const own = this.peek(key);
    if (backend !== undefined) {
      super.put(key, backend);
    } else if (own === null) {
      // Whoever gets its next request has it then.
      this.putId(key, ELSEWHERE);
    } else {
      super.put(key, own);
      this.#asks.tell(this.#questionOf(key, own.spec.url, url), () => {});
    }
  }

  /** The engine may not have heard where it is: it is told by its next request. */
  #doubt(key: string, { id }: B): void {
    const staleMs = Math.max(ROUNDED_MS, this.#ttlMs - this.#knownForMs - ROUNDED_MS);
    if (this.idOf(key) === id) this.putId(key, id | IN_DOUBT, staleMs);
  }

  #isInDoubt(key: string): boolean {
    const value = this.valueOf(key);
    return value !== null && value !== this.idIn(value);
  }

  protected override idIn(value: number): number {
    return value < 0 ? value : value & ~IN_DOUBT;
  }

  /** The engine was heard not long ago. */
  #isFresh(key: string): boolean {
    return this.leftMs(key) > this.#ttlMs - this.#knownForMs;
  }

  #questionOf(key: string, value: string, instead: string): SessionQuestion {
    const ttlMs = this.#ttlMs;
    return { owner: this.#owner, key, value, instead, ttlMs, firstTtlMs: ttlMs };
  }
}
