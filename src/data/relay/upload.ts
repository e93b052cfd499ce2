/**
 * The request body on its way from the client to a backend.
 *
 * It is told the body in parts, whatever framing they came in, and holds what no connection can take yet. It owns no socket: the
 * exchange moves the bytes. What is held is bounded: past `HELD_HIGH_WATER` the exchange stops reading the client.
 *
 * A body that nobody may ask for again is passed on as it lies in the read buffer: only what can't leave within the same call
 * is copied (`hold`).
 */
import type { ErrorCode } from '../../errors.ts';
import type { Retries } from '../../snapshot/policies.ts';
import type { PoolSnapshot } from '../../snapshot/snapshot.ts';
import { type BackendStream, UNKNOWN_LENGTH } from '../backend/backend-stream.ts';
import { BODY_NONE } from '../wire/framing.ts';
import type { RequestFacts } from '../wire/request.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { RequestCopy } from './request-copy.ts';
import { isIdempotent } from './retry-decision.ts';

/** How long a body of unknown length may gather before it is sent on unchecked: see `Upload.mayStart`. */
export const HOLD_MS = 100;
/** Bytes held for a backend before the client is not read any more. */
const HELD_HIGH_WATER = 64 * 1024;
/**
 * A body of unknown length of which this much has come is sent on before its end. Up to there it is checked as a whole: a small
 * malformed one never reaches a backend, and a small good one goes out with its length.
 */
const CHECK_WHOLE_BYTES = 16 * 1024;
/** Runs of a body up to this length are gathered side by side: a buffer for each would cost a hundred times its bytes. */
const SHORT_RUN_BYTES = 1024;
const GATHER_BYTES = 4 * 1024;

/** The upload that a request needs; null when it has no body. */
export function createUpload(request: IncomingRequest): Upload | null {
  const { facts, policies, pool, protocol, mirror } = request;
  if (facts.bodyKind === BODY_NONE) return null;
  const { bodyBytes, retries } = policies;
  const replayBytes = keepsSent(facts, retries, pool.view.spec) ? retries.replayBufferBytes : 0;
  const upload = new Upload(facts.contentLength, bodyBytes, replayBytes, mirror);
  upload.isKeptBack = facts.expectsContinue;
  upload.isStreamed = protocol === 'HTTP/2.0' && pool.view.spec.protocol === 'h2';
  return upload;
}

/** Whether what was sent of the body may be asked for again; over HTTP/2 a backend may say of any that it has not seen it. */
function keepsSent(
  { method }: RequestFacts,
  { nonIdempotent }: Retries,
  { protocol }: PoolSnapshot,
): boolean {
  return nonIdempotent || isIdempotent(method) || protocol !== 'http1';
}

export class Upload {
  /** The client has sent all of it. */
  isComplete = false;
  /** The client waits with it until the backend has said 100, or for as long as it likes (RFC 9110 §10.1.1). */
  isKeptBack = false;
  /** HTTP/2 on both sides, where no body needs a length: calls of gRPC begin before they have anything to say. */
  isStreamed = false;
  /** Payload bytes received from the client. */
  bytesIn = 0;
  error: ErrorCode | null = null;

  /** It gets the same body. */
  readonly #copyOfRequest: RequestCopy | null;
  readonly #maxBytes: number;
  readonly #replayBytes: number;
  readonly #contentLength: number;
  #held: Buffer[] = [];
  /** Bytes in `#held` and, within a call, of the borrowed part behind them. */
  #heldBytes = 0;
  /** `#borrowed[#borrowedStart, #borrowedEnd)` is the last part, not copied yet. */
  #borrowed: Buffer | null = null;
  #borrowedStart = 0;
  #borrowedEnd = 0;
  /** Room for further short runs, behind the last one. */
  #room: Buffer | null = null;
  #sent: Buffer[] | null;
  #sentBytes = 0;
  /** Its end has to be said: it goes out without a length. */
  #isOpenEnded = false;
  #isEndSent = false;
  #trailer = '';

  /**
   * @param contentLength `UNKNOWN_LENGTH`: it ends where its end is told.
   * @param maxBytes largest body accepted; 0: no limit.
   * @param replayBytes the most that is kept for a second attempt; past it the retry is forfeited, not the request.
   */
  constructor(
    contentLength: number,
    maxBytes: number,
    replayBytes: number,
    copy: RequestCopy | null,
  ) {
    this.#copyOfRequest = copy;
    this.#maxBytes = maxBytes;
    this.#contentLength = contentLength;
    this.#sent = replayBytes > 0 ? [] : null;
    this.#replayBytes = replayBytes;
    this.isComplete = contentLength === 0;
  }

  /** Held for a backend, or for a second attempt. */
  get keptBytes(): number {
    return this.#heldBytes + (this.#sent === null ? 0 : this.#sentBytes);
  }

  get isHeldFull(): boolean {
    return this.#heldBytes >= HELD_HIGH_WATER;
  }

  /** Its request goes out before anything of it has come. */
  get startsAtOnce(): boolean {
    return this.isKeptBack || this.isStreamed;
  }

  /** Enough has come, or all of it, that it may start on its way. */
  get mayStart(): boolean {
    return (
      this.isStreamed ||
      this.#isLengthKnown ||
      this.isComplete ||
      this.#heldBytes >= CHECK_WHOLE_BYTES
    );
  }

  get #isLengthKnown(): boolean {
    return this.#contentLength !== UNKNOWN_LENGTH;
  }

  /** The backend still has to take a part of it, and nobody keeps it back. */
  get isUnderWay(): boolean {
    return !(this.isSent || this.isKeptBack);
  }

  /** Everything has been handed to the backend's connection. */
  /** For the last attempt. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  get isSent(): boolean {
    return this.isComplete && this.#heldBytes === 0 && (this.#isEndSent || !this.#isOpenEnded);
  }

  get isReplayable(): boolean {
    return this.#sent !== null || this.#sentBytes === 0;
  }

  /** All of it was sent, and all of it can be sent again. */
  get isRepeatable(): boolean {
    return this.isReplayable && this.isSent;
  }

  /** For a second attempt: what was sent is held again. */
  rewind(): void {
    if (this.#sent !== null) {
      this.#held = [...this.#sent, ...this.#held];
      this.#heldBytes += this.#sentBytes;
      this.#sent = [];
    }
    this.#sentBytes = 0;
    this.#isEndSent = false;
  }

  /** Takes a part of the body, which stays the caller's: `hold` must be called before it changes. Look at `error` afterwards. */
  take(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length === 0) return;
    this.isKeptBack = false;
    this.bytesIn += length;
    if (this.#maxBytes !== 0 && this.bytesIn > this.#maxBytes) this.error = 'ERR_BODY_TOO_LARGE';
    if (this.error !== null) return;
    this.#copyOfRequest?.take(buffer, start, end);
    this.hold();
    this.#borrowed = buffer;
    this.#borrowedStart = start;
    this.#borrowedEnd = end;
    this.#heldBytes += length;
  }

  /** What came of it is malformed. */
  fail(code: ErrorCode): void {
    this.error ??= code;
  }

  /** That was all of it. @param trailer whole field lines */
  complete(trailer: string): void {
    this.isKeptBack = false;
    if (this.error !== null) return;
    this.#copyOfRequest?.complete(trailer);
    this.#trailer = trailer;
    this.isComplete = true;
  }

  /** The buffer that `take` was given is about to change: what has not left is copied. */
  hold(): void {
    const borrowed = this.#borrowed;
    if (borrowed === null) return;
    this.#borrowed = null;
    append(this.#held, this.#copy(borrowed, this.#borrowedStart, this.#borrowedEnd));
  }

  #copy(buffer: Buffer, start: number, end: number): Buffer {
    const length = end - start;
    // Most bodies come in one run: it gets a buffer of its own size.
    if (length > SHORT_RUN_BYTES || this.bytesIn === length) {
      return Buffer.from(buffer.subarray(start, end));
    }
    if (this.#room === null || this.#room.length < length) {
      this.#room = Buffer.allocUnsafe(GATHER_BYTES);
    }
    const copy = this.#room.subarray(0, length);
    buffer.copy(copy, 0, start, end);
    this.#room = this.#room.subarray(length);
    return copy;
  }

  /**
   * How long the body is that goes out, decided at the moment the head goes out: one that is complete by then has a known
   * length.
   */
  lengthToSend(): number {
    if (this.#isLengthKnown) return this.#contentLength;
    this.#isOpenEnded = !this.isComplete || this.#trailer !== '';
    return this.#isOpenEnded ? UNKNOWN_LENGTH : this.#heldBytes;
  }

  /** Hands over what is held, and the end if it has come. */
  sendTo(stream: BackendStream): void {
    if (this.#heldBytes > 0) {
      const passing = this.#takePassing();
      if (passing === null) this.#sendHeld(stream);
      else stream.sendBody(passing, this.#borrowedStart, this.#borrowedEnd);
    }
    if (!this.isComplete || this.#isEndSent) return;
    this.#isEndSent = true;
    stream.end(this.#trailer);
  }

  #sendHeld(stream: BackendStream): void {
    this.hold();
    for (const bytes of this.#held) {
      stream.sendOwned(bytes);
      this.#keepSent(bytes);
    }
    this.#held = [];
    this.#heldBytes = 0;
  }

  /** The buffer of the borrowed part, if that is all there is to send and it need not be kept. */
  #takePassing(): Buffer | null {
    const borrowed = this.#borrowed;
    if (borrowed === null || this.#held.length > 0 || this.#sent !== null) return null;
    this.#borrowed = null;
    this.#sentBytes += this.#heldBytes;
    this.#heldBytes = 0;
    return borrowed;
  }

  #keepSent(bytes: Buffer): void {
    this.#sentBytes += bytes.length;
    if (this.#sent === null) return;
    if (this.#sentBytes > this.#replayBytes) this.#sent = null;
    else append(this.#sent, bytes);
  }
}

/** Adds `bytes` to the list; what lies right behind its last entry in memory makes that entry longer. */
function append(list: Buffer[], bytes: Buffer): void {
  const last = list.at(-1);
  if (
    last !== undefined &&
    last.buffer === bytes.buffer &&
    last.byteOffset + last.length === bytes.byteOffset
  ) {
    list[list.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + bytes.length);
  } else {
    list.push(bytes);
  }
}
