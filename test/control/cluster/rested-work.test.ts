/** Work that comes in a stream. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RestedWork } from '../../../src/control/cluster/rested-work.ts';
import { waitFor } from '../../support/wait-for.ts';

const TERMS = { times: 10, owedMs: 0, longestMs: 60_000 };

function busyMs(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test('the first is done at once, and what is asked for meanwhile is done together, afterwards', async () => {
  const begun: (() => void)[] = [];
  const work = new RestedWork({ ...TERMS, owedMs: 60_000 }, async () => {
    await new Promise<void>((resolve) => begun.push(resolve));
  });
  const first = work.soon();
  expect(begun).toHaveLength(1);
  for (let times = 0; times < 5; times++) await work.soon();
  expect(begun).toHaveLength(1);
  begun[0]?.();
  await first;
  await waitFor(() => begun.length === 2);
  begun[1]?.();
});

test('what it waits for is not rested from, and what this thread does is', async () => {
  let count = 0;
  const waiting = new RestedWork({ ...TERMS, owedMs: 2_000 }, async () => {
    count++;
    await sleep(300);
  });
  for (let times = 0; times < 2; times++) await waiting.soon();
  expect(count).toBe(2);
  let busy = 0;
  const working = new RestedWork(TERMS, async () => {
    busy++;
    await sleep(1);
    busyMs(30);
  });
  await working.soon();
  await working.soon();
  expect(busy).toBe(1);
  await waitFor(() => busy === 2);
});
