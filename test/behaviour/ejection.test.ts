/** `outlier_detection`: backends that fail requests get none for a while, and `GET /backends` says why. */
import { describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { type NamedPool, reset, startPool, status } from './named-pool.ts';

/** Nothing but the ejection under test takes a backend out or brings one back. */
const CALM = { panic_threshold_percent: false, retries: false } as const;

function ejections(the: NamedPool, index: number, reason: string): Promise<number | undefined> {
  return the.metric(
    `fairlead_ejections_total{pool="default",backend="${the.backend(index).url}",reason="${reason}"}`,
  );
}

/** Requests until the backend has had so many of them. */
async function feed(the: NamedPool, index: number, count: number): Promise<void> {
  const backend = the.backend(index);
  const goal = backend.requests + count;
  while (backend.requests < goal) await the.names(1);
}

test('five failures in a row: out, with the reason, and back when the time is over', async () => {
  const the = await startPool(2, {
    ...CALM,
    outlier_detection: { base_ejection: '5s', consecutive_failures: 5 },
  });
  the.backend(0).answer = reset;
  await feed(the, 0, 5);
  const out = await the.viewWhere(0, ({ alive }) => !alive);
  expect(out).toMatchObject({ alive: false, eligible: false, effective_weight: 0 });
  expect(out.why).toMatch(
    /^ejected for [1-5] s more, or until a check passes: 5 failures in a row, the last: ERR_BACKEND_CLOSED$/,
  );
  const leftMs = Date.parse(String(out.ejected_until)) - Date.now();
  expect(leftMs).toBeGreaterThan(500);
  expect(leftMs).toBeLessThanOrEqual(5_100);
  expect(await ejections(the, 0, 'consecutive_failures')).toBe(1);
  const series = `{pool="default",backend="${the.backend(0).url}"}`;
  expect(await the.metric(`fairlead_backend_ejected${series}`)).toBe(1);
  expect(await the.metric(`fairlead_backend_up${series}`)).toBe(0);
  const line = await the.fairlead.waitForLog(({ event }) => event === 'backend.ejected');
  expect(line).toMatchObject({
    backend: the.backend(0).url,
    id: the.fairlead.firstId,
    ejection_ms: 5_000,
  });

  // The other one has all of the traffic.
  expect(await the.names(10)).toEqual(Array(10).fill('B'));
  the.backend(0).answer = the.backend(0).good;
  const back = await the.viewWhere(0, ({ eligible }) => eligible);
  expect(back).toMatchObject({ alive: true, ejected_until: null });
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(String(out.ejected_until)));
  await the.fairlead.waitForLog(({ event }) => event === 'backend.returned');
  expect(new Set(await the.names(4))).toEqual(new Set(['A', 'B']));
  expect(await the.metric(`fairlead_backend_ejected${series}`)).toBe(0);
});

test.each([
  ['a good answer', 200],
  ['a bad one', 500],
])('%s in between begins the count anew', async (_name, code) => {
  const the = await startPool(2, { ...CALM, outlier_detection: { failure_percent: false } });
  let count = 0;
  the.backend(0).answer = (request, response) => {
    // The next one comes on a fresh connection: that breaks, and not an idle one in the moment that it is used.
    response.setHeader('Connection', 'close');
    const answer = ++count % 5 === 0 ? status(code) : reset;
    answer(request, response);
  };
  await feed(the, 0, 24);
  expect((await the.views())[0]).toMatchObject({ alive: true });
  the.backend(0).answer = reset;
  // Four of them came before.
  await feed(the, 0, 1);
  await the.viewWhere(0, ({ alive }) => !alive);
});

test('consecutive_5xx: so many errors in a row, where that is asked for', async () => {
  const the = await startPool(2, {
    ...CALM,
    outlier_detection: { consecutive_5xx: 6, consecutive_failures: false },
  });
  let count = 0;
  the.backend(0).answer = (request, response) => {
    // One of them is a broken connection, and a fresh one: that is no better.
    response.setHeader('Connection', 'close');
    const answer = ++count === 4 ? reset : status(503);
    answer(request, response);
  };
  await feed(the, 0, 6);
  const out = await the.viewWhere(0, ({ alive }) => !alive);
  expect(out.why).toMatch(/: 6 errors in a row, the last: status 503$/);
  expect(await ejections(the, 0, 'consecutive_5xx')).toBe(1);
  expect(await ejections(the, 0, 'consecutive_failures')).toBe(0);
});

test.each([
  ['what the client did wrong', 404],
  ['what no server would do', 501],
])('%s is no failure: %i', async (_name, code) => {
  const the = await startPool(2, CALM);
  the.backend(0).answer = status(code);
  await feed(the, 0, 30);
  expect((await the.views())[0]).toMatchObject({ alive: true });
  expect(await ejections(the, 0, 'consecutive_failures')).toBe(0);
});

test('never the last one, and at most half of the pool', async () => {
  const the = await startPool(4, { ...CALM, outlier_detection: { base_ejection: '1m' } });
  for (const backend of the.backends) backend.answer = reset;
  await the.names(60);
  await waitFor(async () => (await the.views()).filter(({ alive }) => alive).length === 2);
  await the.names(60);
  expect((await the.views()).filter(({ alive }) => alive)).toHaveLength(2);

  const alone = await startPool(1, {
    ...CALM,
    outlier_detection: { base_ejection: '1m', max_ejection_percent: 100 },
  });
  alone.backend(0).answer = reset;
  expect(await alone.names(30)).toEqual(Array(30).fill('502'));
  expect((await alone.views())[0]).toMatchObject({ alive: true, eligible: true });
});

test('connections that break count, also where a retry saved the request', async () => {
  const the = await startPool(2, { ...CALM, retries: {} });
  the.backend(0).answer = reset;
  await feed(the, 0, 5);
  const out = await the.viewWhere(0, ({ alive }) => !alive);
  expect(out.why).toMatch(/5 failures in a row, the last: ERR_BACKEND_CLOSED$/);
  expect(await the.names(10)).toEqual(Array(10).fill('B'));
  expect(the.backend(0).requests).toBe(5);
  await waitFor(() => the.fairlead.accessLines().length >= 15);
  const statuses = the.fairlead.accessLines().map((line) => line['status']);
  expect(new Set(statuses)).toEqual(new Set([200]));
});

test('half of the requests of an interval, once there are enough of them', async () => {
  const the = await startPool(2, {
    ...CALM,
    outlier_detection: { consecutive_failures: false, interval: '5s', min_requests: 20 },
  });
  let count = 0;
  the.backend(0).answer = (request, response) => {
    const answer = ++count % 2 === 0 ? the.backend(0).good : status(500);
    answer(request, response);
  };
  await feed(the, 0, 19);
  // Two looks at what was counted.
  const since = Date.now();
  await waitFor(() => Date.now() - since > 1_100);
  expect((await the.views())[0]).toMatchObject({ alive: true });
  await feed(the, 0, 1);
  const out = await the.viewWhere(0, ({ alive }) => !alive);
  expect(out.why).toMatch(/^ejected for \d+ s more: 50 % of 20 requests failed$/);
  expect(await ejections(the, 0, 'failure_percent')).toBe(1);
  expect(await ejections(the, 0, 'consecutive_failures')).toBe(0);
});

test('slow_call: a head that comes later than this is a failure', async () => {
  const the = await startPool(2, { ...CALM, outlier_detection: { slow_call: '50ms' } });
  the.backend(0).answer = (_request, response) => {
    setTimeout(() => response.end('A'), 120);
  };
  await feed(the, 0, 5);
  const out = await the.viewWhere(0, ({ alive }) => !alive);
  expect(out.why).toMatch(/5 failures in a row, the last: an answer after \d{3} ms$/);
});

test('a health check that passes ends it early', async () => {
  const the = await startPool(2, {
    ...CALM,
    health_check_method: 'http',
    health_check_frequency: '100ms',
    outlier_detection: { base_ejection: '5m' },
  });
  the.backend(0).answer = reset;
  await feed(the, 0, 5);
  await the.viewWhere(0, ({ alive }) => !alive);
  the.backend(0).answer = the.backend(0).good;
  const line = await the.fairlead.waitForLog(({ event }) => event === 'backend.returned');
  expect(line).toMatchObject({ id: the.fairlead.firstId, reason: 'a health check passed' });
  expect(new Set(await the.names(4))).toEqual(new Set(['A', 'B']));
});

test('outlier_detection: false ejects nobody', async () => {
  const the = await startPool(2, { ...CALM, outlier_detection: false });
  the.backend(0).answer = status(500);
  await feed(the, 0, 40);
  expect((await the.views())[0]).toMatchObject({ alive: true });
});

describe('counts over all data threads', () => {
  test('failures in a row', async () => {
    const the = await startPool(
      2,
      { ...CALM, outlier_detection: { consecutive_failures: 8, failure_percent: false } },
      { args: ['--threads', '2'] },
    );
    the.backend(0).answer = reset;
    // A connection each: each thread has some, and neither of them has eight.
    while (the.backend(0).requests < 8) await the.ask();
    const out = await the.viewWhere(0, ({ alive }) => !alive);
    expect(out.why).toMatch(/8 failures in a row/);
  });
});
