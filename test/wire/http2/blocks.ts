/** What the tests of HPACK share: header blocks as text, and what a decoder makes of them. */
import { FieldCache } from '../../../src/data/wire/http2/field-cache.ts';
import { FieldList } from '../../../src/data/wire/http2/field-list.ts';
import { type DecodeOutcome, HpackDecoder } from '../../../src/data/wire/http2/hpack-decoder.ts';

export const LIMITS = { headBytes: 65536, fields: 1000 };

/** @param text pairs of hexadecimal digits, with space between them wherever it helps. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

export function decoder(tableSize = 4096, cache = new FieldCache()): HpackDecoder {
  return new HpackDecoder(cache, tableSize);
}

export interface Decoded {
  readonly outcome: DecodeOutcome;
  /** `name: value` each. */
  readonly fields: string[];
  readonly list: FieldList;
}

export function decode(of: HpackDecoder, block: Uint8Array, limits = LIMITS): Decoded {
  const list = new FieldList();
  // Within other bytes: none of them is read.
  const padded = Buffer.concat([Buffer.from([0x82]), block, Buffer.from([0x82, 0x82])]);
  const outcome = of.decode(padded, 1, 1 + block.length, list, limits);
  const fields = list.fields.slice(0, list.count).map(({ name, value }) => `${name}: ${value}`);
  return { outcome, fields, list };
}

/** All of its dynamic table, newest first: asking for an entry changes nothing. */
export function tableOf(of: HpackDecoder): { readonly fields: string[]; readonly size: number } {
  const fields: string[] = [];
  let size = 0;
  for (let index = 62; ; index++) {
    const block = index < 127 ? [0x80 | index] : [0xff, index - 127];
    const { outcome, fields: found, list } = decode(of, Buffer.from(block));
    if (outcome !== 0) return { fields, size };
    fields.push(...found);
    size += list.size;
  }
}
