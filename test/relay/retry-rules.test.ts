import { describe, expect, test } from 'vitest';
import {
  backoffMs,
  type FailedAttempt,
  isKeepAliveRace,
  mayRetry,
} from '../../src/data/relay/retry-rules.ts';
import type { Retries } from '../../src/snapshot/snapshot.ts';

const RETRIES: Retries = {
  attempts: 3,
  perTryTimeoutMs: 0,
  onStatus: [],
  budgetPercent: 20,
  replayBufferBytes: 65_536,
  backoffMs: 25,
  hedgeAfterMs: 0,
  nonIdempotent: false,
};

function failed(change: Partial<FailedAttempt>): FailedAttempt {
  return {
    code: 'ERR_BACKEND_CLOSED',
    method: 'GET',
    attempts: 1,
    hasResponse: false,
    isReplayable: true,
    ...change,
  };
}

describe('mayRetry', () => {
  test.each([
    ['a GET whose backend closed', {}, true],
    ['a POST whose backend closed', { method: 'POST' }, false],
    ['a POST that could not connect', { method: 'POST', code: 'ERR_BACKEND_REFUSED' }, true],
    ['an unknown method whose backend closed', { method: 'BREW' }, false],
    ['a GET with a part of its answer', { hasResponse: true }, false],
    ['a PUT whose body is gone', { method: 'PUT', isReplayable: false }, false],
    ['the third attempt of three', { attempts: 3 }, false],
    ['a slow backend', { code: 'ERR_BACKEND_RESPONSE_TIMEOUT' }, false],
    ['a slow attempt', { code: 'ERR_BACKEND_TRY_TIMEOUT' }, true],
    ['a slow attempt of a POST', { code: 'ERR_BACKEND_TRY_TIMEOUT', method: 'POST' }, false],
    ['a listed status', { code: 'ERR_BACKEND_STATUS' }, true],
    ['a malformed answer', { code: 'ERR_BACKEND_BAD_RESPONSE' }, false],
    ['our own want of sockets', { code: 'ERR_OUT_OF_SOCKETS' }, false],
  ] as const)('%s: %o → %s', (_, change, may) => {
    expect(mayRetry(failed(change), RETRIES)).toBe(may);
  });

  test('non_idempotent lets a POST go again, and nothing else', () => {
    const retries = { ...RETRIES, nonIdempotent: true };
    expect(mayRetry(failed({ method: 'POST' }), retries)).toBe(true);
    expect(mayRetry(failed({ method: 'POST', hasResponse: true }), retries)).toBe(false);
    expect(mayRetry(failed({ method: 'POST', isReplayable: false }), retries)).toBe(false);
  });
});

describe('isKeepAliveRace', () => {
  const none = { ...RETRIES, attempts: 1 };
  test('an idle connection that dies is no failed attempt, even without retries', () => {
    expect(isKeepAliveRace(failed({}), true, none)).toBe(true);
    expect(isKeepAliveRace(failed({}), false, none)).toBe(false);
    expect(isKeepAliveRace(failed({ method: 'POST' }), true, none)).toBe(false);
    expect(isKeepAliveRace(failed({ hasResponse: true }), true, none)).toBe(false);
  });
});

describe('backoffMs', () => {
  test('the first retry is at once, the pauses behind it double, up to a bound', () => {
    expect([1, 2, 3, 4, 5, 6, 9].map((retry) => backoffMs(retry, RETRIES, 1))).toEqual([
      0, 25, 50, 100, 200, 250, 250,
    ]);
    expect(backoffMs(3, RETRIES, 0.5)).toBe(25);
    expect(backoffMs(3, RETRIES, 0)).toBe(0);
  });
});
