/**
 * `GET /config:changes` read the config anew for each call, and where that is code, ran it, with the control thread waiting: a
 * viewer who asked in a loop had all of that thread.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RestedLook } from '../../src/control/admin/rested-look.ts';

function stage(costMs: number, mostMs?: number) {
  const clock = { ms: 1_000, looks: 0 };
  const look = new RestedLook(
    (base: object) => {
      clock.ms += costMs;
      return { base, look: ++clock.looks };
    },
    { now: () => clock.ms, ...(mostMs !== undefined && { mostMs }) },
  );
  return { clock, look };
}

test('a look that waits for others stands no longer than it may', async () => {
  const { clock, look } = stage(2_000, 5_000);
  const base = {};
  await look.take(base);
  clock.ms += 4_999;
  expect((await look.take(base)).look).toBe(1);
  clock.ms += 1;
  expect((await look.take(base)).look).toBe(2);
});

test('a look stands for twenty times as long as it took', async () => {
  const { clock, look } = stage(100);
  const base = {};
  expect(await look.take(base)).toEqual({ base, look: 1 });
  clock.ms += 1_999;
  expect(await look.take(base)).toEqual({ base, look: 1 });
  clock.ms += 1;
  expect(await look.take(base)).toEqual({ base, look: 2 });
});

test('what is in force now is compared, and no other', async () => {
  const { look } = stage(100);
  await look.take({});
  const other = {};
  expect(await look.take(other)).toEqual({ base: other, look: 2 });
});

test('who comes meanwhile waits for the look that is under way, also for its failure', async () => {
  let looks = 0;
  const look = new RestedLook(async (base: string) => {
    looks++;
    await sleep(1);
    throw new Error(base);
  });
  const both = [look.take('a'), look.take('a')];
  expect(await Promise.allSettled(both)).toEqual([
    { status: 'rejected', reason: new Error('a') },
    { status: 'rejected', reason: new Error('a') },
  ]);
  expect(looks).toBe(1);
});
