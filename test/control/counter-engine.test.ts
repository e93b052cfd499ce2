/** Counting for all instances, as the control thread does it: few calls, and none where nobody answers. The engine is the test's. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RedisSettings } from '../../src/config/redis-settings.ts';
import { CounterEngine } from '../../src/control/counter-engine/counter-engine.ts';
import type {
  Claim,
  CounterStore,
  Take,
  Taken,
} from '../../src/control/counter-engine/counter-store.ts';
import { CallTimeout } from '../../src/control/counter-engine/redis-store.ts';
import type { CounterEngineMessage, RateAnswerMessage } from '../../src/snapshot/counter-engine.ts';
import type { RateLimit } from '../../src/snapshot/policies.ts';
import type { SessionAnswerMessage } from '../../src/snapshot/shared-sessions.ts';
import { recordLog, settings } from './fixtures.ts';

const LIMIT: RateLimit = {
  key: { by: 'ip', name: '' },
  rate: 1000,
  perMs: 1000,
  burst: 1000,
  scope: 'global',
  onEngineDown: 'local',
};

const REDIS: RedisSettings = {
  url: 'redis://redis.test',
  username: undefined,
  password: undefined,
  passwordFile: undefined,
  prefix: 'fairlead:',
  tls: {},
  files: {},
};

const TTLS = { ttlMs: 90_000, firstTtlMs: 60_000 };

interface Call {
  readonly asked: Take;
  readonly resolve: (taken: Taken) => void;
  readonly reject: (error: Error) => void;
}

interface ClaimCall {
  readonly asked: Claim;
  readonly resolve: (whose: string) => void;
  readonly reject: (error: Error) => void;
}

const passRound = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

async function setUp() {
  const calls: Call[] = [];
  const claims: ClaimCall[] = [];
  const told: CounterEngineMessage[] = [];
  const log = recordLog();
  let events: { readonly onReady: () => void } = { onReady: () => {} };
  const store: CounterStore = {
    take: (asked) =>
      new Promise((resolve, reject) => {
        calls.push({ asked, resolve, reject });
      }),
    claim: (asked) =>
      new Promise((resolve, reject) => {
        claims.push({ asked, resolve, reject });
      }),
    close: () => {},
  };
  const createStore = vi.fn<(settings: RedisSettings, of: typeof events) => Promise<CounterStore>>(
    (_, of) => {
      events = of;
      return Promise.resolve(store);
    },
  );
  const engine = new CounterEngine({
    log,
    instances: () => 2,
    tellThreads: (message) => told.push(message),
    createStore,
  });
  const ask = (key: string, waiting: number, debtMs = 0): RateAnswerMessage[] => {
    const answers: RateAnswerMessage[] = [];
    const message = { kind: 'rate-ask', owner: 'a', limit: LIMIT, key, waiting, debtMs } as const;
    engine.ask(message, (answer) => answers.push(answer));
    return answers;
  };
  const askForSession = (id: number): SessionAnswerMessage[] => {
    const answers: SessionAnswerMessage[] = [];
    const claim = { owner: 'web', key: 'k', value: 'http://a', instead: '', ...TTLS };
    engine.askForSession({ kind: 'session-ask', id, ...claim }, (answer) => answers.push(answer));
    return answers;
  };
  const begin = async (): Promise<void> => {
    engine.sync({ ...settings({}), redis: REDIS });
    await passRound();
  };
  const failAll = async (error = new CallTimeout('late')): Promise<void> => {
    for (const { reject } of calls.splice(0)) reject(error);
    await passRound();
  };
  return {
    engine,
    calls,
    claims,
    askForSession,
    told,
    log,
    ask,
    settle: passRound,
    begin,
    failAll,
    createStore,
    ready: () => events.onReady(),
  };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

test('where nothing is configured, nothing is made, and no timer runs', async () => {
  const { engine, createStore, settle, told } = await setUp();
  engine.sync(settings({}));
  await settle();
  engine.stop();
  expect([createStore.mock.calls.length, vi.getTimerCount(), engine.view]).toEqual([0, 0, null]);
  expect(told).toEqual([]);
});

describe('questions', () => {
  test('of one key are one call at a time, and its answer is for all that have come', async () => {
    const { ask, begin, calls, settle } = await setUp();
    await begin();
    const first = ask('k', 1, 105);
    const [second, third, other] = [ask('k', 4), ask('k', 1), ask('other', 1)];
    // A fiftieth of a second's worth.
    expect(calls.map(({ asked }) => [asked.key, asked.want, asked.debtMs])).toEqual([
      ['k', 20, 80],
      ['other', 20, 0],
    ]);
    calls[0]?.resolve({ granted: 20, waitMs: 0, debtMs: 20 });
    await settle();
    const granted = [first, second, third].map(([answer]) => answer?.granted);
    expect([granted, other]).toEqual([[15, 4, 1], []]);
  });

  test('that an answer has nothing for are asked together, once more; where all is used up they are told until when', async () => {
    const { ask, begin, calls, settle } = await setUp();
    await begin();
    const first = ask('k', 20);
    const others = [ask('k', 30), ask('k', 10, 107)];
    calls.shift()?.resolve({ granted: 20, waitMs: 0, debtMs: 1 });
    await settle();
    expect([first[0]?.granted, ...others]).toEqual([20, [], []]);
    expect(calls[0]?.asked).toMatchObject({ want: 40, debtMs: 82 });
    calls.shift()?.resolve({ granted: 5, waitMs: 3, debtMs: 1000 });
    await settle();
    expect(others.flat()).toMatchObject([
      { granted: 5, waitMs: 3, debtMs: 1000, outcome: 'counted' },
      { granted: 0, waitMs: 3 },
    ]);
    expect(calls).toEqual([]);
  });

  test('wait for no connection: the first ones fail', async () => {
    const { ask, engine, settle } = await setUp();
    engine.sync({ ...settings({}), redis: REDIS });
    const answers = ask('k', 1);
    await settle();
    expect(answers).toMatchObject([{ outcome: 'failed' }]);
  });
});

describe('an engine that does not answer', () => {
  test('is asked five times, then five times a second, and again by all when it has answered', async () => {
    const { ask, begin, calls, engine, failAll, log, settle, told } = await setUp();
    await begin();
    for (let index = 0; index < 4; index++) {
      ask('k', 1);
      await failAll();
    }
    expect(told).toEqual([]);
    ask('k', 1);
    await failAll();
    expect(told).toEqual([{ kind: 'counter-engine', isDown: true }]);
    expect(ask('k', 1)).toMatchObject([{ outcome: 'down' }]);
    expect([calls.length, engine.view?.isUp, engine.view?.lastError]).toEqual([0, false, 'late']);

    await vi.advanceTimersByTimeAsync(200);
    expect(calls.map(({ asked }) => asked.owner)).toEqual(['probe']);
    await failAll();
    expect(ask('k', 1)).toMatchObject([{ outcome: 'down' }]);
    await vi.advanceTimersByTimeAsync(200);
    calls.shift()?.resolve({ granted: 1, waitMs: 0, debtMs: 1 });
    await settle();
    expect(told.at(-1)).toEqual({ kind: 'counter-engine', isDown: false });
    ask('k', 1);
    expect(calls).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(log.lines.map(({ event }) => event)).toEqual([
      'counter_engine.down',
      'counter_engine.up',
    ]);
    expect(engine.view?.counts).toMatchObject({ timedOut: 6, granted: 1, timesDown: 1 });
    // It stays to be read, with its time.
    const { lastError, lastErrorAt } = engine.view ?? {};
    expect([lastError, lastErrorAt]).toEqual(['late', expect.any(Date)]);
  });

  test('is looked at when there is a connection, and told of once, however often it comes and goes', async () => {
    const { ask, begin, calls, failAll, log, ready, settle } = await setUp();
    await begin();
    for (let time = 0; time < 3; time++) {
      for (let index = 0; index < 5; index++) {
        ask('k', 1);
        await failAll(new Error('refused'));
      }
      ready();
      calls.shift()?.resolve({ granted: 1, waitMs: 0, debtMs: 1 });
      await settle();
    }
    expect(log.lines.map(({ event }) => event)).toEqual([
      'counter_engine.down',
      'counter_engine.up',
    ]);
  });

  test('counts for nothing once another one is configured', async () => {
    const { ask, begin, engine, failAll, told } = await setUp();
    await begin();
    for (let index = 0; index < 5; index++) {
      ask('k', 1);
      await failAll();
    }
    engine.sync(settings({}));
    expect(told.at(-1)).toEqual({ kind: 'counter-engine', isDown: false });
    expect([engine.view, vi.getTimerCount()]).toEqual([null, 0]);
  });

  test('says nothing of the next one, nor keeps anybody looking, where its calls fail when it is out of the config', async () => {
    const { ask, begin, calls, createStore, engine, failAll, settle, told } = await setUp();
    await begin();
    for (let key = 0; key < 5; key++) ask(`k${key}`, 1);
    const ofFirst = calls.splice(0);
    engine.sync(settings({}));
    for (const { reject } of ofFirst.splice(0, 2)) reject(new CallTimeout('late'));
    await settle();
    const take = vi.fn<CounterStore['take']>(() => Promise.reject(new Error('of the next')));
    const next: CounterStore = { take, claim: () => Promise.resolve(''), close: () => {} };
    createStore.mockResolvedValueOnce(next);
    engine.sync({ ...settings({}), redis: { ...REDIS, url: 'redis://next.test' } });
    await settle();
    for (const { reject } of ofFirst) reject(new CallTimeout('late'));
    await settle();
    for (let key = 0; key < 4; key++) {
      ask(`n${key}`, 1);
      await failAll();
    }
    expect([told, vi.getTimerCount(), take.mock.calls.length]).toEqual([[], 0, 4]);
    expect(engine.view).toMatchObject({ isUp: true, counts: { timedOut: 0, failed: 4 } });
  });

  test('leaves no failures to the next one', async () => {
    const { ask, begin, engine, failAll, told } = await setUp();
    for (let time = 0; time < 2; time++) {
      engine.sync(settings({}));
      await begin();
      for (let key = 0; key < 4; key++) {
        ask(`k${key}`, 1);
        await failAll();
      }
    }
    expect(told).toEqual([]);
  });

  test('does not answer for the next one that is down', async () => {
    const { ask, begin, calls, createStore, engine, failAll, settle, told } = await setUp();
    await begin();
    for (let key = 0; key < 5; key++) {
      ask(`k${key}`, 1);
      await failAll();
    }
    await vi.advanceTimersByTimeAsync(200);
    const probe = calls.shift();
    const next: CounterStore = {
      take: () => Promise.reject(new Error('of the next')),
      claim: () => Promise.resolve(''),
      close: () => {},
    };
    createStore.mockResolvedValueOnce(next);
    engine.sync({ ...settings({}), redis: { ...REDIS, url: 'redis://next.test' } });
    await settle();
    for (let key = 0; key < 5; key++) {
      ask(`n${key}`, 1);
      await settle();
    }
    probe?.resolve({ granted: 1, waitMs: 0, debtMs: 1 });
    await settle();
    expect(told.map(({ isDown }) => isDown)).toEqual([true, false, true]);
    expect(engine.view?.isUp).toBe(false);
  });
});

describe('whose a session is', () => {
  test('is answered each time, by what the engine has', async () => {
    const { askForSession, begin, claims, engine, settle } = await setUp();
    await begin();
    const [first, second] = [askForSession(1), askForSession(2)];
    claims[1]?.resolve('');
    claims[0]?.resolve('http://b');
    await settle();
    expect([...first, ...second]).toEqual([
      { kind: 'session-answer', id: 1, outcome: 'answered', value: 'http://b' },
      { kind: 'session-answer', id: 2, outcome: 'answered', value: '' },
    ]);
    expect(claims[0]?.asked).toEqual({
      owner: 'web',
      key: 'k',
      value: 'http://a',
      instead: '',
      ...TTLS,
    });
    expect(engine.view?.counts).toMatchObject({ found: 1, unknown: 1 });
  });

  test('is not asked where limits have found nobody, nor limits where sessions have', async () => {
    const { ask, askForSession, begin, calls, claims, settle, told } = await setUp();
    await begin();
    for (let id = 0; id < 5; id++) {
      expect(askForSession(id)).toEqual([]);
      claims.shift()?.reject(new CallTimeout('late'));
      await settle();
    }
    expect(told).toEqual([{ kind: 'counter-engine', isDown: true }]);
    expect(askForSession(9)).toMatchObject([{ outcome: 'down', value: '' }]);
    expect(ask('k', 1)).toMatchObject([{ outcome: 'down' }]);
    expect([calls.length, claims.length]).toEqual([0, 0]);
  });
});
