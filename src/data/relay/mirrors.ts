/**
 * Mirrored requests: copies that go to another pool, and whose answers nobody gets.
 *
 * A copy never costs the request that it is of. It leaves when the request is complete, in a turn of the event loop of its own;
 * its memory is bounded apart from that of clients; and it is an exchange like any other, with connections, limits and health of
 * the pool it goes to, but for its client, which takes everything and keeps nothing (shadow.ts). What is too much is not
 * mirrored, and counted: a pool that is slow or dead holds so many copies and no more.
 */
import { letGo } from '../barrier.ts';
import { BODY_NONE } from '../wire/framing.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { RequestCopy } from './request-copy.ts';

/** Copies under way at once, of one pool and thread. */
export const MOST_AT_ONCE = 128;
/** Bytes of bodies that the copies of a thread hold, of all pools. */
export const MOST_HELD_BYTES = 16 * 1024 * 1024;
const FIRST_BYTES = 4 * 1024;

/** The exchange of a copy. */
export interface Shadow {
  /** When `onDeadline` is called, on the awake clock. */
  readonly deadlineMs: number;
  /** @param trailers whole field lines */
  begin(body: Buffer, trailers: string): void;
  onDeadline(): void;
  /** It ends now, whatever state it is in. */
  cut(): void;
  onCrashed(error: unknown): void;
}

export class Mirrors {
  /** Makes the exchange of a copy. @param onOver called when it has ended */
  createShadow: ((request: IncomingRequest, onOver: () => void) => Shadow) | null = null;
  heldBytes = 0;

  readonly #running = new Set<Shadow>();
  /** They begin in the next turn of the event loop. */
  #leaving: Copy[] = [];
  readonly #beginAll = (): void => {
    const leaving = this.#leaving;
    this.#leaving = [];
    for (const copy of leaving) this.#begin(copy);
  };

  /**
   * @param request the copy: as the other pool gets it.
   * @param mostBytes of its body.
   * @returns null: there is no room for one more, or it is known to be too long.
   */
  copyOf(request: IncomingRequest, mostBytes: number): RequestCopy | null {
    const { pool, facts } = request;
    if (facts.contentLength > mostBytes) {
      pool.counters.mirrorSkipped('body');
      return null;
    }
    if (pool.copies >= MOST_AT_ONCE) {
      pool.counters.mirrorSkipped('busy');
      return null;
    }
    return new Copy(this, request, mostBytes);
  }

  leave(copy: Copy): void {
    if (this.#leaving.length === 0) setImmediate(this.#beginAll);
    this.#leaving.push(copy);
  }

  /** Takes its room. @returns false: there is none. */
  hold(bytes: number): boolean {
    if (this.heldBytes + bytes > MOST_HELD_BYTES) return false;
    this.heldBytes += bytes;
    return true;
  }

  #begin(copy: Copy): void {
    const { request } = copy;
    const { pool } = request;
    if (this.createShadow === null || pool.copies >= MOST_AT_ONCE) {
      copy.skip('busy');
      return;
    }
    const over = (): void => {
      if (!this.#running.delete(shadow)) return;
      pool.copies--;
      copy.over();
    };
    const shadow = this.createShadow(request, over);
    this.#running.add(shadow);
    pool.copies++;
    pool.counters.mirrored();
    try {
      shadow.begin(copy.takeBody(), copy.trailers);
    } catch (error) {
      shadow.onCrashed(error);
      over();
    }
  }

  /** @param nowMs on the awake clock. */
  tick(nowMs: number): void {
    for (const shadow of this.#running) {
      if (shadow.deadlineMs > nowMs) continue;
      try {
        shadow.onDeadline();
      } catch (error) {
        shadow.onCrashed(error);
      }
    }
  }

  /** All that is under way is cut. */
  stop(): void {
    this.createShadow = null;
    for (const shadow of this.#running) letGo(() => shadow.cut());
  }
}

const NOTHING = Buffer.alloc(0);

class Copy implements RequestCopy {
  readonly request: IncomingRequest;
  trailers = '';
  readonly #mirrors: Mirrors;
  readonly #mostBytes: number;
  #bytes = NOTHING;
  #length = 0;
  /** Also once they are handed over. */
  #heldBytes = 0;
  #isLetIn = false;
  /** There is no body, or all of it has come. */
  #isComplete: boolean;
  /** It leaves, or never will. */
  #isSettled = false;

  constructor(mirrors: Mirrors, request: IncomingRequest, mostBytes: number) {
    this.#mirrors = mirrors;
    const { contentLength, bodyKind } = request.facts;
    this.request = request;
    this.#isComplete = bodyKind === BODY_NONE || contentLength === 0;
    this.#mostBytes = contentLength > 0 ? contentLength : mostBytes;
  }

  /** Hands its body over; it counts as held until `over`. */
  takeBody(): Buffer {
    const body = this.#bytes.subarray(0, this.#length);
    this.#bytes = NOTHING;
    return body;
  }

  take(buffer: Buffer, start: number, end: number): void {
    if (this.#isSettled) return;
    const length = this.#length + end - start;
    if (length > this.#mostBytes) {
      this.skip('body');
    } else if (length > this.#bytes.length && !this.#grow(length)) {
      this.skip('busy');
    } else {
      buffer.copy(this.#bytes, this.#length, start, end);
      this.#length = length;
    }
  }

  /** By doubling: a body that trickles in is copied a few times, not once per byte. */
  #grow(length: number): boolean {
    const { contentLength } = this.request.facts;
    const doubled = Math.max(FIRST_BYTES, length, 2 * this.#bytes.length);
    const size = contentLength > 0 ? contentLength : Math.min(doubled, this.#mostBytes);
    if (!this.#mirrors.hold(size - this.#bytes.length)) return false;
    const grown = Buffer.allocUnsafeSlow(size);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    this.#heldBytes = size;
    return true;
  }

  letIn(): void {
    this.#isLetIn = true;
    if (this.#isComplete) this.#leave();
  }

  complete(trailers: string): void {
    this.trailers = trailers;
    this.#isComplete = true;
    if (this.#isLetIn) this.#leave();
  }

  #leave(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#mirrors.leave(this);
  }

  /** Not mirrored: its body is too long, or there is too much under way. */
  skip(reason: 'body' | 'busy'): void {
    this.request.pool.counters.mirrorSkipped(reason);
    this.#isSettled = true;
    this.#free();
  }

  drop(): void {
    // One that has left keeps its body until its own exchange is over.
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#free();
  }

  /** Its exchange is over. */
  over(): void {
    this.#free();
  }

  #free(): void {
    this.#mirrors.heldBytes -= this.#heldBytes;
    this.#heldBytes = 0;
    this.#bytes = NOTHING;
    this.#length = 0;
  }
}
