/** Refusals take turns: many at once, then one after the other; nobody waits for ever, and who is served not at all. */
import { expect, test } from 'vitest';
import { RefusalTurns } from '../../src/control/admin/refusal-turns.ts';

const AT_ONCE = 200;

function turnsAt(clock: { ms: number }): RefusalTurns {
  return new RefusalTurns(() => clock.ms);
}

test('two hundred are answered at once, and each further one 50 ms later', () => {
  const turns = turnsAt({ ms: 5_000 });
  const waits = Array.from({ length: AT_ONCE + 3 }, () => turns.waitMs(401));
  expect(waits.slice(0, AT_ONCE).every((wait) => wait === 0)).toBe(true);
  expect(waits.slice(AT_ONCE)).toEqual([50, 100, 150]);
});

test('in a loop that waits for each answer, twenty a second are answered', () => {
  const clock = { ms: 0 };
  const turns = turnsAt(clock);
  let count = 0;
  for (; clock.ms < 10_000; count++) clock.ms += turns.waitMs(429);
  expect(count).toBe(AT_ONCE + 200);
});

test('nobody waits for longer than two seconds, and after a pause nobody waits', () => {
  const clock = { ms: 0 };
  const turns = turnsAt(clock);
  const waits = Array.from({ length: 1_000 }, () => turns.waitMs(400));
  expect(Math.max(...waits)).toBe(2_000);
  clock.ms += 2_000;
  expect(turns.waitMs(400)).toBe(50);
  clock.ms += 12_000;
  expect(turns.waitMs(400)).toBe(0);
});

test('who is served, or asks for what is not there, takes no turn', () => {
  const turns = turnsAt({ ms: 0 });
  for (const status of [200, 404, 409, 412, 422, 500, 503]) {
    const waits = Array.from({ length: 2 * AT_ONCE }, () => turns.waitMs(status));
    expect([status, Math.max(...waits)]).toEqual([status, 0]);
  }
});
