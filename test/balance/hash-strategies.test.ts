import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Strategy } from '../../src/data/balance/strategy.ts';
import {
  candidate,
  candidates,
  client,
  KEY,
  shares,
  strategyOf,
  type TestCandidate,
} from './strategy-cases.ts';

const CLIENTS = 10_000;

/** Where each of so many clients goes, one after the other, nothing being in flight. */
function homes(strategy: Strategy<TestCandidate>, count = CLIENTS): number[] {
  return Array.from({ length: count }, (_, index) => strategy.pick(client(index), null)?.id ?? -1);
}

function without(all: readonly TestCandidate[], ...ids: number[]): TestCandidate[] {
  return all.filter(({ id }) => !ids.includes(id));
}

describe.each(['ip-hash', 'consistent-hash'] as const)('%s', (name) => {
  test('a key goes to the same backend each time', () => {
    const strategy = strategyOf(name, candidates(1, 2, 3, 4));
    expect(homes(strategy, 1_000)).toEqual(homes(strategy, 1_000));
  });

  test('in every thread, after every restart, whatever the order and the ids of the backends', () => {
    const all = candidates(1, 2, 3, 4);
    const [a, b, c, d] = all as [TestCandidate, TestCandidate, TestCandidate, TestCandidate];
    const elsewhere = [d, b, a, c].map((backend) => ({ ...backend, id: backend.id + 100 }));
    const there = homes(strategyOf(name, elsewhere, { seed: 99, firstTurn: 7 }));
    expect(there.map((id) => id - 100)).toEqual(homes(strategyOf(name, all)));
  });

  test('the places of some clients, as they have to stay from version to version', () => {
    expect(homes(strategyOf(name, candidates(1, 1, 1, 1, 1)), 16)).toEqual([
      2, 4, 1, 1, 3, 3, 1, 3, 2, 0, 0, 3, 1, 1, 1, 3,
    ]);
  });

  test('10,000 clients, one of five backends removed: its clients move, and no others', () => {
    const all = candidates(1, 1, 1, 1, 1);
    for (const { id: gone } of all) {
      const strategy = strategyOf(name, all);
      const before = homes(strategy);
      strategy.rebuild(without(all, gone));
      const after = homes(strategy);
      const moved = before.filter((id, index) => id !== after[index]);
      expect(new Set(moved)).toEqual(new Set([gone]));
      expect(Math.abs(moved.length - CLIENTS / 5)).toBeLessThan(200);
      // They are spread over all others, and come back when it does.
      const heirs = shares(
        after.filter((_, index) => before[index] === gone),
        5,
      );
      for (const { id } of without(all, gone)) {
        expect(Math.abs((heirs[id] ?? 0) - CLIENTS / 20)).toBeLessThan(120);
      }
      strategy.rebuild(all);
      expect(homes(strategy)).toEqual(before);
    }
  });

  test('any set, any weights, any of them gone: no client of another backend moves', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 2, maxLength: 30 }),
        fc.array(fc.nat(29), { minLength: 1, maxLength: 5 }),
        (weights, gone) => {
          const all = candidates(...weights);
          const left = without(all, ...gone);
          fc.pre(left.length > 0);
          const before = homes(strategyOf(name, all), 300);
          const after = homes(strategyOf(name, left), 300);
          const moved = before.filter((home, index) => after[index] !== home);
          expect(moved.every((home) => gone.includes(home))).toBe(true);
        },
      ),
    );
  });

  test('a weight that grows draws clients to its backend, and moves none between the others', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 10 }),
        fc.nat(),
        fc.integer({ min: 1, max: 9_900 }),
        (weights, choice, growth) => {
          const all = candidates(...weights);
          const grown = all[choice % all.length] as TestCandidate;
          const strategy = strategyOf(name, all);
          const before = homes(strategy, 300);
          grown.weight += growth;
          strategy.rebuild(all);
          for (const [index, home] of homes(strategy, 300).entries()) {
            expect([before[index], grown.id]).toContain(home);
          }
        },
      ),
    );
  });

  test.each([
    { weights: [1, 1, 1] },
    { weights: [5, 3, 2] },
    { weights: [100, 10, 1] },
    { weights: [10_000, 5_000, 1_000] },
  ])('clients are shared out by weight ($weights)', ({ weights }) => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const counts = shares(homes(strategyOf(name, candidates(...weights)), 100_000), weights.length);
    for (const [id, weight] of weights.entries()) {
      const expected = (100_000 * weight) / total;
      expect(Math.abs((counts[id] ?? 0) - expected)).toBeLessThan(expected * 0.03 + 100);
    }
  });

  test('a hundred backends: each share is within a sixth of what it should be', () => {
    const all = candidates(...Array.from({ length: 100 }, () => 1));
    for (const count of shares(homes(strategyOf(name, all), 200_000), 100)) {
      expect(Math.abs(count / 2_000 - 1)).toBeLessThan(0.17);
    }
  });

  test('who has to avoid its backend goes where it would go without it', () => {
    const all = candidates(3, 1, 2, 1, 1);
    const strategy = strategyOf(name, all);
    for (let index = 0; index < 500; index++) {
      const first = strategy.pick(client(index), null) as TestCandidate;
      const second = strategy.pick(client(index), [first]) as TestCandidate;
      const third = strategy.pick(client(index), [second, first]) as TestCandidate;
      expect(strategyOf(name, without(all, first.id)).pick(client(index), null)).toBe(second);
      expect(strategyOf(name, without(all, first.id, second.id)).pick(client(index), null)).toBe(
        third,
      );
      expect(strategy.pick(client(index), all)).toBe(first);
    }
  });

  test('two backends of the same key have clients each', () => {
    const twins = candidates(1, 1).map((backend) => ({ ...backend, key: 'http://twin:80' }));
    const counts = shares(homes(strategyOf(name, twins)), 2);
    for (const count of counts) expect(Math.abs(count - CLIENTS / 2)).toBeLessThan(300);
  });

  test('any text is a key', () => {
    const strategy = strategyOf(name, candidates(1, 1, 1));
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (key) => {
        expect(strategy.pick(key, null)).toBe(strategy.pick(key, null));
        expect(strategy.pick(key, null)).not.toBeNull();
      }),
    );
  });
});

test('ip-hash stays with its backend however much that has to do', () => {
  const all = candidates(1, 1, 1);
  const strategy = strategyOf('ip-hash', all);
  const home = strategy.pick(KEY, null) as TestCandidate;
  home.inFlight = 1_000;
  expect(strategy.pick(KEY, null)).toBe(home);
});

describe('consistent-hash, bounded loads', () => {
  test('one key that all ask for is spread: nobody has more than 1.25 times the average, rounded up', () => {
    fc.assert(
      fc.property(
        // Up to eight backends the requests are counted at every pick.
        fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 400 }),
        (weights, requests) => {
          const all = candidates(...weights);
          const strategy = strategyOf('consistent-hash', all);
          for (let request = 0; request < requests; request++) {
            (strategy.pick(KEY, null) as TestCandidate).inFlight++;
          }
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          for (const { weight, inFlight } of all) {
            expect(inFlight).toBeLessThanOrEqual(Math.ceil((1.25 * requests * weight) / total));
          }
        },
      ),
      // 1.25 × 88 / 294 × 294 is 110.00000000000001 to a computer: one request more.
      { examples: [[[12, 78, 88, 81, 35], 294]] },
    );
  });

  test('of many backends too, but for the requests that were not counted yet', () => {
    const all = candidates(...Array.from({ length: 100 }, () => 1));
    const strategy = strategyOf('consistent-hash', all);
    const running: TestCandidate[] = [];
    let most = 0;
    for (let request = 0; request < 20_000; request++) {
      const chosen = strategy.pick(client(request % 40), null) as TestCandidate;
      chosen.inFlight++;
      running.push(chosen);
      if (running.length > 1_000) (running.shift() as TestCandidate).inFlight--;
      if (request > 1_000) most = Math.max(most, chosen.inFlight);
    }
    // The average is 10.
    expect(most).toBe(13);
  });

  test('a key keeps to its backend up to the bound, and returns when there is room', () => {
    const all = candidates(1, 1, 1, 1);
    const strategy = strategyOf('consistent-hash', all);
    const home = strategy.pick(KEY, null) as TestCandidate;
    for (const backend of all) backend.inFlight = 8;
    // Of 36 requests it may have ⌈36 × 1.25 / 4⌉ = 12, and of 37 no more.
    home.inFlight = 11;
    expect(strategy.pick(KEY, null)).toBe(home);
    home.inFlight = 12;
    const next = strategy.pick(KEY, null) as TestCandidate;
    expect(next).not.toBe(home);
    expect(strategy.pick(KEY, null)).toBe(next);
    home.inFlight = 11;
    expect(strategy.pick(KEY, null)).toBe(home);
  });

  test('what one backend cannot take is spread over all others', () => {
    const all = candidates(1, 1, 1, 1, 1);
    const strategy = strategyOf('consistent-hash', all);
    const before = homes(strategy);
    (all[2] as TestCandidate).inFlight = 1_000;
    const after = homes(strategy);
    const heirs = shares(
      after.filter((_, index) => before[index] === 2),
      5,
    );
    expect(heirs[2]).toBe(0);
    for (const { id } of without(all, 2)) {
      expect(Math.abs((heirs[id] ?? 0) - CLIENTS / 20)).toBeLessThan(120);
    }
    const stayed = before.filter((home, index) => after[index] === home);
    expect(stayed).toEqual(before.filter((home) => home !== 2));
  });

  test('a full one is better than one that was tried', () => {
    const [a, b] = candidates(1, 1) as [TestCandidate, TestCandidate];
    const strategy = strategyOf('consistent-hash', [a, b]);
    b.inFlight = 100;
    expect(strategy.pick(KEY, [a])).toBe(b);
    expect(strategy.pick(KEY, [b])).toBe(a);
  });

  test('of the full and the free that are left, a free one', () => {
    const all = candidates(1, 1, 1);
    const [a, b, c] = all as [TestCandidate, TestCandidate, TestCandidate];
    const strategy = strategyOf('consistent-hash', all);
    b.inFlight = 100;
    for (let index = 0; index < 100; index++) {
      expect(strategy.pick(client(index), [a])).toBe(c);
    }
  });

  test('the bound goes by weight', () => {
    const all = [candidate(0, 1), candidate(1, 9)];
    const strategy = strategyOf('consistent-hash', all);
    for (let request = 0; request < 100; request++) {
      (strategy.pick(client(request), null) as TestCandidate).inFlight++;
    }
    expect(all[0]?.inFlight).toBeLessThanOrEqual(13);
    expect(all[1]?.inFlight).toBeGreaterThanOrEqual(87);
  });
});
