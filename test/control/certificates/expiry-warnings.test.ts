import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Certificate } from '../../../src/config/certificates/certificate-facts.ts';
import { ExpiryWarnings } from '../../../src/control/certificates/expiry-warnings.ts';
import type { Logger } from '../../../src/observe/logger.ts';

const DAY_MS = 24 * 3_600_000;
const ENDS_MS = Date.UTC(2026, 10, 30);

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function certificate(fingerprint: string): Certificate {
  const facts = { names: ['a.test', 'b.test'], fingerprint, notAfterMs: ENDS_MS };
  return { certFile: '/certs/a.crt', facts } as unknown as Certificate;
}

function warnings(all: () => readonly Certificate[]): { self: ExpiryWarnings; said: string[] } {
  const said: string[] = [];
  const warn = (_event: string, message: string): void => void said.push(message);
  const self = new ExpiryWarnings({ warn } as unknown as Logger, all);
  return { self, said };
}

test('from 21 days on, once a day, and on beyond the end', () => {
  vi.setSystemTime(ENDS_MS - 22 * DAY_MS);
  const one = certificate('one');
  const { self, said } = warnings(() => [one]);
  self.begin();
  vi.advanceTimersByTime(DAY_MS);
  expect(said).toEqual([
    'the certificate in /certs/a.crt (a.test, b.test) expires in 21 days, on 2026-11-30',
  ]);
  self.look();
  expect(said).toHaveLength(1);
  vi.advanceTimersByTime(20 * DAY_MS);
  expect(said).toHaveLength(21);
  expect(said.at(-1)).toContain('expires in 1 day, on');
  vi.advanceTimersByTime(3 * DAY_MS);
  expect(said.at(-1)).toContain('expired 2 days ago, on 2026-11-30');
  self.stop();
  vi.advanceTimersByTime(3 * DAY_MS);
  expect(said).toHaveLength(24);
});

test('another one in its place is told of at once, and what is gone no more', () => {
  vi.setSystemTime(ENDS_MS - DAY_MS);
  let all = [certificate('one')];
  const { self, said } = warnings(() => all);
  self.begin();
  all = [certificate('two')];
  self.look();
  expect(said).toHaveLength(2);
  all = [];
  vi.advanceTimersByTime(3 * DAY_MS);
  expect(said).toHaveLength(2);
  self.stop();
});
