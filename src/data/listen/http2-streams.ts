/**
 * The open streams of a client's HTTP/2 connection: which there are, when the next of them has to be looked at, and in which order
 * those have their turn that wait for the connection (RFC 9218 §10): the most urgent first; of the same urgency, one after the
 * other, but for those of which every part is of use, which take turns.
 */
import { type Http2Output, MAX_DATA_BYTES } from '../stream/http2-output.ts';
import type { Http2Stream } from './http2-stream.ts';
import { NEVER } from './idle-clients.ts';

/** Streams that we have reset are remembered: what their client has sent before it knew of that is no error. */
const MAX_RESET = 1_000;

export class Http2Streams {
  /** When the next one has to be looked at, at the earliest. */
  nextMs = NEVER;

  readonly #open = new Map<number, Http2Stream>();
  /** Null: none ever was. */
  #blocked: Set<Http2Stream> | null = null;
  /** The oldest first. */
  #reset: Set<number> | null = null;

  get size(): number {
    return this.#open.size;
  }

  get(id: number): Http2Stream | undefined {
    return this.#open.get(id);
  }

  all(): IterableIterator<Http2Stream> {
    return this.#open.values();
  }

  add(stream: Http2Stream): void {
    this.#open.set(stream.id, stream);
  }

  delete(stream: Http2Stream): void {
    this.#open.delete(stream.id);
    this.#blocked?.delete(stream);
    if (!stream.isRemoteEnded) this.noteReset(stream.id);
  }

  noteReset(id: number): void {
    this.#reset ??= new Set();
    this.#reset.add(id);
    if (this.#reset.size <= MAX_RESET) return;
    const [oldest] = this.#reset;
    if (oldest !== undefined) this.#reset.delete(oldest);
  }

  wasReset(id: number): boolean {
    return this.#reset?.has(id) === true;
  }

  get heldBytes(): number {
    let bytes = 0;
    for (const stream of this.#open.values()) bytes += stream.heldBytes;
    return bytes;
  }

  // ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────

  noteDeadline(atMs: number): void {
    if (atMs < this.nextMs) this.nextMs = atMs;
  }

  onDeadline(nowMs: number): void {
    this.nextMs = NEVER;
    for (const stream of this.#open.values()) {
      if (stream.deadlineMs <= nowMs) stream.onDeadline();
      if (!stream.isClosed) this.noteDeadline(stream.deadlineMs);
    }
  }

  // ── Turns ───────────────────────────────────────────────────────────────────────────────────────────────────────

  block(stream: Http2Stream): void {
    if (stream.isClosed) return;
    this.#blocked ??= new Set();
    this.#blocked.add(stream);
  }

  /** The peer takes more on one of them. */
  unblock(stream: Http2Stream): void {
    if (this.#blocked?.has(stream) === true) this.#turn(stream, Number.POSITIVE_INFINITY);
  }

  /** The connection takes more. */
  giveTurns(output: Http2Output): void {
    const blocked = this.#blocked;
    if (blocked === null || blocked.size === 0 || output.needsDrain) return;
    const all = [...blocked].toSorted(byTurn);
    let start = 0;
    while (start < all.length) {
      const { urgency } = all[start] as Http2Stream;
      let end = start + 1;
      while (all[end]?.urgency === urgency) end++;
      this.#rounds(all.slice(start, end), blocked, output);
      start = end;
    }
  }

  #rounds(
    streams: readonly Http2Stream[],
    blocked: Set<Http2Stream>,
    { window }: Http2Output,
  ): void {
    let turns = streams;
    while (turns.length > 0) {
      const again: Http2Stream[] = [];
      for (const stream of turns) {
        const before = window.available;
        this.#turn(stream, stream.isIncremental ? MAX_DATA_BYTES : Number.POSITIVE_INFINITY);
        if (window.available === before || !blocked.delete(stream)) continue;
        // Behind the others, from now on.
        blocked.add(stream);
        if (stream.isIncremental) again.push(stream);
      }
      turns = again;
    }
  }

  #turn(stream: Http2Stream, most: number): void {
    stream.onRoom(most);
    if (stream.isClosed || stream.needsDrain) return;
    this.#blocked?.delete(stream);
    stream.onDrained();
  }

  /** Nobody sends anything any more. */
  forgetAll(forget: (stream: Http2Stream) => void): void {
    for (const stream of this.#open.values()) forget(stream);
    this.#open.clear();
    this.#blocked?.clear();
  }
}

function byTurn(one: Http2Stream, other: Http2Stream): number {
  if (one.urgency !== other.urgency) return one.urgency - other.urgency;
  if (one.isIncremental !== other.isIncremental) return one.isIncremental ? 1 : -1;
  return one.isIncremental ? 0 : one.id - other.id;
}
