import { expect, test } from 'vitest';
import type { AccessLogEntry } from '../../src/data/relay/access-log-entry.ts';
import { FailureLog } from '../../src/data/relay/failure-log.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { FromDataThread } from '../../src/snapshot/messages.ts';

test('of each error the first is told, and then once a minute how many there were; not what clients did', () => {
  const told: unknown[] = [];
  const log = new FailureLog((message: FromDataThread) => {
    if (message.kind === 'log') told.push([message.fields['code'], message.fields['count']]);
  });
  const note = (code: ErrorCode, nowMs: number) => {
    const entry = { status: 502, requestId: 'a', pool: 'default', backendUrl: null, attempts: [] };
    const rest = { durationMs: 1, errorDetail: '' };
    log.note(code, { ...entry, ...rest } as unknown as AccessLogEntry, nowMs);
  };
  note('ERR_BACKEND_CLOSED', 0);
  for (let count = 0; count < 10; count++) note('ERR_BACKEND_CLOSED', 1_000);
  note('ERR_NO_BACKEND', 2_000);
  note('ERR_BAD_HOST', 2_000);
  note('ERR_MAINTENANCE', 2_000);
  note('ERR_BACKEND_CLOSED', 60_000);
  expect(told).toEqual([
    ['ERR_BACKEND_CLOSED', 1],
    ['ERR_NO_BACKEND', 1],
    ['ERR_BACKEND_CLOSED', 11],
  ]);
});
