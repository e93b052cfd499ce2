/** What the old process knows of its backends and of clients, the new one knows as well. */
import { expect, test } from 'vitest';
import type { LogLine } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import { type NamedPool, startPool, status } from './named-pool.ts';

const THREADS = { args: ['--threads', '2'], isAlone: true } as const;
const CALM = { panic_threshold_percent: false, retries: false } as const;
/** After the first check, none but that of the new process. */
const ONE_CHECK = {
  health_check_method: 'http',
  health_check_frequency: '1h',
  health_check_down_frequency: '1h',
  health_check_rise: 3,
} as const;
/** Nobody gets a request back while a test lasts. */
const BURST = 4;
const CLIENTS = Array.from({ length: 24 }, (_, index) => `10.0.0.${index}`);
const TRUSTING = { trusted_proxies: ['127.0.0.1'] } as const;

/** Until the old process has ended. @returns what the new one says that it knows */
async function upgrade(the: NamedPool): Promise<LogLine> {
  expect(await the.call('POST', '/upgrade')).toMatchObject({ status: 200 });
  await the.fairlead.waitForLog(({ event }) => event === 'stopped');
  return the.fairlead.waitForLog(({ event }) => event === 'upgrade.taken_up');
}

/** Each on a connection of its own. */
async function namesOf(the: NamedPool, count: number): Promise<Set<string>> {
  const names = new Set<string>();
  for (let round = 0; round < count; round++) names.add(String((await the.ask()).body));
  return names;
}

async function homes(the: NamedPool, fieldOf: (client: string) => string): Promise<string[]> {
  const all: string[] = [];
  for (const client of CLIENTS) {
    all.push(String((await the.ask({ fields: [fieldOf(client)] })).body));
  }
  return all;
}

const forwardedFor = (client: string): string => `X-Forwarded-For: ${client}`;

test('a backend that was down gets nothing until it has passed as many checks as any other', async () => {
  const the = await startPool(2, { ...CALM, ...ONE_CHECK }, { isAlone: true });
  // A connection that is refused takes it out at once; the check comes to it when it is there again.
  await the.backend(0).stop();
  await waitFor(async () => {
    await the.ask();
    return (await the.views())[0]?.alive === false;
  });
  const before = (await the.views())[0];
  await the.backend(0).start();
  const asked = the.backend(0).requests;
  expect(await upgrade(the)).toMatchObject({ healthy: 1, unhealthy: 1 });
  expect(the.backend(0).http.requests).toContain('GET /health');
  expect(await namesOf(the, 10)).toEqual(new Set(['B']));
  expect(the.backend(0).requests).toBe(asked);
  const after = (await the.views())[0];
  expect(after).toMatchObject({ alive: false, health: 'unhealthy' });
  const moved = Date.parse(String(after?.last_change)) - Date.parse(String(before?.last_change));
  expect(Math.abs(moved)).toBeLessThan(5_000);
});

test('backends whose checks take long serve as before', async () => {
  const the = await startPool(2, { ...CALM, ...ONE_CHECK }, THREADS);
  for (const backend of the.backends) {
    // In the place of an answer to a check: none. Requests are answered.
    backend.http.server.removeAllListeners('request');
    backend.http.server.on('request', (request, response) => {
      if (request.url !== '/health') backend.answer(request, response);
    });
  }
  await upgrade(the);
  expect(await namesOf(the, 4)).toEqual(new Set(['A', 'B']));
});

test('an ejection lasts as long as it was to', async () => {
  const the = await startPool(
    3,
    {
      ...CALM,
      ...ONE_CHECK,
      outlier_detection: {
        base_ejection: '5m',
        consecutive_5xx: false,
        failure_percent: 50,
        min_requests: 5,
        interval: '30s',
      },
    },
    THREADS,
  );
  the.backend(0).answer = status(500);
  const ejected = async () => {
    await the.names(3);
    return (await the.views()).find(({ ejected_until }) => ejected_until !== null);
  };
  const before = await waitFor(ejected, 20_000);
  the.backend(0).answer = the.backend(0).good;
  const asked = the.backend(0).requests;
  expect(await upgrade(the)).toMatchObject({ healthy: 3, ejected: 1, breakers_open: 0 });
  const [after, other] = await the.views();
  expect(after).toMatchObject({ id: before.id, alive: false });
  expect(other).toMatchObject({ alive: true, ejected_until: null });
  const until = [before, after].map((view) => Date.parse(String(view?.ejected_until)));
  // What is left is told in the old process and counted in the new one: as long as one takes to hear of it on a busy machine.
  expect(Math.abs((until[1] as number) - (until[0] as number))).toBeLessThan(60_000);
  expect(await namesOf(the, 9)).toEqual(new Set(['B', 'C']));
  expect(the.backend(0).requests).toBe(asked);
});

test('circuit breakers stay open: of a backend, and of the pool', async () => {
  const the = await startPool(
    3,
    {
      ...CALM,
      ...ONE_CHECK,
      outlier_detection: false,
      circuit_breaker: { failure_percent: 50, min_requests: 5, interval: '30s', open: '5m' },
    },
    THREADS,
  );
  the.backend(0).answer = status(500);
  const isOpen = (id: number) => async (): Promise<boolean> => {
    await the.names(3);
    return (await the.views())[id]?.breaker === 'open';
  };
  await waitFor(isOpen(0), 20_000);
  the.backend(0).answer = the.backend(0).good;
  const asked = the.backend(0).requests;
  expect(await upgrade(the)).toMatchObject({ breakers_open: 1 });
  expect(await namesOf(the, 9)).toEqual(new Set(['B', 'C']));
  expect(the.backend(0).requests).toBe(asked);
  for (const backend of the.backends) backend.answer = status(500);
  await waitFor(async () => {
    await the.names(3);
    return (await the.status())['breaker'] === 'open';
  }, 20_000);
  const second = await the.call('POST', '/upgrade');
  expect(second.status).toBe(200);
  await the.fairlead.waitForLog(
    ({ event, breakers_open }) => event === 'upgrade.taken_up' && Number(breakers_open) > 1,
  );
  expect(await the.status()).toMatchObject({ breaker: 'open' });
  const all = the.backends.reduce((sum, { requests }) => sum + requests, 0);
  expect((await the.ask()).status).toBe(503);
  expect(the.backends.reduce((sum, { requests }) => sum + requests, 0)).toBe(all);
});

test('sessions by address stay where they are, and so do those of a second upgrade', async () => {
  const the = await startPool(3, { ...CALM, ...TRUSTING, sticky: { by: 'ip' } }, THREADS);
  const before = await homes(the, forwardedFor);
  expect(new Set(before)).toEqual(new Set(['A', 'B', 'C']));
  expect(await upgrade(the)).toMatchObject({ sessions: CLIENTS.length });
  expect(await homes(the, forwardedFor)).toEqual(before);
  expect(await the.call('POST', '/upgrade')).toMatchObject({ status: 200 });
  const ended = () => the.fairlead.logs().filter(({ event }) => event === 'stopped').length;
  await waitFor(() => ended() === 2);
  expect(await homes(the, forwardedFor)).toEqual(before);
  // What the keys are hashed with is nobody's business.
  expect(the.fairlead.output()).not.toContain('epochMs');
});

test('sessions that were learned from answers stay where they are', async () => {
  const the = await startPool(3, { ...CALM, sticky: { by: 'learn', cookie: 'SID' } }, THREADS);
  for (const backend of the.backends) {
    backend.answer = (request, response) => {
      const id = /^\/login\/(.+)$/.exec(request.url ?? '')?.[1];
      if (id !== undefined) response.setHeader('Set-Cookie', `SID=${id}`);
      response.end(backend.name);
    };
  }
  const before: string[] = [];
  for (const id of CLIENTS) before.push(String((await the.ask({ path: `/login/${id}` })).body));
  await upgrade(the);
  expect(await homes(the, (id) => `Cookie: SID=${id}`)).toEqual(before);
});

test('what a client has used of its rate limit is used, of the pool and of a route', async () => {
  const limit = { rate: BURST, per: '1h' } as const;
  const the = await startPool(
    1,
    {
      ...CALM,
      ...TRUSTING,
      rate_limit: limit,
      routes: [{ path: '/api/', pool: 'default', rate_limit: limit }],
    },
    THREADS,
  );
  const used = async (path: string, client: string, count: number): Promise<number[]> => {
    const codes: number[] = [];
    for (let round = 0; round < count; round++) {
      codes.push((await the.ask({ path, fields: [forwardedFor(client)] })).status);
    }
    return codes;
  };
  for (const path of ['/', '/api/']) await used(path, '10.0.0.1', BURST - 1);
  expect(await upgrade(the)).toMatchObject({ rate_limits: 2 });
  for (const path of ['/', '/api/']) {
    expect(await used(path, '10.0.0.1', 2)).toEqual([200, 429]);
    expect(await used(path, '10.0.0.2', BURST + 1)).toEqual([...Array(BURST).fill(200), 429]);
  }
});
