/** The policies of a route's own: what they may be, what contradicts those of its pools, and how they are printed. */
import { expect, test } from 'vitest';
import { configOf } from '../../src/config/effective/effective.ts';
import { loadText, problemsOf } from './load-text.ts';

const POOLS = `pools:
  web: { backends: [":3001"], timeouts: { response: 4s }, retries: { per_try_timeout: 2s } }
  plain: { backends: [":3002"], retries: false }`;

function withRoute(route: string): string {
  return `${POOLS}\nroutes:\n  - { ${route} }`;
}

function load(route: string) {
  const result = loadText(withRoute(route));
  if (!result.ok) throw new Error(problemsOf(withRoute(route)).join('\n'));
  return result;
}

test.each([
  ['pool: web', null],
  ['pool: web, timeouts: {}', { timeouts: {}, retries: {} }],
  [
    'pool: web, timeouts: { connect: 1s, response: 3s, idle: 5s, tunnel: 1m, total: 6s }',
    {
      timeouts: {
        connectMs: 1000,
        responseMs: 3000,
        idleMs: 5000,
        tunnelMs: 60_000,
        totalMs: 6000,
      },
      retries: {},
    },
  ],
  ['pool: web, timeouts: { total: false }', { timeouts: { totalMs: 0 }, retries: {} }],
  ['pool: web, limits: { body: 1KiB }', { timeouts: {}, retries: {}, bodyBytes: 1024 }],
  ['pool: web, limits: { body: 0 }', { timeouts: {}, retries: {}, bodyBytes: 0 }],
  ['pool: web, rate_limit: false', { timeouts: {}, retries: {}, rateLimit: null }],
  [
    'pool: web, rate_limit: { rate: 5, by: header, name: X-Key }',
    {
      timeouts: {},
      retries: {},
      rateLimit: { key: { by: 'header', name: 'x-key' }, rate: 5, perMs: 1000, burst: 5 },
    },
  ],
  [
    'pool: web, retries: { attempts: 2, on_status: [503], replay_buffer: 1MiB }',
    { timeouts: {}, retries: { attempts: 2, onStatus: [503], replayBufferBytes: 1_048_576 } },
  ],
  [
    'pool: web, retries: { on_grpc_status: [INTERNAL] }',
    { timeouts: {}, retries: { onGrpcStatus: [13] } },
  ],
  // No second attempt after the first is none beside it either.
  [
    'pool: web, retries: { attempts: 1 }',
    { timeouts: {}, retries: { attempts: 1, hedgeAfterMs: 0 } },
  ],
])('{ %s }', (route, policies) => {
  expect(load(route).settings.routes[0]?.policies).toEqual(policies);
});

test('retries: false is one attempt, whatever the pool has', () => {
  const { policies } = load('pool: web, retries: false').settings.routes[0] ?? {};
  expect(policies?.retries).toMatchObject({ attempts: 1, perTryTimeoutMs: 0, hedgeAfterMs: 0 });
});

test.each([
  ['timeouts: { total: 5 }', '5:37: routes.0.timeouts.total: must be a duration'],
  ['timeouts: { head: 5s }', '5:30: routes.0.timeouts.head: unknown key'],
  ['timeouts: { connect: 0s }', '5:39: routes.0.timeouts.connect: must be at least 1ms'],
  ['limits: { bdy: 1KiB }', '5:28: routes.0.limits.bdy: unknown key (did you mean "body"?)'],
  ['limits: { body: -1 }', '5:34: routes.0.limits.body: must be'],
  ['rate_limit: {}', '5:18: routes.0.rate_limit.rate: is missing: how many requests?'],
  ['rate_limit: { rate: 1, by: header }', '5:41: routes.0.rate_limit.name: is missing: the name'],
  ['rate_limit: { rate: 1, name: x }', '5:47: routes.0.rate_limit.name: has no meaning by ip'],
  ['retries: { attempts: 0 }', '5:39: routes.0.retries.attempts: must be a whole number'],
  [
    'retries: { per_try_timeout: 4s }',
    '5:46: routes.0.retries.per_try_timeout: must be shorter than timeouts.response of the pool web, which is 4s',
  ],
  [
    'timeouts: { total: 1s }, retries: { per_try_timeout: 1s }',
    '5:71: routes.0.retries.per_try_timeout: must be shorter than timeouts.total, which is 1s (c.yaml:5)',
  ],
  [
    'retries: { hedge_after: 2s }',
    '5:42: routes.0.retries.hedge_after: must be shorter than retries.per_try_timeout of the pool web, which is 2s',
  ],
  [
    'retries: { attempts: 1, hedge_after: 1s }',
    '5:55: routes.0.retries.hedge_after: needs a second attempt, but retries.attempts is 1',
  ],
])('{ pool: web, %s } is a problem', (route, problem) => {
  const problems = problemsOf(withRoute(`pool: web, ${route}`));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`c.yaml:${problem}`);
});

test('a hedge needs a second attempt, also where the pool has none', () => {
  expect(problemsOf(withRoute('pool: plain, retries: { hedge_after: 1s }'))).toEqual([
    'c.yaml:5:44: routes.0.retries.hedge_after: needs a second attempt, but retries.attempts of the pool plain is 1',
  ]);
  expect(problemsOf(withRoute('pool: plain, retries: { attempts: 2, hedge_after: 1s }'))).toEqual(
    [],
  );
});

test('a timeout may be shortened without a look at the retries of the pool', () => {
  expect(problemsOf(withRoute('pool: web, timeouts: { total: 1s }'))).toEqual([]);
});

test.each([
  'pool: web, path: /a',
  'pool: web, timeouts: { total: 5s, response: 1s }',
  'pool: web, timeouts: { total: false }, limits: { body: 0 }',
  'pool: web, rate_limit: false, retries: false',
  'pool: web, rate_limit: { rate: 2, per: 1m, burst: 4, by: cookie, name: s }',
  'pool: plain, retries: { attempts: 2, on_status: [502, 503], hedge_after: 1s, backoff: false }',
])('{ %s } is printed so that it means the same', (route) => {
  const { settings } = load(route);
  const printed = JSON.stringify(configOf(settings));
  const again = loadText(printed, { name: 'c.json' });
  expect(again.ok && again.settings.routes).toEqual(settings.routes);
});
