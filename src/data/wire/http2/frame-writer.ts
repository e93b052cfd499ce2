/**
 * Frames written into a buffer that has room for them (RFC 9113 §6): each function writes at `at`, and returns where it ends.
 */
import { SETTING_BYTES } from './frame-rules.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frame-types.ts';

/** Whole frames whose payload has a fixed length. */
export const RESET_BYTES = 13;
export const WINDOW_UPDATE_BYTES = 13;
export const PING_BYTES = 17;
export const SETTINGS_ACK_BYTES = 9;
/** Without its detail. */
export const GOAWAY_BYTES = 17;

function writeFrameHeader(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  return writeUint32(out, at + 5, streamId);
}

function writeUint32(out: Buffer, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

/** The header of a DATA frame; its `length` bytes follow. */
export function writeDataHeader(
  out: Buffer,
  at: number,
  streamId: number,
  length: number,
  endsStream: boolean,
): number {
  return writeFrameHeader(out, at, length, DATA, endsStream ? END_STREAM : 0, streamId);
}

/** What a header block of this length takes at most once it is in frames. */
export function headerFrameBytes(length: number, maxFrameSize: number): number {
  return length + FRAME_HEADER_BYTES * (1 + Math.floor(length / maxFrameSize));
}

/**
 * Puts the header block `out[at + FRAME_HEADER_BYTES, + length)` into a HEADERS frame that begins at `at`; what does not fit the
 * peer's frames is moved into CONTINUATIONs. There must be room for `headerFrameBytes`.
 */
export function frameHeaderBlock(
  out: Buffer,
  at: number,
  length: number,
  streamId: number,
  endsStream: boolean,
  maxFrameSize: number,
): number {
  const endFlag = endsStream ? END_STREAM : 0;
  if (length <= maxFrameSize) {
    writeFrameHeader(out, at, length, HEADERS, endFlag | END_HEADERS, streamId);
    return at + FRAME_HEADER_BYTES + length;
  }
  const block = at + FRAME_HEADER_BYTES;
  // From the last piece to the first: each moves to where nothing is any more that has to move.
  const pieces = Math.ceil(length / maxFrameSize);
  for (let piece = pieces - 1; piece > 0; piece--) {
    const from = piece * maxFrameSize;
    const size = Math.min(maxFrameSize, length - from);
    const header = block + from + (piece - 1) * FRAME_HEADER_BYTES;
    out.copyWithin(header + FRAME_HEADER_BYTES, block + from, block + from + size);
    const flags = piece === pieces - 1 ? END_HEADERS : 0;
    writeFrameHeader(out, header, size, CONTINUATION, flags, streamId);
  }
  writeFrameHeader(out, at, maxFrameSize, HEADERS, endFlag, streamId);
  return block + length + (pieces - 1) * FRAME_HEADER_BYTES;
}

export function writeReset(out: Buffer, at: number, streamId: number, code: number): number {
  return writeUint32(out, writeFrameHeader(out, at, 4, RST_STREAM, 0, streamId), code);
}

/** @param settings pairs of id and value, one after the other; each takes 6 bytes, beside the frame's header */
export function writeSettings(out: Buffer, at: number, settings: readonly number[]): number {
  const length = (settings.length / 2) * SETTING_BYTES;
  let position = writeFrameHeader(out, at, length, SETTINGS, 0, 0);
  for (let index = 0; index < settings.length; index += 2) {
    const id = settings[index] as number;
    out[position] = id >>> 8;
    out[position + 1] = id;
    position = writeUint32(out, position + 2, settings[index + 1] as number);
  }
  return position;
}

export function writeSettingsAck(out: Buffer, at: number): number {
  return writeFrameHeader(out, at, 0, SETTINGS, ACK, 0);
}

/** @param from its data: `from[start, start + 8)`; may be `out` itself, before `at` */
export function writePing(
  out: Buffer,
  at: number,
  isAck: boolean,
  from: Uint8Array,
  start: number,
): number {
  const position = writeFrameHeader(out, at, 8, PING, isAck ? ACK : 0, 0);
  for (let index = 0; index < 8; index++) out[position + index] = from[start + index] as number;
  return position + 8;
}

/** @param detail Latin-1, for whoever debugs the peer: so many bytes more than GOAWAY_BYTES */
export function writeGoaway(
  out: Buffer,
  at: number,
  lastStreamId: number,
  code: number,
  detail: string,
): number {
  let position = writeFrameHeader(out, at, 8 + detail.length, GOAWAY, 0, 0);
  position = writeUint32(out, position, lastStreamId);
  position = writeUint32(out, position, code);
  return position + out.latin1Write(detail, position);
}

export function writeWindowUpdate(
  out: Buffer,
  at: number,
  streamId: number,
  increment: number,
): number {
  return writeUint32(out, writeFrameHeader(out, at, 4, WINDOW_UPDATE, 0, streamId), increment);
}
