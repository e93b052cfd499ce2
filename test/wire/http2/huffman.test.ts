import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodedBytes,
  decodeHuffman,
  encodeHuffman,
  huffmanBytes,
} from '../../../src/data/wire/http2/huffman.ts';
import { CODE_LENGTHS, CODES } from '../../../src/data/wire/http2/huffman-code.ts';
import { hex } from './blocks.ts';

function encoded(text: string): Buffer {
  const out = Buffer.alloc(huffmanBytes(text) + 1, 0xa5);
  const end = encodeHuffman(text, out, 0);
  expect(end).toBe(out.length - 1);
  // Not a byte more.
  expect(out[end]).toBe(0xa5);
  return out.subarray(0, end);
}

/** Null: it is no string. */
function decoded(bytes: Buffer): string | null {
  const out = Buffer.alloc(decodedBytes(bytes.length));
  const length = decodeHuffman(bytes, 0, bytes.length, out);
  return length === -1 ? null : out.latin1Slice(0, length);
}

/** @param bits a bit string; the rest of the last byte is `rest`. */
function fromBits(bits: string, rest: '0' | '1'): Buffer {
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, rest);
  return Buffer.from(whole.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

function codeOf(symbol: number): string {
  return (CODES[symbol] as number).toString(2).padStart(CODE_LENGTHS[symbol] as number, '0');
}

describe('the code', () => {
  test.each([
    // Of RFC 7541 appendix B: the shortest and longest, and some between.
    [48, '00000'],
    [97, '00011'],
    [32, '010100'],
    [58, '1011100'],
    [38, '11111000'],
    [33, '1111111000'],
    [0, '1111111111000'],
    [92, '1111111111111110000'],
    [195, '1111111111111110001'],
    [1, '11111111111111111011000'],
    [249, '1111111111111111111111111110'],
    [10, '111111111111111111111111111100'],
    [22, '111111111111111111111111111110'],
    [256, '111111111111111111111111111111'],
  ])('of %i', (symbol, bits) => {
    expect(codeOf(symbol)).toBe(bits);
  });

  test('is complete: every string of bits is a string of codes', () => {
    const sum = CODE_LENGTHS.reduce((total, length) => total + 2 ** -length, 0);
    expect(sum).toBe(1);
  });
});

test.each([
  ['www.example.com', 'f1e3 c2e5 f23a 6ba0 ab90 f4ff'],
  ['no-cache', 'a8eb 1064 9cbf'],
  ['302', '6402'],
  ['', ''],
])('%o is what the examples say', (text, bytes) => {
  expect(encoded(text)).toEqual(hex(bytes));
  expect(decoded(hex(bytes))).toBe(text);
});

test('decode ∘ encode is identity', () => {
  const text = fc
    .array(fc.nat(255), { maxLength: 60 })
    .map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(text, (said) => decoded(encoded(said)) === said),
    { numRuns: 300 },
  );
});

test('every byte, behind many others', () => {
  const texts = Array.from({ length: 256 * 7 }, (_, index) =>
    String.fromCharCode(index & 0xff, (index >>> 8) * 37, index & 0xff),
  );
  expect(texts.map((text) => decoded(encoded(text)))).toEqual(texts);
});

describe('what is no string', () => {
  test('the end of string, wherever it stands', () => {
    expect(decoded(fromBits(codeOf(256), '1'))).toBeNull();
    expect(decoded(fromBits(codeOf(97) + codeOf(256) + codeOf(97), '1'))).toBeNull();
  });

  test('padding of more than seven bits', () => {
    expect(decoded(Buffer.from([0xff]))).toBeNull();
    expect(decoded(Buffer.concat([encoded('no-cache'), Buffer.from([0xff])]))).toBeNull();
  });

  test('padding that is not the beginning of the end of string', () => {
    // 5 bits each: so many of them need 3, 6, 1, 4, 7, 2 and 5 bits of padding.
    for (let count = 1; count < 8; count++) {
      const bits = codeOf(48).repeat(count);
      const padding = 8 - (bits.length % 8);
      expect(decoded(fromBits(bits, '1'))).toBe('0'.repeat(count));
      expect(decoded(fromBits(`${bits}${'1'.repeat(padding - 1)}0`, '1'))).toBeNull();
    }
  });
});

test('random bytes are a string or not, and what is decoded has room', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const out = Buffer.alloc(decodedBytes(bytes.length));
      const length = decodeHuffman(bytes, 0, bytes.length, out);
      expect(length).toBeLessThanOrEqual(out.length);
      if (length === -1) return;
      // There is one way to write a string.
      expect(encoded(out.latin1Slice(0, length))).toEqual(Buffer.from(bytes));
    }),
    { numRuns: 300 },
  );
});
