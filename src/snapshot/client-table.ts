/**
 * The contract between the planes, part five: what all data threads know of single clients, in shared memory.
 *
 * A table is a set-associative cache, as a processor has: a key's hash names one bucket, and the key is in one of its
 * eight slots or not there. So a table never grows, a look-up is bounded, and where a bucket is full, the entry goes that
 * would have expired first. A key is 64 bits of hash, made by the caller from its text with the table's two seeds, which
 * are drawn at random: where a key lies differs from process to process. Two keys that share all 64 bits share an entry.
 *
 * Buckets are locked for the few loads and stores of one operation: read, decide and write are one step for all threads.
 * A thread can be ended inside of it. So whoever waits longer than `PATIENCE_MS` for one and the same holder takes the
 * lock over, and the former holder, should it only have slept, finds that the lock is not its own any more when it gives
 * it back. Two threads may then have written to one bucket at a time: at worst an entry is lost or says something false of
 * one client until it expires, and readers trust no value to make sense.
 *
 * Memory that was never touched costs nothing: an empty slot is all zeros, and the system gives zeroed pages on demand.
 */
import type { ClientTables } from './messages.ts';
import { processClockOffsetMs } from './process-clock.ts';

/** `acquire` and `find`: there is none, and nothing is locked. */
export const NO_ENTRY = -1;

const SLOTS = 8;
/** 65,536 entries: 1.5 MiB where all of them are in use. */
const BUCKETS = 8_192;

/**
 * Entries expire on a coarse scale, rounded up, counted from the table's creation: 2^31 tenths of a second are 6.8 years.
 * A process that runs for longer remembers nobody.
 */
const UNIT_MS = 100;
const NEVER = 0x7f_ff_ff_ff;

// The table's header.
const H_BUCKETS = 0;
const H_VALUES = 1;
const H_SEED_A = 2;
const H_SEED_B = 3;
const H_USERS = 4;
const EPOCH_OFFSET = 24;
const HEADER_CELLS = 16;
/** Of the first bucket, behind its lock. */
const FIRST_SLOT = HEADER_CELLS + 1;

// A bucket: its lock, then its slots, filled up to whole cache lines, so that no two locks lie in one.
const UNLOCKED = 0;
const CACHE_LINE_CELLS = 16;

// A slot: the key, when it expires, and the values.
const S_KEY_A = 0;
const S_KEY_B = 1;
const S_EXPIRES = 2;
const S_VALUES = 3;

/** A holder needs a fraction of a microsecond; one that takes longer was put to sleep, and so is who waits for it. */
const SPINS = 1_000;
const PATIENCE_MS = 100;

/** A ticket says who holds a lock and in which of its operations: 11 bits and 20, never 0. */
const TICKET_BITS = 20;
const TICKETS = 0xf_ff_ff;
const USERS = 0x7_ff;

export interface ClientTableShape {
  /** A power of two. */
  readonly buckets: number;
  /** Int32 values of an entry. */
  readonly values: number;
  /** The moment on the process clock that the table counts from: no operation may be before it. */
  readonly epochMs: number;
  /** Left out: drawn at random. */
  readonly seeds?: TableSeeds;
}

export type TableSeeds = readonly [a: number, b: number];

/**
 * What the tables of another process have to share with those of this one, so that entries mean the same in both. Not to be shown to
 * anybody: who knows the seeds can choose keys that all lie in one bucket.
 */
export interface ClientTablesOrigin {
  /** Processes of one machine have one process clock. */
  readonly epochMs: number;
  readonly sessions: TableSeeds;
  readonly rates: TableSeeds;
}

export function createClientTable({
  buckets,
  values,
  epochMs,
  seeds,
}: ClientTableShape): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(4 * (HEADER_CELLS + buckets * bucketCells(values)));
  const header = new Int32Array(memory, 0, HEADER_CELLS);
  header[H_BUCKETS] = buckets;
  header[H_VALUES] = values;
  header.set(seeds ?? crypto.getRandomValues(new Int32Array(2)), H_SEED_A);
  new Float64Array(memory, EPOCH_OFFSET, 1)[0] = epochMs;
  return memory;
}

/**
 * The tables of one process: made once, and handed to every data thread, to replacements too.
 *
 * @param origin of the tables of a process that this one takes the place of.
 */
export function createClientTables(threadCount: number, origin?: ClientTablesOrigin): ClientTables {
  const epochMs = origin?.epochMs ?? performance.now() + processClockOffsetMs();
  const { sessions, rates } = origin ?? {};
  return {
    // The backend's id.
    sessions: createClientTable({ buckets: BUCKETS, values: 1, epochMs, ...seeded(sessions) }),
    // Seconds and nanoseconds.
    rates: createClientTable({ buckets: BUCKETS, values: 2, epochMs, ...seeded(rates) }),
    // Seconds and nanoseconds, how many are reserved, and three moments: see global-rate-limit.ts.
    reserves: createClientTable({ buckets: BUCKETS, values: 6, epochMs }),
    // Each thread's share, so that the share of a thread that died can be given back.
    connections: createClientTable({ buckets: BUCKETS, values: threadCount, epochMs }),
  };
}

/** Control plane: a data thread died; its client connections are gone with it. Before its replacement starts. */
export function giveBackClientShare(tables: ClientTables, threadIndex: number): void {
  const table = new ClientTable(tables.connections);
  table.forEach((entry) => {
    table.set(entry, threadIndex, 0);
    if (table.sum(entry) === 0) table.free(entry);
  });
}

function seeded(seeds: TableSeeds | undefined): Pick<ClientTableShape, 'seeds'> {
  return seeds === undefined ? {} : { seeds };
}

function bucketCells(values: number): number {
  const cells = 1 + SLOTS * (S_VALUES + values);
  return Math.ceil(cells / CACHE_LINE_CELLS) * CACHE_LINE_CELLS;
}

/**
 * One thread's hold on a table. `acquire` or `find`, then what is to be read and written, then `release`: nothing between
 * them may throw, and no second bucket is locked meanwhile. Times are those of the process clock (process-clock.ts).
 */
export class ClientTable {
  /** For the hashes of a key: the first by the one, the second by the other. */
  readonly seedA: number;
  readonly seedB: number;
  readonly epochMs: number;
  /** Of the last `acquire` or `find`: the entry was not there before; its values are 0, and it is free again unless kept. */
  isNew = false;
  /** Of the last `acquire`: another key's entry that had not expired made room. */
  hasEvicted = false;

  readonly #cells: Int32Array;
  readonly #values: number;
  readonly #slotCells: number;
  readonly #bucketCells: number;
  readonly #bucketMask: number;
  readonly #firstTicket: number;
  #tickets = 0;
  #ticket = 0;
  #lock = 0;

  constructor(memory: SharedArrayBuffer) {
    const cells = new Int32Array(memory);
    this.#cells = cells;
    this.seedA = cells[H_SEED_A] as number;
    this.seedB = cells[H_SEED_B] as number;
    this.epochMs = new Float64Array(memory, EPOCH_OFFSET, 1)[0] as number;
    this.#values = cells[H_VALUES] as number;
    this.#slotCells = S_VALUES + this.#values;
    this.#bucketCells = bucketCells(this.#values);
    this.#bucketMask = (cells[H_BUCKETS] as number) - 1;
    this.#firstTicket = (1 + (Atomics.add(cells, H_USERS, 1) % USERS)) << TICKET_BITS;
  }

  /**
   * Locks the bucket of a key and gives its entry: the one that is there, or a new one in a free slot, or in the slot of
   * the entry that expires first (`hasEvicted`). `NO_ENTRY` when the bucket is full of entries that never expire.
   */
  acquire(hashA: number, hashB: number, nowMs: number): number {
    const now = this.#unitAt(nowMs);
    const found = this.#lockAndFind(hashA, hashB, now);
    this.isNew = found === NO_ENTRY;
    this.hasEvicted = false;
    if (found !== NO_ENTRY) return found;
    const cells = this.#cells;
    const entry = this.#firstToExpire();
    const expires = cells[entry + S_EXPIRES] as number;
    if (expires === NEVER) {
      this.release();
      return NO_ENTRY;
    }
    this.hasEvicted = expires > now;
    cells[entry + S_KEY_A] = hashA;
    cells[entry + S_KEY_B] = hashB;
    cells[entry + S_EXPIRES] = 0;
    for (let value = 0; value < this.#values; value++) cells[entry + S_VALUES + value] = 0;
    return entry;
  }

  /** Locks the bucket of a key and gives its entry; `NO_ENTRY` when there is none. */
  find(hashA: number, hashB: number, nowMs: number): number {
    const entry = this.#lockAndFind(hashA, hashB, this.#unitAt(nowMs));
    this.isNew = false;
    if (entry === NO_ENTRY) this.release();
    return entry;
  }

  get(entry: number, value: number): number {
    return this.#cells[entry + S_VALUES + value] as number;
  }

  set(entry: number, value: number, to: number): void {
    this.#cells[entry + S_VALUES + value] = to;
  }

  /** Of all values of an entry. */
  sum(entry: number): number {
    let sum = 0;
    for (let value = 0; value < this.#values; value++) sum += this.get(entry, value);
    return sum;
  }

  /** Keeps an entry until then: at least, and at most `UNIT_MS` longer. */
  keepUntil(entry: number, atMs: number): void {
    const unit = Math.ceil((atMs - this.epochMs) / UNIT_MS) + 1;
    this.#cells[entry + S_EXPIRES] = Math.min(unit, NEVER - 1);
  }

  /** Up to when an entry is kept, at most: see `keepUntil`. */
  keptUntilMs(entry: number): number {
    return this.epochMs + ((this.#cells[entry + S_EXPIRES] as number) - 1) * UNIT_MS;
  }

  /** Keeps an entry until it is freed. */
  keep(entry: number): void {
    this.#cells[entry + S_EXPIRES] = NEVER;
  }

  free(entry: number): void {
    this.#cells[entry + S_EXPIRES] = 0;
  }

  release(): void {
    Atomics.compareExchange(this.#cells, this.#lock, this.#ticket, UNLOCKED);
  }

  /** All of an entry, for `putCopy` of another table with the same seeds and epoch: as many numbers for each. Empty: it has expired. */
  copy(entry: number, nowMs: number): readonly number[] {
    const cells = this.#cells.subarray(entry, entry + this.#slotCells);
    return (cells[S_EXPIRES] as number) > this.#unitAt(nowMs) ? [...cells] : [];
  }

  /** How many numbers a copy has: the last ones are the values. */
  get copyLength(): number {
    return this.#slotCells;
  }

  /** What is known here of the same key is newer, and stays. One that has expired is left out. */
  putCopy(copy: ArrayLike<number>, nowMs: number): void {
    const expires = copy[S_EXPIRES] as number;
    if (expires <= this.#unitAt(nowMs)) return;
    const entry = this.acquire(copy[S_KEY_A] as number, copy[S_KEY_B] as number, nowMs);
    if (entry === NO_ENTRY) return;
    if (this.isNew) {
      for (let value = 0; value < this.#values; value++) {
        this.set(entry, value, copy[S_VALUES + value] as number);
      }
      this.#cells[entry + S_EXPIRES] = expires;
    }
    this.release();
  }

  /** Shows the entries that are kept when it comes to them, each while its bucket is locked. Walks through all of the table. */
  forEach(visit: (entry: number) => void): void {
    const cells = this.#cells;
    let bucket = 0;
    for (let first = FIRST_SLOT; first < cells.length; first += this.#bucketCells) {
      // Looked at without the lock first: to lock a bucket that was never used would make it cost memory.
      for (let slot = 0; slot < SLOTS; slot++) {
        const entry = first + slot * this.#slotCells;
        if (cells[entry + S_EXPIRES] === 0) continue;
        this.#lockBucket(bucket);
        if (cells[entry + S_EXPIRES] !== 0) visit(entry);
        this.release();
      }
      bucket++;
    }
  }

  /** Leaves the bucket locked, whether the key is there or not. */
  #lockAndFind(hashA: number, hashB: number, now: number): number {
    const cells = this.#cells;
    const keyA = hashA | 0;
    const keyB = hashB | 0;
    this.#lockBucket(hashA & this.#bucketMask);
    let entry = this.#lock + 1;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (
        cells[entry + S_KEY_A] === keyA &&
        cells[entry + S_KEY_B] === keyB &&
        (cells[entry + S_EXPIRES] as number) > now
      ) {
        return entry;
      }
      entry += this.#slotCells;
    }
    return NO_ENTRY;
  }

  /** In the bucket that is locked. */
  #firstToExpire(): number {
    const cells = this.#cells;
    let entry = this.#lock + 1;
    let first = entry;
    for (let slot = 1; slot < SLOTS; slot++) {
      entry += this.#slotCells;
      if ((cells[entry + S_EXPIRES] as number) < (cells[first + S_EXPIRES] as number))
        first = entry;
    }
    return first;
  }

  /** The unit that a moment is in, from 1: a free slot, all zeros, has expired at any time. */
  #unitAt(nowMs: number): number {
    return Math.min(Math.floor((nowMs - this.epochMs) / UNIT_MS) + 1, NEVER - 1);
  }

  #lockBucket(bucket: number): void {
    const lock = HEADER_CELLS + bucket * this.#bucketCells;
    this.#tickets = (this.#tickets + 1) & TICKETS;
    const ticket = this.#firstTicket | this.#tickets;
    if (Atomics.compareExchange(this.#cells, lock, UNLOCKED, ticket) !== UNLOCKED) {
      this.#waitFor(lock, ticket);
    }
    this.#ticket = ticket;
    this.#lock = lock;
  }

  #waitFor(lock: number, ticket: number): void {
    const cells = this.#cells;
    let holder = UNLOCKED;
    let waitedMs = 0;
    for (;;) {
      for (let spin = 0; spin < SPINS; spin++) {
        if (Atomics.load(cells, lock) !== UNLOCKED) continue;
        if (Atomics.compareExchange(cells, lock, UNLOCKED, ticket) === UNLOCKED) return;
      }
      const seen = Atomics.load(cells, lock);
      if (seen === UNLOCKED) continue;
      if (seen !== holder) {
        holder = seen;
        waitedMs = 0;
      } else if (
        waitedMs >= PATIENCE_MS &&
        Atomics.compareExchange(cells, lock, holder, ticket) === holder
      ) {
        return;
      }
      // Nobody wakes it up: that would cost each release more than the operation itself.
      Atomics.wait(cells, lock, holder, 1);
      waitedMs++;
    }
  }
}
