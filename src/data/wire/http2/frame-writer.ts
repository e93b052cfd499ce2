/**
 * Frames written into a buffer that has room for them (RFC 9113 §6): each function writes at `at`, and returns where it ends.
 */

/** Frames with a payload of a fixed length, header included. */
export const RESET_BYTES = 13;
export const WINDOW_UPDATE_BYTES = 13;
export const PING_BYTES = 17;
export const SETTINGS_ACK_BYTES = 9;

export function writeFrameHeader(
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
export declare function writeDataHeader(
  out: Buffer,
  at: number,
  streamId: number,
  length: number,
  endsStream: boolean,
): number;

/** What a header block of this length takes at most once it is in frames. */
export declare function headerFrameBytes(length: number, maxFrameSize: number): number;

/**
 * Puts the header block `out[at + FRAME_HEADER_BYTES, + length)` into a HEADERS frame that begins at `at`; what does not fit the
 * peer's frames is moved into CONTINUATIONs. There must be room for `headerFrameBytes`.
 */
export declare function frameHeaderBlock(
  out: Buffer,
  at: number,
  length: number,
  streamId: number,
  endsStream: boolean,
  maxFrameSize: number,
): number;

export declare function writeReset(out: Buffer, at: number, streamId: number, code: number): number;

/** @param settings pairs of id and value, one after the other */
export declare function writeSettings(out: Buffer, at: number, settings: readonly number[]): number;

export declare function writeSettingsAck(out: Buffer, at: number): number;

/** @param data `from[start, start + 8)` */
export declare function writePing(
  out: Buffer,
  at: number,
  isAck: boolean,
  from: Uint8Array,
  start: number,
): number;

/** @param detail ASCII, for whoever debugs the peer: takes its length more than 17 bytes */
export declare function writeGoaway(
  out: Buffer,
  at: number,
  lastStreamId: number,
  code: number,
  detail: string,
): number;

export declare function writeWindowUpdate(
  out: Buffer,
  at: number,
  streamId: number,
  increment: number,
): number;
