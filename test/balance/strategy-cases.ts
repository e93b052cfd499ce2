/**
 * What every strategy has to do, whatever its algorithm: `strategies.test.ts` runs each case against each name of
 * STRATEGY_NAMES. A new strategy joins there and gets them all.
 */
import { expect } from 'vitest';
import { createStrategy } from '../../src/data/balance/strategies.ts';
import type { Candidate, Strategy } from '../../src/data/balance/strategy.ts';
import type { StrategyName } from '../../src/snapshot/snapshot.ts';

/** A candidate whose requests in flight the test counts. */
export interface TestCandidate extends Candidate {
  weight: number;
  inFlight: number;
}

function candidate(id: number, weight: number): TestCandidate {
  const inFlightCell = new Int32Array(1);
  return {
    id,
    weight,
    inFlightCell,
    get inFlight() {
      return inFlightCell[0] as number;
    },
    set inFlight(count) {
      inFlightCell[0] = count;
    },
  };
}

export function candidates(...weights: readonly number[]): TestCandidate[] {
  return weights.map((weight, id) => candidate(id, weight));
}

/** Mulberry32: uniform in [0, 1), the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function strategyOf(
  name: StrategyName,
  eligible: readonly TestCandidate[],
  { seed = 1, firstTurn = 0 } = {},
): Strategy<TestCandidate> {
  let turn = firstTurn;
  const strategy = createStrategy<TestCandidate>(name, {
    random: seeded(seed),
    nextTurn: () => turn++ >>> 0,
    now: () => 0,
  });
  strategy.rebuild(eligible);
  return strategy;
}

export const KEY = '192.0.2.1';

/** Picks `count` times, each from another client; requests stay in flight unless `finish` says how many may. */
export function picks(
  strategy: Strategy<TestCandidate>,
  count: number,
  {
    avoid = null,
    inFlight = 0,
  }: { avoid?: readonly TestCandidate[] | null; inFlight?: number } = {},
): number[] {
  const running: TestCandidate[] = [];
  const ids: number[] = [];
  for (let index = 0; index < count; index++) {
    const chosen = strategy.pick(`192.0.2.${index % 256}`, avoid);
    if (chosen === null) throw new Error('nobody was picked');
    ids.push(chosen.id);
    chosen.inFlight++;
    strategy.onStart?.(chosen);
    running.push(chosen);
    if (running.length <= inFlight) continue;
    const [done] = running.splice(0, 1) as [TestCandidate];
    done.inFlight--;
    strategy.onFinish?.(done, false, 1);
  }
  for (const done of running) {
    done.inFlight--;
    strategy.onFinish?.(done, false, 1);
  }
  return ids;
}

/** How often each id occurs. */
export function shares(ids: readonly number[], size: number): number[] {
  const counts = Array.from({ length: size }, () => 0);
  for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
  return counts;
}

interface StrategyCase {
  readonly title: string;
  readonly run: (name: StrategyName) => void;
}

export const STRATEGY_CASES: readonly StrategyCase[] = [
  {
    title: 'with nobody eligible it picks nobody',
    run: (name) => {
      const strategy = strategyOf(name, []);
      expect(strategy.pick(KEY, null)).toBeNull();
      expect(strategy.pick(KEY, candidates(1))).toBeNull();
      strategy.rebuild(candidates(1));
      strategy.rebuild([]);
      expect(strategy.pick(KEY, null)).toBeNull();
    },
  },
  {
    title: 'a single one gets everything',
    run: (name) => {
      expect(new Set(picks(strategyOf(name, candidates(7)), 100))).toEqual(new Set([0]));
    },
  },
  {
    title: 'it picks only from the set of the last rebuild',
    run: (name) => {
      const [a, b, c] = candidates(1, 5, 2) as [TestCandidate, TestCandidate, TestCandidate];
      const strategy = strategyOf(name, [a, b, c]);
      expect(new Set(picks(strategy, 200, { inFlight: 30 }))).toEqual(new Set([0, 1, 2]));
      strategy.rebuild([a, c]);
      expect(new Set(picks(strategy, 200, { inFlight: 30 }))).toEqual(new Set([0, 2]));
      strategy.rebuild([b]);
      expect(new Set(picks(strategy, 200, { inFlight: 30 }))).toEqual(new Set([1]));
      strategy.rebuild([a, b, c]);
      expect(new Set(picks(strategy, 200, { inFlight: 30 }))).toEqual(new Set([0, 1, 2]));
    },
  },
  {
    title: 'equal weights get equal shares, about',
    run: (name) => {
      const counts = shares(picks(strategyOf(name, candidates(1, 1, 1, 1)), 4_000), 4);
      for (const count of counts) {
        expect(count).toBeGreaterThan(850);
        expect(count).toBeLessThan(1_150);
      }
    },
  },
  {
    title: 'weights 5, 3, 2 get about 50, 30 and 20 % under load',
    run: (name) => {
      const ids = picks(strategyOf(name, candidates(5, 3, 2)), 10_000, { inFlight: 40 });
      const counts = shares(ids, 3);
      for (const [id, expected] of [5_000, 3_000, 2_000].entries()) {
        expect(Math.abs((counts[id] ?? 0) - expected)).toBeLessThan(300);
      }
    },
  },
  {
    title: 'a weight that changes counts from the rebuild on',
    run: (name) => {
      const [a, b] = candidates(1, 1) as [TestCandidate, TestCandidate];
      const strategy = strategyOf(name, [a, b]);
      picks(strategy, 10);
      b.weight = 9;
      strategy.rebuild([a, b]);
      const [ofA = 0, ofB = 0] = shares(picks(strategy, 1_000, { inFlight: 30 }), 2);
      expect(ofB / ofA).toBeGreaterThan(7);
      expect(ofB / ofA).toBeLessThan(11);
    },
  },
  {
    title: 'the avoided are picked only if nobody else is left',
    run: (name) => {
      const all = candidates(100, 1, 1);
      const [a, b, c] = all as [TestCandidate, TestCandidate, TestCandidate];
      const strategy = strategyOf(name, all);
      expect(new Set(picks(strategy, 300, { avoid: [a] }))).toEqual(new Set([1, 2]));
      expect(new Set(picks(strategy, 300, { avoid: [a, b] }))).toEqual(new Set([2]));
      c.inFlight = 1_000_000;
      expect(new Set(picks(strategy, 100, { avoid: [a, b] }))).toEqual(new Set([2]));
      const everybody = picks(strategy, 300, { avoid: [a, b, c] });
      expect(everybody.every((id) => id >= 0 && id <= 2)).toBe(true);
    },
  },
  {
    title: 'avoiding somebody who is not eligible changes nothing',
    run: (name) => {
      const strategy = strategyOf(name, candidates(1, 1));
      const stranger = candidate(99, 1);
      expect(new Set(picks(strategy, 100, { avoid: [stranger] }))).toEqual(new Set([0, 1]));
    },
  },
  {
    title: 'the same seed and the same turns give the same picks',
    run: (name) => {
      const run = (seed: number): number[] =>
        picks(strategyOf(name, candidates(3, 1, 4, 1, 5), { seed }), 500, { inFlight: 7 });
      expect(run(42)).toEqual(run(42));
    },
  },
  {
    title: 'the largest weights and a thousand backends are fine',
    run: (name) => {
      const many = candidates(...Array.from({ length: 1_000 }, (_, index) => 1 + (index % 1_000)));
      const strategy = strategyOf(name, many);
      const ids = picks(strategy, 50_000, { inFlight: 2_000 });
      // Nobody starves: even weight 1 of 500,500 gets its turn.
      expect(
        new Set(picks(strategyOf(name, candidates(1000, 1)), 2_002, { inFlight: 1_200 })),
      ).toEqual(new Set([0, 1]));
      expect(new Set(ids).size).toBeGreaterThan(800);
    },
  },
];
