/**
 * Fields of HTTP/2 that come again are remembered, so many of them at most. The bytes of each were in a small buffer of their own, and
 * such a buffer keeps all of the slab that Node has cut it from: 8 KiB, or 64 KiB with newer Node. Two thousand fields, which any client can
 * send, held up to 128 MiB of each data thread for ever.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { FieldCache } from '../../src/data/wire/http2/field-cache.ts';
import { FieldList } from '../../src/data/wire/http2/field-list.ts';
import { DECODED, HpackDecoder } from '../../src/data/wire/http2/hpack-decoder.ts';
import { block } from '../support/frame-client.ts';
import { waitFor } from '../support/wait-for.ts';

const FIELDS = 4_000;
const LIMITS = { headBytes: 65_536, fields: 100 };
const MOST_BYTES = 2 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** Others use small buffers as well: the next one is from another slab. */
function useUpSlab(): void {
  for (let half = 0; half < 2; half++) Buffer.allocUnsafe((Buffer.poolSize >>> 1) - 8);
}

test('fields that come again are remembered in little memory', async () => {
  const decoder = new HpackDecoder(new FieldCache(), 4096);
  const list = new FieldList();
  const blocks = Array.from({ length: FIELDS }, (_, number) => block([['x-number', `${number}`]]));
  const before = heldBytes();
  for (const bytes of blocks) {
    // What comes once is not remembered.
    for (let time = 0; time < 3; time++) {
      expect(decoder.decode(bytes, 0, bytes.length, list, LIMITS)).toBe(DECODED);
      useUpSlab();
    }
  }
  // A collection may end a moment later, in another thread.
  await waitFor(() => heldBytes() - before < MOST_BYTES);
  const last = blocks.at(-1) as Buffer;
  expect(decoder.decode(last, 0, last.length, list, LIMITS)).toBe(DECODED);
  expect(list.fields[0]?.value).toBe(`${FIELDS - 1}`);
});
