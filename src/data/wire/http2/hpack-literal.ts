/** Numbers and literals of HPACK, written (RFC 7541 §5, §6.2). There is room for them: see `blockBytes`. */
import { encodeHuffman, huffmanBytes } from './huffman.ts';

const WITH_INDEXING = 0x40;
const WITH_INDEXING_PREFIX = 0x3f;
export const WITHOUT_INDEXING = 0x00;
export const NEVER_INDEXED = 0x10;
const PLAIN_PREFIX = 0x0f;
const STRING_PREFIX = 0x7f;
const HUFFMAN = 0x80;

/** Up to here a loop is cheaper than a call. */
const SHORT = 24;

/** @param prefix the bits of the first byte that are for the number, all 1. @param kind the bits that are not */
export function writeInteger(
  out: Buffer,
  at: number,
  kind: number,
  prefix: number,
  value: number,
): number {
  if (value < prefix) {
    out[at] = kind | value;
    return at + 1;
  }
  out[at] = kind | prefix;
  let position = at + 1;
  let rest = value - prefix;
  while (rest >= 0x80) {
    out[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[position] = rest;
  return position + 1;
}

/** Writes `text[start, end)` as it is: what is sent once is not worth the code. */
export function writeRaw(
  out: Buffer,
  at: number,
  text: string,
  start: number,
  end: number,
): number {
  const length = end - start;
  const position = writeInteger(out, at, 0, STRING_PREFIX, length);
  if (length > SHORT) {
    out.latin1Write(text.slice(start, end), position);
  } else {
    for (let index = 0; index < length; index++) {
      out[position + index] = text.charCodeAt(start + index);
    }
  }
  return position + length;
}

/** In Huffman code, if that is shorter. */
function writeShortest(out: Buffer, at: number, text: string): number {
  const length = huffmanBytes(text);
  if (length >= text.length) return writeRaw(out, at, text, 0, text.length);
  return encodeHuffman(text, out, writeInteger(out, at, HUFFMAN, STRING_PREFIX, length));
}

/** A literal without its value, to be copied. @param nameIndex of the static table, or 0 */
export function literalStart(kind: number, nameIndex: number, name: string): Buffer {
  const out = Buffer.alloc(name.length + 16);
  return out.subarray(0, writeStart(out, kind, nameIndex, name));
}

function writeStart(out: Buffer, kind: number, nameIndex: number, name: string): number {
  const prefix = kind === WITH_INDEXING ? WITH_INDEXING_PREFIX : PLAIN_PREFIX;
  const at = writeInteger(out, 0, kind, prefix, nameIndex);
  return nameIndex === 0 ? writeShortest(out, at, name) : at;
}

/** A whole literal that goes into the table, to be copied. */
export function indexedLiteral(nameIndex: number, name: string, value: string): Buffer {
  const out = Buffer.alloc(name.length + value.length + 16);
  const at = writeStart(out, WITH_INDEXING, nameIndex, name);
  return out.subarray(0, writeShortest(out, at, value));
}
