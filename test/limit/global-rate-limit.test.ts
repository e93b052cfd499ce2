/** A limit that all instances count together, as one data thread sees it: the engine and the clock are the test's. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Take, Taken } from '../../src/control/counter-engine/counter-store.ts';
import { RateCalls } from '../../src/control/counter-engine/rate-calls.ts';
import {
  ASK_ENGINE,
  GlobalRateLimiter,
  NOT_COUNTED,
} from '../../src/data/limit/global-rate-limit.ts';
import { RateAsks } from '../../src/data/limit/rate-asks.ts';
import { createClientTable } from '../../src/snapshot/client-table.ts';
import {
  type RateAnswerMessage,
  type RateAskMessage,
  reserveOf,
} from '../../src/snapshot/counter-engine.ts';
import type { FromDataThread } from '../../src/snapshot/messages.ts';
import type { RateLimit } from '../../src/snapshot/policies.ts';
import { FakeDeadlines } from './fake-deadlines.ts';
import { ModelEngine } from './model-engine.ts';

const KEY = 'client';

function limitOf(rate: number, burst: number, more: Partial<RateLimit> = {}): RateLimit {
  const by = { by: 'ip', name: '' } as const;
  return { key: by, rate, perMs: 1000, burst, scope: 'global', onEngineDown: 'local', ...more };
}

class Thread {
  readonly clock: FakeDeadlines;
  readonly asked: RateAskMessage[] = [];
  readonly asks: RateAsks;
  readonly limiter: GlobalRateLimiter;
  alone = 0;

  constructor(limit: RateLimit, instances = 1, clock = new FakeDeadlines()) {
    this.clock = clock;
    const post = (message: FromDataThread): void => void this.asked.push(message as RateAskMessage);
    this.asks = new RateAsks(clock, () => clock.ms, post);
    this.limiter = new GlobalRateLimiter({
      limit,
      owner: 'pool default',
      instances,
      memory: createClientTable({ buckets: 16, values: 6, epochMs: 0 }),
      asks: this.asks,
      onEvicted: () => {},
      onAlone: () => void this.alone++,
    });
  }

  take(): number {
    return this.limiter.take(KEY, this.clock.ms);
  }

  /** A request that waits. @returns what it is told, once it is. */
  wait(): { told: number | undefined; awaitsCount: boolean } {
    const waiter = {
      told: undefined as number | undefined,
      awaitsCount: true,
      onCounted(waitMs: number): void {
        waiter.told = waitMs;
        waiter.awaitsCount = false;
      },
      onCrashed(error: unknown): void {
        throw error;
      },
    };
    this.asks.wait(this.limiter, KEY, waiter);
    return waiter;
  }

  answer(of: Partial<RateAnswerMessage>): void {
    const { owner, limit, key } = this.asked.shift() as RateAskMessage;
    const none = { granted: 0, waitMs: 0, debtMs: 0 };
    this.asks.answered({
      kind: 'rate-answer',
      owner,
      limit,
      key,
      outcome: 'counted',
      ...none,
      ...of,
    });
  }
}

describe('a request', () => {
  test('that finds nothing reserved waits for the engine, and what is left is for those after it', () => {
    const thread = new Thread(limitOf(100, 100));
    expect(thread.take()).toBe(ASK_ENGINE);
    const first = thread.wait();
    expect(thread.asked).toMatchObject([
      { owner: 'pool default', key: KEY, waiting: 1, debtMs: 0 },
    ]);
    thread.answer({ granted: 2, debtMs: 20 });
    expect(first.told).toBe(0);
    expect([thread.take(), thread.take()]).toEqual([0, ASK_ENGINE]);
  });

  test('takes nothing that was reserved a second ago', () => {
    const thread = new Thread(limitOf(100, 100));
    thread.wait();
    thread.answer({ granted: 3 });
    thread.clock.advanceTo(1990);
    expect(thread.take()).toBe(0);
    thread.clock.advanceTo(2001);
    expect(thread.take()).toBe(ASK_ENGINE);
  });

  test('is refused without a question, until there may be one again', () => {
    const thread = new Thread(limitOf(10, 10));
    const waiting = [thread.wait(), thread.wait()];
    thread.answer({ granted: 1, waitMs: 80, debtMs: 1000 });
    expect(waiting.map(({ told }) => told)).toEqual([0, 80]);
    thread.clock.advanceTo(1030);
    expect(thread.take()).toBe(50);
    expect(thread.limiter.foresee(KEY, 1030)).toBe(50);
    thread.clock.advanceTo(1080);
    expect(thread.take()).toBe(ASK_ENGINE);
    expect(thread.asked).toEqual([]);
  });

  test('goes with the next question while one is under way', () => {
    const thread = new Thread(limitOf(100, 100));
    const all = [thread.wait(), thread.wait(), thread.wait()];
    expect(thread.asked.map(({ waiting }) => waiting)).toEqual([1]);
    thread.answer({ granted: 1 });
    expect(thread.asked.map(({ waiting }) => waiting)).toEqual([2]);
    thread.answer({ granted: 2 });
    expect(all.map(({ told }) => told)).toEqual([0, 0, 0]);
    expect(thread.asked).toEqual([]);
  });

  test('does not wait for longer than 25 ms, whoever is silent', () => {
    const thread = new Thread(limitOf(100, 10), 2);
    const first = thread.wait();
    thread.clock.advanceTo(1010);
    const second = thread.wait();
    thread.clock.advanceTo(1025);
    expect([first.told, second.told, thread.alone]).toEqual([0, undefined, 1]);
    thread.clock.advanceTo(1035);
    expect([second.told, thread.alone]).toEqual([0, 2]);
    // What comes too late is for the next.
    thread.answer({ granted: 1 });
    expect(thread.take()).toBe(0);
  });

  test('whose client has gone leaves what was granted to others', () => {
    const thread = new Thread(limitOf(100, 100));
    const gone = thread.wait();
    gone.awaitsCount = false;
    thread.answer({ granted: 1 });
    expect(gone.told).toBeUndefined();
    expect(thread.take()).toBe(0);
  });

  test('does not wait where much is reserved and some of it is left: more is asked for ahead, once', () => {
    const limit = limitOf(1000, 1000);
    expect(reserveOf(limit, 1)).toBe(20);
    const thread = new Thread(limit);
    thread.wait();
    thread.answer({ granted: 20 });
    for (let index = 0; index < 19; index++) expect(thread.take()).toBe(0);
    expect(thread.asked).toMatchObject([{ waiting: 0 }]);
    thread.answer({ granted: 20 });
    expect(thread.take()).toBe(0);
    expect(thread.asked).toEqual([]);
  });
});

describe('without the engine', () => {
  test('this instance allows its part, from where the client was', () => {
    const thread = new Thread(limitOf(100, 10), 2);
    thread.wait();
    // The whole burst is spent, here or elsewhere.
    thread.answer({ granted: 1, debtMs: 100 });
    thread.clock.advanceTo(2200);
    thread.wait();
    thread.answer({ granted: 1, debtMs: 100 });
    thread.asks.isEngineDown = true;
    let allowed = 0;
    for (let ms = 2201; ms <= 3200; ms++) {
      thread.clock.advanceTo(ms);
      if (thread.take() === 0) allowed++;
    }
    // Half of the rate, and nothing of the burst.
    expect([allowed, thread.asked.length]).toEqual([50, 0]);
  });

  test('who is not known has the part of the burst', () => {
    const thread = new Thread(limitOf(100, 10), 2);
    thread.asks.isEngineDown = true;
    const answers = Array.from({ length: 10 }, () => thread.take());
    expect(answers.filter((waitMs) => waitMs === 0)).toHaveLength(5);
  });

  test.each([
    ['open', 0],
    ['closed', NOT_COUNTED],
  ] as const)('%s', (onEngineDown, expected) => {
    const thread = new Thread(limitOf(1, 1, { onEngineDown }));
    const waiting = thread.wait();
    thread.answer({ outcome: 'failed' });
    expect(waiting.told).toBe(expected);
    expect(thread.take()).toBe(ASK_ENGINE);
    thread.asks.isEngineDown = true;
    expect([thread.take(), thread.take(), thread.limiter.foresee(KEY, 1000)]).toEqual([
      expected,
      expected,
      expected,
    ]);
  });

  test('an answer that says so is enough: nobody asks after it', () => {
    const thread = new Thread(limitOf(100, 10));
    const waiting = [thread.wait(), thread.wait()];
    thread.answer({ outcome: 'down' });
    expect(waiting.map(({ told }) => told)).toEqual([0, 0]);
    expect([thread.take(), thread.asked.length]).toEqual([0, 0]);
  });
});

test('nobody is refused for how long the process has run: moments of 32 bits come again after 49.7 days', () => {
  for (const ms of [2 ** 31, 2 ** 32 - 30_000, 2 ** 32 - 50, 2 ** 33 - 1]) {
    const thread = new Thread(limitOf(10, 10));
    thread.clock.advanceTo(ms);
    expect(thread.take()).toBe(ASK_ENGINE);
  }
});

test('a moment that is 0 in 32 bits holds as any other', () => {
  const thread = new Thread(limitOf(10, 10));
  thread.clock.advanceTo(2 ** 32 - 80);
  thread.wait();
  thread.answer({ waitMs: 80, debtMs: 1000 });
  expect(thread.take()).toBe(81);
});

test('an engine that comes back empty is told how far a client had got', () => {
  const thread = new Thread(limitOf(100, 10), 2);
  thread.wait();
  thread.answer({ granted: 1, debtMs: 100 });
  thread.clock.advanceTo(1040);
  thread.wait();
  expect(thread.asked[0]?.debtMs).toBeCloseTo(60, 3);
});

/** Requests of one client at two instances that share an engine: when each was let through. */
async function allowedOf(
  limit: RateLimit,
  steps: readonly { readonly afterMs: number; readonly instance: number; readonly count: number }[],
): Promise<{ allowed: number[]; calls: number }> {
  const clock = new FakeDeadlines();
  const engine = new ModelEngine(() => clock.ms);
  const threads = [new Thread(limit, 2, clock), new Thread(limit, 2, clock)];
  const take = (asked: Take): Promise<Taken> => engine.take(asked);
  const calls = threads.map(() => new RateCalls({ take, instances: () => 2 }));
  const settle = async (): Promise<void> => {
    while (threads.some(({ asked }) => asked.length > 0)) {
      for (const [index, { asked, asks }] of threads.entries()) {
        for (const message of asked.splice(0)) {
          calls[index]?.ask(message, (answer) => asks.answered(answer));
        }
      }
      await nextTurn();
    }
  };
  const allowed: number[] = [];
  for (const { afterMs, instance, count } of steps) {
    clock.advanceTo(clock.ms + afterMs);
    const thread = threads[instance] as Thread;
    const waiting: { told: number | undefined }[] = [];
    for (let index = 0; index < count; index++) {
      const waitMs = thread.take();
      if (waitMs === 0) allowed.push(clock.ms);
      if (waitMs === ASK_ENGINE) waiting.push(thread.wait());
    }
    await settle();
    for (const { told } of waiting) {
      expect(told).toBeDefined();
      if (told === 0) allowed.push(clock.ms);
    }
  }
  expect(threads.map(({ alone }) => alone)).toEqual([0, 0]);
  return { allowed, calls: engine.calls };
}

test('in any stretch of time rate × time + burst pass at all instances, and what was reserved before', async () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 300 }),
    instance: fc.integer({ min: 0, max: 1 }),
    count: fc.integer({ min: 1, max: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 2000 }),
      fc.integer({ min: 1, max: 500 }),
      fc.array(step, { minLength: 1, maxLength: 60 }),
      async (rate, burst, steps) => {
        const limit = limitOf(rate, burst);
        // Of each instance: all of one reserve, and the quarter that was left when it was asked for.
        const reserved = 2 * Math.floor(1.25 * reserveOf(limit, 2));
        const { allowed } = await allowedOf(limit, steps);
        let most = 0;
        for (const [first, from] of allowed.entries()) {
          for (let last = first; last < allowed.length; last++) {
            const ms = (allowed[last] as number) - from;
            most = Math.max(most, last - first + 1 - (rate * ms) / 1000);
          }
        }
        expect(most).toBeLessThanOrEqual(burst + reserved + 1e-6);
      },
    ),
    { numRuns: 40 },
  );
});

test('a client at its limit gets all of it, for a twentieth of a call each', async () => {
  const steps = Array.from({ length: 3000 }, (_, at) => ({
    afterMs: 1,
    instance: at % 2,
    count: 2,
  }));
  const { allowed, calls } = await allowedOf(limitOf(1000, 1000), steps);
  // Three seconds of it, and the burst.
  expect(allowed.length).toBeGreaterThan(3900);
  expect(allowed.length).toBeLessThanOrEqual(4000);
  expect(calls / (2 * steps.length)).toBeLessThan(0.06);
});
