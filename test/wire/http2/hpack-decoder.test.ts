import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FieldCache } from '../../../src/data/wire/http2/field-cache.ts';
import { FieldList } from '../../../src/data/wire/http2/field-list.ts';
import {
  DECODE_FAILED,
  DECODED,
  DECODED_TOO_LARGE,
} from '../../../src/data/wire/http2/hpack-decoder.ts';
import { encodeHuffman, huffmanBytes } from '../../../src/data/wire/http2/huffman.ts';
import { decode, decoder, hex, LIMITS, tableOf } from './blocks.ts';

describe('a block that is none', () => {
  test.each([
    ['index 0', '80'],
    ['an index behind the static table, with nothing there', 'be'],
    ['an index far behind', 'ff ff 01'],
    ['a name of an index that is not there', '7e 01 61'],
    ['a name that is not there, never indexed', '1f 30 01 61'],
    ['a number without an end', 'ff'],
    ['a number that goes on behind the block', 'ff 80'],
    ['a number of too many bytes', 'ff 80 80 80 80 00'],
    ['the same, of zeros that say nothing', '82 7f 80 80 80 80 80 80 80 80 80 00 01 61'],
    ['a number beyond 32 bits', 'ff ff ff ff ff 7f'],
    ['a number beyond 64 bits', 'ff ff ff ff ff ff ff ff ff ff ff ff 01'],
    ['a literal without a name', '40'],
    ['a literal without a value', '40 01 61'],
    ['a name that is cut off', '40 03 61 61'],
    ['a value that is cut off', '44 03 61 61'],
    ['a value of 2^28 bytes', '44 7f 80 ff ff 7f 61'],
    ['Huffman code that is cut off', '44 8c f1 e3'],
    ['Huffman code with the end of string', '44 84 ff ff ff ff'],
    ['Huffman code with too much padding', '44 83 64 02 ff'],
    ['Huffman code padded with zeros', '44 81 00'],
    ['Huffman code in a name', '00 81 00 01 61'],
    ['a size that is larger than we have said', '3f e2 1f'],
    ['a size behind a field', '82 20'],
    ['three sizes', '20 21 22 82'],
    ['a size of too many bytes', '3f 80 80 80 80 80 00'],
    ['a size that is cut off', '3f'],
  ])('%s', (_name, block) => {
    expect(decode(decoder(), hex(block)).outcome).toBe(DECODE_FAILED);
  });
});

describe('sizes of the table', () => {
  test('two at the beginning: the smaller one has emptied it', () => {
    const of = decoder();
    decode(of, hex('40 01 61 01 62'));
    expect(tableOf(of).fields).toEqual(['a: b']);
    expect(decode(of, hex('20 3f e1 1f 82')).fields).toEqual([':method: GET']);
    expect(tableOf(of).fields).toEqual([]);
    // It is as large as before.
    decode(of, hex('40 01 61 01 62'));
    expect(tableOf(of).fields).toEqual(['a: b']);
  });

  test('none: nothing is kept', () => {
    const of = decoder();
    expect(decode(of, hex('20 40 01 61 01 62')).fields).toEqual(['a: b']);
    expect(tableOf(of).fields).toEqual([]);
  });

  test('alone in a block', () => {
    expect(decode(decoder(), hex('20')).outcome).toBe(DECODED);
  });
});

test('an entry may take its name from one that it evicts', () => {
  const of = decoder(64);
  decode(of, hex('40 06 6c6f6e672d61 03 313233'));
  expect(tableOf(of).fields).toEqual(['long-a: 123']);
  expect(decode(of, hex('7e 14 6262626262626262626262626262626262626262')).fields).toEqual([
    `long-a: ${'b'.repeat(20)}`,
  ]);
  expect(tableOf(of).fields).toEqual([`long-a: ${'b'.repeat(20)}`]);
});

test('an entry that is larger than the table empties it', () => {
  const of = decoder(64);
  decode(of, hex('40 01 61 01 62'));
  expect(decode(of, Buffer.concat([hex('40 01 61 28'), Buffer.alloc(40, 'c')])).fields).toEqual([
    `a: ${'c'.repeat(40)}`,
  ]);
  expect(tableOf(of).fields).toEqual([]);
});

function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x40, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

describe('limits of the list', () => {
  test('are counted with 32 bytes for each field, and what is over them changes the table', () => {
    const block = Buffer.concat([literal('a', 'b'), literal('c', 'd')]);
    const at = decode(decoder(), block, { headBytes: 68, fields: 10 });
    expect(at.outcome).toBe(DECODED);
    const of = decoder();
    const over = decode(of, block, { headBytes: 67, fields: 10 });
    expect(over.outcome).toBe(DECODED_TOO_LARGE);
    expect(over.fields).toEqual(['a: b']);
    expect(tableOf(of).fields).toEqual(['c: d', 'a: b']);
  });

  test('of fields: as HTTP/1.1 counts', () => {
    const limits = { headBytes: 65536, fields: 2 };
    const crumbs = Buffer.concat(Array.from({ length: 50 }, () => literal('cookie', 'a=b')));
    const pseudo = hex('82 84 86');
    const two = Buffer.concat([pseudo, literal('a', 'b'), crumbs, literal('c', 'd')]);
    expect(decode(decoder(), two, limits).outcome).toBe(DECODED);
    const three = Buffer.concat([two, literal('e', 'f')]);
    expect(decode(decoder(), three, limits).outcome).toBe(DECODED_TOO_LARGE);
  });

  test('hold against a few bytes that stand for many (HPACK bomb)', () => {
    const of = decoder();
    const value = 'x'.repeat(4000);
    const entry = Buffer.concat([hex('40 01 61 7f a1 1e'), Buffer.from(value)]);
    expect(decode(of, entry).fields).toEqual([`a: ${value}`]);
    const bomb = Buffer.alloc(60_000, 0xbe);
    const limits = { headBytes: 32_768, fields: 100_000 };
    const list = new FieldList();
    const before = process.memoryUsage().heapUsed;
    expect(of.decode(bomb, 0, bomb.length, list, limits)).toBe(DECODED_TOO_LARGE);
    expect(list.count).toBe(8);
    // All of them would be 240 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000);
  });
});

describe('the cache', () => {
  test('gives the same field for the same bytes, on any connection, from the third time on', () => {
    const cache = new FieldCache();
    const block = hex('04 0c 2f73 616d 706c 652f 7061 7468');
    const found = [1, 2, 3, 4].map(() => decode(decoder(4096, cache), block).list.fields[0]);
    expect(found[1]).not.toBe(found[0]);
    expect(found[3]).toBe(found[2]);
  });

  test('tells the same value of different names apart', () => {
    const cache = new FieldCache();
    const of = decoder(4096, cache);
    for (let round = 0; round < 4; round++) {
      expect(decode(of, hex('01 03 6162 63')).fields).toEqual([':authority: abc']);
      expect(decode(of, hex('04 03 6162 63')).fields).toEqual([':path: abc']);
      expect(decode(of, hex('0f 17 03 6162 63')).fields).toEqual(['host: abc']);
      expect(decode(of, hex('00 01 61 02 62 63')).fields).toEqual(['a: bc']);
      expect(decode(of, hex('00 02 61 62 01 63')).fields).toEqual(['ab: c']);
    }
  });

  test('does not keep what is never indexed', () => {
    const cache = new FieldCache();
    const block = hex('1f 08 03 616263');
    const found = [1, 2, 3, 4].map(() => decode(decoder(4096, cache), block).list.fields[0]);
    expect(found[0]?.name).toBe('authorization');
    expect(new Set(found).size).toBe(4);
  });

  test('stays as it is, however many literals come', () => {
    const cache = new FieldCache();
    const of = decoder(0, cache);
    const wrong: string[] = [];
    for (let count = 0; count < 4000; count++) {
      const path = `/${count >>> 1}`;
      const block = Buffer.concat([Buffer.from([0x04, path.length]), Buffer.from(path)]);
      const { fields } = decode(of, block);
      if (fields[0] !== `:path: ${path}`) wrong.push(path);
    }
    expect(wrong).toEqual([]);
  });
});

test('random bytes are a block or none, within their limits', () => {
  const cache = new FieldCache();
  // Bytes that decide something, more often than others.
  const byte = fc.oneof(
    fc.constantFrom(0x00, 0x10, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0x82, 0xbe, 0xbf, 0xff, 0x01, 0x81),
    fc.nat({ max: 255 }),
  );
  const blocks = fc.array(fc.array(byte, { maxLength: 60 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(blocks, fc.nat({ max: 300 }), (several, headBytes) => {
      const of = decoder(128, cache);
      const twin = decoder(128);
      const limits = { headBytes, fields: 5 };
      for (const block of several) {
        const { outcome, list, fields } = decode(of, Buffer.from(block), limits);
        expect(list.size).toBeLessThanOrEqual(headBytes);
        // The cache changes nothing.
        const other = decode(twin, Buffer.from(block), limits);
        expect([other.outcome, other.fields]).toEqual([outcome, fields]);
        if (outcome === DECODE_FAILED) return;
      }
      expect(tableOf(of).size).toBeLessThanOrEqual(128);
      expect(tableOf(of)).toEqual(tableOf(twin));
    }),
    { numRuns: 400 },
  );
});

// ── What any encoder may write ──────────────────────────────────────────────────────────────────────────────────────

function number(kind: number, prefix: number, value: number): number[] {
  if (value < prefix) return [kind | value];
  const bytes = [kind | prefix];
  let rest = value - prefix;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

function string(text: string, isHuffman: boolean): number[] {
  if (!isHuffman) return [...number(0, 0x7f, text.length), ...Buffer.from(text, 'latin1')];
  const out = Buffer.alloc(huffmanBytes(text));
  encodeHuffman(text, out, 0);
  return [...number(0x80, 0x7f, out.length), ...out];
}

const text = fc.array(fc.nat(255), { maxLength: 12 }).map((codes) => String.fromCharCode(...codes));

test('decode ∘ encode is identity, for an encoder that does all that it may', () => {
  const field = fc.record({
    name: fc.oneof(fc.constantFrom('a', 'b', 'c'), text),
    value: fc.oneof(fc.constantFrom('1', '2'), text),
    kind: fc.constantFrom(0x40, 0x00, 0x10),
    huffman: fc.tuple(fc.boolean(), fc.boolean()),
  });
  const size = fc.option(fc.nat({ max: 200 }), { nil: -1 });
  const blocks = fc.array(fc.tuple(size, fc.array(field, { maxLength: 8 })), {
    minLength: 1,
    maxLength: 6,
  });
  const cache = new FieldCache();
  fc.assert(
    fc.property(blocks, (several) => {
      const of = decoder(200, cache);
      let maxSize = 200;
      const table: { name: string; value: string }[] = [];
      const shrink = () => {
        const sizeOf = () => table.reduce((sum, f) => sum + f.name.length + f.value.length + 32, 0);
        while (sizeOf() > maxSize) table.pop();
      };
      for (const [newSize, fields] of several) {
        const bytes: number[] = [];
        if (newSize !== -1) {
          bytes.push(...number(0x20, 0x1f, newSize));
          maxSize = newSize;
          shrink();
        }
        for (const { name, value, kind, huffman } of fields) {
          const at = table.findIndex((entry) => entry.name === name && entry.value === value);
          const nameAt = table.findIndex((entry) => entry.name === name);
          if (at !== -1) {
            bytes.push(...number(0x80, 0x7f, 62 + at));
            continue;
          }
          bytes.push(...number(kind, kind === 0x40 ? 0x3f : 0x0f, nameAt === -1 ? 0 : 62 + nameAt));
          if (nameAt === -1) bytes.push(...string(name, huffman[0]));
          bytes.push(...string(value, huffman[1]));
          if (kind === 0x40) {
            table.unshift({ name, value });
            shrink();
          }
        }
        const { outcome, fields: found } = decode(of, Buffer.from(bytes), LIMITS);
        expect(outcome).toBe(DECODED);
        expect(found).toEqual(fields.map(({ name, value }) => `${name}: ${value}`));
      }
      expect(tableOf(of).fields).toEqual(table.map(({ name, value }) => `${name}: ${value}`));
    }),
    { numRuns: 200 },
  );
});
