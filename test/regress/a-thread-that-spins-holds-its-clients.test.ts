/**
 * A data thread that was caught in a loop was neither reported nor replaced: its clients, and with one thread everybody,
 * waited until the loop ended. Now it is reported within 2 s and replaced within 5.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import {
  answer,
  get,
  leftover,
  metrics,
  NOTHING,
  scriptedBackend,
  silent,
  startProxy,
} from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { slowness } from '../support/machine-speed.ts';
import { okResponse } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';

const SPINNING = new URL('../support/patches/spinning.mjs', import.meta.url).href;
const SPIN_MS = 60_000;

test.each([
  ['alone', ['--threads', '1']],
  ['by default', []],
])('it is reported and replaced, %s', async (_name, args) => {
  const backend = await scriptedBackend();
  backend.on('/ok', answer(okResponse('ok', ['Connection: close'])));
  backend.on('/silent', silent);
  const env = { NODE_OPTIONS: `--import ${SPINNING}` };
  const fairlead = await startProxy([backend.url], {}, { args, env });
  const client = await rawClient(fairlead.port);
  // It spins once the request is in flight: the thread has something to give back.
  await client.write(get('/silent', [`X-Spin: ${SPIN_MS}`]));

  const stuck = await fairlead.waitForLog(({ event }) => event === 'data_thread.stuck', 10_000);
  expect(stuck['silent_ms']).toBeGreaterThanOrEqual(1_500);
  expect(stuck['silent_ms']).toBeLessThan(1_500 + 500 * slowness());
  const died = await fairlead.waitForLog(({ event }) => event === 'data_thread.died', 10_000);
  expect(died['thread']).toBe(stuck['thread']);
  const silentMs = Number(/did not react for (\d+) ms/.exec(JSON.stringify(died))?.[1]);
  expect(silentMs).toBeGreaterThanOrEqual(3_500);
  expect(silentMs).toBeLessThan(3_500 + 500 * slowness());

  await client.closed;
  for (let served = 0; served < 20; ) {
    // Between the end of the one and the port of the other, a lone thread's clients are refused.
    const next = await rawClient(fairlead.port).catch(() => null);
    if (next === null) {
      await sleep(20);
      continue;
    }
    await next.write(get('/ok'));
    expect((await next.readResponse({ ms: 20_000 })).status).toBe(200);
    next.socket.destroy();
    served++;
  }
  expect((await metrics(fairlead)).get('fairlead_data_thread_restarts_total')).toBe(1);
  expect(await leftover(fairlead)).toEqual(NOTHING);
});

test('a process that was stopped for 6 s has no thread that is stuck', async () => {
  const backend = await scriptedBackend();
  backend.on('/ok', answer(okResponse('ok', ['Connection: close'])));
  const fairlead = await startProxy([backend.url], {}, { args: [] });
  process.kill(fairlead.pid, 'SIGSTOP');
  afterTest(() => void process.kill(fairlead.pid, 'SIGCONT'));
  await sleep(6_000);
  process.kill(fairlead.pid, 'SIGCONT');
  const client = await rawClient(fairlead.port);
  await client.write(get('/ok'));
  expect((await client.readResponse()).status).toBe(200);
  // Several looks.
  await sleep(1_000);
  const events = fairlead.logs().map(({ event }) => event);
  expect(events).not.toContain('data_thread.stuck');
  expect(events).not.toContain('data_thread.died');
});
