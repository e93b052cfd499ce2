import { describe, expect, test } from 'vitest';
import type { Strategy } from '../../src/data/balance/strategy.ts';
import {
  candidates,
  client,
  KEY,
  shares,
  strategyOf,
  type TestCandidate,
} from './strategy-cases.ts';

const DECAY_MS = 10_000;

class Trial {
  readonly all: readonly TestCandidate[];
  readonly strategy: Strategy<TestCandidate>;
  now = 5_000;

  constructor(...weights: readonly number[]) {
    this.all = candidates(...weights);
    this.strategy = strategyOf('peak-ewma', this.all, { now: () => this.now });
  }

  backend(id: number): TestCandidate {
    return this.all[id] as TestCandidate;
  }

  start(backend: TestCandidate): void {
    backend.inFlight++;
    this.strategy.onStart?.(backend);
  }

  finish(backend: TestCandidate, ms: number, hasFailed = false): void {
    backend.inFlight--;
    this.strategy.onFinish?.(backend, hasFailed, ms);
  }

  callOff(backend: TestCandidate, ms: number): void {
    backend.inFlight--;
    this.strategy.onCalledOff?.(backend, ms);
  }

  /** Backend by backend, one answer each that took so long. */
  answers(...latencies: readonly number[]): this {
    for (const [id, ms] of latencies.entries()) {
      this.start(this.backend(id));
      this.finish(this.backend(id), ms);
    }
    return this;
  }

  /** Whom so many picks choose, none of them carried out. */
  picked(count = 50): ReadonlySet<number | undefined> {
    return new Set(Array.from({ length: count }, () => this.strategy.pick(KEY, null)?.id));
  }

  /** How many requests backend `id` must have in flight before `other`, with what it has, costs less. */
  worth(id: number, other: number): number {
    const backend = this.backend(id);
    const rest = this.all.filter((each) => each.id !== id && each.id !== other);
    const before = backend.inFlight;
    backend.inFlight = 0;
    while (this.strategy.pick(KEY, rest) === backend) backend.inFlight++;
    const count = backend.inFlight;
    backend.inFlight = before;
    return count;
  }
}

function p99(latencies: readonly number[]): number {
  return latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)] as number;
}

describe('peak-ewma', () => {
  test('the quickest is picked, until it has more to do than it is quicker', () => {
    const trial = new Trial(1, 1).answers(10, 35);
    expect(trial.picked()).toEqual(new Set([0]));
    // 10 × 3 < 35 < 10 × 4.
    trial.backend(0).inFlight = 2;
    expect(trial.picked()).toEqual(new Set([0]));
    trial.backend(0).inFlight = 3;
    expect(trial.picked()).toEqual(new Set([1]));
  });

  test('cost goes by weight', () => {
    const trial = new Trial(1, 4).answers(10, 35);
    expect(trial.picked()).toEqual(new Set([1]));
    trial.backend(1).inFlight = 1;
    expect(trial.picked()).toEqual(new Set([0]));
  });

  test('a peak counts at once, and in full', () => {
    const trial = new Trial(1, 1);
    for (let round = 0; round < 100; round++) trial.answers(10, 10);
    trial.answers(505);
    expect(trial.picked()).toEqual(new Set([1]));
    expect(trial.worth(1, 0)).toBe(50);
  });

  test('quick answers after a peak count as much as time has passed', () => {
    const trial = new Trial(1, 1).answers(1_000, 10);
    // At once: not at all.
    for (let answer = 0; answer < 100; answer++) trial.answers(10);
    expect(trial.worth(1, 0)).toBeGreaterThan(95);
    // After the time constant: 1/e of the peak is left, 1 − 1/e of the new.
    trial.now += DECAY_MS;
    trial.answers(10, 10);
    const left = (1_000 / Math.E + 10 * (1 - 1 / Math.E)) / 10;
    expect(Math.abs(trial.worth(1, 0) - left)).toBeLessThan(1);
  });

  test('who is not heard of is forgiven by and by: 10 s divide its latency by e', () => {
    const trial = new Trial(1, 1).answers(1_000, 10);
    for (const constants of [1, 2, 3, 4]) {
      trial.now += DECAY_MS;
      trial.start(trial.backend(1));
      trial.finish(trial.backend(1), 10);
      expect(Math.abs(trial.worth(1, 0) - 100 / Math.E ** constants)).toBeLessThan(1);
    }
    // 1,000 / e^4.7 < 10: it is tried again, and if it is still slow, left at once.
    trial.now += 0.7 * DECAY_MS;
    trial.start(trial.backend(1));
    trial.finish(trial.backend(1), 10);
    expect(trial.picked()).toEqual(new Set([0]));
    trial.answers(1_000);
    expect(trial.picked()).toEqual(new Set([1]));
  });

  test.each([3_600_000, 86_400_000, 30 * 86_400_000])(
    'after %i ms of silence it goes on as ever',
    (silence) => {
      const trial = new Trial(1, 1).answers(5, 7);
      trial.now += silence;
      trial.answers(25, 10);
      expect(trial.picked()).toEqual(new Set([1]));
      expect(trial.worth(1, 0)).toBe(2);
    },
  );

  test('a silent one is forgiven as time goes on, however much is heard of the other', () => {
    const trial = new Trial(1, 1).answers(10, 5_000);
    expect(trial.picked()).toEqual(new Set([0]));
    for (let second = 0; second < 320; second++) {
      trial.now += 1_000;
      trial.answers(10);
    }
    expect(trial.picked()).toEqual(new Set([1]));
  });

  test('over hours of answers the order stays right', () => {
    const trial = new Trial(1, 1, 1);
    for (let second = 0; second < 20_000; second += 7) {
      trial.now = second * 1_000;
      trial.answers(30, 20, 10);
      expect(trial.strategy.pick(KEY, null)?.id).toBe(2);
    }
  });
});

describe('peak-ewma, errors', () => {
  test('a backend that fails at once does not look fast', () => {
    const trial = new Trial(1, 1).answers(19.9, 19.9);
    trial.start(trial.backend(0));
    trial.finish(trial.backend(0), 0.1, true);
    expect(trial.picked()).toEqual(new Set([1]));
    // As if it had taken 1 s.
    expect(trial.worth(1, 0)).toBe(50);
  });

  test('not among backends that take seconds either', () => {
    const trial = new Trial(1, 1, 1).answers(20_000, 30_000, 20_000);
    trial.start(trial.backend(0));
    trial.finish(trial.backend(0), 0.1, true);
    expect(trial.picked()).toEqual(new Set([2]));
    expect(trial.worth(1, 0)).toBe(1);
  });

  test('nor when it is the first that is heard of it', () => {
    const trial = new Trial(1, 1);
    trial.start(trial.backend(0));
    trial.start(trial.backend(1));
    trial.finish(trial.backend(0), 0.1, true);
    trial.finish(trial.backend(1), 40);
    expect(trial.picked()).toEqual(new Set([1]));
  });

  test('a failure that took long counts as long as it took', () => {
    const trial = new Trial(1, 1).answers(20, 99);
    trial.start(trial.backend(0));
    trial.finish(trial.backend(0), 5_000, true);
    expect(trial.worth(1, 0)).toBe(50);
  });

  test('one of three that refuses everything gets next to nothing', () => {
    const trial = new Trial(1, 1, 1);
    const counts = [0, 0, 0];
    // 1,000 requests/s for a minute; the two good ones take 10 ms.
    const running: { until: number; backend: TestCandidate }[] = [];
    for (let tick = 0; tick < 60_000; tick++) {
      trial.now++;
      while (running[0] !== undefined && running[0].until <= trial.now) {
        const [done] = running.splice(0, 1);
        if (done !== undefined) trial.finish(done.backend, 10);
      }
      const backend = trial.strategy.pick(client(tick), null) as TestCandidate;
      counts[backend.id] = (counts[backend.id] ?? 0) + 1;
      trial.start(backend);
      if (backend.id === 0) trial.finish(backend, 0.2, true);
      else running.push({ until: trial.now + 10, backend });
    }
    expect(counts[0]).toBeLessThan(20);
  });
});

describe('peak-ewma, unseen backends', () => {
  test('each gets one request to begin with', () => {
    const trial = new Trial(1, 1, 1);
    const ids = Array.from({ length: 3 }, () => {
      const backend = trial.strategy.pick(KEY, null) as TestCandidate;
      trial.start(backend);
      return backend.id;
    });
    expect(shares(ids, 3)).toEqual([1, 1, 1]);
  });

  test('a new one under load gets a single request until it has answered', () => {
    const trial = new Trial(1, 1, 1);
    const [a, b, fresh] = trial.all as [TestCandidate, TestCandidate, TestCandidate];
    trial.strategy.rebuild([a, b]);
    for (const backend of [a, b]) {
      trial.start(backend);
      trial.finish(backend, 10);
    }
    trial.strategy.rebuild([a, b, fresh]);
    const counts = [0, 0, 0];
    for (let request = 0; request < 1_000; request++) {
      const backend = trial.strategy.pick(KEY, null) as TestCandidate;
      counts[backend.id] = (counts[backend.id] ?? 0) + 1;
      trial.start(backend);
    }
    expect(counts[2]).toBe(1);
    // It has answered, quickly: with nothing to do, it is the cheapest until it has its share.
    trial.finish(fresh, 10);
    expect(trial.picked()).toEqual(new Set([2]));
  });

  test('requests of other threads do not keep this one from trying it', () => {
    const trial = new Trial(1, 1);
    const [a, fresh] = trial.all as [TestCandidate, TestCandidate];
    trial.start(a);
    trial.finish(a, 10);
    fresh.inFlight = 50;
    expect(trial.picked()).toEqual(new Set([1]));
    trial.start(fresh);
    expect(trial.picked()).toEqual(new Set([0]));
  });

  test('when all are awaited, the one with the fewest in flight for its weight is picked', () => {
    const trial = new Trial(1, 3);
    for (const backend of trial.all) trial.start(backend);
    expect(trial.picked()).toEqual(new Set([1]));
    trial.backend(1).inFlight = 6;
    expect(trial.picked()).toEqual(new Set([0]));
  });
});

describe('peak-ewma, rebuilds', () => {
  test('what is known of those that stay is kept, under another weight too', () => {
    const trial = new Trial(1, 1, 1).answers(10, 50, 30);
    const [, b, c] = trial.all as [TestCandidate, TestCandidate, TestCandidate];
    trial.strategy.rebuild([c, b]);
    expect(trial.picked()).toEqual(new Set([2]));
    b.weight = 2;
    trial.strategy.rebuild([b, c]);
    expect(trial.picked()).toEqual(new Set([1]));
  });

  test('one that went and came back is as good as new', () => {
    const trial = new Trial(1, 1).answers(10, 500);
    trial.strategy.rebuild([trial.backend(0)]);
    trial.strategy.rebuild(trial.all);
    expect(trial.picked()).toEqual(new Set([1]));
  });

  test('unless it has requests under way', () => {
    const trial = new Trial(1, 1).answers(10, 500);
    const slow = trial.backend(1);
    trial.start(slow);
    trial.strategy.rebuild([trial.backend(0)]);
    trial.strategy.rebuild(trial.all);
    expect(trial.picked()).toEqual(new Set([0]));
    trial.finish(slow, 605);
    expect(trial.worth(0, 1)).toBe(60);
  });

  test('a request that was called off shows how long it would have taken at least', () => {
    const trial = new Trial(1, 1).answers(10, 25);
    const quick = trial.backend(0);
    trial.start(quick);
    // No longer than it usually takes: nothing is learnt.
    trial.callOff(quick, 5);
    expect(trial.worth(0, 1)).toBe(2);
    trial.start(quick);
    trial.callOff(quick, 205);
    expect(trial.picked()).toEqual(new Set([1]));
    expect(trial.worth(1, 0)).toBe(8);
  });

  test('a little waiting says nothing of a backend that has never answered', () => {
    const trial = new Trial(1, 1).answers(10);
    const unknown = trial.backend(1);
    trial.start(unknown);
    trial.callOff(unknown, 5);
    expect(trial.picked()).toEqual(new Set([1]));
    trial.start(unknown);
    trial.callOff(unknown, 105);
    expect(trial.picked()).toEqual(new Set([0]));
    expect(trial.worth(0, 1)).toBe(10);
  });

  test('an answer that breaks off counts as a failure', () => {
    const trial = new Trial(1, 1).answers(10, 21);
    trial.strategy.onBrokenOff?.(trial.backend(0), 30);
    expect(trial.picked()).toEqual(new Set([1]));
    expect(trial.worth(1, 0)).toBe(47);
  });
});

test('peak-ewma: a backend that turns 50 times slower is left to itself', () => {
  const trial = new Trial(1, 1, 1);
  /** Requests under way by the tick of 1 ms that they end in. */
  const ends = new Map<number, (() => void)[]>();
  const latenciesBefore: number[] = [];
  const latenciesAfter: number[] = [];
  const slowPicks: number[] = [];
  for (let tick = 0; tick < 20_000; tick++) {
    trial.now++;
    for (const end of ends.get(tick) ?? []) end();
    ends.delete(tick);
    const backend = trial.strategy.pick(client(tick), null) as TestCandidate;
    const isSlow = backend.id === 1 && tick >= 10_000;
    if (isSlow) slowPicks.push(tick);
    trial.start(backend);
    const ms = isSlow ? 500 : 8 + (tick % 5);
    const end = () => trial.finish(backend, ms);
    ends.set(tick + ms, [...(ends.get(tick + ms) ?? []), end]);
    if (tick >= 5_000 && tick < 10_000) latenciesBefore.push(ms);
    if (tick >= 11_000) latenciesAfter.push(ms);
  }
  expect(p99(latenciesAfter)).toBeLessThanOrEqual(2 * p99(latenciesBefore));
  expect(slowPicks.length).toBeLessThan(30);
});
