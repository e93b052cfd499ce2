/**
 * A TCP connection on Node's handle itself, without a `net.Socket` on top: about a third of what a small request cost was
 * the machinery of Node's streams, twice per request on either side. What the system takes at once is written and
 * forgotten; only what it does not take is kept count of.
 */
import { letGo } from '../barrier.ts';
import type { StreamUser } from './byte-stream.ts';
import { HandleStream, HIGH_WATER, SHORT_BYTES } from './handle-stream.ts';
import { ReadMemory } from './read-memory.ts';
import {
  bytesOfLastWrite,
  describeError,
  END_OF_FILE,
  readResult,
  type StreamRequest,
  type TcpHandle,
  type WriteResult,
  writeBuffer,
  writeText as writeLatin1,
  writePieces,
} from './tcp-handles.ts';
import { type Chunk, READ_BYTES, type ThreadIo } from './thread-io.ts';

const STREAM = Symbol('stream');

interface OwnedHandle extends TcpHandle {
  [STREAM]: TcpStream;
}

/** A write under way, with all that must stay in memory until it is done. */
interface PendingWrite extends StreamRequest {
  stream: TcpStream;
  length: number;
  /** Of the memory that this write alone keeps. */
  held: number;
  chunk: Chunk | null;
  bytes: unknown;
}

function onRead(this: TcpHandle): Uint8Array | undefined {
  const stream = (this as OwnedHandle)[STREAM];
  try {
    return stream.read(readResult());
  } catch (error) {
    stream.onCrashed(error);
    return undefined;
  }
}

function onWritten(this: StreamRequest, status: number): void {
  const { stream, length, held, chunk } = this as PendingWrite;
  try {
    stream.written(length, held, chunk, status);
  } catch (error) {
    stream.onCrashed(error);
  }
}

export class TcpStream extends HandleStream {
  readonly #handle: TcpHandle;
  readonly #memory: ReadMemory;
  /** Bytes of writes that the system has not taken whole. */
  #pendingBytes = 0;
  /** Of the memory that they keep: a chunk is kept whole. */
  #keptBytes = 0;

  /** @param isNew whether the handle has no read buffer yet. */
  constructor(handle: TcpHandle, user: StreamUser, io: ThreadIo, isNew: boolean) {
    super(handle, handle, user, io);
    this.#handle = handle;
    (handle as OwnedHandle)[STREAM] = this;
    handle.onread = onRead;
    if (isNew) handle.useUserBuffer(io.shared);
    this.#memory = new ReadMemory(io);
  }

  get unsentBytes(): number {
    return this.isClosed ? 0 : this.queued.length + this.#handle.writeQueueSize;
  }

  get heldBytes(): number {
    return this.queued.length + this.#keptBytes + this.#memory.size;
  }

  get isFlushed(): boolean {
    return this.queued === '' && this.#pendingBytes === 0;
  }

  // ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Called by the handle. @returns what it reads into from now on; undefined: what it did before. */
  read(result: number): Uint8Array | undefined {
    if (this.isClosed || result === 0) return undefined;
    if (result < 0) {
      if (result === END_OF_FILE) this.endReading();
      else this.close(describeError('read', result));
      return undefined;
    }
    const memory = this.#memory;
    this.reading.hand(this.user, memory.lend(), result);
    return memory.next(result, this.isClosed, !this.reading.isOn);
  }

  rest(): void {
    this.#memory.isResting = true;
  }

  // ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  flush(): void {
    const text = this.queued;
    if (text === '') return;
    this.queued = '';
    if (this.mayWrite) this.#wrote(writeLatin1(this.#handle, text), null, null);
  }

  writeBytes(bytes: Buffer): void {
    if (this.corked !== null) this.corked.push(bytes);
    else this.#writeNow(bytes, null);
  }

  writeBorrowed(buffer: Buffer, start: number, end: number): void {
    const { lent } = this.io;
    if (this.corked === null && lent?.bytes === buffer && end - start > SHORT_BYTES) {
      this.#writeNow(buffer.subarray(start, end), lent);
    } else {
      this.#writeCopy(buffer, start, end);
    }
  }

  #writeCopy(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (this.corked !== null || length <= SHORT_BYTES || length > READ_BYTES) {
      this.writeBytes(Buffer.from(buffer.subarray(start, end)));
      return;
    }
    const chunk = this.io.take();
    buffer.copy(chunk.bytes, 0, start, end);
    this.#writeNow(chunk.bytes.subarray(0, length), chunk);
    this.io.giveBack(chunk);
  }

  /** What has waited for the end of the round leaves in the same system call. */
  #writeNow(bytes: Buffer, chunk: Chunk | null): void {
    if (!this.mayWrite) return;
    const text = this.queued;
    if (text === '') {
      this.#wrote(writeBuffer(this.#handle, bytes), bytes, chunk);
    } else {
      this.queued = '';
      const pieces = [text, bytes];
      this.#wrote(writePieces(this.#handle, pieces), pieces, chunk);
    }
  }

  uncork(): void {
    const pieces = this.corked;
    this.corked = null;
    if (pieces === null || pieces.length === 0) return;
    const [only] = pieces;
    if (pieces.length === 1) {
      if (typeof only === 'string') this.writeText(only);
      else this.#writeNow(only as Buffer, null);
    } else if (this.mayWrite) {
      if (this.queued !== '') pieces.unshift(this.queued);
      this.queued = '';
      this.#wrote(writePieces(this.#handle, pieces), pieces, null);
    }
  }

  /** @param chunk where `bytes` lie, if it is one of the thread's chunks. */
  #wrote(result: WriteResult, bytes: unknown, chunk: Chunk | null): void {
    if (result === 0) return;
    if (typeof result === 'number') this.failWriting(describeError('write', result));
    else this.#keep(result as PendingWrite, bytes, chunk);
  }

  #keep(write: PendingWrite, bytes: unknown, chunk: Chunk | null): void {
    const length = bytesOfLastWrite();
    write.stream = this;
    write.length = length;
    write.bytes = bytes;
    write.chunk = chunk;
    write.oncomplete = onWritten;
    write.held = length;
    if (chunk !== null) {
      write.held = chunk.writes === 0 ? READ_BYTES : 0;
      chunk.writes++;
    }
    this.#keptBytes += write.held;
    this.#pendingBytes += length;
    if (this.#pendingBytes >= HIGH_WATER) this.needsDrain = true;
    // Done within the call already: told later all the same, as everything that a write brings about.
    const { writeStatus } = write;
    if (typeof writeStatus === 'number') process.nextTick(() => onWritten.call(write, writeStatus));
  }

  /** A write that had to wait is done. */
  written(length: number, held: number, chunk: Chunk | null, status: number): void {
    if (chunk !== null) {
      chunk.writes--;
      this.io.giveBack(chunk);
    }
    this.#pendingBytes -= length;
    this.#keptBytes -= held;
    if (this.isClosed) return;
    if (status < 0) {
      this.failWriting(describeError('write', status));
    } else if (this.#pendingBytes === 0) {
      if (this.isEnding) this.shutDown();
      this.noticeDrained();
    }
  }

  // ── Closing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  end(): void {
    if (this.isEnding || this.isClosed) return;
    this.uncork();
    this.flush();
    this.isEnding = true;
    // Only once nothing waits: a connection on which an end is under way can't be reset any more.
    if (this.#pendingBytes === 0) this.shutDown();
  }

  destroy(): void {
    if (this.isClosed) return;
    try {
      this.#leave();
    } finally {
      this.#handle.close();
    }
  }

  /** An exception came out of a callback: the user lets go, and the handle is closed whatever the user has done. */
  onCrashed(error: unknown): void {
    this.io.lent = null;
    this.user.onCrashed(error);
    this.isClosed = true;
    this.reading.end();
    letGo(() => this.#memory.leave());
    this.#handle.close();
  }

  /** What was written has been written: it leaves first, as far as the system takes it. */
  #leave(): void {
    try {
      this.flush();
    } finally {
      this.isClosed = true;
      this.reading.end();
      this.#memory.leave();
    }
  }

  reset(): void {
    if (this.isClosed) return;
    try {
      this.#leave();
    } finally {
      // Not possible in the middle of an end in order.
      if (this.#handle.reset() !== 0) this.#handle.close();
    }
  }
}
