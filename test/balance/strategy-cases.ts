/**
 * What every strategy has to do, whatever its algorithm: `strategies.test.ts` runs each case against each name of
 * STRATEGY_NAMES. A new strategy joins there and gets them all.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { createStrategy } from '../../src/data/balance/strategies.ts';
import type { Candidate, Strategy } from '../../src/data/balance/strategy.ts';
import type { StrategyName } from '../../src/snapshot/snapshot.ts';

/** A candidate whose requests in flight the test counts. */
export interface TestCandidate extends Candidate {
  weight: number;
  inFlight: number;
}

export function candidate(id: number, weight: number): TestCandidate {
  const inFlightCell = new Int32Array(1);
  return {
    id,
    key: `http://10.1.${id >> 8}.${id & 255}:80`,
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
  { seed = 1, firstTurn = 0, now = (): number => 0 } = {},
): Strategy<TestCandidate> {
  let turn = firstTurn;
  const strategy = createStrategy<TestCandidate>(name, {
    random: seeded(seed),
    nextTurn: () => turn++ >>> 0,
    comingTurn: () => turn >>> 0,
    now,
  });
  strategy.rebuild(eligible);
  return strategy;
}

export const KEY = '192.0.2.1';

/** The address of one of 2^24 clients. */
export function client(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}

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
    const chosen = strategy.pick(client(index), avoid);
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

/** Something that happens to a strategy, with numbers that say to whom. */
interface Happening {
  readonly kind: 'pick' | 'finish' | 'fail' | 'rebuild';
  readonly number: number;
}

const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('pick', 'pick', 'pick', 'finish', 'fail', 'rebuild'),
    number: fc.nat(0xff_ff),
  }),
  { maxLength: 60 },
);

/** Those whose bit is set in `bits`, the bits coming round again after sixteen. */
function chosenBy(bits: number, all: readonly TestCandidate[]): TestCandidate[] {
  return all.filter(({ id }) => ((bits >> (id % 16)) & 1) === 1);
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
      const [ofA = 0, ofB = 0] = shares(picks(strategy, 5_000, { inFlight: 30 }), 2);
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
    title:
      'whatever happens, it picks whom it foretells: one of the set, and none of the avoided while another is left',
    run: (name) => {
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 40 }),
          happenings,
          (weights, course) => {
            const all = candidates(...weights);
            let now = 0;
            const strategy = strategyOf(name, all, { now: () => now });
            let eligible = all;
            const running: TestCandidate[] = [];
            for (const { kind, number } of course) {
              now += number;
              if (kind === 'rebuild') {
                eligible = chosenBy(number, all);
                for (const { id } of eligible) (all[id] as TestCandidate).weight = 1 + (number % 7);
                strategy.rebuild(eligible);
              } else if (kind === 'pick') {
                const avoid = number % 3 === 0 ? chosenBy(number, all) : null;
                const foretold = [0, 1].map(() => strategy.preview(client(number), avoid).backend);
                const chosen = strategy.pick(client(number), avoid);
                expect(foretold).toEqual([chosen, chosen]);
                if (eligible.length === 0) {
                  expect(chosen).toBeNull();
                  continue;
                }
                const left = eligible.filter((backend) => avoid?.includes(backend) !== true);
                expect(left.length === 0 ? eligible : left).toContain(chosen);
                (chosen as TestCandidate).inFlight++;
                strategy.onStart?.(chosen as TestCandidate);
                running.push(chosen as TestCandidate);
              } else {
                const [done] = running.splice(number % Math.max(running.length, 1), 1);
                if (done === undefined) continue;
                done.inFlight--;
                strategy.onFinish?.(done, kind === 'fail', number / 16);
              }
            }
          },
        ),
      );
    },
  },
  {
    title: 'requests that it never heard the start of may end',
    run: (name) => {
      const all = candidates(1, 1);
      const strategy = strategyOf(name, all);
      for (const backend of all) strategy.onFinish?.(backend, false, 5);
      strategy.onFinish?.(candidate(99, 1), true, 5);
      expect(new Set(picks(strategy, 200, { inFlight: 10 }))).toEqual(new Set([0, 1]));
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
        new Set(picks(strategyOf(name, candidates(1000, 1)), 20_020, { inFlight: 1_200 })),
      ).toEqual(new Set([0, 1]));
      expect(new Set(ids).size).toBeGreaterThan(800);
    },
  },
];
