import { expect, test } from 'vitest';
import type { AccessLogEntry } from '../../src/data/relay/access-log-entry.ts';
import { LastRequests } from '../../src/data/relay/last-requests.ts';
import type { ErrorCode } from '../../src/errors.ts';

function entry(requestId: string, error: ErrorCode | null, path = '/'): AccessLogEntry {
  const known = { requestId, error, path, host: 'a', errorDetail: '', status: 200, attempts: [] };
  return known as unknown as AccessLogEntry;
}

function ids(last: LastRequests): string[] {
  return last.find(null, 0, []).map(({ requestId }) => requestId);
}

function keeper(bytes: number): LastRequests {
  const last = new LastRequests();
  last.setLimit(bytes);
  return last;
}

test('neither an attack nor good times push out what went wrong', () => {
  const last = keeper(64 * 1024);
  last.note(entry('fault', 'ERR_BACKEND_CLOSED'), 0);
  for (let count = 0; count < 10_000; count++) {
    last.note(entry('attack', 'ERR_BAD_HOST', `/${'x'.repeat(count)}`), count);
    last.note(entry('good', null), count);
  }
  for (let count = 0; count < 1_000; count++) last.note(entry('attack', 'ERR_BAD_HOST'), 10_000);
  last.note(entry('fault', 'ERR_NO_BACKEND'), 10_000);
  const kept = last.find(null, 0, []);
  expect(last.find('fault', 0, [])).toHaveLength(2);
  expect(new Set(kept.map(({ requestId }) => requestId))).toEqual(
    new Set(['attack', 'good', 'fault']),
  );
  // 2 bytes a character at most, a quarter of the room.
  const attacks = kept.filter(({ requestId }) => requestId === 'attack');
  expect(attacks.reduce((sum, { path }) => sum + 2 * (path as string).length, 0)).toBeLessThan(
    16_384,
  );
  expect(attacks.length).toBeGreaterThan(1);
});

test('of those that went well, ten a second are kept', () => {
  const last = keeper(1024 * 1024);
  for (let ms = 0; ms < 1_000; ms++) last.note(entry(String(ms), null), ms);
  expect(ids(last)).toHaveLength(10);
});

test('the newest of an id is the first, and what is turned off forgets', () => {
  const last = keeper(64 * 1024);
  last.note(entry('same', 'ERR_BAD_HOST', '/1?key=a'), 0);
  last.note(entry('same', 'ERR_NO_BACKEND', '/2?key=a'), 0);
  expect(last.find('same', 3, ['key']).map(({ path, thread }) => [path, thread])).toEqual(
    expect.arrayContaining([
      ['/1?key=REDACTED', 3],
      ['/2?key=REDACTED', 3],
    ]),
  );
  last.setLimit(0);
  last.note(entry('same', 'ERR_NO_BACKEND'), 0);
  expect(ids(last)).toEqual([]);
});
