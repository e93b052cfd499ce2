/** Frames as they stand on the wire (RFC 9113 §4.1, §6; RFC 9218 §7.1). */
export const FRAME_HEADER_BYTES = 9;

export const DATA = 0x0;
export const HEADERS = 0x1;
export const PRIORITY = 0x2;
export const RST_STREAM = 0x3;
export const SETTINGS = 0x4;
export const PUSH_PROMISE = 0x5;
export const PING = 0x6;
export const GOAWAY = 0x7;
export const WINDOW_UPDATE = 0x8;
export const CONTINUATION = 0x9;
export const PRIORITY_UPDATE = 0x10;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const HAS_PRIORITY = 0x20;

export const MAX_STREAM_ID = 0x7fffffff;
/** Of a frame's payload, until SETTINGS say otherwise; nobody may say less. */
export const DEFAULT_FRAME_SIZE = 16384;
export const MAX_FRAME_SIZE = 0xffffff;
