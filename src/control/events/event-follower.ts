/**
 * One reader of the events. It has a place in the ring, and no queue of its own: it is written to as fast as it reads. Whoever
 * does not read for long, or is overtaken by the ring, is cut off; with Last-Event-ID it comes back to where it was.
 */
import type { ServerResponse } from 'node:http';
import { type EventFilter, isWanted } from './event-filter.ts';
import { type EventRing, eventBlock } from './event-ring.ts';

/** After so many ticks without a byte read, its connection is given up. */
const MOST_STALLED_TICKS = 2;

/** How long a browser waits before it connects again. */
const RETRY_MS = 1000;

/**
 * After so many events that it does not want, it is told where it is: else it would come back to a place that the ring has left
 * long ago, and hear of a gap in which nothing was for it.
 */
const MOST_UNTOLD = 100;

export class EventFollower {
  readonly #ring: EventRing;
  readonly #filter: EventFilter;
  readonly #onGone: () => void;
  #response: ServerResponse | undefined;
  #next: number;
  /** The last id that was written. */
  #told = 0;
  /** What was written last has not been read yet. */
  #isStalled = false;
  #stalledTicks = 0;
  #isCut = false;

  /** @param since the last event that it has seen; 0: none, and it wants all that are kept; undefined: only what comes now. */
  constructor(ring: EventRing, filter: EventFilter, since: number | undefined, onGone: () => void) {
    this.#ring = ring;
    this.#filter = filter;
    this.#onGone = onGone;
    this.#next = (since ?? ring.last) + 1;
  }

  /** Its head is written. */
  begin(response: ServerResponse): void {
    if (response.destroyed) {
      this.#onGone();
      return;
    }
    this.#response = response;
    if (this.#isCut) {
      this.cut();
      return;
    }
    response.once('close', this.#onGone);
    response.on('drain', () => {
      this.#isStalled = false;
      this.#stalledTicks = 0;
      this.pump();
    });
    const gap = this.#catchUp();
    this.#tellPlace(`retry: ${RETRY_MS}\n`);
    if (gap !== undefined) this.#write(gap);
    this.pump();
  }

  /** Writes what it has not got yet, as far as it reads. */
  pump(): void {
    if (this.#response === undefined) return;
    if (this.#next < this.#ring.oldest) {
      this.cut();
      return;
    }
    while (!this.#isStalled) {
      const event = this.#ring.get(this.#next);
      if (event === undefined) return;
      const id = this.#next++;
      if (isWanted(event, this.#filter)) {
        this.#told = id;
        this.#write(event.bytes);
      } else if (id - this.#told >= MOST_UNTOLD) {
        this.#tellPlace();
      }
    }
  }

  /** Every few seconds: shows both sides whether the other is still there. */
  tick(): void {
    if (this.#isStalled) {
      if (++this.#stalledTicks >= MOST_STALLED_TICKS) this.cut();
      return;
    }
    if (this.#told < this.#next - 1) this.#tellPlace();
    this.#write(Buffer.from(': alive\n\n'));
  }

  cut(): void {
    this.#isCut = true;
    this.#response?.destroy();
  }

  end(): void {
    this.#response?.end();
  }

  /** An id without data is remembered by the client, and is no event. */
  #tellPlace(more = ''): void {
    this.#told = this.#next - 1;
    this.#write(Buffer.from(`${more}id: ${this.#told}\n\n`));
  }

  #write(bytes: Buffer): void {
    if (this.#response?.write(bytes) === false) this.#isStalled = true;
  }

  /** Goes on with the oldest event where what it has seen last is not known here. @returns the event that says so. */
  #catchUp(): Buffer | undefined {
    const { zero, last, oldest } = this.#ring;
    const since = this.#next - 1;
    const isOfOther = since < zero || since > last;
    const lost = oldest - this.#next;
    if (!isOfOther && lost <= 0) return undefined;
    this.#next = oldest;
    if (since === 0) return undefined;
    return isOfOther
      ? gapBlock(oldest - 1, 'events may be missing here: Fairlead was started anew', {
          reason: 'restart',
          since,
        })
      : gapBlock(oldest - 1, `${lost} events are missing here: they are not kept any more`, {
          reason: 'overflow',
          since,
          lost,
        });
  }
}

function gapBlock(id: number, msg: string, fields: Readonly<Record<string, unknown>>): Buffer {
  const time = new Date().toISOString();
  const data = JSON.stringify({ level: 'warn', time, event: 'gap', ...fields, msg });
  return eventBlock(id, 'gap', data);
}
