/**
 * What comes on an HTTP/2 connection to a backend, frame by frame: to which of its streams it belongs, and whether it may come
 * at all. Who pays for an exception is the stream that was told.
 */
import type { Http2Output } from '../stream/http2-output.ts';
import type { HeadLimits } from '../wire/head-parser.ts';
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  PROTOCOL_ERROR,
} from '../wire/http2/error-codes.ts';
import { FIELD_OVERHEAD } from '../wire/http2/field.ts';
import { FieldCache } from '../wire/http2/field-cache.ts';
import { type FieldLimits, FieldList } from '../wire/http2/field-list.ts';
import type { FrameHandler } from '../wire/http2/frame-handler.ts';
import { FrameReader } from '../wire/http2/frame-reader.ts';
import { DEFAULT_FRAME_SIZE } from '../wire/http2/frame-types.ts';
import { DECODE_FAILED, DECODED_TOO_LARGE, HpackDecoder } from '../wire/http2/hpack-decoder.ts';
import { DEFAULT_TABLE_SIZE } from '../wire/http2/settings.ts';
import { DEFAULT_WINDOW, ReceiveWindow } from '../wire/http2/windows.ts';
import type { Floods } from './http2-floods.ts';
import type { Http2Stream } from './http2-stream.ts';

/** The connection, as its frames see it. */
export interface FramesOwner {
  readonly output: Http2Output;
  /** Coarse, on the awake clock. */
  readonly nowMs: number;
  streamOf(id: number): Http2Stream | undefined;
  /** No stream has had this number. */
  isIdle(id: number): boolean;
  onSetting(id: number, value: number): void;
  /** The backend has said its settings, or changed them. */
  onSettings(): void;
  onGoaway(lastStreamId: number, code: number, detail: string): void;
  /** @param stream null: the connection's. @returns false: it is more than a window can be */
  onCredit(stream: Http2Stream | null, increment: number): boolean;
  /** It can't go on: RFC 9113 §5.4.1. */
  breakOff(code: number, detail: string): void;
}

/** Of all that streams get together; each has its own as well. */
const CONNECTION_WINDOW = 4 * 1024 * 1024;
/** Replies to what the backend asks, while it does not read them. */
const MAX_UNSENT_BYTES = 1024 * 1024;
/** Header blocks come in frames of 16 KiB, as a rule. */
const CONTINUATIONS = 16;

/** What this thread has read of header blocks. */
const cache = new FieldCache();
/** Of the block that has come. */
const list = new FieldList();

export class Http2Frames implements FrameHandler {
  /** As SETTINGS_MAX_HEADER_LIST_SIZE has it. */
  readonly headListBytes: number;

  readonly #owner: FramesOwner;
  readonly #floods: Floods;
  readonly #limits: FieldLimits;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder(cache, DEFAULT_TABLE_SIZE);
  readonly #window = new ReceiveWindow(DEFAULT_WINDOW);
  /** Whose DATA is coming; null: that of none that is there. */
  #stream: Http2Stream | null = null;
  #isDataEmpty = false;
  /** Those that were told something in this read. */
  readonly #touched: Http2Stream[] = [];

  constructor(owner: FramesOwner, floods: Floods, { headBytes, fields }: HeadLimits) {
    this.#owner = owner;
    this.#floods = floods;
    this.headListBytes = headBytes + FIELD_OVERHEAD * fields;
    this.#limits = { headBytes: this.headListBytes, fields };
    this.#reader = new FrameReader('client', this, {
      frameBytes: DEFAULT_FRAME_SIZE,
      headerBlockBytes: this.headListBytes,
      continuations: CONTINUATIONS,
    });
  }

  /** How much the connection's window has to grow at its begin. */
  growWindow(): number {
    return this.#window.grow(CONNECTION_WINDOW);
  }

  get heldBytes(): number {
    return this.#reader.heldBytes;
  }

  /** Takes `buffer[0, length)`, borrowed. */
  read(buffer: Buffer, length: number): void {
    this.#reader.read(buffer, 0, length);
    const touched = this.#touched;
    for (let index = 0; index < touched.length; index++) {
      const stream = touched[index] as Http2Stream;
      stream.isTouched = false;
      try {
        stream.noteRead();
      } catch (error) {
        stream.user?.onCrashed(error);
      }
    }
    touched.length = 0;
  }

  stop(): void {
    this.#reader.stop();
  }

  // ── Of streams ──────────────────────────────────────────────────────────────────────────────────────────────────

  onHeaders(
    streamId: number,
    endsStream: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const outcome = this.#decoder.decode(buffer, start, end, list, this.#limits);
    if (outcome === DECODE_FAILED) {
      this.#owner.breakOff(COMPRESSION_ERROR, 'a header block that can not be read');
      return;
    }
    const stream = this.#find(streamId);
    if (stream === null) return;
    this.#floods.useful();
    this.#touch(stream);
    try {
      stream.receiveBlock(list, outcome === DECODED_TOO_LARGE, endsStream);
    } catch (error) {
      stream.user?.onCrashed(error);
    }
  }

  onDataStart(streamId: number, length: number): void {
    if (!this.#window.take(length)) {
      this.#owner.breakOff(FLOW_CONTROL_ERROR, 'more DATA than the connection may have');
      return;
    }
    const increment = this.#window.giveBack(length);
    if (increment > 0) this.#owner.output.windowUpdate(0, increment);
    const stream = this.#find(streamId);
    this.#stream = stream;
    this.#isDataEmpty = true;
    if (stream === null) return;
    try {
      stream.receiveDataStart(length);
    } catch (error) {
      stream.user?.onCrashed(error);
    }
  }

  onData(_streamId: number, buffer: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    this.#isDataEmpty = false;
    if (stream === null || stream.user === null) return;
    this.#touch(stream);
    try {
      stream.receiveData(buffer, start, end);
    } catch (error) {
      stream.user?.onCrashed(error);
    }
  }

  onDataEnd(_streamId: number, endsStream: boolean): void {
    if (this.#isDataEmpty && !endsStream) this.#count();
    else this.#floods.useful();
    const stream = this.#stream;
    this.#stream = null;
    if (stream === null || stream.user === null) return;
    try {
      stream.receiveDataEnd(endsStream);
    } catch (error) {
      stream.user?.onCrashed(error);
    }
  }

  onReset(streamId: number, code: number): void {
    const stream = this.#find(streamId);
    if (stream === null) return;
    try {
      stream.receiveReset(code);
    } catch (error) {
      stream.user?.onCrashed(error);
    }
  }

  onStreamError(streamId: number, code: number, detail: string): void {
    const stream = this.#find(streamId);
    if (stream === null) return;
    try {
      stream.receiveError(code, detail);
    } catch (error) {
      stream.user?.onCrashed(error);
    }
  }

  onWindowUpdate(streamId: number, increment: number): void {
    this.#count();
    if (streamId === 0) {
      if (this.#owner.onCredit(null, increment)) return;
      this.#owner.breakOff(FLOW_CONTROL_ERROR, 'too large a window for the connection');
      return;
    }
    const stream = this.#find(streamId);
    if (stream === null) return;
    try {
      if (this.#owner.onCredit(stream, increment)) return;
      stream.receiveError(FLOW_CONTROL_ERROR, 'too large a window for a stream');
    } catch (error) {
      stream.user?.onCrashed(error);
    }
  }

  /** What comes for a stream that is gone was under way when it went. */
  #find(streamId: number): Http2Stream | null {
    const stream = this.#owner.streamOf(streamId);
    if (stream !== undefined) return stream;
    if (this.#owner.isIdle(streamId)) {
      this.#owner.breakOff(PROTOCOL_ERROR, `a frame for the stream ${streamId}, which is none`);
    } else {
      this.#count();
    }
    return null;
  }

  #touch(stream: Http2Stream): void {
    if (stream.isTouched) return;
    stream.isTouched = true;
    this.#touched.push(stream);
  }

  // ── Of the connection ───────────────────────────────────────────────────────────────────────────────────────────

  onSetting(id: number, value: number): void {
    this.#owner.onSetting(id, value);
  }

  onSettingsEnd(): void {
    this.#owner.output.settingsAck();
    this.#owner.onSettings();
    this.#countAsked();
  }

  onSettingsAck(): void {
    this.#count();
  }

  onPing(isAck: boolean, buffer: Buffer, start: number): void {
    if (isAck) {
      this.#count();
      return;
    }
    this.#owner.output.ping(true, buffer, start);
    this.#countAsked();
  }

  onGoaway(lastStreamId: number, code: number, detail: string): void {
    this.#count();
    this.#owner.onGoaway(lastStreamId, code, detail);
  }

  onPriorityUpdate(): void {
    this.#count();
  }

  onIgnored(): void {
    this.#count();
  }

  onConnectionError(code: number, detail: string): void {
    this.#owner.breakOff(code, detail);
  }

  /** It has brought nothing. */
  #count(): void {
    const owner = this.#owner;
    if (this.#floods.useless(owner.nowMs)) {
      owner.breakOff(ENHANCE_YOUR_CALM, 'too many frames that bring nothing');
    }
  }

  /** The same of one that was replied to. */
  #countAsked(): void {
    const owner = this.#owner;
    this.#count();
    if (owner.output.unsentBytes > MAX_UNSENT_BYTES) {
      owner.breakOff(ENHANCE_YOUR_CALM, 'it asks, and does not read the replies');
    }
  }
}
