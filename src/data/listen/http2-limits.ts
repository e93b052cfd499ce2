/**
 * How much a client's HTTP/2 connection may cost beside what it is served: frames that bring nothing, and streams that come to
 * nothing. Each kind has so many for a minute, as a bucket that fills again all the time; past it, the connection ends with
 * ENHANCE_YOUR_CALM.
 *
 * - Resets: a request that is called off at once has cost a backend its work (rapid reset, CVE-2023-44487), and so has one that we
 *   have to reset for an error of its client (MadeYouReset, CVE-2025-8671). A request that was served to its end pays for one: a proxy
 *   that many clients share calls off a part of what it asks, and one connection carries all of it.
 * - Control frames: SETTINGS and PING want an answer; PRIORITY, WINDOW_UPDATE, empty DATA and whatever we don't know want to be
 *   read. Whoever sends and gets bodies needs some of them: DATA in either direction pays for two, and a request for a few.
 */
import type { Http2Limits as Terms } from '../../snapshot/snapshot.ts';

const MINUTE_MS = 60_000;
const FOR_A_REQUEST = 4;
const FOR_DATA = 2;
/** A DATA frame that brings less than this costs a part of a frame that brings nothing: its header is nearly all of it. */
const SHORT_DATA_BYTES = 16;
const SHORT_DATA_COST = 0.25;

export class Http2Limits {
  readonly #terms: Terms;
  #resets: number;
  #controlFrames: number;
  #resetsAtMs: number;
  #controlFramesAtMs: number;

  /** @param nowMs on a monotonic clock, as below. */
  constructor(terms: Terms, nowMs: number) {
    this.#terms = terms;
    this.#resets = terms.resets;
    this.#controlFrames = terms.controlFrames;
    this.#resetsAtMs = nowMs;
    this.#controlFramesAtMs = nowMs;
  }

  get streams(): number {
    return this.#terms.streams;
  }

  /** A stream has come to nothing. @returns whether that is too much. */
  reset(nowMs: number): boolean {
    const { resets } = this.#terms;
    const earned = ((nowMs - this.#resetsAtMs) * resets) / MINUTE_MS;
    this.#resetsAtMs = nowMs;
    this.#resets = Math.min(resets, this.#resets + earned) - 1;
    return this.#resets < 0;
  }

  /** A request has had all of its answer: a client may call off one for each, beside its minute's worth. */
  served(): void {
    this.#resets = Math.min(this.#terms.resets, this.#resets + 1);
  }

  /** A frame that brings nothing. @returns whether that is too much. */
  controlFrame(nowMs: number): boolean {
    return this.#cost(nowMs, 1);
  }

  /** A DATA frame has come. @param length of its data. @returns whether that is too much. */
  data(nowMs: number, length: number, endsStream: boolean): boolean {
    if (length >= SHORT_DATA_BYTES) this.#earn(FOR_DATA);
    else if (!endsStream) return this.#cost(nowMs, length === 0 ? 1 : SHORT_DATA_COST);
    return false;
  }

  /** So many were sent. */
  dataSent(frames: number): void {
    this.#earn(FOR_DATA * frames);
  }

  request(): void {
    this.#earn(FOR_A_REQUEST);
  }

  #cost(nowMs: number, frames: number): boolean {
    const { controlFrames } = this.#terms;
    const earned = ((nowMs - this.#controlFramesAtMs) * controlFrames) / MINUTE_MS;
    this.#controlFramesAtMs = nowMs;
    this.#controlFrames = Math.min(controlFrames, this.#controlFrames + earned) - frames;
    return this.#controlFrames < 0;
  }

  #earn(frames: number): void {
    this.#controlFrames = Math.min(this.#terms.controlFrames, this.#controlFrames + frames);
  }
}
