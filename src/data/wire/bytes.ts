/**
 * Byte classes of HTTP/1.1 as lookup tables: one load per byte instead of a chain of comparisons.
 */

declare global {
  // Node's own fast paths behind `toString('latin1')` and `write(…, 'latin1')`: there in every version, never typed.
  interface Buffer {
    latin1Slice(start: number, end: number): string;
    latin1Write(text: string, offset: number): number;
  }
}

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

/** A byte of a token that is not an underscore. */
const TOKEN_PLAIN = 1;
/** The underscore: a token byte, but one that some servers treat like `-` (see fields.ts). */
export const TOKEN_UNDERSCORE = 2;

function table(fill: (byte: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => fill(byte));
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isAlpha(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function bytesOf(text: string): Set<number> {
  return new Set(Array.from(text, (character) => character.charCodeAt(0)));
}

const TOKEN_MARKS = bytesOf("!#$%&'*+-.^`|~");

/** RFC 9110 §5.6.2 `tchar`: 0 for everything else. */
export const TOKEN = table((byte) => {
  if (byte === 0x5f) return TOKEN_UNDERSCORE;
  return isDigit(byte) || isAlpha(byte) || TOKEN_MARKS.has(byte) ? TOKEN_PLAIN : 0;
});

/**
 * Bytes of a request target: visible ASCII but `#`. A fragment is never part of a target (RFC 9112 §3.2), and servers
 * disagree on what follows it.
 */
export const TARGET = table((byte) => (byte > 0x20 && byte < 0x7f && byte !== 0x23 ? 1 : 0));

/** RFC 9110 §5.5: SP, HTAB, VCHAR and obs-text. */
export const FIELD_VALUE = table((byte) =>
  byte === HTAB || (byte >= 0x20 && byte !== 0x7f) ? 1 : 0,
);

/** Bytes of a chunk extension: visible ASCII, SP and HTAB. */
export const CHUNK_EXTENSION = table((byte) =>
  byte === HTAB || (byte >= 0x20 && byte < 0x7f) ? 1 : 0,
);

/** Value of a hexadecimal digit, 255 for everything else. */
export const HEX = table((byte) => {
  if (isDigit(byte)) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : 255;
});

/** Lower case of ASCII letters; every other byte as it is. */
export const LOWER = table((byte) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte));

const HOST_MARKS = bytesOf("-._~!$&'()*+,;=%");

/** Bytes of a registered name or IPv4 address (RFC 3986 §3.2.2), percent signs included. */
export const HOST_NAME = table((byte) =>
  isDigit(byte) || isAlpha(byte) || HOST_MARKS.has(byte) ? 1 : 0,
);
