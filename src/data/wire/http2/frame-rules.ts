/** What a frame may be by its header alone (RFC 9113 §6; RFC 9218 §7.1), and the numbers in it. */
import { FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR } from './error-codes.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  PADDED,
  PING,
  PRIORITY,
  PRIORITY_UPDATE,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frame-types.ts';

export const PRIORITY_BYTES = 5;
export const SETTING_BYTES = 6;

/** @returns the error of the connection that it is, or NO_ERROR. @param isServer whether we are */
export function errorOfFrame(
  type: number,
  flags: number,
  streamId: number,
  length: number,
  isServer: boolean,
): number {
  switch (type) {
    case DATA:
      if (!isClientStream(streamId)) return PROTOCOL_ERROR;
      return (flags & PADDED) !== 0 && length === 0 ? FRAME_SIZE_ERROR : NO_ERROR;
    case HEADERS: {
      if (!isClientStream(streamId)) return PROTOCOL_ERROR;
      const least =
        ((flags & PADDED) === 0 ? 0 : 1) + ((flags & HAS_PRIORITY) === 0 ? 0 : PRIORITY_BYTES);
      return length < least ? FRAME_SIZE_ERROR : NO_ERROR;
    }
    case PRIORITY:
      return streamId === 0 ? PROTOCOL_ERROR : NO_ERROR;
    case RST_STREAM:
      if (!isClientStream(streamId)) return PROTOCOL_ERROR;
      return length === 4 ? NO_ERROR : FRAME_SIZE_ERROR;
    case SETTINGS:
      if (streamId !== 0) return PROTOCOL_ERROR;
      if ((flags & ACK) !== 0) return length === 0 ? NO_ERROR : FRAME_SIZE_ERROR;
      return length % SETTING_BYTES === 0 ? NO_ERROR : FRAME_SIZE_ERROR;
    case PUSH_PROMISE:
      // A client never sends one (§8.4), and no server may: our SETTINGS_ENABLE_PUSH is 0.
      return PROTOCOL_ERROR;
    case PING:
      if (streamId !== 0) return PROTOCOL_ERROR;
      return length === 8 ? NO_ERROR : FRAME_SIZE_ERROR;
    case GOAWAY:
      if (streamId !== 0) return PROTOCOL_ERROR;
      return length < 8 ? FRAME_SIZE_ERROR : NO_ERROR;
    case WINDOW_UPDATE:
      if (streamId !== 0 && !isClientStream(streamId)) return PROTOCOL_ERROR;
      return length === 4 ? NO_ERROR : FRAME_SIZE_ERROR;
    case CONTINUATION:
      return isClientStream(streamId) ? NO_ERROR : PROTOCOL_ERROR;
    case PRIORITY_UPDATE:
      if (!isServer || streamId !== 0) return PROTOCOL_ERROR;
      return length < 4 ? FRAME_SIZE_ERROR : NO_ERROR;
    default:
      return NO_ERROR;
  }
}

/** A server opens none, as it may not push: one with an even number is idle for ever. */
export function isClientStream(streamId: number): boolean {
  return (streamId & 1) === 1;
}

export function readUint32(buffer: Buffer, at: number): number {
  return (
    (((buffer[at] as number) << 24) |
      ((buffer[at + 1] as number) << 16) |
      ((buffer[at + 2] as number) << 8) |
      (buffer[at + 3] as number)) >>>
    0
  );
}

/** Of a stream's number and a window's increment the first bit is reserved, and ignored (RFC 9113 §4.1, §6.9). */
export function readUint31(buffer: Buffer, at: number): number {
  return readUint32(buffer, at) & 0x7fffffff;
}

/** What a peer says in words, for the log. */
export function readDetail(buffer: Buffer, start: number, end: number): string {
  return buffer.latin1Slice(start, end).replaceAll(/[^ -~]/g, '.');
}

// In quarters of a microsecond, about.
const WORK_OF_ANY = 1;
/** It is handed on. */
const WORK_OF_DATA = 5;
/** It is answered. */
const WORK_OF_QUESTION = 16;
const WORK_OF_HEADERS = 64;
/** It ends what a request has begun. */
const WORK_OF_RESET = 128;
/** A block of so many bytes has as much again to be decoded as any frame has to be read. */
const BLOCK_BYTES = 32;

/** What it costs to take a frame, as a measure of all others. @param length of its payload */
export function workOfFrame(type: number, length: number): number {
  switch (type) {
    case DATA:
      return WORK_OF_DATA;
    case HEADERS:
      return WORK_OF_HEADERS + Math.floor(length / BLOCK_BYTES);
    case CONTINUATION:
      return WORK_OF_ANY + Math.floor(length / BLOCK_BYTES);
    case RST_STREAM:
      return WORK_OF_RESET;
    case PING:
    case SETTINGS:
      return WORK_OF_QUESTION;
    default:
      return WORK_OF_ANY;
  }
}
