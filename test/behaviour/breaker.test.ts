/** `circuit_breaker`: of a backend, and of the pool. */
import { readFile, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { PartOptions } from '../support/shared-fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import { type NamedPool, startPool, status } from './named-pool.ts';

/** Nothing else takes a backend out. */
const ALONE = { outlier_detection: false, retries: false, panic_threshold_percent: false } as const;
const BREAKER = { min_requests: 10, interval: '2s', open: '1s', half_open_requests: 3 } as const;

function ofBackend(the: NamedPool, index: number): Promise<number | undefined> {
  return the.metric(`fairlead_breaker_state{pool="default",backend="${the.backend(index).url}"}`);
}

function ofPool(the: NamedPool): Promise<number | undefined> {
  return the.metric('fairlead_pool_breaker_state{pool="default"}');
}

/** The first of three backends fails until its breaker is open. The pool's stays closed: a third is less than half. */
async function opened(config: Readonly<Record<string, unknown>> = {}): Promise<NamedPool> {
  const the = await startPool(3, { ...ALONE, circuit_breaker: { ...BREAKER, ...config } });
  the.backend(0).answer = status(500);
  await the.names(36);
  await waitFor(async () => {
    if ((await the.views())[0]?.breaker === 'open') return true;
    // On a busy machine they may have been too few for one interval.
    await the.names(3);
    return false;
  });
  return the;
}

describe('of a backend', () => {
  test('opens: it gets nothing, and the API, the metrics and the log say so', async () => {
    const the = await opened({ open: '1m' });
    const before = the.backend(0).requests;
    expect(new Set(await the.names(12))).toEqual(new Set(['B', 'C']));
    expect(the.backend(0).requests).toBe(before);
    const [view] = await the.views();
    expect(view).toMatchObject({ alive: false, eligible: false, breaker: 'open' });
    expect(view?.why).toMatch(
      /^circuit breaker open for (60|5\d) s more: 100 % of \d+ requests failed$/,
    );
    expect(await ofBackend(the, 0)).toBe(2);
    expect(await ofBackend(the, 1)).toBe(0);
    expect([await ofPool(the), (await the.status())['breaker']]).toEqual([0, 'closed']);
    const line = await the.fairlead.waitForLog(({ event }) => event === 'breaker.opened');
    expect(line).toMatchObject({ backend: the.backend(0).url, open_ms: 60_000 });
  });

  test('stays closed below its volume', async () => {
    const the = await startPool(3, {
      ...ALONE,
      circuit_breaker: { ...BREAKER, min_requests: 100 },
    });
    the.backend(0).answer = status(500);
    await the.names(60);
    const since = Date.now();
    await waitFor(() => Date.now() - since > 1_000);
    expect(await ofBackend(the, 0)).toBe(0);
  });

  test('half-open, it lets exactly so many through; all good: it closes', async () => {
    const the = await opened({ open: '2s' });
    const held: ServerResponse[] = [];
    the.backend(0).answer = (_request, response) => {
      held.push(response);
    };
    const half = await the.viewWhere(0, ({ breaker }) => breaker === 'half-open');
    expect(half.why).toMatch(/circuit breaker half-open, a few requests try it: 100 % of/);
    expect(await ofBackend(the, 0)).toBe(1);
    const before = the.backend(0).requests;
    const asked = Array.from({ length: 30 }, () => the.ask());
    // All but those that are held have their answers.
    const answers: string[] = [];
    for (const one of asked) void one.then(({ body }) => answers.push(String(body)));
    await waitFor(() => answers.length === 27);
    expect(the.backend(0).requests - before).toBe(3);
    expect(new Set(answers)).toEqual(new Set(['B', 'C']));
    expect(new Set(await the.names(6))).toEqual(new Set(['B', 'C']));

    the.backend(0).answer = the.backend(0).good;
    for (const response of held) response.end('A');
    await Promise.all(asked);
    await the.viewWhere(0, ({ breaker }) => breaker === 'closed');
    await the.fairlead.waitForLog(({ event }) => event === 'breaker.closed');
    expect(await ofBackend(the, 0)).toBe(0);
    expect(new Set(await the.names(3))).toEqual(new Set(['A', 'B', 'C']));
  });

  test('half-open, one failure opens it again, for twice as long', async () => {
    const the = await opened({ open: '500ms' });
    await the.viewWhere(0, ({ breaker }) => breaker === 'half-open');
    const before = the.backend(0).requests;
    await waitFor(async () => {
      await the.names(3);
      return (await the.views())[0]?.breaker === 'open';
    });
    expect(the.backend(0).requests - before).toBeLessThanOrEqual(3);
    const openings = the.fairlead.logs().filter(({ event }) => event === 'breaker.opened');
    expect(openings).toMatchObject([
      { open_ms: 500 },
      { open_ms: 1_000, reason: 'a request that tried it failed' },
    ]);
    // And is good again in the end.
    the.backend(0).answer = the.backend(0).good;
    await waitFor(async () => {
      await the.names(3);
      return (await the.views())[0]?.breaker === 'closed';
    });
  });

  test('counts over all data threads, and lets exactly so many through', async () => {
    const the = await startPool(
      3,
      { ...ALONE, circuit_breaker: { ...BREAKER, open: '2s' } },
      { args: ['--threads', '2'] },
    );
    the.backend(0).answer = status(500);
    await Promise.all(Array.from({ length: 60 }, () => the.ask()));
    await the.viewWhere(0, ({ breaker }) => breaker === 'open');
    const held: ServerResponse[] = [];
    the.backend(0).answer = (_request, response) => {
      held.push(response);
    };
    await the.viewWhere(0, ({ breaker }) => breaker === 'half-open');
    const before = the.backend(0).requests;
    const asked = Array.from({ length: 40 }, () => the.ask());
    let answered = 0;
    for (const one of asked) void one.then(() => answered++);
    await waitFor(() => answered >= 37);
    expect([the.backend(0).requests - before, held.length, answered]).toEqual([3, 3, 37]);
    for (const response of held) response.end('A');
    await Promise.all(asked);
  });
});

async function poolOpened(open = '1s', options?: PartOptions): Promise<NamedPool> {
  const the = await startPool(2, { ...ALONE, circuit_breaker: { ...BREAKER, open } }, options);
  for (const backend of the.backends) backend.answer = status(500);
  await waitFor(async () => {
    await the.names(5);
    return (await the.status())['breaker'] === 'open';
  });
  return the;
}

describe('of the pool', () => {
  test('opens: 503 that says so and when to come again', async () => {
    const the = await poolOpened('1m');
    const before = the.backends.map(({ requests }) => requests);
    const refused = async () =>
      (await the.metric('fairlead_errors_total{code="ERR_CIRCUIT_OPEN"}')) ?? 0;
    // Of the requests that opened it, the last may have been refused.
    const refusedBefore = await refused();
    const { status: code, fields, body } = await the.ask({ fields: ['Accept: application/json'] });
    expect([code, JSON.parse(String(body))]).toEqual([
      503,
      expect.objectContaining({ code: 'ERR_CIRCUIT_OPEN', source: 'proxy' }),
    ]);
    const seconds = Number(fields.get('retry-after')?.[0]);
    expect(seconds).toBeGreaterThan(40);
    expect(seconds).toBeLessThanOrEqual(61);
    expect(fields.get('proxy-status')).toEqual(['fairlead; error=destination_unavailable']);
    expect(the.backends.map(({ requests }) => requests)).toEqual(before);
    expect(await ofPool(the)).toBe(2);
    expect((await refused()) - refusedBefore).toBe(1);
    const line = await waitFor(() =>
      the.fairlead.accessLines().find((one) => one['error'] === 'ERR_CIRCUIT_OPEN'),
    );
    expect(line).toMatchObject({ status: 503, error_source: 'proxy' });
    expect(line).not.toHaveProperty('attempts');
  });

  test('lets a few requests try, and closes when they succeed', async () => {
    const the = await poolOpened();
    for (const backend of the.backends) backend.answer = backend.good;
    await waitFor(async () => {
      await the.names(2);
      return (await the.status())['breaker'] === 'closed';
    }, 10_000);
    expect(await ofPool(the)).toBe(0);
    // Each backend has requests of its own to be tried with.
    await waitFor(async () => {
      await the.names(2);
      return (await the.views()).every(({ breaker }) => breaker === 'closed');
    });
    expect(new Set(await the.names(4))).toEqual(new Set(['A', 'B']));
  });

  test('a reload that turns it off lets everything through again', async () => {
    const the = await poolOpened('1m', { isAlone: true });
    const file = `${the.fairlead.cwd}/fairlead.config.json`;
    const config = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...config, circuit_breaker: false }));
    for (const backend of the.backends) backend.answer = backend.good;
    expect((await the.call('POST', '/reload')).status).toBe(200);
    await waitFor(async () => (await the.ask()).status === 200);
    expect(new Set(await the.names(4))).toEqual(new Set(['A', 'B']));
    expect([await ofPool(the), await ofBackend(the, 0)]).toEqual([0, 0]);
  });
});
