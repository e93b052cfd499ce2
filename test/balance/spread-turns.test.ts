/** Round robin over cycles that are too long to be worked out at once. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RoundRobin } from '../../src/data/balance/round-robin.ts';
import { isQuickCycle } from '../../src/data/balance/smooth-cycle.ts';
import { SpreadTurns } from '../../src/data/balance/spread-turns.ts';
import {
  candidates,
  KEY,
  picks,
  shares,
  strategyOf,
  type TestCandidate,
} from './strategy-cases.ts';

/** A thousand, from 1 to 256, the same at every run. */
const UNEVEN = Array.from({ length: 1_000 }, (_, id) => 1 + ((id * id * 31 + id * 17) % 256));
/** One that has most of the turns, and many who could have theirs all at once. */
const GIANT = [1_000, ...Array.from({ length: 500 }, (_, id) => 1 + (id % 50))];
/** Weights that no common divisor shortens: a slow start's. */
const WARMING = [...Array.from({ length: 999 }, () => 100), 13];

const sumOf = (weights: readonly number[]): number => weights.reduce((sum, each) => sum + each, 0);

/** The whole order, in stretches one after the other. */
function cycleOf(weights: readonly number[]): number[] {
  const total = sumOf(weights);
  const turns = new SpreadTurns(weights, total);
  const owners: number[] = [];
  while (owners.length < total) {
    turns.moveTo(owners.length);
    expect(turns.begin).toBe(owners.length);
    owners.push(...turns.owners.subarray(0, turns.end - turns.begin));
  }
  expect(turns.end).toBe(total);
  return owners;
}

describe.each([
  ['uneven', UNEVEN],
  ['a giant', GIANT],
  ['warming up', WARMING],
  ['five thousand', Array.from({ length: 5_000 }, (_, id) => 1 + (id % 99))],
])('%s', (_, weights) => {
  const total = sumOf(weights);

  test('is exact over a whole cycle, wherever it begins', () => {
    expect(isQuickCycle(weights, total)).toBe(false);
    for (const firstTurn of [0, 54_321]) {
      const ids = picks(strategyOf('round-robin', candidates(...weights), { firstTurn }), total);
      expect(shares(ids, weights.length)).toEqual(weights);
    }
  });

  test('has no backend far from its share, after any number of turns', () => {
    const counts = new Float64Array(weights.length);
    let farthest = 0;
    for (const [turn, owner] of cycleOf(weights).entries()) {
      counts[owner] = (counts[owner] ?? 0) + 1;
      // All of them now and then, and at each turn whose it is.
      for (const index of turn % 997 === 0 ? counts.keys() : [owner]) {
        const share = (weights[index] as number) / total;
        const off = Math.abs((counts[index] as number) - (turn + 1) * share);
        farthest = Math.max(farthest, off / (2 + (share * weights.length) / 8));
      }
    }
    expect(farthest).toBeLessThan(1);
  });

  test('sends no burst to one backend, and leaves none without for long', () => {
    const lastTurns = new Map<number, number>();
    let run = 0;
    let longestRun = 0;
    let last = -1;
    let longestWait = 0;
    for (const [turn, owner] of cycleOf(weights).entries()) {
      run = owner === last ? run + 1 : 1;
      last = owner;
      longestRun = Math.max(longestRun, run);
      const wait = turn - (lastTurns.get(owner) ?? turn);
      longestWait = Math.max(longestWait, (wait * (weights[owner] as number)) / total);
      lastTurns.set(owner, turn);
    }
    const heaviest = Math.max(...weights);
    expect(longestRun).toBeLessThanOrEqual(2 * Math.ceil(heaviest / (total - heaviest)));
    expect(longestWait).toBeLessThan(3);
  });
});

test('each thread has the same order, whichever turns it comes to see', () => {
  const whole = cycleOf(UNEVEN);
  let turn = 0;
  const threads = [0, 1].map(() => {
    const context = {
      random: Math.random,
      nextTurn: () => turn++,
      comingTurn: () => turn,
      now: () => 0,
    };
    const thread = new RoundRobin<TestCandidate>(context);
    thread.rebuild(candidates(...UNEVEN));
    return thread;
  });
  // Each has some of the turns, so that stretches begin for it in their midst.
  const owners = whole.map((_, index) => {
    const thread = threads[Math.floor(index / 1_700) % 2] as RoundRobin<TestCandidate>;
    return thread.pick(KEY, null)?.id;
  });
  expect(owners).toEqual(whole);
});

test('stretches hold all turns of any weights, each once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 60 }),
      fc.nat(),
      (weights, somewhere) => {
        const owners = cycleOf(weights);
        expect(shares(owners, weights.length)).toEqual(weights);
        const turns = new SpreadTurns(weights, owners.length);
        const turn = somewhere % owners.length;
        turns.moveTo(turn);
        expect(turns.owners[turn - turns.begin]).toBe(owners[turn]);
      },
    ),
    { numRuns: 60 },
  );
});

test('one that has no turn in a stretch is picked when all others are to be avoided', () => {
  const all = candidates(...GIANT, 1);
  const last = all.at(-1) as TestCandidate;
  const others = all.slice(0, -1);
  const strategy = strategyOf('round-robin', all);
  expect(new Set(picks(strategy, 50, { avoid: others }))).toEqual(new Set([last.id]));
  expect(picks(strategy, 1, { avoid: all })).toHaveLength(1);
});
