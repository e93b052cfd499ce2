/**
 * What leaves on one client's HTTP/2 connection: the frames of all its streams, in one write for each round of the event loop.
 *
 * A connection has memory for them within a round only: 8 KiB as a rule, more once a round brings more. So an idle one has none.
 */
import type { Victim } from '../barrier.ts';
import type { ByteStream } from '../stream/byte-stream.ts';
import { type Chunk, READ_BYTES, type Sender, type ThreadIo } from '../stream/thread-io.ts';
import { FRAME_HEADER_BYTES } from '../wire/http2/frame-types.ts';
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
import { blockBytes, HpackEncoder } from '../wire/http2/hpack-encoder.ts';
import { PeerSettings } from '../wire/http2/settings.ts';
import { DEFAULT_WINDOW, SendWindow } from '../wire/http2/windows.ts';

const SMALL_BYTES = 8 * 1024;
const MAX_SPARE = 64;
/** Of one DATA frame, though the peer may take more: others come in between, and one of them is one record of TLS. */
export const MAX_DATA_BYTES = 16 * 1024;
/** RFC 9113 §6.8, with room for a detail. */
const GOAWAY_BYTES = FRAME_HEADER_BYTES + 8;

/** Of this thread: small buffers that nobody writes into, and the lines of responses that came before. */
const spare: Buffer[] = [];
const lines = new HeadLines();

export class Http2Output implements Sender {
  readonly peer = new PeerSettings();
  /** Of the connection. */
  readonly window = new SendWindow(DEFAULT_WINDOW);
  /** DATA frames that were sent. */
  dataFrames = 0;

  readonly #stream: ByteStream;
  readonly #io: ThreadIo;
  readonly #owner: Victim;
  readonly #encoder = new HpackEncoder(lines);
  /** Frames of this round: `#out[0, #end)`. */
  #out: Buffer | null = null;
  /** What `#out` is of, if it is one of the thread's chunks. */
  #chunk: Chunk | null = null;
  #end = 0;
  #awaitsFlush = false;

  constructor(stream: ByteStream, io: ThreadIo, owner: Victim) {
    this.#stream = stream;
    this.#io = io;
    this.#owner = owner;
  }

  /** No more DATA should be sent until the stream has drained. */
  get needsDrain(): boolean {
    return this.#stream.needsDrain;
  }

  /** What waits to leave. */
  get unsentBytes(): number {
    return this.#end + this.#stream.unsentBytes;
  }

  get heldBytes(): number {
    return this.#out === null ? 0 : this.#out.length;
  }

  /** Of DATA that may leave now on a stream with this window. */
  roomIn(window: SendWindow): number {
    return this.needsDrain ? 0 : Math.min(window.available, this.window.available);
  }

  setPeer(id: number, value: number): void {
    const { peer } = this;
    const tableSize = peer.headerTableSize;
    peer.set(id, value);
    if (peer.headerTableSize !== tableSize) this.#encoder.setPeerTableSize(peer.headerTableSize);
  }

  // ── Frames ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param settings pairs of id and value, one after the other */
  settings(settings: readonly number[]): void {
    const out = this.#room(FRAME_HEADER_BYTES + 6 * settings.length);
    this.#end = writeSettings(out, this.#end, settings);
  }

  settingsAck(): void {
    this.#end = writeSettingsAck(this.#room(SETTINGS_ACK_BYTES), this.#end);
  }

  pingAck(data: Buffer, start: number): void {
    this.#end = writePing(this.#room(PING_BYTES), this.#end, true, data, start);
  }

  goaway(lastStreamId: number, code: number, detail: string): void {
    const out = this.#room(GOAWAY_BYTES + detail.length);
    this.#end = writeGoaway(out, this.#end, lastStreamId, code, detail);
  }

  reset(streamId: number, code: number): void {
    this.#end = writeReset(this.#room(RESET_BYTES), this.#end, streamId, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    const out = this.#room(WINDOW_UPDATE_BYTES);
    this.#end = writeWindowUpdate(out, this.#end, streamId, increment);
  }

  /**
   * @param head the text of a whole HTTP/1.1 response head.
   * @returns the bytes that it takes.
   */
  head(streamId: number, head: string, endsStream: boolean): number {
    const { maxFrameSize } = this.peer;
    const out = this.#room(headerFrameBytes(blockBytes(head), maxFrameSize));
    const at = this.#end;
    const start = at + FRAME_HEADER_BYTES;
    const length = this.#encoder.encodeResponse(out, start, head) - start;
    this.#end = frameHeaderBlock(out, at, length, streamId, endsStream, maxFrameSize);
    return this.#end - at;
  }

  /** They end the stream. @param trailers whole field lines */
  trailers(streamId: number, trailers: string): number {
    const { maxFrameSize } = this.peer;
    const out = this.#room(headerFrameBytes(blockBytes(trailers), maxFrameSize));
    const at = this.#end;
    const start = at + FRAME_HEADER_BYTES;
    const length = this.#encoder.encodeTrailers(out, start, trailers) - start;
    this.#end = frameHeaderBlock(out, at, length, streamId, true, maxFrameSize);
    return this.#end - at;
  }

  /** One DATA frame, for which there is room in both windows; an empty one needs none. */
  text(streamId: number, window: SendWindow, text: string, endsStream: boolean): void {
    const at = this.#begin(streamId, window, text.length, endsStream);
    (this.#out as Buffer).latin1Write(text, at);
  }

  /** Another one. */
  data(
    streamId: number,
    window: SendWindow,
    bytes: Buffer,
    start: number,
    end: number,
    endsStream: boolean,
  ): void {
    const at = this.#begin(streamId, window, end - start, endsStream);
    bytes.copy(this.#out as Buffer, at, start, end);
  }

  /** @returns where its data goes. */
  #begin(streamId: number, window: SendWindow, length: number, endsStream: boolean): number {
    const out = this.#room(FRAME_HEADER_BYTES + length);
    const at = writeDataHeader(out, this.#end, streamId, length, endsStream);
    this.#end = at + length;
    this.dataFrames++;
    window.take(length);
    this.window.take(length);
    return at;
  }

  // ── Memory, and the end of the round ────────────────────────────────────────────────────────────────────────────

  /** A buffer with room for so many bytes from `#end` on. */
  #room(bytes: number): Buffer {
    if (!this.#awaitsFlush) {
      this.#awaitsFlush = true;
      this.#io.flushLater(this);
    }
    const out = this.#out;
    if (out !== null && this.#end + bytes <= out.length) return out;
    return this.#moreRoom(out, bytes);
  }

  #moreRoom(out: Buffer | null, bytes: number): Buffer {
    const isSmall = out !== null && this.#chunk === null && out.length === SMALL_BYTES;
    if (isSmall && this.#end + bytes <= READ_BYTES) {
      this.#chunk = this.#io.take();
      this.#out = this.#chunk.bytes;
      out.copy(this.#out, 0, 0, this.#end);
      keep(out);
      return this.#out;
    }
    this.#write();
    if (bytes <= SMALL_BYTES && out === null) {
      this.#out = spare.pop() ?? Buffer.allocUnsafeSlow(SMALL_BYTES);
    } else if (bytes <= READ_BYTES) {
      this.#chunk = this.#io.take();
      this.#out = this.#chunk.bytes;
    } else {
      this.#out = Buffer.allocUnsafeSlow(bytes);
    }
    return this.#out;
  }

  flush(): void {
    this.#awaitsFlush = false;
    this.#write();
  }

  #write(): void {
    const out = this.#out;
    if (out === null) return;
    const chunk = this.#chunk;
    const end = this.#end;
    this.#out = null;
    this.#chunk = null;
    this.#end = 0;
    const { lent } = this.#io;
    // A chunk of the thread need not be copied: it stays lent until its bytes have left.
    this.#io.lent = chunk;
    try {
      this.#stream.writeBorrowed(out, 0, end);
    } finally {
      this.#io.lent = lent;
      if (chunk !== null) this.#io.giveBack(chunk);
      else keep(out);
    }
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
  }
}

function keep(buffer: Buffer): void {
  if (buffer.length === SMALL_BYTES && spare.length < MAX_SPARE) spare.push(buffer);
}
