/**
 * What we say on an HTTP/2 connection to a backend: frames gather in one buffer, and leave together at the end of the round of
 * the event loop.
 */
import type { Victim } from '../barrier.ts';
import type { Sender, ThreadIo } from '../stream/thread-io.ts';
import { DEFAULT_FRAME_SIZE, FRAME_HEADER_BYTES } from '../wire/http2/frame-types.ts';
import {
  frameHeaderBlock,
  headerFrameBytes,
  PING_BYTES,
  RESET_BYTES,
  SETTINGS_ACK_BYTES,
  WINDOW_UPDATE_BYTES,
  writeDataHeader,
  writeGoaway,
  writePing,
  writeReset,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../wire/http2/frame-writer.ts';
import { HeadLines } from '../wire/http2/head-lines.ts';
import { blockBytes, HpackEncoder, type RequestPseudo } from '../wire/http2/hpack-encoder.ts';
import { PREFACE } from '../wire/http2/preface.ts';
import type { BackendConnection } from './backend-connection.ts';

/** As long as little is sent. */
const SMALL_BYTES = 8 * 1024;
/** From here on it leaves at once. */
const LARGE_BYTES = 128 * 1024;

/** Of all requests to backends of this thread. */
const lines = new HeadLines();

/** What follows from its flush. */
export interface OutputOwner extends Victim {
  /** The end of a round, before what was written leaves. */
  beforeFlush(): void;
}

export class Http2Output implements Sender {
  /** The peer's, of a frame. */
  maxFrameSize = DEFAULT_FRAME_SIZE;
  readonly encoder = new HpackEncoder(lines);

  readonly #connection: BackendConnection;
  readonly #io: ThreadIo;
  readonly #owner: OutputOwner;
  #buffer: Buffer | null = null;
  #length = 0;
  #isAwaited = false;
  /** Where the last frame begins, if that is DATA, and of which stream; else −1. */
  #dataAt = -1;
  #dataStream = 0;

  constructor(connection: BackendConnection, io: ThreadIo, owner: OutputOwner) {
    this.#connection = connection;
    this.#io = io;
    this.#owner = owner;
  }

  /** The backend does not read as fast as we send. */
  get isFull(): boolean {
    return this.#connection.needsDrain;
  }

  get heldBytes(): number {
    return this.#connection.heldBytes + this.#length;
  }

  preface(settings: readonly number[], windowIncrement: number): void {
    const at = this.#room(PREFACE.length + FRAME_HEADER_BYTES + 3 * settings.length);
    const out = this.#buffer as Buffer;
    PREFACE.copy(out, at);
    this.#length = writeSettings(out, at + PREFACE.length, settings);
    if (windowIncrement > 0) this.windowUpdate(0, windowIncrement);
  }

  /** @param head the text of a whole HTTP/1.1 request head */
  request(streamId: number, head: string, pseudo: RequestPseudo, endsStream: boolean): void {
    const most = blockBytes(head) + pseudo.authority.length;
    const at = this.#room(headerFrameBytes(most, this.maxFrameSize));
    const out = this.#buffer as Buffer;
    const start = at + FRAME_HEADER_BYTES;
    const end = this.encoder.encodeRequest(out, start, head, pseudo);
    this.#length = frameHeaderBlock(out, at, end - start, streamId, endsStream, this.maxFrameSize);
  }

  /** They end the stream. @param trailers whole field lines */
  trailers(streamId: number, trailers: string): void {
    const at = this.#room(headerFrameBytes(blockBytes(trailers), this.maxFrameSize));
    const out = this.#buffer as Buffer;
    const start = at + FRAME_HEADER_BYTES;
    const end = this.encoder.encodeTrailers(out, start, trailers);
    this.#length = frameHeaderBlock(out, at, end - start, streamId, true, this.maxFrameSize);
  }

  /** One frame with `buffer[start, end)`, which fits the peer's frames. */
  data(streamId: number, buffer: Buffer, start: number, end: number, endsStream: boolean): void {
    const length = end - start;
    const at = this.#room(FRAME_HEADER_BYTES + length);
    const out = this.#buffer as Buffer;
    const from = writeDataHeader(out, at, streamId, length, endsStream);
    buffer.copy(out, from, start, end);
    this.#length = from + length;
    this.#dataAt = at;
    this.#dataStream = streamId;
    if (this.#length >= LARGE_BYTES) this.#write();
  }

  /** The stream ends: with its last DATA if that is still here, else with an empty one. */
  endData(streamId: number): void {
    if (this.#dataAt !== -1 && this.#dataStream === streamId) {
      const out = this.#buffer as Buffer;
      const at = this.#dataAt;
      writeDataHeader(out, at, streamId, this.#length - at - FRAME_HEADER_BYTES, true);
      return;
    }
    const at = this.#room(FRAME_HEADER_BYTES);
    this.#length = writeDataHeader(this.#buffer as Buffer, at, streamId, 0, true);
  }

  reset(streamId: number, code: number): void {
    const at = this.#room(RESET_BYTES);
    this.#length = writeReset(this.#buffer as Buffer, at, streamId, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    const at = this.#room(WINDOW_UPDATE_BYTES);
    this.#length = writeWindowUpdate(this.#buffer as Buffer, at, streamId, increment);
  }

  settingsAck(): void {
    const at = this.#room(SETTINGS_ACK_BYTES);
    this.#length = writeSettingsAck(this.#buffer as Buffer, at);
  }

  ping(isAck: boolean, from: Uint8Array, start: number): void {
    const at = this.#room(PING_BYTES);
    this.#length = writePing(this.#buffer as Buffer, at, isAck, from, start);
  }

  /** We take no streams of the peer's: the last of them is 0. */
  goaway(code: number, detail: string): void {
    const at = this.#room(17 + detail.length);
    this.#length = writeGoaway(this.#buffer as Buffer, at, 0, code, detail);
  }

  /** Makes room behind what is there. @returns where that is */
  #room(bytes: number): number {
    this.#dataAt = -1;
    if (!this.#isAwaited) this.flushLater();
    const buffer = this.#buffer;
    if (buffer === null) {
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(SMALL_BYTES, bytes));
      return 0;
    }
    if (this.#length + bytes <= buffer.length) return this.#length;
    if (this.#length + bytes > LARGE_BYTES) this.#write();
    const needed = this.#length + bytes;
    if (needed > buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(LARGE_BYTES + SMALL_BYTES, needed));
      buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    return this.#length;
  }

  /** `beforeFlush` is called at the end of this round, whatever is written till then. */
  flushLater(): void {
    if (this.#isAwaited) return;
    this.#isAwaited = true;
    this.#io.flushLater(this);
  }

  flush(): void {
    this.#isAwaited = false;
    this.#owner.beforeFlush();
    this.#write();
  }

  /** Leaves now: the connection is about to close. */
  #write(): void {
    const length = this.#length;
    this.#dataAt = -1;
    if (length === 0) return;
    this.#length = 0;
    this.#connection.writeBorrowed(this.#buffer as Buffer, 0, length);
  }

  writeNow(): void {
    this.#write();
  }

  /** Nothing is sent for a while: memory is given back. */
  rest(): void {
    if (this.#length === 0) this.#buffer = null;
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
  }
}
