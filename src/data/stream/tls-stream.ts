/**
 * A TLS connection on Node's handle itself, without a socket on top: tcp-stream.ts over TLS. One write is under way at a
 * time (tls-writer.ts); what comes meanwhile waits (tls-waiting.ts).
 */
import { letGo } from '../barrier.ts';
import type { StreamUser } from './byte-stream.ts';
import { HandleStream, HIGH_WATER, SHORT_BYTES } from './handle-stream.ts';
import { describeError, END_OF_FILE, readResult } from './tcp-handles.ts';
import type { Chunk, ThreadIo } from './thread-io.ts';
import { closeTls, hasEndedBelow, listenTo, resetTls, type TlsHandle } from './tls-handles.ts';
import { TlsWaiting } from './tls-waiting.ts';
import { TlsWriter, type TlsWriterUser } from './tls-writer.ts';

const STREAM = Symbol('stream');

interface OwnedHandle extends TlsHandle {
  [STREAM]: TlsStream;
}

function onRead(this: TlsHandle): undefined {
  const stream = (this as OwnedHandle)[STREAM];
  try {
    stream.read(readResult());
  } catch (error) {
    stream.onCrashed(error);
  }
}

function onError(this: TlsHandle, error: Error): void {
  const stream = (this as OwnedHandle)[STREAM];
  try {
    stream.fail(error);
  } catch (exception) {
    stream.onCrashed(exception);
  }
}

function ignore(): void {}

export class TlsStream extends HandleStream implements TlsWriterUser {
  readonly #handle: TlsHandle;
  readonly #writer: TlsWriter;
  /** What was written while a write was under way, in order; `queued` comes behind it. */
  #waiting: TlsWaiting | null = null;
  #isShuttingDown = false;
  #leavesByReset = false;
  #isHandleClosed = false;

  /** The handshake is done, and the handle reads into the thread's shared buffer. */
  constructor(handle: TlsHandle, user: StreamUser, io: ThreadIo) {
    super(handle, handle.carrier, user, io);
    this.#handle = handle;
    this.#writer = new TlsWriter(handle, this);
    (handle as OwnedHandle)[STREAM] = this;
    handle.onread = onRead;
    listenTo(handle, onError, ignore);
  }

  get unsentBytes(): number {
    if (this.isClosed) return 0;
    return this.#waitingBytes + this.#writer.unsentBytes;
  }

  /** With what OpenSSL sends by itself: it answers each KeyUpdate that asks for one, and a peer need not read the answers. */
  get heldBytes(): number {
    if (this.isClosed) return 0;
    return this.#waitingBytes + this.#handle.writeQueueSize;
  }

  get #waitingBytes(): number {
    return this.queued.length + (this.#waiting === null ? 0 : this.#waiting.bytes);
  }

  get isFlushed(): boolean {
    return this.queued === '' && this.#waiting === null && !this.#writer.isAwaited;
  }

  // ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Called by the handle. A record is 16 KiB at most, so no part of a body is worth memory of its own. */
  read(result: number): void {
    if (this.isClosed || result === 0) return;
    if (result > 0) {
      this.reading.hand(this.user, this.io.shared, result);
    } else if (result !== END_OF_FILE) {
      this.close(describeError('read', result));
    } else if (!this.hasReadEnded) {
      // While nothing is read, a FIN is not told.
      this.hasBareEnd = this.reading.isOn && hasEndedBelow(this.#handle);
      this.endReading();
    }
  }

  /** Called by the handle: what comes can't be read. */
  fail(error: Error): void {
    this.hasWriteFailed = true;
    this.close(error.message);
  }

  rest(): void {}

  // ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  override writeText(text: string): void {
    super.writeText(text);
    this.#noteWaiting();
  }

  flush(): void {
    if (this.#isHandleClosed) return;
    if (this.isClosed) {
      this.#writeRest();
      this.#closeHandle();
      return;
    }
    if (this.queued !== '') this.#writeRest();
    if (this.isEnding) this.#endWriting(true);
  }

  /** What waits leaves; if a write is under way, behind that. */
  #writeRest(): void {
    while (!this.hasWriteFailed && !this.#writer.isBusy()) {
      const waiting = this.#waiting;
      if (waiting === null) {
        const text = this.queued;
        if (text === '') return;
        this.queued = '';
        this.#writer.writeText(text);
        this.#noteWrite(text.length);
        return;
      }
      this.#queueWaits(waiting);
      // There is one chance for all of it once the connection is closed.
      const length = waiting.writeNext(this.#writer, this.isClosed);
      if (waiting.isEmpty) this.#waiting = null;
      this.#noteWrite(length);
      if (waiting.isEmpty) return;
    }
  }

  writeBytes(bytes: Buffer): void {
    if (this.corked !== null) this.corked.push(bytes);
    else if (this.#writer.isBusy()) this.#wait(bytes);
    else this.#writeNow(bytes);
  }

  writeBorrowed(buffer: Buffer, start: number, end: number): void {
    const { lent } = this.io;
    if (this.corked === null && !this.#writer.isBusy()) {
      this.#writeNow(buffer.subarray(start, end));
    } else if (this.corked === null && lent?.bytes === buffer && end - start > SHORT_BYTES) {
      // Kept until it has left.
      this.#wait(buffer.subarray(start, end), lent);
    } else {
      this.writeBytes(Buffer.from(buffer.subarray(start, end)));
    }
  }

  uncork(): void {
    const pieces = this.corked;
    this.corked = null;
    if (pieces === null || pieces.length === 0) return;
    const [only] = pieces;
    if (pieces.length === 1 && typeof only === 'string') {
      this.writeText(only);
    } else if (this.#writer.isBusy()) {
      for (const piece of pieces) this.#wait(piece);
    } else if (this.mayWrite) {
      if (this.queued !== '') pieces.unshift(this.queued);
      this.queued = '';
      this.#writeAll(pieces);
    }
  }

  #wait(piece: string | Buffer, chunk: Chunk | null = null): void {
    if (!this.mayWrite || piece.length === 0) return;
    this.#waiting ??= new TlsWaiting(this.io);
    this.#queueWaits(this.#waiting);
    this.#waiting.add(piece, chunk);
    this.#noteWaiting();
  }

  /** The text that was to leave at the end of the round comes behind what waits. */
  #queueWaits(waiting: TlsWaiting): void {
    if (this.queued !== '') waiting.add(this.queued, null);
    this.queued = '';
  }

  /** What comes while a write is under way waits for its end, piece by piece: short ones are many. */
  #noteWaiting(): void {
    if (this.#waitingBytes >= HIGH_WATER && this.#writer.isAwaited) this.needsDrain = true;
  }

  /** What has waited for the end of the round leaves in the same records. */
  #writeNow(bytes: Buffer): void {
    if (!this.mayWrite || bytes.length === 0) return;
    const text = this.queued;
    if (text === '') {
      this.#writer.writeBytes(bytes);
      this.#noteWrite(bytes.length);
    } else {
      this.queued = '';
      this.#writeAll([text, bytes]);
    }
  }

  #writeAll(pieces: readonly (string | Buffer)[]): void {
    let length = 0;
    for (const piece of pieces) length += piece.length;
    if (length === 0) return;
    this.#writer.writePieces(pieces);
    this.#noteWrite(length);
  }

  #noteWrite(length: number): void {
    if (length >= HIGH_WATER && this.#writer.isAwaited) this.needsDrain = true;
  }

  /** Called by the writer. */
  written(status: number): void {
    if (this.#isHandleClosed) return;
    if (status < 0) this.failWriting(describeError('write', status));
    else this.#writeRest();
    if (this.isClosed) this.#closeHandle();
    if (this.isClosed || this.#writer.isAwaited) return;
    if (this.isEnding) this.#endWriting(false);
    this.noticeDrained();
  }

  protected override failWriting(detail: string): void {
    super.failWriting(detail);
    this.queued = '';
    this.#forget();
  }

  #forget(): void {
    this.#waiting?.clear();
    this.#waiting = null;
  }

  // ── Closing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  end(): void {
    if (this.isEnding || this.isClosed) return;
    this.uncork();
    this.isEnding = true;
    this.#writeRest();
    this.#endWriting(false);
  }

  /**
   * Sends close_notify and FIN once nothing of a write is on its way: before that its last record would be lost.
   * @param isLate whether what OpenSSL sends by itself has had its round.
   */
  #endWriting(isLate: boolean): void {
    if (this.#isShuttingDown || this.#writer.isBusy()) return;
    if (!isLate && this.#writer.hasBytesUnderWay) {
      this.io.flushLater(this);
      return;
    }
    this.#isShuttingDown = true;
    this.shutDown();
  }

  destroy(): void {
    this.#leave(false);
  }

  reset(): void {
    this.#leave(true);
  }

  /** What was written has been written: it leaves first, as far as the system takes it. */
  #leave(isReset: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.reading.end();
    this.#leavesByReset = isReset;
    try {
      this.#writeRest();
    } finally {
      if (this.#isRestNear) {
        this.#handle.readStop();
        this.io.flushLater(this);
      } else {
        this.#closeHandle();
      }
    }
  }

  /** Something waits for a write that is nearly over. */
  get #isRestNear(): boolean {
    const isSomethingLeft = this.queued !== '' || this.#waiting !== null;
    return isSomethingLeft && this.#writer.isAwaited && this.#writer.isNearlyDone;
  }

  #closeHandle(): void {
    if (this.#isHandleClosed) return;
    this.#isHandleClosed = true;
    this.#forget();
    if (this.#leavesByReset) resetTls(this.#handle);
    else closeTls(this.#handle);
  }

  /** An exception came out of a callback: the user lets go, and the handle is closed whatever the user has done. */
  onCrashed(error: unknown): void {
    this.user.onCrashed(error);
    this.isClosed = true;
    this.reading.end();
    letGo(() => this.#closeHandle());
  }
}
