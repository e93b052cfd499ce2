/** `panic_threshold_percent`: too few backends are eligible, so the others are used as well, loudly. */
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import { NamedPool, namedBackends, startPool } from './named-pool.ts';

const QUICK = {
  health_check_method: 'http',
  health_check_frequency: '50ms',
  health_check_fall: 1,
  health_check_rise: 1,
} as const;
const LINE = 'fairlead; details="panic: too few backends are eligible"';

function proxyStatus(the: NamedPool): Promise<readonly string[]> {
  return the.ask().then(({ fields }) => fields.get('proxy-status') ?? []);
}

/** The first line of `fairlead status`. */
async function headline(the: NamedPool): Promise<string> {
  return (await runFairlead(['status', '--admin', the.fairlead.adminUrl])).stdout;
}

async function isPanic(the: NamedPool, wanted: boolean): Promise<void> {
  await waitFor(async () => (await the.status())['panic'] === wanted);
}

test('one of four is eligible: all are used, and everything says so, until it is over', async () => {
  const the = await startPool(4, QUICK, { isAlone: true });
  expect(await proxyStatus(the)).toEqual([]);
  the.backend(1).isHealthy = false;
  the.backend(2).isHealthy = false;
  the.backend(3).isHealthy = false;
  await isPanic(the, true);
  await the.viewWhere(2, ({ alive }) => !alive);
  await the.viewWhere(3, ({ alive }) => !alive);
  await waitFor(async () => new Set(await the.names(4)).size === 4);
  expect(await proxyStatus(the)).toEqual([LINE]);

  const line = await the.fairlead.waitForLog(({ event }) => event === 'pool.panic');
  expect(line).toMatchObject({ level: 'error', eligible: 1, backends: 4 });
  expect(line.msg).toBe('panic: 1 of 4 backends is eligible, so others are used as well');
  expect(await the.metric('fairlead_pool_panic{pool="default"}')).toBe(1);
  expect(await headline(the)).toMatch(
    /^round-robin, 1 of 4 backends alive, PANIC: unhealthy ones are used as well, up /,
  );
  const [good, bad] = await the.views();
  expect(good).toMatchObject({ alive: true, eligible: true });
  expect(bad).toMatchObject({ alive: false, eligible: true });
  expect(bad?.why).toMatch(
    /^unhealthy, last check .* 500 .*; used all the same: panic, 1 of 4 backends is eligible$/,
  );

  the.backend(1).isHealthy = true;
  await isPanic(the, false);
  await the.fairlead.waitForLog(({ event }) => event === 'pool.panic_over');
  expect(await the.metric('fairlead_pool_panic{pool="default"}')).toBe(0);
  await waitFor(async () => (await proxyStatus(the)).length === 0);
  expect(new Set(await the.names(8))).toEqual(new Set(['A', 'B']));
  expect(await headline(the)).toMatch(/^round-robin, 2 of 4 backends alive, up /);
});

test('the answers of a panic carry it beside the fields of the backend', async () => {
  const the = await startPool(4, QUICK);
  for (const backend of the.backends) {
    backend.answer = (_request, response) => {
      response.setHeader('Proxy-Status', 'inner; received-status=200').end(backend.name);
    };
  }
  the.backend(1).isHealthy = false;
  the.backend(2).isHealthy = false;
  the.backend(3).isHealthy = false;
  await isPanic(the, true);
  await waitFor(async () => (await proxyStatus(the)).length === 2);
  // RFC 9209 §2: who is closest to the client stands last.
  expect(await proxyStatus(the)).toEqual(['inner; received-status=200', LINE]);
});

test('one of three takes all: a small pool does not panic', async () => {
  const the = await startPool(3, QUICK);
  the.backend(1).isHealthy = false;
  the.backend(2).isHealthy = false;
  await waitFor(async () => (await the.status())['active_backends'] === 1);
  await waitFor(async () => (await the.names(6)).every((name) => name === 'A'));
  expect(await the.names(20)).toEqual(Array(20).fill('A'));
  expect(await the.status()).toMatchObject({ panic: false });
});

test('when nobody passes its check, clients get 503', async () => {
  const the = await startPool(3, QUICK);
  for (const backend of the.backends) backend.isHealthy = false;
  await waitFor(async () => (await the.status())['active_backends'] === 0);
  await waitFor(async () => (await the.ask()).status === 503);
  const { fields, body } = await the.ask();
  expect(String(body)).toContain('ERR_NO_BACKEND');
  expect(fields.get('retry-after')).toEqual(['1']);
  expect(fields.get('proxy-status')).toEqual(['fairlead; error=destination_unavailable']);
  expect(await the.status()).toMatchObject({ panic: false });
  the.backend(0).isHealthy = true;
  await waitFor(async () => (await the.ask()).status === 200);
});

test('who refuses connections, or was taken out, is not used', async () => {
  const the = await startPool(5, QUICK);
  await the.call('PUT', '/backends/4/status', { alive: false });
  await the.backend(1).stop();
  the.backend(2).isHealthy = false;
  the.backend(3).isHealthy = false;
  await isPanic(the, true);
  await waitFor(async () => (await the.views()).filter(({ alive }) => alive).length === 1);
  await waitFor(async () => new Set(await the.names(3)).size === 3);
  expect(new Set(await the.names(12))).toEqual(new Set(['A', 'C', 'D']));
  expect((await the.views()).map(({ eligible }) => eligible)).toEqual([
    true,
    false,
    true,
    true,
    false,
  ]);
});

test.each([
  ['0', 0],
  ['false', false],
])('%s: never', async (_name, threshold) => {
  const the = await startPool(4, { ...QUICK, panic_threshold_percent: threshold });
  the.backend(1).isHealthy = false;
  the.backend(2).isHealthy = false;
  the.backend(3).isHealthy = false;
  await waitFor(async () => (await the.status())['active_backends'] === 1);
  await waitFor(async () => (await the.names(6)).every((name) => name === 'A'));
  expect(await the.status()).toMatchObject({ panic: false });
});

test('a start is no panic: who has not been checked yet says nothing', async () => {
  const backends = await namedBackends(4);
  // The checks of three of them get no answer.
  for (const { http } of backends.slice(1)) http.server.removeAllListeners('request');
  const fairlead = await startFairlead({
    args: ['--threads', '1'],
    config: {
      ...QUICK,
      health_check_timeout: '1m',
      health_check_frequency: '1m',
      backends: backends.map(({ url }) => url),
    },
  });
  const the = new NamedPool(fairlead, backends);
  await the.viewWhere(0, ({ alive }) => alive);
  expect(await the.names(6)).toEqual(Array(6).fill('A'));
  expect(await the.status()).toMatchObject({ panic: false });
});
