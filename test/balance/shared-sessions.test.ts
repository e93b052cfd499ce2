/** Sessions that all instances know, as data threads of two of them see them: the engine and the clock are the test's. */
import { beforeEach, describe, expect, test } from 'vitest';
import { SessionAsks } from '../../src/data/balance/session-asks.ts';
import { SharedSessionTable } from '../../src/data/balance/shared-session-table.ts';
import { createClientTable } from '../../src/snapshot/client-table.ts';
import type { FromDataThread } from '../../src/snapshot/messages.ts';
import type { SessionAskMessage } from '../../src/snapshot/shared-sessions.ts';
import { FakeDeadlines } from '../limit/fake-deadlines.ts';

const TTL_MS = 90_000;
const KEY = 'client';

interface Backend {
  readonly id: number;
  readonly spec: { readonly url: string };
}

/** What session-script.ts does. */
class Engine {
  readonly kept = new Map<string, string>();
  isSilent = false;
  /** How long what was asked for last is kept, if it is. */
  lastTtlMs = 0;

  answer({ key, value, instead, ttlMs, firstTtlMs }: SessionAskMessage): string {
    const kept = this.kept.get(key) ?? '';
    this.lastTtlMs = kept === '' ? firstTtlMs : ttlMs;
    if (kept !== '' && kept !== instead && instead !== '*') return kept;
    if (value === '') this.kept.delete(key);
    else this.kept.set(key, value);
    return value;
  }
}

let clock: FakeDeadlines;
let engine: Engine;

/** Ids differ from instance to instance. */
class Instance {
  readonly asked: SessionAskMessage[] = [];
  readonly asks: SessionAsks;
  readonly table: SharedSessionTable<Backend>;
  readonly backends: readonly Backend[];

  constructor(firstId: number, ttlMs = TTL_MS) {
    this.backends = ['a', 'b', 'c'].map((name, index) => ({
      id: firstId + index,
      spec: { url: `http://${name}` },
    }));
    this.asks = new SessionAsks(clock, (message: FromDataThread) => {
      this.asked.push(message as SessionAskMessage);
    });
    this.table = new SharedSessionTable<Backend>(
      {
        memory: createClientTable({ buckets: 16, values: 1, epochMs: 0 }),
        owner: 'web',
        ttlMs,
      },
      () => clock.ms,
      () => {},
      this.asks,
    );
    this.table.rebuild(this.backends);
  }

  backend(name: string): Backend {
    return this.backends.find(({ spec }) => spec.url === `http://${name}`) as Backend;
  }

  settle(): void {
    for (let message = this.asked.shift(); message !== undefined; message = this.asked.shift()) {
      const { id } = message;
      const answer = { kind: 'session-answer', id } as const;
      if (engine.isSilent) this.asks.answered({ ...answer, outcome: 'failed', value: '' });
      else this.asks.answered({ ...answer, outcome: 'answered', value: engine.answer(message) });
    }
  }

  wait(waitedMs = 0): { isTold: boolean; awaitsSession: boolean; isWaiting: boolean } {
    const waiter = {
      isTold: false,
      awaitsSession: true,
      isWaiting: false,
      onSessionKnown(): void {
        waiter.isTold = true;
      },
      onCrashed(error: unknown): void {
        throw error;
      },
    };
    const question = this.table.question(KEY);
    if (question !== null) waiter.isWaiting = this.asks.wait(question, waiter, waitedMs);
    return waiter;
  }

  /** A request of the client. @param choice where it goes if nobody has its session. */
  request(choice: string): string {
    this.wait();
    this.settle();
    const kept = this.table.lookup(KEY);
    const backend = kept ?? this.backend(choice);
    if (kept === null) this.table.bind(KEY, backend, null);
    this.settle();
    return backend.spec.url;
  }

  lose(name: string): void {
    this.table.rebuild(this.backends.filter(({ spec }) => spec.url !== `http://${name}`));
  }
}

let one: Instance;
let two: Instance;

beforeEach(() => {
  clock = new FakeDeadlines();
  engine = new Engine();
  one = new Instance(1);
  two = new Instance(101);
});

describe('a client', () => {
  test('has the backend at each instance that it had first at any', () => {
    expect([one.request('b'), two.request('a'), one.request('c')]).toEqual([
      'http://b',
      'http://b',
      'http://b',
    ]);
  });

  test('that comes to both of them at once is with one of the two from then on', () => {
    one.table.bind(KEY, one.backend('a'), null);
    two.table.bind(KEY, two.backend('b'), null);
    two.settle();
    one.settle();
    expect([one.request('c'), two.request('c')]).toEqual(['http://b', 'http://b']);
  });

  test('is asked about again after five seconds, and meanwhile not', () => {
    one.request('a');
    clock.advanceTo(clock.ms + 4_000);
    expect(one.table.question(KEY)).toBeNull();
    clock.advanceTo(clock.ms + 2_000);
    expect(one.table.question(KEY)).toMatchObject({ key: KEY, value: 'http://a', instead: '' });
  });

  test('is known to all for a minute at first, and for as long as sessions last when it comes again', () => {
    one.request('a');
    expect(engine.lastTtlMs).toBe(60_000);
    clock.advanceTo(clock.ms + 6_000);
    one.request('a');
    expect(engine.lastTtlMs).toBe(TTL_MS);
    // Forgotten meanwhile, it is told by whoever knows.
    clock.advanceTo(clock.ms + 70_000);
    engine.kept.clear();
    one.request('b');
    expect([engine.kept.get(KEY), engine.lastTtlMs]).toEqual(['http://a', TTL_MS]);
  });

  test('that a backend has named, or that was moved, is known to all for as long as sessions last', () => {
    one.table.put(KEY, one.backend('a'));
    one.settle();
    expect(engine.lastTtlMs).toBe(TTL_MS);
    one.lose('a');
    engine.kept.clear();
    one.table.bind(KEY, one.backend('b'), null);
    one.settle();
    expect([engine.kept.get(KEY), engine.lastTtlMs]).toEqual(['http://b', TTL_MS]);
  });

  test('is where its backend has said since, whatever was asked before that', () => {
    one.table.bind(KEY, one.backend('a'), null);
    const [claim] = one.asked.splice(0) as [SessionAskMessage];
    one.table.put(KEY, one.backend('b'));
    one.asks.answered({
      kind: 'session-answer',
      id: claim.id,
      outcome: 'answered',
      value: 'http://a',
    });
    expect(one.table.lookup(KEY)).toBe(one.backend('b'));
    const [tell] = one.asked.splice(0) as [SessionAskMessage];
    one.table.forget(KEY);
    one.asks.answered({
      kind: 'session-answer',
      id: tell.id,
      outcome: 'answered',
      value: 'http://b',
    });
    expect(one.table.lookup(KEY)).toBeNull();
  });

  test('whose backend is gone gets another one, and all instances follow', () => {
    expect([one.request('a'), two.request('a')]).toEqual(['http://a', 'http://a']);
    one.lose('a');
    expect(one.request('b')).toBe('http://b');
    // It still reaches the former one; it has heard of the session a moment ago.
    expect(two.request('c')).toBe('http://a');
    clock.advanceTo(clock.ms + 6_000);
    expect(two.request('c')).toBe('http://b');
  });

  test('whose backend was gone before this instance knew of the session gets another one as well', () => {
    one.request('a');
    two.lose('a');
    expect([two.request('c'), engine.kept.get(KEY)]).toEqual(['http://c', 'http://c']);
    clock.advanceTo(clock.ms + 6_000);
    expect(one.request('b')).toBe('http://c');
  });

  test('whose backend is gone at both instances at once gets one, not two', () => {
    one.request('a');
    two.request('a');
    for (const instance of [one, two]) instance.lose('a');
    one.table.bind(KEY, one.backend('b'), null);
    two.table.bind(KEY, two.backend('c'), null);
    one.settle();
    two.settle();
    expect([one.request('c'), two.request('b')]).toEqual(['http://b', 'http://b']);
  });

  test('whose backend has failed it, and is not out yet, is with the next from then on', () => {
    one.request('a');
    one.table.bind(KEY, one.backend('b'), one.backend('a'));
    one.settle();
    expect(two.request('c')).toBe('http://b');
  });

  test('whose session was heard of too late is not moved by the request that has done without', () => {
    one.request('a');
    two.wait();
    const early = two.table.lookup(KEY);
    two.settle();
    two.table.bind(KEY, two.backend('c'), early);
    two.settle();
    expect([early, one.request('b'), two.request('c')]).toEqual([null, 'http://a', 'http://a']);
  });

  test('that a backend calls by a name of its own is where that backend says', () => {
    one.request('a');
    one.table.put(KEY, one.backend('c'));
    // It says so in each answer: once is enough.
    one.table.put(KEY, one.backend('c'));
    expect(one.asked).toHaveLength(1);
    one.settle();
    expect(two.request('b')).toBe('http://c');
    one.table.forget(KEY);
    one.settle();
    expect(engine.kept.size).toBe(0);
  });
});

describe('an engine', () => {
  test('that has not heard where a session is hears it with the next request', () => {
    engine.isSilent = true;
    one.table.put(KEY, one.backend('b'));
    one.settle();
    engine.isSilent = false;
    expect([one.request('a'), two.request('c')]).toEqual(['http://b', 'http://b']);
  });

  test('that has not heard that a session was moved hears it with the next request', () => {
    one.request('a');
    one.lose('a');
    engine.isSilent = true;
    expect(one.request('b')).toBe('http://b');
    engine.isSilent = false;
    expect([one.request('c'), engine.kept.get(KEY)]).toEqual(['http://b', 'http://b']);
  });

  test.each(['answers', 'answers only the question after the next'])(
    'that has not heard that a session was moved keeps it there, though the former is back when it %s',
    (what) => {
      one.request('a');
      one.lose('a');
      engine.isSilent = true;
      expect(one.request('b')).toBe('http://b');
      one.table.rebuild(one.backends);
      if (what !== 'answers') one.request('c');
      engine.isSilent = false;
      clock.advanceTo(clock.ms + 6_000);
      expect([one.request('c'), one.request('c'), two.request('c')]).toEqual(
        Array.from({ length: 3 }, () => 'http://b'),
      );
      // Somebody else may move it again.
      two.lose('b');
      expect(two.request('a')).toBe('http://a');
      clock.advanceTo(clock.ms + 6_000);
      expect(one.request('c')).toBe('http://a');
    },
  );

  test('that is silent leaves sessions of less than a second where they are', () => {
    const quick = new Instance(1, 300);
    engine.isSilent = true;
    quick.table.put(KEY, quick.backend('b'));
    quick.settle();
    expect(quick.table.lookup(KEY)).toBe(quick.backend('b'));
  });

  test('that has lost all is told again by whoever knows', () => {
    one.request('b');
    engine.kept.clear();
    clock.advanceTo(clock.ms + 6_000);
    expect([one.request('a'), two.request('c')]).toEqual(['http://b', 'http://b']);
  });

  test('that is silent is waited for no longer than 25 ms, together with what was waited before', () => {
    const [first, second] = [one.wait(), one.wait(20)];
    expect(one.asked).toHaveLength(1);
    clock.advanceTo(clock.ms + 5);
    expect([first.isTold, second.isTold]).toEqual([false, true]);
    clock.advanceTo(clock.ms + 20);
    expect(first.isTold).toBe(true);
    // Whoever comes now does not wait for the same.
    expect(one.wait().isWaiting).toBe(false);
    expect(one.wait(24).isWaiting).toBe(false);
  });

  test('that does not answer leaves a session where it is, and is not asked for the next five seconds', () => {
    one.request('a');
    clock.advanceTo(clock.ms + 6_000);
    engine.isSilent = true;
    expect([one.request('b'), one.table.question(KEY)]).toEqual(['http://a', null]);
  });

  test('that is down is not asked: uses keep a session, as without it', () => {
    one.request('a');
    one.asks.isEngineDown = true;
    for (let use = 0; use < 3; use++) {
      clock.advanceTo(clock.ms + TTL_MS - 1_000);
      expect(one.request('b')).toBe('http://a');
    }
    expect(one.asked).toEqual([]);
  });

  test('that says so is down for all who come', () => {
    const waiter = one.wait();
    const [{ id }] = one.asked as [SessionAskMessage];
    one.asks.answered({ kind: 'session-answer', id, outcome: 'down', value: '' });
    expect([waiter.isTold, one.asks.isEngineDown, one.wait().isWaiting]).toEqual([
      true,
      true,
      false,
    ]);
  });
});
