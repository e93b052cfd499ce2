/**
 * The event-loop delay was that of the control thread alone, which serves nobody, and of its whole life: a data thread that
 * kept its clients waiting showed nowhere.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { answer, get, metrics, scriptedBackend, startProxy } from '../behaviour/stage.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { okResponse } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const SPINNING = new URL('../support/patches/spinning.mjs', import.meta.url).href;
const LONG_MS = 30_000;

async function spinningProxy(): Promise<Fairlead> {
  const backend = await scriptedBackend();
  backend.on('/spin', answer(okResponse()));
  const env = { NODE_OPTIONS: `--import ${SPINNING}` };
  return startProxy([backend.url], {}, { args: ['--threads', '2'], env });
}

/** The longest delay of each data thread in seconds, the longest first; the control thread's apart. */
async function delays(fairlead: Fairlead): Promise<{ data: number[]; control: number }> {
  const samples = [...(await metrics(fairlead))].flatMap(([name, value]) => {
    const thread = /^fairlead_event_loop_delay_seconds\{thread="(\w+)",quantile="1"\}$/.exec(
      name,
    )?.[1];
    return thread === undefined ? [] : [{ thread, value }];
  });
  return {
    data: samples
      .filter(({ thread }) => thread !== 'control')
      .map(({ value }) => value)
      .toSorted((one, other) => other - one),
    control: samples.find(({ thread }) => thread === 'control')?.value ?? Number.NaN,
  };
}

test('the one that has served a slow one was late, and no other', async () => {
  const fairlead = await spinningProxy();
  const threads = (await metrics(fairlead)).get('fairlead_data_threads');
  expect((await delays(fairlead)).data).toHaveLength(threads as number);
  const client = await rawClient(fairlead.port);
  await client.write(get('/spin', ['X-Spin: 1200']));
  await client.readResponse({ ms: LONG_MS });
  const { data, control } = await waitFor(async () => {
    const now = await delays(fairlead);
    return (now.data[0] ?? 0) > 1.1 ? now : undefined;
  }, LONG_MS);
  expect(data[0]).toBeLessThan(LONG_MS / 1_000);
  for (const other of [...data.slice(1), control]) expect(other).toBeLessThan(data[0] as number);
});

test('one that hangs is seen while it hangs, and not forgotten with it', async () => {
  const fairlead = await spinningProxy();
  const client = await rawClient(fairlead.port);
  await client.write(get('/spin', ['X-Spin: 60000']));
  await waitFor(async () => ((await delays(fairlead)).data[0] ?? 0) > 1, LONG_MS);
  expect(fairlead.logs().map(({ event }) => event)).not.toContain('data_thread.died');
  await fairlead.waitForLog(({ event }) => event === 'data_thread.died', LONG_MS);
  // It grows no more once there is a next one at its place.
  await waitFor(async () => {
    const [before] = (await delays(fairlead)).data;
    await sleep(400);
    const [after] = (await delays(fairlead)).data;
    return before === after && (after as number) > 3;
  }, LONG_MS);
});
