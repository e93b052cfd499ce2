/** Who is with which backend, as all data threads know it: the sessions that clients do not carry themselves. */
import { ClientTable, NO_ENTRY } from '../../snapshot/client-table.ts';
import { hashText } from './hash.ts';
import type { AskedSession } from './session-asks.ts';

export interface SessionTableOptions {
  readonly memory: SharedArrayBuffer;
  /** Of the pool: under another name, nobody has a session. */
  readonly owner: string;
  readonly ttlMs: number;
}

/** Keys to backends. An entry's one value is the backend's id; it is kept for a while after each use. */
export class SessionTable<B extends { readonly id: number }> {
  readonly #table: ClientTable;
  /** Of the hashes of keys: another pool's sessions are not found. */
  readonly #seedA: number;
  readonly #seedB: number;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #onEvicted: () => void;
  #keepers: ReadonlyMap<number, B> = new Map();

  /**
   * @param memory of the table, which all pools share.
   * @param now the process clock (snapshot/process-clock.ts); it may be coarse.
   * @param onEvicted a session was forgotten before its time, for want of room.
   */
  constructor(
    { memory, owner, ttlMs }: SessionTableOptions,
    now: () => number,
    onEvicted: () => void,
  ) {
    this.#table = new ClientTable(memory);
    this.#seedA = hashText(owner, this.#table.seedA);
    this.#seedB = hashText(owner, this.#table.seedB);
    this.#ttlMs = ttlMs;
    this.#now = now;
    this.#onEvicted = onEvicted;
  }

  rebuild(keepers: readonly B[]): void {
    this.#keepers = new Map(keepers.map((keeper) => [keeper.id, keeper]));
  }

  /** The backend that keeps this session. */
  lookup(key: string): B | null {
    return this.#read(key, this.isKeptByUse);
  }

  /** The same, without that it counts as a use. */
  peek(key: string): B | null {
    return this.#read(key, false);
  }

  #read(key: string, isUse: boolean): B | null {
    const table = this.#table;
    const entry = this.#find(key);
    if (entry === NO_ENTRY) return null;
    const backend = this.#keepers.get(this.idIn(table.get(entry, 0))) ?? null;
    if (backend !== null && isUse) table.keepUntil(entry, this.#now() + this.#ttlMs);
    table.release();
    return backend;
  }

  /** What has to be found out elsewhere before this session is looked up; null: nothing. */
  question(_key: string): AskedSession | null {
    return null;
  }

  /** Each use makes a session last longer. */
  protected get isKeptByUse(): boolean {
    return true;
  }

  put(key: string, { id }: B): void {
    this.putId(key, id);
  }

  /** A client has got this backend, for want of the one that it had. */
  bind(key: string, backend: B, _former: B | null): void {
    this.put(key, backend);
  }

  /** @param id of a backend that keeps sessions, or of none. */
  protected putId(key: string, id: number, ttlMs = this.#ttlMs): void {
    const table = this.#table;
    const nowMs = this.#now();
    const entry = table.acquire(hashText(key, this.#seedA), hashText(key, this.#seedB), nowMs);
    // All entries of this table expire, so there always is one.
    if (entry === NO_ENTRY) return;
    const { hasEvicted } = table;
    table.set(entry, 0, id);
    table.keepUntil(entry, nowMs + ttlMs);
    table.release();
    if (hasEvicted) this.#onEvicted();
  }

  /** A session that is there goes on with this backend; whoever makes up keys makes no entries. */
  move(key: string, { id }: B, _former: B | null): void {
    const entry = this.#find(key);
    if (entry === NO_ENTRY) return;
    this.#table.set(entry, 0, id);
    this.#table.keepUntil(entry, this.#now() + this.#ttlMs);
    this.#table.release();
  }

  forget(key: string): void {
    const entry = this.#find(key);
    if (entry === NO_ENTRY) return;
    this.#table.free(entry);
    this.#table.release();
  }

  /** The id that an entry has, whether such a backend keeps sessions or not; null: there is no entry. */
  protected idOf(key: string): number | null {
    const value = this.valueOf(key);
    return value === null ? null : this.idIn(value);
  }

  /** The id in the value of an entry. */
  protected idIn(value: number): number {
    return value;
  }

  /** What `putId` was given; null: there is no entry. */
  protected valueOf(key: string): number | null {
    const entry = this.#find(key);
    if (entry === NO_ENTRY) return null;
    const value = this.#table.get(entry, 0);
    this.#table.release();
    return value;
  }

  protected keeper(id: number): B | undefined {
    return this.#keepers.get(id);
  }

  /** How long it is kept yet, to a tenth of a second; 0: it is not there. */
  protected leftMs(key: string): number {
    const entry = this.#find(key);
    if (entry === NO_ENTRY) return 0;
    const leftMs = this.#table.keptUntilMs(entry) - this.#now();
    this.#table.release();
    return leftMs;
  }

  /** Its bucket is locked if it is there. */
  #find(key: string): number {
    return this.#table.find(hashText(key, this.#seedA), hashText(key, this.#seedB), this.#now());
  }
}
