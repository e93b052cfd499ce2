import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DURATION_PATTERN,
  formatDuration,
  LONGEST_DURATION_MS,
  parseDuration,
} from '../../src/config/values/duration.ts';

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['1h0m1s', 3_601_000],
  ['.5s', 500],
  ['2.s', 2000],
  ['0', 0],
  ['0s', 0],
  ['1ns', 1],
  ['1500us', 2],
  ['1500µs', 2],
  ['1500μs', 2],
])('%s is %i ms', (text, ms) => {
  expect(parseDuration(text)).toEqual({ ok: true, ms });
});

test.each([
  ['30', 'add a unit: 30s or 30ms'],
  ['1.5', 'add a unit: 1.5s or 1.5ms'],
  ['', 'units are ms, s, m and h: 500ms, 30s, 1m30s'],
  ['30 s', 'units are ms, s, m and h: 500ms, 30s, 1m30s'],
  ['1d', 'units are ms, s, m and h: 500ms, 30s, 1m30s'],
  ['-5s', 'units are ms, s, m and h: 500ms, 30s, 1m30s'],
  ['s', 'units are ms, s, m and h: 500ms, 30s, 1m30s'],
  ['.s', 'units are ms, s, m and h: 500ms, 30s, 1m30s'],
])('%j is no duration', (text, hint) => {
  expect(parseDuration(text)).toEqual({
    ok: false,
    reason: `${JSON.stringify(text)} is not a duration`,
    hint,
  });
});

test('a duration that timers cannot hold is refused', () => {
  expect(parseDuration('597h')).toEqual({
    ok: false,
    reason: '"597h" is longer than 596h, the longest possible',
  });
});

describe('properties', () => {
  const milliseconds = fc.integer({ min: 0, max: LONGEST_DURATION_MS });

  test('what is formatted is read back as the same', () => {
    fc.assert(
      fc.property(milliseconds, (ms) => {
        expect(parseDuration(formatDuration(ms))).toEqual({ ok: true, ms });
      }),
    );
  });

  test('never throws, and accepts nothing outside the pattern of the JSON Schema', () => {
    const pattern = new RegExp(DURATION_PATTERN);
    const nearDurations = fc.stringMatching(/^[0-9.]{0,4}(ms|s|m|h|us|x)?[0-9]{0,3}(ms|s|m|h)?$/);
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearDurations), (text) => {
        const result = parseDuration(text);
        expect(!result.ok || pattern.test(text)).toBe(true);
      }),
    );
  });
});
