import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashText, mixed } from '../../src/data/balance/hash.ts';

/** The text whose UTF-16 is these bytes. */
function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf16le');
}

function bitCount(integer: number): number {
  return integer.toString(2).replaceAll('0', '').length;
}

describe('hashText', () => {
  // Published results of MurmurHash3_x86_32, of those that are an even number of bytes.
  test.each([
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['\xff\xff\xff\xff', 0, 0x76293b50],
    ['\x21\x43\x65\x87', 0, 0xf55b516b],
    ['\x21\x43\x65\x87', 0x5082edee, 0x2362f9de],
    ['\x21\x43', 0, 0xa0f7b07a],
    ['\0\0\0\0', 0, 0x2362f9de],
    ['aaaa', 0x9747b28c, 0x5a97808a],
    ['aa', 0x9747b28c, 0x5d211726],
  ])('%j with seed %i', (bytes, seed, expected) => {
    expect(hashText(textOf(bytes), seed)).toBe(expected | 0);
  });

  test('any text and any seed give a whole number of 32 bits, the same each time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer(), (text, seed) => {
        const hash = hashText(text, seed);
        expect(hash).toBe(hashText(`${text}`, seed));
        expect(hash).toBe(hash | 0);
      }),
    );
  });

  test('neighbouring addresses fall evenly into a few places, whatever the seed', () => {
    for (const seed of [0, 1, 0x7fffffff]) {
      const counts = new Uint32Array(16);
      for (let index = 0; index < 16_000; index++) {
        const place = (hashText(`10.0.${index >> 8}.${index & 255}`, seed) >>> 0) % 16;
        counts[place] = (counts[place] as number) + 1;
      }
      for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    }
  });

  test('two seeds are two functions', () => {
    const same = Array.from({ length: 10_000 }, (_, index) => `${index}`).filter(
      (text) => (hashText(text, 1) >>> 0) % 10 === (hashText(text, 2) >>> 0) % 10,
    );
    expect(Math.abs(same.length - 1_000)).toBeLessThan(150);
  });
});

test('one bit more or less changes half of the bits of what is mixed', () => {
  for (let bit = 0; bit < 32; bit++) {
    let changed = 0;
    for (let index = 0; index < 1_000; index++) {
      const integer = Math.imul(index, 0x9e3779b1);
      changed += bitCount((mixed(integer) ^ mixed(integer ^ (1 << bit))) >>> 0);
    }
    expect(Math.abs(changed / 1_000 - 16)).toBeLessThan(1);
  }
});
