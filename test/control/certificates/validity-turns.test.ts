import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Certificate } from '../../../src/config/certificates/certificate-facts.ts';
import { ValidityTurns } from '../../../src/control/certificates/validity-turns.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 10, 27);

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(NOW_MS);
});

afterEach(() => {
  vi.useRealTimers();
});

function certificate(fromHours: number, untilHours: number): Certificate {
  const facts = {
    notBeforeMs: NOW_MS + fromHours * HOUR_MS,
    notAfterMs: NOW_MS + untilHours * HOUR_MS,
  };
  return { facts } as unknown as Certificate;
}

test('it says so when a certificate begins and when one ends, and at no other time', () => {
  let turns = 0;
  const all = [certificate(-9, 30), certificate(20, 999_999)];
  const self = new ValidityTurns(
    () => all,
    () => void turns++,
  );
  self.sync();
  vi.advanceTimersByTime(20 * HOUR_MS - 1);
  expect(turns).toBe(0);
  vi.advanceTimersByTime(1);
  expect(turns).toBe(1);
  vi.advanceTimersByTime(10 * HOUR_MS - 1);
  expect(turns).toBe(1);
  vi.advanceTimersByTime(1);
  expect(turns).toBe(2);
  self.stop();
  vi.advanceTimersByTime(999_999 * HOUR_MS);
  expect(turns).toBe(2);
});

test('a clock that leaps is noticed within the hour', () => {
  let turns = 0;
  const self = new ValidityTurns(
    () => [certificate(-9, 30)],
    () => void turns++,
  );
  self.sync();
  vi.setSystemTime(NOW_MS + 31 * HOUR_MS);
  vi.advanceTimersByTime(HOUR_MS);
  expect(turns).toBe(1);
  self.stop();
});
