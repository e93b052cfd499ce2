/**
 * The writes of a TLS handle, of which one is under way at a time.
 *
 * That a write is over is looked up when the next one is to begin, by when it nearly always is: to be told of it would cost
 * a good part of what the write does. Only where something waits for that, or the system did not take all of it at once, is it told.
 */
import { makeWriteRequest, type StreamRequest, withEncodings } from './tcp-handles.ts';
import type { TlsHandle } from './tls-handles.ts';

export interface TlsWriterUser {
  /** The write that was awaited is over, or one has failed: perhaps within the call that began it. */
  written(status: number): void;
  onCrashed(error: unknown): void;
}

interface TlsWrite extends StreamRequest {
  writer: TlsWriter;
}

function onWritten(this: StreamRequest, status: number): void {
  (this as TlsWrite).writer.ended(status);
}

/** No write is under way. */
const IS_IDLE = 0;
/** The system has all of a write, and nobody is told when it is over. */
const IS_TAKEN = 1;
/** It is told when it is over. */
const IS_AWAITED = 2;

export class TlsWriter {
  readonly #handle: TlsHandle;
  readonly #user: TlsWriterUser;
  #state = IS_IDLE;
  /** Nothing encrypted was on its way when it was last looked whether a write may begin. */
  #isClear = false;
  /** Of the last write. It serves the next one too if nobody was told of its end. */
  #request: StreamRequest | null = null;

  constructor(handle: TlsHandle, user: TlsWriterUser) {
    this.#handle = handle;
    this.#user = user;
  }

  /** A write is under way of which the system has not taken all, or for which something waits. */
  get isAwaited(): boolean {
    return this.#state === IS_AWAITED;
  }

  /** Encrypted bytes are on their way: those of a write, or OpenSSL's own, such as tickets. */
  get hasBytesUnderWay(): boolean {
    return this.#handle.writeQueueSize > 0;
  }

  /** The system has all of the bytes that are on their way: what is under way is over before this round ends, or the next. */
  get isNearlyDone(): boolean {
    return this.#handle.carrier.writeQueueSize === 0;
  }

  /** Bytes of the write under way that wait for the peer to read. */
  get unsentBytes(): number {
    return this.#state === IS_AWAITED ? this.#handle.carrier.writeQueueSize : 0;
  }

  /** Another write would end the process now. If there is one under way, its end is told. */
  isBusy(): boolean {
    if (this.#state === IS_AWAITED) return true;
    this.#isClear = this.#handle.writeQueueSize === 0;
    if (this.#state === IS_TAKEN) {
      if (!this.#isClear) {
        this.#state = IS_AWAITED;
        (this.#request as StreamRequest).oncomplete = onWritten;
        return true;
      }
      this.#state = IS_IDLE;
    }
    return false;
  }

  // ── Writes: only right after `isBusy` has said no. The memory is the caller's again when they return ────────────────

  writeText(text: string): void {
    this.#began(this.#handle.writeLatin1String(this.#begin(), text));
  }

  writeBytes(bytes: Uint8Array): void {
    this.#began(this.#handle.writeBuffer(this.#begin(), bytes));
  }

  writePieces(pieces: readonly (string | Buffer)[]): void {
    this.#began(this.#handle.writev(this.#begin(), withEncodings(pieces), false));
  }

  #begin(): StreamRequest {
    this.#state = IS_AWAITED;
    let request = this.#request;
    if (request === null) {
      request = makeWriteRequest();
      (request as TlsWrite).writer = this;
      this.#request = request;
    }
    // An error may be told within the write.
    request.oncomplete = onWritten;
    return request;
  }

  #began(error: number): void {
    if (error !== 0) {
      this.#state = IS_IDLE;
      this.#user.written(error);
    } else if (this.#state === IS_AWAITED && this.#isTaken) {
      this.#state = IS_TAKEN;
      (this.#request as StreamRequest).oncomplete = null;
    }
  }

  /**
   * The system has all of the write that has just begun. Not if something of OpenSSL's own was on its way: then it waits
   * for that. Nor if nothing is encrypted yet: within the handshake's last step.
   */
  get #isTaken(): boolean {
    return (
      this.#isClear && this.#handle.carrier.writeQueueSize === 0 && this.#handle.writeQueueSize > 0
    );
  }

  /** Called by the handle. */
  ended(status: number): void {
    this.#state = IS_IDLE;
    // It is in use until this call has ended.
    this.#request = null;
    try {
      this.#user.written(status);
    } catch (error) {
      this.#user.onCrashed(error);
    }
  }
}
