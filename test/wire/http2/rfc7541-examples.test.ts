/** Every example of RFC 7541 appendix C. */
import { describe, expect, test } from 'vitest';
import { FieldCache } from '../../../src/data/wire/http2/field-cache.ts';
import { writeInteger } from '../../../src/data/wire/http2/hpack-literal.ts';
import { decode, decoder, hex, tableOf } from './blocks.ts';

describe('C.1: integers', () => {
  test.each([
    [10, 0x1f, '0a'],
    [1337, 0x1f, '1f 9a 0a'],
    [42, 0xff, '2a'],
  ])('%i with the prefix %i', (value, prefix, text) => {
    const out = Buffer.alloc(8);
    const end = writeInteger(out, 0, 0, prefix, value);
    expect(out.subarray(0, end)).toEqual(hex(text));
  });

  test.each([
    [10, '2a', ''],
    // The largest entry that fits.
    [1337, '3f 9a 0a', 'b'.repeat(1337 - 33)],
  ])('%i is read, as the size of a table', (size, text, value) => {
    const of = decoder();
    expect(decode(of, hex(text)).outcome).toBe(0);
    decode(of, entryOf(value));
    expect(tableOf(of).size).toBe(value === '' ? 0 : size);
    decode(of, entryOf(`${value}b`));
    expect(tableOf(of).size).toBe(0);
  });
});

function entryOf(value: string): Buffer {
  return Buffer.concat([hex('40 01 61'), Buffer.from(lengthOf(value.length)), Buffer.from(value)]);
}

function lengthOf(bytes: number): number[] {
  if (bytes < 127) return [bytes];
  const rest = bytes - 127;
  return rest < 128 ? [127, rest] : [127, 0x80 | (rest & 0x7f), rest >> 7];
}

describe('C.2: representations', () => {
  test.each([
    [
      'with indexing',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      'custom-key: custom-header',
      ['custom-key: custom-header'],
    ],
    ['without indexing', '040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path', []],
    ['never indexed', '1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret', []],
    ['indexed', '82', ':method: GET', []],
  ])('%s', (_name, block, field, table) => {
    const of = decoder();
    const { outcome, fields } = decode(of, hex(block));
    expect({ outcome, fields }).toEqual({ outcome: 0, fields: [field] });
    expect(tableOf(of).fields).toEqual(table);
  });
});

interface Step {
  readonly block: string;
  readonly fields: readonly string[];
  readonly table: readonly string[];
  readonly size: number;
}

const REQUESTS = [
  {
    fields: [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    table: [':authority: www.example.com'],
    size: 57,
  },
  {
    fields: [
      ':method: GET',
      ':scheme: http',
      ':path: /',
      ':authority: www.example.com',
      'cache-control: no-cache',
    ],
    table: ['cache-control: no-cache', ':authority: www.example.com'],
    size: 110,
  },
  {
    fields: [
      ':method: GET',
      ':scheme: https',
      ':path: /index.html',
      ':authority: www.example.com',
      'custom-key: custom-value',
    ],
    table: ['custom-key: custom-value', 'cache-control: no-cache', ':authority: www.example.com'],
    size: 164,
  },
];

const AT_21 = 'date: Mon, 21 Oct 2013 20:13:21 GMT';
const AT_22 = 'date: Mon, 21 Oct 2013 20:13:22 GMT';
const LOCATION = 'location: https://www.example.com';
const COOKIE = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

const RESPONSES = [
  {
    fields: [':status: 302', 'cache-control: private', AT_21, LOCATION],
    table: [LOCATION, AT_21, 'cache-control: private', ':status: 302'],
    size: 222,
  },
  {
    fields: [':status: 307', 'cache-control: private', AT_21, LOCATION],
    table: [':status: 307', LOCATION, AT_21, 'cache-control: private'],
    size: 222,
  },
  {
    fields: [
      ':status: 200',
      'cache-control: private',
      AT_22,
      LOCATION,
      'content-encoding: gzip',
      COOKIE,
    ],
    table: [COOKIE, 'content-encoding: gzip', AT_22],
    size: 215,
  },
];

function steps(blocks: readonly string[], of: readonly Omit<Step, 'block'>[]): Step[] {
  return blocks.map((block, index) => ({ block, ...(of[index] as Omit<Step, 'block'>) }));
}

test.each([
  [
    'C.3: requests',
    4096,
    steps(
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        `8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65`,
      ],
      REQUESTS,
    ),
  ],
  [
    'C.4: requests in Huffman code',
    4096,
    steps(
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      REQUESTS,
    ),
  ],
  [
    'C.5: responses, and a table that is too small for them',
    256,
    steps(
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d`,
        '4803 3330 37c1 c0bf',
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31`,
      ],
      RESPONSES,
    ),
  ],
  [
    'C.6: the same in Huffman code',
    256,
    steps(
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      ],
      RESPONSES,
    ),
  ],
])('%s', (_name, tableSize, examples) => {
  // The cache must change nothing: the third round takes from it.
  const cache = new FieldCache();
  for (let round = 0; round < 3; round++) {
    const of = decoder(tableSize, cache);
    for (const { block, fields, table, size } of examples) {
      expect(decode(of, hex(block)).fields).toEqual(fields);
      expect(tableOf(of)).toEqual({ fields: table, size });
    }
  }
});
