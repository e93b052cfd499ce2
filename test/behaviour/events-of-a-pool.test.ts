/** `GET /events?type=…&pool=…`: breakers and panic of one pool, beside another one that has its own troubles. */
import { expect, test } from 'vitest';
import { type EventStream, eventStream, type SeenEvent } from '../support/event-stream.ts';
import { startFairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import { NamedPool, namedBackends, status } from './named-pool.ts';
import { QUIET_HEALTH } from './stage.ts';

/** Nobody listens there: `default` has a backend that is down. */
const NOBODY = 'http://127.0.0.1:1';

async function startApi(count: number, settings: object): Promise<NamedPool> {
  const backends = await namedBackends(count);
  const fairlead = await startFairlead({
    args: ['--threads', '2'],
    config: {
      ...QUIET_HEALTH,
      backends: [NOBODY],
      pools: { api: { backends: backends.map(({ url }) => url), ...settings } },
      routes: [{ path: '/none', pool: 'default' }, { pool: 'api' }],
    },
  });
  const ups = await eventStream(fairlead.adminUrl, '/events?since=0&type=backend.up&pool=api');
  for (const { url } of backends) await ups.waitFor('backend.up', (up) => up['backend'] === url);
  return new NamedPool(fairlead, backends);
}

function isBreaker({ event }: SeenEvent): boolean {
  return event.startsWith('breaker.');
}

/** What it tells of a backend, or of the pool, in order. */
function breakersOf({ events }: EventStream, backend: string | undefined): string[] {
  return events.filter(({ data }) => data['backend'] === backend).map(({ event }) => event);
}

test('circuit breakers of a backend and of the pool open, let a few try, and close', async () => {
  const the = await startApi(3, {
    retries: false,
    outlier_detection: false,
    panic_threshold_percent: false,
    circuit_breaker: { min_requests: 10, interval: '2s', open: '500ms', half_open_requests: 3 },
  });
  const { adminUrl } = the.fairlead;
  const all = await eventStream(adminUrl, '/events?since=0');
  const ofApi = await eventStream(adminUrl, '/events?since=0&type=breaker.*&pool=api');
  const ofDefault = await eventStream(
    adminUrl,
    '/events?since=0&type=breaker.*,backend.*&pool=default',
  );
  const seen = (backend: string | undefined, event: string): Promise<boolean> =>
    waitFor(async () => {
      await the.names(6);
      return breakersOf(ofApi, backend).includes(event);
    });
  const first = the.backend(0);
  first.answer = status(500);
  await seen(first.url, 'breaker.half_open');
  first.answer = first.good;
  await seen(first.url, 'breaker.closed');
  // All fail at once, and with them the pool.
  for (const backend of the.backends) backend.answer = status(500);
  await seen(undefined, 'breaker.half_open');
  for (const backend of the.backends) backend.answer = backend.good;
  await seen(undefined, 'breaker.closed');

  // A request that tries it may have failed before.
  const course = /^(breaker\.opened breaker\.half_open )+breaker\.closed\b/;
  for (const whose of [first.url, undefined]) {
    expect(breakersOf(ofApi, whose).join(' ')).toMatch(course);
  }
  for (const { data } of ofApi.events) {
    expect(data).toMatchObject({ pool: 'api' });
    expect(data['backend']).not.toBe(NOBODY);
  }
  for (const { data } of ofApi.events.filter(({ event }) => event === 'breaker.opened')) {
    expect(data['open_ms']).toBeGreaterThanOrEqual(500);
  }
  // They are those of the whole stream, with its ids.
  const until = ofApi.lastId();
  await waitFor(() => all.lastId() >= until);
  expect(all.events.filter((one) => isBreaker(one) && one.id <= until)).toEqual(
    ofApi.events.filter(({ id }) => id <= until),
  );
  expect(ofDefault.events).toMatchObject([{ event: 'backend.down', data: { backend: NOBODY } }]);
});

test('the panic of a pool, and its end', async () => {
  const the = await startApi(4, {
    health_check: { method: 'http', frequency: '50ms', fall: 1, rise: 1, timeout: '10s' },
  });
  const stream = await eventStream(the.fairlead.adminUrl, '/events?type=pool.*&pool=api');
  const sick = [1, 2, 3].map((index) => the.backend(index));
  for (const backend of sick) backend.isHealthy = false;
  const { data } = await stream.waitFor('pool.panic', (panic) => panic['eligible'] === 1);
  expect(data).toMatchObject({ level: 'error', pool: 'api' });
  for (const backend of sick) backend.isHealthy = true;
  await stream.waitFor('pool.panic_over');
  expect(new Set(stream.names())).toEqual(new Set(['pool.panic', 'pool.panic_over']));
});
