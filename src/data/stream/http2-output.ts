/**
 * What leaves on one HTTP/2 connection, to a client or to a backend: the frames of all its streams, in one write for each round of
 * the event loop.
 *
 * A connection has memory for them within a round only: 8 KiB as a rule, more once a round brings more. So an idle one has none.
 */
import type { Victim } from '../barrier.ts';
import { SETTING_BYTES } from '../wire/http2/frame-rules.ts';
import { DEFAULT_FRAME_SIZE, FRAME_HEADER_BYTES } from '../wire/http2/frame-types.ts';
import {
  frameHeaderBlock,
  GOAWAY_BYTES,
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
import type { HeadLines } from '../wire/http2/head-lines.ts';
import { blockBytes, HpackEncoder, type RequestPseudo } from '../wire/http2/hpack-encoder.ts';
import { PREFACE } from '../wire/http2/preface.ts';
import { PeerSettings } from '../wire/http2/settings.ts';
import { DEFAULT_WINDOW, SendWindow } from '../wire/http2/windows.ts';
import type { ByteStream } from './byte-stream.ts';
import { type Chunk, READ_BYTES, type Sender, type ThreadIo } from './thread-io.ts';

const SMALL_BYTES = 8 * 1024;
const MAX_SPARE = 64;
/** Of one DATA frame, though the peer may take more: others come in between, and one of them is one record of TLS. */
export const MAX_DATA_BYTES = DEFAULT_FRAME_SIZE;

/** Of this thread: small buffers that nobody writes into. */
const spare: Buffer[] = [];

/** What the frames leave on. */
export type FrameCarrier = Pick<ByteStream, 'needsDrain' | 'unsentBytes' | 'writeBorrowed'>;

export class Http2Output implements Sender {
  readonly peer = new PeerSettings();
  /** Of the connection. */
  readonly window = new SendWindow(DEFAULT_WINDOW);
  /** DATA frames that were sent. */
  dataFrames = 0;

  readonly #carrier: FrameCarrier;
  readonly #io: ThreadIo;
  readonly #owner: Victim;
  readonly #encoder: HpackEncoder;
  /** Frames of this round: `#out[0, #end)`. */
  #out: Buffer | null = null;
  /** What `#out` is of, if it is one of the thread's chunks. */
  #chunk: Chunk | null = null;
  #end = 0;
  /** Where the last of them begins, if that is DATA, and of which stream; else −1. */
  #dataAt = -1;
  #dataStream = 0;
  #awaitsFlush = false;

  /**
   * @param owner who pays for an exception.
   * @param lines of heads that came before, on all connections of the thread that carry such heads.
   */
  constructor(carrier: FrameCarrier, io: ThreadIo, owner: Victim, lines: HeadLines) {
    this.#carrier = carrier;
    this.#io = io;
    this.#owner = owner;
    this.#encoder = new HpackEncoder(lines);
  }

  /** No more DATA should be sent until the connection has drained. */
  get needsDrain(): boolean {
    return this.#carrier.needsDrain;
  }

  /** What waits to leave. */
  get unsentBytes(): number {
    return this.#end + this.#carrier.unsentBytes;
  }

  get heldBytes(): number {
    return this.#out === null ? 0 : this.#out.length;
  }

  /** Of DATA that may leave now in one frame on a stream with this window; 0 or less: nothing. */
  roomIn(window: SendWindow): number {
    if (this.#carrier.needsDrain) return 0;
    return Math.min(window.available, this.window.available, MAX_DATA_BYTES);
  }

  setPeer(id: number, value: number): void {
    const { peer } = this;
    const tableSize = peer.headerTableSize;
    peer.set(id, value);
    if (peer.headerTableSize !== tableSize) this.#encoder.setPeerTableSize(peer.headerTableSize);
  }

  // ── Frames of the connection ────────────────────────────────────────────────────────────────────────────────────

  /** RFC 9113 §3.4: a client's first bytes. */
  preface(): void {
    const out = this.#room(PREFACE.length);
    this.#end += PREFACE.copy(out, this.#end);
  }

  /** @param settings pairs of id and value, one after the other */
  settings(settings: readonly number[]): void {
    const out = this.#room(FRAME_HEADER_BYTES + (settings.length / 2) * SETTING_BYTES);
    this.#end = writeSettings(out, this.#end, settings);
  }

  settingsAck(): void {
    this.#end = writeSettingsAck(this.#room(SETTINGS_ACK_BYTES), this.#end);
  }

  /** @param from its data: `from[start, start + 8)` */
  ping(isAck: boolean, from: Uint8Array, start: number): void {
    this.#end = writePing(this.#room(PING_BYTES), this.#end, isAck, from, start);
  }

  goaway(lastStreamId: number, code: number, detail: string): void {
    const out = this.#room(GOAWAY_BYTES + detail.length);
    this.#end = writeGoaway(out, this.#end, lastStreamId, code, detail);
  }

  // ── Frames of streams ───────────────────────────────────────────────────────────────────────────────────────────

  reset(streamId: number, code: number): void {
    this.#end = writeReset(this.#room(RESET_BYTES), this.#end, streamId, code);
  }

  /** @param streamId 0: the connection's */
  windowUpdate(streamId: number, increment: number): void {
    const out = this.#room(WINDOW_UPDATE_BYTES);
    this.#end = writeWindowUpdate(out, this.#end, streamId, increment);
  }

  /**
   * @param head the text of a whole HTTP/1.1 request head.
   * @returns the bytes that it takes, as below.
   */
  request(streamId: number, head: string, pseudo: RequestPseudo, endsStream: boolean): number {
    const out = this.#roomForBlock(blockBytes(head) + pseudo.authority.length);
    const start = this.#end + FRAME_HEADER_BYTES;
    return this.#frame(this.#encoder.encodeRequest(out, start, head, pseudo), streamId, endsStream);
  }

  /** @param head the text of a whole HTTP/1.1 response head */
  response(streamId: number, head: string, endsStream: boolean): number {
    const out = this.#roomForBlock(blockBytes(head));
    const start = this.#end + FRAME_HEADER_BYTES;
    return this.#frame(this.#encoder.encodeResponse(out, start, head), streamId, endsStream);
  }

  /** They end the stream. @param trailers whole field lines */
  trailers(streamId: number, trailers: string): number {
    const out = this.#roomForBlock(blockBytes(trailers));
    const start = this.#end + FRAME_HEADER_BYTES;
    return this.#frame(this.#encoder.encodeTrailers(out, start, trailers), streamId, true);
  }

  #roomForBlock(bytes: number): Buffer {
    return this.#room(headerFrameBytes(bytes, this.peer.maxFrameSize));
  }

  /** A header block is where the payload of the next frame goes. @param blockEnd where it ends. @returns bytes, in frames */
  #frame(blockEnd: number, streamId: number, endsStream: boolean): number {
    const at = this.#end;
    const length = blockEnd - at - FRAME_HEADER_BYTES;
    const { maxFrameSize } = this.peer;
    const out = this.#out as Buffer;
    this.#end = frameHeaderBlock(out, at, length, streamId, endsStream, maxFrameSize);
    return this.#end - at;
  }

  /** One DATA frame, for which there is room (`roomIn`). */
  text(streamId: number, window: SendWindow, text: string, endsStream: boolean): void {
    const at = this.#begin(streamId, window, text.length, endsStream);
    (this.#out as Buffer).latin1Write(text, at);
  }

  /** Another one, with `bytes[start, end)`. */
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
    const at = this.#end;
    const start = writeDataHeader(out, at, streamId, length, endsStream);
    this.#end = start + length;
    this.#dataAt = at;
    this.#dataStream = streamId;
    this.dataFrames++;
    window.take(length);
    this.window.take(length);
    return start;
  }

  /** The stream ends: with its last DATA if nothing has come behind that in this round, else with an empty frame. */
  endData(streamId: number): void {
    const at = this.#dataAt;
    if (at !== -1 && this.#dataStream === streamId) {
      const length = this.#end - at - FRAME_HEADER_BYTES;
      writeDataHeader(this.#out as Buffer, at, streamId, length, true);
      return;
    }
    // It takes nothing of any window.
    this.#end = writeDataHeader(this.#room(FRAME_HEADER_BYTES), this.#end, streamId, 0, true);
    this.dataFrames++;
  }

  // ── Memory, and the end of the round ────────────────────────────────────────────────────────────────────────────

  /** A buffer with room for so many bytes from `#end` on. */
  #room(bytes: number): Buffer {
    this.#dataAt = -1;
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
    this.writeNow();
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
    this.writeNow();
  }

  /** What there is leaves before the end of the round. */
  writeNow(): void {
    const out = this.#out;
    if (out === null) return;
    const chunk = this.#chunk;
    const end = this.#end;
    this.#out = null;
    this.#chunk = null;
    this.#end = 0;
    this.#dataAt = -1;
    const { lent } = this.#io;
    // A chunk of the thread need not be copied: it stays lent until its bytes have left.
    this.#io.lent = chunk;
    try {
      this.#carrier.writeBorrowed(out, 0, end);
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
