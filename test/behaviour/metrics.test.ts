/** What is counted of real requests: by route, by what made a retry necessary, and in each thread. */
import { expect, test } from 'vitest';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { severalBackends } from './several-backends.ts';
import { metrics } from './stage.ts';

const INF = 'le="+Inf"';

test('requests by route, retries by reason, and clients over their rate', async () => {
  const the = await severalBackends(2, {
    routes: [
      { path: '/robots.txt', respond: { status: 204 } },
      { path: '/flaky', pool: 'default' },
      { path: '/limited', pool: 'default', rate_limit: { rate: 1, per: '1h' } },
      { path: '/unused', redirect: { to: 'https://elsewhere.test/' } },
    ],
  });
  let turn = 0;
  the.everywhere('/flaky', async (connection) => {
    if (turn++ === 0) connection.end();
    else await connection.write('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n');
  });
  // Over connections that have carried nothing before: it is no keep-alive race.
  expect((await the.ask('/flaky')).status).toBe(201);
  expect((await the.ask('/robots.txt')).status).toBe(204);
  expect((await the.ask('/robots.txt')).status).toBe(204);
  expect((await the.ask('/limited')).status).toBe(200);
  expect((await the.ask('/limited')).status).toBe(429);
  expect((await the.ask('/none-of-them')).status).toBe(200);

  const wanted = {
    'fairlead_route_requests_total{route="routes.0",code="204"}': 2,
    'fairlead_route_requests_total{route="routes.1",code="201"}': 1,
    'fairlead_route_requests_total{route="routes.2",code="200"}': 1,
    'fairlead_route_requests_total{route="routes.2",code="429"}': 1,
    'fairlead_route_requests_total{route="default",code="200"}': 1,
    [`fairlead_route_request_duration_seconds_bucket{route="routes.0",${INF}}`]: 2,
    'fairlead_route_request_duration_seconds_count{route="routes.2"}': 2,
    'fairlead_rate_limited_requests_total{pool="default"}': 1,
    'fairlead_metrics_left_out{kind="backend"}': 0,
  };
  let page = new Map<string, number>();
  // A thread may count a request a moment after its client has the answer.
  await waitFor(async () => {
    page = await metrics(the.fairlead);
    return Object.entries(wanted).every(([name, count]) => page.get(name) === count);
  }, LONG_MS).catch(() => undefined);
  expect(Object.fromEntries(Object.keys(wanted).map((name) => [name, page.get(name)]))).toEqual(
    wanted,
  );
  // What has had no request has no series.
  expect([...page.keys()].filter((name) => name.includes('"routes.3"'))).toEqual([]);
  const retries = [...page].filter(
    ([name, count]) => name.startsWith('fairlead_retries_total{') && count > 0,
  );
  expect(retries.map(([name, count]) => [/reason="(\w+)"/.exec(name)?.[1], count])).toEqual([
    ['ERR_BACKEND_CLOSED', 1],
  ]);
  const threads = Array.from({ length: page.get('fairlead_data_threads') ?? 0 }, (_, index) =>
    String(index),
  );
  expect(threads.length).toBeGreaterThan(0);
  const heaps = ['control', ...threads].map(
    (thread) => page.get(`fairlead_heap_used_bytes{thread="${thread}"}`) ?? 0,
  );
  expect(heaps.filter((bytes) => bytes < 1e6)).toEqual([]);
});
