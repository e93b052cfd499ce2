/**
 * Frames as they arrive (RFC 9113 §4, §6), in any pieces. DATA is told as it comes; a header block once it is whole; all other
 * frames are small, and told whole.
 *
 * What a frame may be by itself is checked here: sizes, stream 0 or not, padding, values, nothing between HEADERS and its
 * CONTINUATIONs, SETTINGS first, no PUSH_PROMISE. What depends on the state of streams is not: whether a stream is idle, open or
 * closed, whose number is next, windows.
 */

import { ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR } from './error-codes.ts';
import type { FrameHandler, FrameLimits } from './frame-handler.ts';
import {
  errorOfFrame,
  isClientStream,
  PRIORITY_BYTES,
  readDetail,
  readUint31,
  readUint32,
  SETTING_BYTES,
  workOfFrame,
} from './frame-rules.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  PADDED,
  PING,
  PRIORITY,
  PRIORITY_UPDATE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frame-types.ts';
import { GatheredBytes } from './gathered-bytes.ts';
import { PREFACE } from './preface.ts';
import { errorOfSetting } from './settings.ts';

export type FrameReaderRole = 'server' | 'client';

/** What the next byte is. */
const AT_PREFACE = 0;
const AT_HEADER = 1;
const AT_PAD_LENGTH = 2;
const AT_DATA = 3;
/** Of a frame that is told whole. */
const AT_PAYLOAD = 4;
const AT_IGNORED = 5;

/** Of what a peer says in words. */
const MAX_DETAIL = 128;
const MAX_PRIORITY = 256;

export class FrameReader {
  readonly #isServer: boolean;
  readonly #handler: FrameHandler;
  readonly #limits: FrameLimits;
  #isStopped = false;
  #hasSettings = false;
  #state: number;

  // Of the frame that is coming.
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of its payload that have not come. */
  #remaining = 0;
  #padding = 0;

  /** A header or payload that comes in pieces. */
  readonly #held = new GatheredBytes();
  #prefaceLength = 0;
  /** What has been read since `read` was called costs so much. */
  #work = 0;

  // Of a header block in several frames.
  /** 0: none is coming. */
  #blockStream = 0;
  #blockEndsStream = false;
  readonly #block = new GatheredBytes();
  #continuations = 0;

  constructor(role: FrameReaderRole, handler: FrameHandler, limits: FrameLimits) {
    this.#isServer = role === 'server';
    this.#handler = handler;
    this.#limits = limits;
    this.#state = this.#isServer ? AT_PREFACE : AT_HEADER;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Memory that a frame or block which is not complete takes. */
  get heldBytes(): number {
    return this.#held.bytes.length + this.#block.bytes.length;
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#isStopped = true;
    this.#held.release();
    this.#block.release();
  }

  #fail(code: number, detail: string): void {
    this.stop();
    this.#handler.onConnectionError(code, detail);
  }

  /**
   * Takes `buffer[start, end)`, borrowed; all of it, unless it is stopped, or its frames are more than `mostWork` (workOfFrame).
   * A server's reader begins with the preface.
   * @returns the offset of the first byte that was not taken.
   */
  read(buffer: Buffer, start: number, end: number, mostWork = Number.POSITIVE_INFINITY): number {
    let at = start;
    this.#work = 0;
    // A frame without a payload is complete with its header.
    while (!this.#isStopped && (at < end || (this.#state > AT_HEADER && this.#remaining === 0))) {
      switch (this.#state) {
        case AT_HEADER:
          if (this.#work >= mostWork) return at;
          at = this.#readHeader(buffer, at, end);
          break;
        case AT_PAD_LENGTH:
          at = this.#readPadLength(buffer, at);
          break;
        case AT_DATA:
          at = this.#readData(buffer, at, end);
          break;
        case AT_PAYLOAD:
          at = this.#readPayload(buffer, at, end);
          break;
        case AT_IGNORED:
          at += this.#skip(end - at);
          if (this.#remaining === 0) this.#state = AT_HEADER;
          break;
        default:
          at = this.#readPreface(buffer, at, end);
      }
    }
    return at;
  }

  #readPreface(buffer: Buffer, start: number, end: number): number {
    let at = start;
    let matched = this.#prefaceLength;
    while (at < end && matched < PREFACE.length) {
      if (buffer[at] !== PREFACE[matched]) {
        this.#fail(PROTOCOL_ERROR, 'no connection preface');
        return end;
      }
      at++;
      matched++;
    }
    this.#prefaceLength = matched;
    if (matched === PREFACE.length) this.#state = AT_HEADER;
    return at;
  }

  #readHeader(buffer: Buffer, at: number, end: number): number {
    const held = this.#held;
    if (held.length === 0 && end - at >= FRAME_HEADER_BYTES) {
      this.#takeHeader(buffer, at);
      return at + FRAME_HEADER_BYTES;
    }
    const stop = at + Math.min(FRAME_HEADER_BYTES - held.length, end - at);
    held.add(buffer, at, stop);
    if (held.length === FRAME_HEADER_BYTES) {
      const { bytes } = held;
      held.release();
      this.#takeHeader(bytes, 0);
    }
    return stop;
  }

  #takeHeader(buffer: Buffer, at: number): void {
    const length =
      ((buffer[at] as number) << 16) |
      ((buffer[at + 1] as number) << 8) |
      (buffer[at + 2] as number);
    const type = buffer[at + 3] as number;
    const flags = buffer[at + 4] as number;
    const streamId = readUint31(buffer, at + 5);
    this.#type = type;
    this.#flags = flags;
    this.#streamId = streamId;
    this.#remaining = length;
    this.#padding = 0;
    this.#work += workOfFrame(type, length);
    if (length > this.#limits.frameBytes) {
      this.#fail(FRAME_SIZE_ERROR, `a frame of ${length} bytes`);
      return;
    }
    if (!this.#hasSettings) {
      // RFC 9113 §3.4.
      if (type !== SETTINGS || (flags & ACK) !== 0) {
        this.#fail(PROTOCOL_ERROR, 'the first frame is not SETTINGS');
        return;
      }
      this.#hasSettings = true;
    }
    if (this.#blockStream !== 0 && (type !== CONTINUATION || streamId !== this.#blockStream)) {
      this.#fail(PROTOCOL_ERROR, `a frame of type ${type} within a header block`);
      return;
    }
    const code = errorOfFrame(type, flags, streamId, length, this.#isServer);
    if (code !== NO_ERROR) {
      this.#fail(code, `a frame of type ${type}, ${length} bytes, on stream ${streamId}`);
    } else if (type === DATA) {
      this.#state = (flags & PADDED) === 0 ? AT_DATA : AT_PAD_LENGTH;
      this.#handler.onDataStart(streamId, length);
    } else if ((type < CONTINUATION && type !== PRIORITY) || type === PRIORITY_UPDATE) {
      this.#state = AT_PAYLOAD;
    } else if (type === CONTINUATION) {
      this.#state = AT_PAYLOAD;
      if (this.#blockStream === 0) this.#fail(PROTOCOL_ERROR, 'CONTINUATION of nothing');
    } else {
      this.#ignore(type, length);
    }
  }

  #ignore(type: number, length: number): void {
    this.#state = AT_IGNORED;
    this.#handler.onIgnored(type);
    if (type === PRIORITY && length !== PRIORITY_BYTES && !this.#isStopped) {
      this.#handler.onStreamError(this.#streamId, FRAME_SIZE_ERROR, 'PRIORITY of a wrong size');
    }
  }

  // ── DATA ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #readPadLength(buffer: Buffer, at: number): number {
    this.#padding = buffer[at] as number;
    this.#remaining--;
    this.#state = AT_DATA;
    if (this.#padding > this.#remaining) this.#fail(PROTOCOL_ERROR, 'more padding than payload');
    return at + 1;
  }

  #readData(buffer: Buffer, start: number, end: number): number {
    let at = start;
    const length = Math.min(this.#remaining - this.#padding, end - at);
    if (length > 0) {
      at += length;
      this.#remaining -= length;
      this.#handler.onData(this.#streamId, buffer, start, at);
    }
    if (this.#remaining <= this.#padding) {
      const skipped = this.#skip(end - at);
      at += skipped;
      this.#padding -= skipped;
    }
    if (this.#remaining === 0 && !this.#isStopped) {
      this.#state = AT_HEADER;
      this.#handler.onDataEnd(this.#streamId, (this.#flags & END_STREAM) !== 0);
    }
    return at;
  }

  #skip(bytes: number): number {
    const skipped = Math.min(this.#remaining, bytes);
    this.#remaining -= skipped;
    return skipped;
  }

  // ── Frames that are told whole ──────────────────────────────────────────────────────────────────────────────────

  #readPayload(buffer: Buffer, start: number, end: number): number {
    const held = this.#held;
    const stop = start + this.#skip(end - start);
    if (held.length === 0 && this.#remaining === 0) {
      this.#state = AT_HEADER;
      this.#takePayload(buffer, start, stop);
      return stop;
    }
    held.add(buffer, start, stop);
    if (this.#remaining === 0) {
      const { bytes, length } = held;
      held.release();
      this.#state = AT_HEADER;
      this.#takePayload(bytes, 0, length);
    }
    return stop;
  }

  #takePayload(buffer: Buffer, start: number, end: number): void {
    const handler = this.#handler;
    switch (this.#type) {
      case HEADERS:
        this.#takeHeaders(buffer, start, end);
        break;
      case CONTINUATION:
        this.#takeContinuation(buffer, start, end);
        break;
      case RST_STREAM:
        handler.onReset(this.#streamId, readUint32(buffer, start));
        break;
      case SETTINGS:
        this.#takeSettings(buffer, start, end);
        break;
      case PING:
        handler.onPing((this.#flags & ACK) !== 0, buffer, start);
        break;
      case GOAWAY: {
        const detail = readDetail(buffer, start + 8, Math.min(end, start + 8 + MAX_DETAIL));
        handler.onGoaway(readUint31(buffer, start), readUint32(buffer, start + 4), detail);
        break;
      }
      case WINDOW_UPDATE:
        this.#takeWindowUpdate(readUint31(buffer, start));
        break;
      default: {
        const streamId = readUint31(buffer, start);
        if (!isClientStream(streamId)) {
          this.#fail(PROTOCOL_ERROR, `PRIORITY_UPDATE for stream ${streamId}`);
          return;
        }
        const stop = Math.min(end, start + 4 + MAX_PRIORITY);
        handler.onPriorityUpdate(streamId, buffer.latin1Slice(start + 4, stop));
      }
    }
  }

  #takeSettings(buffer: Buffer, start: number, end: number): void {
    if ((this.#flags & ACK) !== 0) {
      this.#handler.onSettingsAck();
      return;
    }
    for (let at = start; at < end && !this.#isStopped; at += SETTING_BYTES) {
      const id = ((buffer[at] as number) << 8) | (buffer[at + 1] as number);
      const value = readUint32(buffer, at + 2);
      const code = errorOfSetting(id, value);
      if (code === NO_ERROR) this.#handler.onSetting(id, value);
      else this.#fail(code, `setting ${id} is ${value}`);
    }
    if (!this.#isStopped) this.#handler.onSettingsEnd();
  }

  #takeWindowUpdate(increment: number): void {
    const streamId = this.#streamId;
    if (increment > 0) this.#handler.onWindowUpdate(streamId, increment);
    else if (streamId === 0) this.#fail(PROTOCOL_ERROR, 'WINDOW_UPDATE by nothing');
    else this.#handler.onStreamError(streamId, PROTOCOL_ERROR, 'WINDOW_UPDATE by nothing');
  }

  // ── Header blocks ───────────────────────────────────────────────────────────────────────────────────────────────

  #takeHeaders(buffer: Buffer, payloadStart: number, payloadEnd: number): void {
    let start = payloadStart;
    let end = payloadEnd;
    if ((this.#flags & PADDED) !== 0) end -= buffer[start++] as number;
    // RFC 9113 §5.3.2: what it says of dependencies is ignored.
    if ((this.#flags & HAS_PRIORITY) !== 0) start += PRIORITY_BYTES;
    if (end < start) {
      this.#fail(PROTOCOL_ERROR, 'more padding than payload');
      return;
    }
    const endsStream = (this.#flags & END_STREAM) !== 0;
    if (!this.#isWithinLimit(end - start)) return;
    if ((this.#flags & END_HEADERS) !== 0) {
      this.#handler.onHeaders(this.#streamId, endsStream, buffer, start, end);
      return;
    }
    this.#blockStream = this.#streamId;
    this.#blockEndsStream = endsStream;
    this.#continuations = 0;
    this.#block.add(buffer, start, end);
  }

  /** CVE-2024-27316 and its kin: blocks without an end, of whatever frames. */
  #takeContinuation(buffer: Buffer, start: number, end: number): void {
    this.#continuations++;
    if (this.#continuations > this.#limits.continuations) {
      this.#fail(ENHANCE_YOUR_CALM, 'too many CONTINUATION frames');
      return;
    }
    if (!this.#isWithinLimit(this.#block.length + end - start)) return;
    this.#block.add(buffer, start, end);
    if ((this.#flags & END_HEADERS) === 0) return;
    const { bytes, length } = this.#block;
    const streamId = this.#blockStream;
    this.#block.release();
    this.#blockStream = 0;
    this.#handler.onHeaders(streamId, this.#blockEndsStream, bytes, 0, length);
  }

  #isWithinLimit(bytes: number): boolean {
    if (bytes <= this.#limits.headerBlockBytes) return true;
    this.#fail(ENHANCE_YOUR_CALM, 'a header block that is too long');
    return false;
  }
}
