import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatSize, parseSize, SIZE_PATTERN } from '../../src/config/values/size.ts';

test.each([
  ['0', 0],
  ['100', 100],
  ['100B', 100],
  ['64KiB', 65_536],
  ['64 KiB', 65_536],
  ['64kib', 65_536],
  ['1MB', 1_000_000],
  ['1.5MiB', 1_572_864],
  ['2GiB', 2_147_483_648],
])('%s is %i bytes', (text, bytes) => {
  expect(parseSize(text)).toEqual({ ok: true, bytes });
  expect(text).toMatch(new RegExp(SIZE_PATTERN));
});

test.each([
  ['64k', '"64k" is not a size', 'write 64KiB or 64KB'],
  ['2G', '"2G" is not a size', 'write 2GiB or 2GB'],
  ['-1', '"-1" is not a size', 'bytes, or a number with a unit: 64KiB, 1MB'],
  ['x', '"x" is not a size', 'bytes, or a number with a unit: 64KiB, 1MB'],
  ['1.5', '"1.5" is not a whole number of bytes', undefined],
  ['99999999GiB', '"99999999GiB" is not a whole number of bytes', undefined],
])('%j is no size', (text, reason, hint) => {
  expect(parseSize(text)).toEqual({ ok: false, reason, ...(hint === undefined ? {} : { hint }) });
});

test('what is formatted is read back as the same', () => {
  const sizes = fc.oneof(
    fc.maxSafeNat(),
    fc.nat(1000).map((count) => count * 1024 ** 2),
  );
  fc.assert(
    fc.property(sizes, (bytes) => {
      expect(parseSize(String(formatSize(bytes)))).toEqual({ ok: true, bytes });
    }),
  );
});

test('never throws', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseSize(text);
    }),
  );
});
