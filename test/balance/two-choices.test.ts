import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Chance } from '../../src/data/balance/chance.ts';
import { TwoChoices } from '../../src/data/balance/two-choices.ts';
import {
  candidates,
  client,
  KEY,
  picks,
  shares,
  strategyOf,
  type TestCandidate,
} from './strategy-cases.ts';

/** More than are looked at one by one. */
const MANY = 20;

function choicesOf(weights: readonly number[], random = 0.5): TwoChoices {
  const choices = new TwoChoices(new Chance(() => random));
  choices.rebuild(Float64Array.from(weights));
  return choices;
}

describe('the draw', () => {
  test.each([
    { weights: [1, 1, 1, 1] },
    { weights: [5, 3, 2] },
    { weights: [1, 1000, 1, 1, 97] },
    { weights: [10_000, 1, 1] },
  ])('the first is each as often as its weight says ($weights)', ({ weights }) => {
    const choices = choicesOf(weights);
    const draws = 100_000;
    const ids = Array.from({ length: draws }, () => {
      choices.draw();
      return choices.first;
    });
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [id, count] of shares(ids, weights.length).entries()) {
      const expected = (draws * (weights[id] as number)) / total;
      expect(Math.abs(count - expected)).toBeLessThan(6 * Math.sqrt(expected) + 1);
    }
  });

  test('any weights: always two, never the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 2, maxLength: 50 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (weights, random) => {
          const choices = choicesOf(weights, random);
          for (let turn = 0; turn < 100; turn++) {
            choices.draw();
            const { first, second } = choices;
            expect(first).not.toBe(second);
            expect(weights[first]).toBeDefined();
            expect(weights[second]).toBeDefined();
          }
        },
      ),
    );
  });
});

describe.each(['random-two', 'peak-ewma'] as const)('%s, of many', (name) => {
  const weights = Array.from({ length: MANY }, (_, index) => 1 + (index % 3));

  test('weights hold under load', () => {
    const all = candidates(...weights);
    const ids = picks(strategyOf(name, all), 60_000, { inFlight: 400 });
    for (const [id, count] of shares(ids, MANY).entries()) {
      const expected = (60_000 * (weights[id] as number)) / 39;
      expect(Math.abs(count / expected - 1)).toBeLessThan(0.15);
    }
  });

  test('the one with more to do of two is never picked: the busiest of all is left alone', () => {
    const all = candidates(...Array.from({ length: MANY }, () => 1));
    const strategy = strategyOf(name, all);
    // Each has answered alike.
    for (const backend of all) strategy.onFinish?.(backend, false, 10);
    (all[7] as TestCandidate).inFlight = 1;
    const ids = Array.from({ length: 2_000 }, () => strategy.pick(KEY, null)?.id);
    expect(ids).not.toContain(7);
    expect(new Set(ids).size).toBe(MANY - 1);
  });

  test('a weight that dwarfs the others still gets what it should, and they their bit', () => {
    const all = candidates(...Array.from({ length: MANY }, (_, id) => (id === 3 ? 10_000 : 100)));
    const ids = picks(strategyOf(name, all), 20_000, { inFlight: 600 });
    const [heavy, others] = [ids.filter((id) => id === 3).length, new Set(ids).size - 1];
    expect(heavy / 20_000).toBeGreaterThan(0.8);
    expect(heavy / 20_000).toBeLessThan(0.88);
    expect(others).toBe(MANY - 1);
  });

  test('a retry looks at all: the least loaded of those left gets it', () => {
    const all = candidates(...weights.map(() => 1));
    const strategy = strategyOf(name, all);
    for (const backend of all) {
      strategy.onFinish?.(backend, false, 10);
      backend.inFlight = 10 + backend.id;
    }
    const avoid = all.slice(0, 4);
    for (let index = 0; index < 50; index++) {
      expect(strategy.pick(client(index), avoid)?.id).toBe(4);
    }
  });
});

describe('random-two', () => {
  test('a small pool is looked at as a whole', () => {
    const all = candidates(1, 1, 1, 1, 1);
    const strategy = strategyOf('random-two', all);
    for (const backend of all) backend.inFlight = backend.id === 2 ? 4 : 5;
    expect(new Set(Array.from({ length: 100 }, () => strategy.pick(KEY, null)?.id))).toEqual(
      new Set([2]),
    );
  });

  test('of many, the longest queue stays close to the average', () => {
    const all = candidates(...Array.from({ length: 100 }, () => 1));
    const strategy = strategyOf('random-two', all);
    for (let index = 0; index < 10_000; index++) {
      (strategy.pick(KEY, null) as TestCandidate).inFlight++;
    }
    // One draw each would put some 130 requests on the unluckiest.
    expect(Math.max(...all.map((backend) => backend.inFlight))).toBeLessThan(106);
  });
});
