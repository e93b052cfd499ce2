/**
 * Which of the process's file descriptors clients and connections to backends may have.
 *
 * The system gives out the lowest number that is free. So a new connection whose number is high says that all below it are
 * taken, in all threads, by whatever: nothing has to be counted. The highest numbers are held back:
 *
 * - clients get none of the last 5 % (at least 16): those are for the requests of the clients that are here;
 * - connections to backends get none of the upper half of these: those are for health checks, the admin API, files, names
 *   that are looked up, and a new data thread;
 * - shortly below, whoever is idle begins to make room: see `relief`.
 *
 * So accepting doesn't run out itself, which would be worse than to be refused: a thread that can't accept is told of the
 * waiting client again and again, and turns in circles.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { descriptorLimitOf, LIMITS_FILE } from '../snapshot/descriptor-limit.ts';

const RESERVE_SHARE = 0.05;
const MIN_RESERVE = 16;
const MAX_RESERVE = 1_024;
/** Idle ones begin to make room so far below what is held back. */
const MARGIN_SHARE = 0.25;
/** So often the limit is read again: an operator may raise it (prlimit). */
const LIMIT_READ_MS = 5_000;

/** Who can give descriptors back. */
export interface Relief {
  /** Closes one connection of this thread that nobody uses. @returns false if there is none */
  makeRoom(): boolean;
  /** The same of a client's: requests may want those to backends. */
  makeRoomOfClients(): boolean;
}

export class Descriptors {
  relief: Relief | null = null;
  readonly #readLimit: () => number | undefined;
  #limit = Number.POSITIVE_INFINITY;
  /** From these on: idle ones make room; no client may have it; no connection to a backend may. */
  #roomFrom = Number.POSITIVE_INFINITY;
  #clientsEnd = Number.POSITIVE_INFINITY;
  #backendsEnd = Number.POSITIVE_INFINITY;
  #readLimitAtMs = Number.NEGATIVE_INFINITY;

  constructor(readLimit = limitOfThisProcess) {
    this.#readLimit = readLimit;
    this.#setLimit(readLimit() ?? Number.POSITIVE_INFINITY);
  }

  get limit(): number {
    return this.#limit;
  }

  /** The first number that no client may have. */
  get clientsEnd(): number {
    return this.#clientsEnd;
  }

  /** A new client has got this one; may it stay? */
  mayAdmit(descriptor: number): boolean {
    if (descriptor < this.#roomFrom) return true;
    this.relief?.makeRoom();
    return descriptor < this.#clientsEnd;
  }

  /** A connection to a backend has got this one; may it stay? */
  mayConnect(descriptor: number): boolean {
    if (descriptor < this.#clientsEnd) return true;
    this.relief?.makeRoom();
    return descriptor < this.#backendsEnd;
  }

  /** Makes room for what comes next, where it is short. */
  tick(nowMs: number): void {
    if (nowMs - this.#readLimitAtMs >= LIMIT_READ_MS) {
      this.#readLimitAtMs = nowMs;
      // Without a descriptor it can't be read, just when it matters.
      this.#setLimit(this.#readLimit() ?? this.#limit);
    }
    if (this.#limit === Number.POSITIVE_INFINITY || this.relief === null) return;
    for (let over = this.#lowestFree() - this.#roomFrom; over >= 0; over--) {
      if (!this.relief.makeRoom()) break;
    }
  }

  #setLimit(limit: number): void {
    if (limit === this.#limit) return;
    const share = Math.ceil(limit * RESERVE_SHARE);
    const reserve = Math.min(Math.max(share, MIN_RESERVE), MAX_RESERVE, Math.floor(limit / 2));
    this.#limit = limit;
    this.#clientsEnd = limit - reserve;
    this.#backendsEnd = limit - Math.floor(reserve / 2);
    this.#roomFrom = this.#clientsEnd - Math.ceil(reserve * MARGIN_SHARE);
  }

  #lowestFree(): number {
    try {
      const descriptor = openSync('/dev/null', 'r');
      closeSync(descriptor);
      return descriptor;
    } catch {
      return this.#limit;
    }
  }
}

function limitOfThisProcess(): number | undefined {
  try {
    return descriptorLimitOf(readFileSync(LIMITS_FILE, 'latin1'));
  } catch {
    return undefined;
  }
}
