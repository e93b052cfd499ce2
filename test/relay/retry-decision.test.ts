/** Every rule of docs/request.md, "Second attempts": each by name, and as what holds whatever else is the case. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AttemptFailed,
  backoffMs,
  decide,
  isHedgeable,
  isKeepAliveRace,
  type RetryDecision,
  type RetryFacts,
} from '../../src/data/relay/retry-decision.ts';
import { ERROR_CODES, ERRORS, type ErrorCode } from '../../src/errors.ts';
import type { Retries } from '../../src/snapshot/policies.ts';

const RETRIES: Retries = {
  attempts: 3,
  perTryTimeoutMs: 0,
  onStatus: [],
  onGrpcStatus: [],
  budgetPercent: 20,
  replayBufferBytes: 65_536,
  backoffMs: 25,
  hedgeAfterMs: 0,
  nonIdempotent: false,
};

/** A GET whose backend closed a fresh connection, with all that a retry needs. */
const FAILED: AttemptFailed = {
  kind: 'failed',
  code: 'ERR_BACKEND_CLOSED',
  isReused: false,
  hasResponse: false,
};
const FACTS: RetryFacts = {
  retries: RETRIES,
  method: 'GET',
  isReplayable: true,
  attempts: 1,
  races: 0,
  hasHedge: false,
  isAnyLeft: true,
  hasBudget: true,
  pauseMs: 0,
  msLeft: Number.POSITIVE_INFINITY,
};
const NON_IDEMPOTENT = { ...RETRIES, nonIdempotent: true };

function after(failed: Partial<AttemptFailed>, facts: Partial<RetryFacts> = {}): RetryDecision {
  return decide({ ...FAILED, ...failed }, { ...FACTS, ...facts });
}

describe('an attempt that failed', () => {
  test.each<[string, Partial<AttemptFailed>, Partial<RetryFacts>, RetryDecision['action'], string]>(
    [
      ['a GET whose backend closed', {}, {}, 'retry', 'may be repeated'],
      ['a POST whose backend closed', {}, { method: 'POST' }, 'give up', 'not idempotent'],
      ['an unknown method', {}, { method: 'BREW' }, 'give up', 'not idempotent'],
      [
        'a POST that is said to be repeatable',
        {},
        { method: 'POST', retries: NON_IDEMPOTENT },
        'retry',
        'may be repeated',
      ],
      [
        'a POST that could not connect',
        { code: 'ERR_BACKEND_REFUSED' },
        { method: 'POST' },
        'retry',
        'nothing was sent',
      ],
      [
        'a POST that could not connect, and is not all at hand',
        { code: 'ERR_BACKEND_REFUSED' },
        { method: 'POST', isReplayable: false },
        'give up',
        'body is gone',
      ],
      ['a name not resolved', { code: 'ERR_RESOLVER' }, {}, 'retry', 'nothing was sent'],
      [
        'a PUT whose body is gone',
        {},
        { method: 'PUT', isReplayable: false },
        'give up',
        'body is gone',
      ],
      ['a part of an answer', { hasResponse: true }, {}, 'give up', 'response has begun'],
      [
        'a part of an answer to a POST that is said to be repeatable',
        { hasResponse: true },
        { method: 'POST', retries: NON_IDEMPOTENT },
        'give up',
        'response has begun',
      ],
      ['the third of three', {}, { attempts: 3 }, 'give up', 'no attempts left'],
      [
        'the first of one',
        {},
        { retries: { ...RETRIES, attempts: 1 } },
        'give up',
        'no attempts left',
      ],
      ['all backends tried', {}, { isAnyLeft: false }, 'give up', 'nobody is left'],
      ['the budget spent', {}, { hasBudget: false }, 'give up', 'budget is spent'],
      [
        'no budget, and nobody left to pay for',
        {},
        { hasBudget: false, isAnyLeft: false },
        'give up',
        'nobody is left',
      ],
      ['a pause within the deadline', {}, { pauseMs: 20, msLeft: 21 }, 'retry', 'may be repeated'],
      [
        'a pause as long as the deadline',
        {},
        { pauseMs: 20, msLeft: 20 },
        'give up',
        'deadline is near',
      ],
      ['past the deadline', {}, { msLeft: -1 }, 'give up', 'deadline is near'],
      ['a slow backend', { code: 'ERR_BACKEND_RESPONSE_TIMEOUT' }, {}, 'give up', 'final error'],
      ['a slow attempt', { code: 'ERR_BACKEND_TRY_TIMEOUT' }, {}, 'retry', 'may be repeated'],
      [
        'a slow attempt of a POST',
        { code: 'ERR_BACKEND_TRY_TIMEOUT' },
        { method: 'POST' },
        'give up',
        'not idempotent',
      ],
      ['a listed status', { code: 'ERR_BACKEND_STATUS' }, {}, 'retry', 'may be repeated'],
      [
        'a call with a listed status',
        { code: 'ERR_BACKEND_GRPC_STATUS' },
        { method: 'POST' },
        'retry',
        'may be repeated',
      ],
      [
        'a call with a listed status that is not all at hand',
        { code: 'ERR_BACKEND_GRPC_STATUS' },
        { method: 'POST', isReplayable: false },
        'give up',
        'body is gone',
      ],
      [
        'a listed status of a POST',
        { code: 'ERR_BACKEND_STATUS' },
        { method: 'POST' },
        'give up',
        'not idempotent',
      ],
      ['a malformed answer', { code: 'ERR_BACKEND_BAD_RESPONSE' }, {}, 'give up', 'final error'],
      [
        'a POST that an HTTP/2 backend has not seen',
        { code: 'ERR_BACKEND_GOAWAY' },
        { method: 'POST', isAnyLeft: false, hasBudget: false },
        'race',
        'idle connection closed',
      ],
      [
        'the same for the tenth time',
        { code: 'ERR_BACKEND_GOAWAY' },
        { method: 'POST', races: 9, isAnyLeft: false, hasBudget: false },
        'race',
        'idle connection closed',
      ],
      [
        'the same once more',
        { code: 'ERR_BACKEND_GOAWAY' },
        { method: 'POST', races: 10 },
        'retry',
        'nothing was sent',
      ],
      [
        'the same without its body',
        { code: 'ERR_BACKEND_GOAWAY' },
        { method: 'POST', isReplayable: false },
        'give up',
        'body is gone',
      ],
      [
        'a POST that an HTTP/2 backend refused',
        { code: 'ERR_BACKEND_REFUSED_STREAM' },
        { method: 'POST' },
        'retry',
        'nothing was sent',
      ],
      [
        'a POST that an HTTP/2 backend reset',
        { code: 'ERR_BACKEND_RESET' },
        { method: 'POST' },
        'give up',
        'not idempotent',
      ],
      ['cut by a drain', { code: 'ERR_CUT_BY_DRAIN' }, {}, 'retry', 'may be repeated'],
      [
        'a POST cut by a drain',
        { code: 'ERR_CUT_BY_DRAIN' },
        { method: 'POST' },
        'give up',
        'not idempotent',
      ],
      [
        'our own want of sockets',
        { code: 'ERR_OUT_OF_SOCKETS' },
        {},
        'retry',
        'a connection is idle',
      ],
      [
        'our own want of sockets for a POST, with no budget',
        { code: 'ERR_OUT_OF_SOCKETS' },
        { method: 'POST', hasBudget: false },
        'retry',
        'a connection is idle',
      ],
      [
        'our own want of sockets, and no connection is idle',
        { code: 'ERR_OUT_OF_SOCKETS' },
        { isAnyLeft: false },
        'give up',
        'nobody is left',
      ],
      [
        'our own want of sockets for the third time',
        { code: 'ERR_OUT_OF_SOCKETS' },
        { attempts: 3 },
        'give up',
        'no attempts left',
      ],
      ['the client gone', { code: 'ERR_CLIENT_GONE' }, {}, 'give up', 'final error'],
      ['an idle connection closed', { isReused: true }, {}, 'race', 'idle connection closed'],
      ['the same twice', { isReused: true }, { races: 1 }, 'retry', 'may be repeated'],
      [
        'an idle connection closed, with nothing left',
        { isReused: true },
        {
          retries: { ...RETRIES, attempts: 1 },
          attempts: 1,
          hasBudget: false,
          isAnyLeft: false,
        },
        'race',
        'idle connection closed',
      ],
      [
        'an idle connection closed on a POST',
        { isReused: true },
        { method: 'POST' },
        'give up',
        'not idempotent',
      ],
      [
        'an idle connection closed in the answer',
        { isReused: true, hasResponse: true },
        {},
        'give up',
        'response has begun',
      ],
      [
        'an idle connection closed on a body that is gone',
        { isReused: true },
        { isReplayable: false },
        'give up',
        'body is gone',
      ],
      ['beside a hedge', {}, { hasHedge: true }, 'hedge', 'hedge under way'],
      [
        'beside a hedge, whatever else is the case',
        { code: 'ERR_BACKEND_BAD_RESPONSE' },
        { hasHedge: true, hasBudget: false, isAnyLeft: false, attempts: 3 },
        'hedge',
        'hedge under way',
      ],
    ],
  )('%s: %o, %o → %s, %s', (_, failed, facts, action, reason) => {
    expect(after(failed, facts)).toEqual({ action, reason });
  });
});

describe('an attempt that is late', () => {
  test.each<[string, { isTrial?: true; hasLine?: true }, Partial<RetryFacts>, string]>([
    ['a backend is fit', {}, {}, 'answer is late'],
    ['others wait for a backend', { hasLine: true }, {}, 'others wait'],
    ['its backend is being tried out', { isTrial: true }, {}, 'backend on trial'],
    ['nobody is fit', {}, { isAnyLeft: false }, 'nobody is left'],
    ['the budget is spent', {}, { hasBudget: false }, 'budget is spent'],
  ])('%s: %o, %o → %s', (_, late, facts, reason) => {
    const decision = decide(
      { kind: 'late', isTrial: false, hasLine: false, ...late },
      { ...FACTS, ...facts },
    );
    const action = reason === 'answer is late' ? 'hedge' : 'give up';
    expect(decision).toEqual({ action, reason });
  });
});

describe('whatever is the case', () => {
  const failures = fc.record({
    kind: fc.constant('failed' as const),
    code: fc.constantFrom<ErrorCode>(...ERROR_CODES),
    isReused: fc.boolean(),
    hasResponse: fc.boolean(),
  });
  const ms = fc.constantFrom(-1, 0, 1, 20, 1000, Number.POSITIVE_INFINITY);
  const situations = fc.record({
    retries: fc.record({
      ...Object.fromEntries(
        Object.entries(RETRIES).map(([key, value]) => [key, fc.constant(value)]),
      ),
      attempts: fc.integer({ min: 1, max: 10 }),
      nonIdempotent: fc.boolean(),
    }) as fc.Arbitrary<Retries>,
    method: fc.constantFrom('GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH', 'BREW'),
    isReplayable: fc.boolean(),
    attempts: fc.integer({ min: 1, max: 12 }),
    races: fc.nat(12),
    hasHedge: fc.boolean(),
    isAnyLeft: fc.boolean(),
    hasBudget: fc.boolean(),
    pauseMs: fc.constantFrom(0, 1, 20, 1000),
    msLeft: ms,
  });
  const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

  function always(
    check: (decision: RetryDecision, failed: AttemptFailed, facts: RetryFacts) => void,
  ): void {
    fc.assert(
      fc.property(failures, situations, (failed, facts) =>
        check(decide(failed, facts), failed, facts),
      ),
      { numRuns: 5_000 },
    );
  }

  test('what goes out again was not seen by the client and is at hand', () => {
    always(({ action }, { hasResponse }, { isReplayable }) => {
      if (action !== 'retry' && action !== 'race') return;
      expect([hasResponse, isReplayable]).toEqual([false, true]);
    });
  });

  test('what may have been received goes out again only if it is idempotent, or said to be', () => {
    always(({ action }, { code }, { method, retries }) => {
      if (action !== 'retry' && action !== 'race') return;
      if (['always', 'if-idle', 'if-asked'].includes(ERRORS[code].retry)) return;
      expect(retries.nonIdempotent || IDEMPOTENT.has(method)).toBe(true);
    });
  });

  test('a retry is within attempts, budget and deadline, and goes to somebody', () => {
    always(({ action }, { code }, facts) => {
      if (action !== 'retry') return;
      expect(facts.attempts).toBeLessThan(facts.retries.attempts);
      expect(facts.pauseMs).toBeLessThan(facts.msLeft);
      expect(facts.isAnyLeft).toBe(true);
      // What is short on our side is no load on anybody.
      expect(facts.hasBudget || ERRORS[code].retry === 'if-idle').toBe(true);
    });
  });

  test('a race is of an idle connection, once, or of a GOAWAY, ten times, and asks nobody', () => {
    always((decision, failed, facts) => {
      if (decision.action !== 'race') return;
      expect(facts.races).toBeLessThan(failed.code === 'ERR_BACKEND_GOAWAY' ? 10 : 1);
      const isOfIdle = failed.isReused && failed.code === 'ERR_BACKEND_CLOSED';
      expect(isOfIdle || failed.code === 'ERR_BACKEND_GOAWAY').toBe(true);
      const poor = { ...facts, hasBudget: false, isAnyLeft: false, attempts: 99, msLeft: 0 };
      expect(decide(failed, poor)).toEqual(decision);
    });
  });

  test('a hedge that is under way takes over unless the connection only lost a race', () => {
    always(({ action }, _, { hasHedge }) => {
      expect(action === 'hedge' || action === 'race' || !hasHedge).toBe(true);
      expect(action === 'hedge' && !hasHedge).toBe(false);
    });
  });

  test('the budget is the reason only where it would have paid', () => {
    always((decision, failed, facts) => {
      if (decision.reason !== 'budget is spent') return;
      expect(decide(failed, { ...facts, hasBudget: true }).action).toBe('retry');
    });
  });

  test('no fact that is better takes an attempt away', () => {
    always(({ action }, failed, facts) => {
      if (action !== 'retry') return;
      const better = { ...facts, attempts: 1, pauseMs: 0, msLeft: Number.POSITIVE_INFINITY };
      expect(decide(failed, better).action).toBe('retry');
    });
  });
});

describe('isKeepAliveRace', () => {
  test('only of a connection that was idle, without a byte of an answer, and of what may be repeated', () => {
    expect(isKeepAliveRace({ ...FAILED, isReused: true }, FACTS)).toBe(true);
    expect(isKeepAliveRace(FAILED, FACTS)).toBe(false);
    expect(isKeepAliveRace({ ...FAILED, isReused: true, hasResponse: true }, FACTS)).toBe(false);
    expect(isKeepAliveRace({ ...FAILED, isReused: true }, { ...FACTS, method: 'POST' })).toBe(
      false,
    );
  });
});

describe('isHedgeable', () => {
  const plain = { method: 'GET', upgrade: '', authenticatesConnection: false };

  test.each([
    ['a GET', plain, false, true],
    ['a POST', { ...plain, method: 'POST' }, false, false],
    ['a WebSocket', { ...plain, upgrade: 'websocket' }, false, false],
    ['NTLM', { ...plain, authenticatesConnection: true }, false, false],
    ['a client with a connection for itself', plain, true, false],
  ] as const)('%s', (_, request, isPinned, is) => {
    expect(isHedgeable(request, isPinned)).toBe(is);
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
