/** The long form of pools: what their keys mean, what is wrong with them and where, and that one has nothing of another. */
import { expect, test } from 'vitest';
import type { PoolSettings } from '../../src/config/settings.ts';
import { type Around, loadText, problemsOf, settingsOf } from './load-text.ts';

function pool(text: string, name: string, around: Around = {}): PoolSettings {
  const found = settingsOf(text, around).pools.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no pool ${name}`);
  return found;
}

function notesOf(text: string, around: Around = {}): readonly string[] {
  const result = loadText(text, around);
  if (!result.ok) throw new Error(problemsOf(text, around).join('\n'));
  return result.notes;
}

test('a pool with nothing in it is what the short form is with nothing in it', () => {
  const { pools } = settingsOf('pools: { web: {} }');
  expect(pools.map(({ name }) => name)).toEqual(['default', 'web']);
  expect(pools[1]).toEqual({ ...pools[0], name: 'web' });
});

const ALL_KEYS = `strategy: consistent-hash
hash: { by: header, name: X-User }
backends: [":1", { url: ":2", weight: 7 }, { url: "https://b", backup: true }]
sticky: { by: cookie, name: shop, ttl: 2h, secret: my-secret-of-16-or-more, same_site: strict, secure: false }
retries: { attempts: 2, per_try_timeout: 2s, on_status: [503], hedge_after: 1s }
queue: { size: 9, timeout: 1s }
rate_limit: { rate: 10, per: 1m, by: cookie, name: user }
outlier_detection: true
circuit_breaker: true
max_connections: 7
max_requests: 6
slow_start: 30s
panic_threshold_percent: 0
protocol: auto
host_header: backend
lenient_responses: true
timeouts: { connect: 1s, response: 6s, idle: 3m, backend_keep_alive: 5s, backend_max_age: 8m, backend_ping: 9s, tunnel: 6s, total: 7s }
`;

const CHECKS = `method: http
path: /up?x=1
host: up.test
port: 9
headers: { X-Check: "1" }
expect_status: [200-299, 404]
expect_body: fine
service: shop.v1.Cart
frequency: 1m
down_frequency: 2s
timeout: 3s
rise: 4
fall: 5
`;

const indented = (text: string, by: number): string => text.replaceAll(/^(?=.)/gm, ' '.repeat(by));

test('every key means the same in a pool as at the top level', () => {
  const [short] = settingsOf(
    ALL_KEYS + CHECKS.replaceAll(/^/gm, 'health_check_').slice(0, -13),
  ).pools;
  const checks = `    health_check:\n${indented(CHECKS, 6)}`;
  const long = pool(`pools:\n  web:\n${indented(ALL_KEYS, 4)}${checks}`, 'web');
  expect(long).toEqual({ ...short, name: 'web' });
  expect(long).toMatchObject({
    strategy: 'consistent-hash',
    backends: [{ port: 1 }, { weight: 7 }, { isBackup: true }],
    sticky: { ttlMs: 7_200_000, secret: 'my-secret-of-16-or-more' },
    outlier: { consecutiveFailures: 5 },
    breaker: { openMs: 30_000 },
    healthCheck: { path: '/up?x=1', intervalMs: 60_000, downIntervalMs: 2000, rise: 4, fall: 5 },
    protocol: 'auto',
    timeouts: { totalMs: 7000, idleMs: 180_000, backendPingMs: 9000 },
  });
});

test('what is at the top level is for the pool default only', () => {
  const text = `strategy: ip-hash
retries: false
timeouts: { idle: 1s, head: 3s, total: 20s }
health_check_path: /top
enable_sticky_sessions: true
backends: [":1"]
pools: { web: { backends: [":1"] } }
routes: [{ pool: web }]`;
  const plain = pool('pools: { web: { backends: [":1"] } }', 'web');
  expect(pool(text, 'web')).toEqual(plain);
  expect(pool(text, 'default')).toMatchObject({ strategy: 'ip-hash', retries: { attempts: 1 } });
  expect(settingsOf(text).timeouts).toMatchObject({ headMs: 3000, idleMs: 1000 });
});

test('the cookie of a pool has a name that no other pool has', () => {
  const text = 'pools: { a: { sticky: { by: cookie } }, b: { sticky: { by: cookie } } }';
  expect(pool(text, 'a').sticky?.key.name).toBe('fairlead-a');
  expect(pool(text, 'b').sticky?.key.name).toBe('fairlead-b');
  expect(pool('sticky: { by: cookie }', 'default').sticky?.key.name).toBe('fairlead');
  expect(pool('pools: { default: { sticky: { by: cookie } } }', 'default').sticky?.key.name).toBe(
    'fairlead',
  );
  expect(pool(text, 'a').sticky?.ttlMs).toBe(3_600_000);
});

test('the pool default may stand among the others', () => {
  const text = `timeouts: { idle: 5s }
pools:
  web: { backends: [":2"] }
  default: { backends: [":1"], strategy: ip-hash, timeouts: { idle: 7s } }`;
  const { pools, timeouts } = settingsOf(text);
  expect(pools.map(({ name }) => name)).toEqual(['default', 'web']);
  expect(pools[0]).toMatchObject({ strategy: 'ip-hash', timeouts: { idleMs: 7000 } });
  // That of clients.
  expect(timeouts.idleMs).toBe(5000);
});

test('layers are merged inside of a pool', () => {
  const around = {
    env: { FAIRLEAD_POOLS: '{"web":{"retries":{"attempts":5}},"api":{"backends":[":9"]}}' },
  };
  const text = 'pools: { web: { backends: [":1"], retries: { backoff: 1s } } }';
  expect(pool(text, 'web', around)).toMatchObject({
    backends: [{ port: 1 }],
    retries: { attempts: 5, backoffMs: 1000 },
  });
  expect(pool(text, 'api', around)).toMatchObject({ backends: [{ port: 9 }] });
});

test('references are filled in as what the key takes', () => {
  const text =
    'pools: { web: { backends: ["${B}"], max_requests: "${N}", host_header: "${H:-a.b}" } }';
  expect(pool(text, 'web', { env: { B: 'http://b:1', N: '5' } })).toMatchObject({
    backends: [{ url: 'http://b:1' }],
    maxRequests: 5,
    hostHeader: { value: 'a.b' },
  });
});

const NAME =
  'must be the name of a pool: 1 to 64 of a-z, 0-9, "_" and "-", of which the first is a letter or a digit';

test.each([
  [
    'pools: [web]',
    '1:8: pools: must be a mapping of names to pools, such as { api: { backends: [http://localhost:3001] } }, not a list',
  ],
  [
    'pools:',
    '1:7: pools: must be a mapping of names to pools, such as { api: { backends: [http://localhost:3001] } }, not null (what belongs to it stands indented below it)',
  ],
  [
    'pools:\n  web:',
    '2:7: pools.web: must be a mapping, such as { backends: [http://localhost:3001] }, not null (what belongs to it stands indented below it)',
  ],
  ['pools:\n  Web: {}', `2:3: pools.Web: ${NAME}`],
  ['pools:\n  -web: {}', `2:3: pools.-web: ${NAME}`],
  [`pools:\n  ${'a'.repeat(65)}: {}`, `2:3: pools.${'a'.repeat(65)}: ${NAME}`],
  ['pools:\n  a.b: {}', `2:3: pools.a.b: ${NAME}`],
  [
    'pools:\n  web: { __proto__: { a: 1 } }',
    '2:10: pools.web.__proto__: unknown key (did you mean "protocol"?)',
  ],
  ['pools:\n  __proto__: { a: 1 }', '2:3: pools.__proto__: must not be a name here'],
  [
    'pools:\n  web: { retires: false }',
    '2:10: pools.web.retires: unknown key (did you mean "retries"?)',
  ],
  ['pools:\n  web: { port: 1 }', '2:10: pools.web.port: unknown key'],
  [
    'pools:\n  web: { health_check_path: /x }',
    '2:10: pools.web.health_check_path: unknown key (did you mean "health_check"?)',
  ],
  ['pools:\n  web: { sticky_session_ttl: 1h }', '2:10: pools.web.sticky_session_ttl: unknown key'],
  ['pools:\n  web: { timeouts: { head: 1s } }', '2:22: pools.web.timeouts.head: unknown key'],
  [
    'pools:\n  web: { retries: { attempts: 0 } }',
    '2:31: pools.web.retries.attempts: must be a whole number from 1 to 10, not 0',
  ],
  [
    'pools:\n  web: { strategy: ramdom-two }',
    '2:20: pools.web.strategy: must be one of round-robin, least-connections, random-two, peak-ewma, ip-hash, consistent-hash, least-conn, weighted-round-robin, not "ramdom-two" (did you mean "random-two"?)',
  ],
  [
    'pools:\n  web: { health_check: { frequency: 5 } }',
    '2:37: pools.web.health_check.frequency: must be a duration with a unit, such as 500ms, 30s or 1m30s, not 5 (add a unit: 5s or 5ms)',
  ],
  [
    'pools:\n  web:\n    backends: [":1", "http://localhost:1"]',
    '3:22: pools.web.backends.1: http://localhost:1 is the same backend as pools.web.backends.0 (c.yaml:3)',
  ],
  [
    'port: 5000\npools:\n  web: { backends: [":5000"] }',
    '3:21: pools.web.backends.0: http://localhost:5000 is where Fairlead itself listens: every request to it would come back',
  ],
  [
    'pools:\n  web: { sticky: { name: x } }',
    '2:10: pools.web.sticky.by: is missing: ip, cookie, header, query, learn or socket.io',
  ],
  [
    'pools:\n  web: { sticky: { by: cookie, secret: short } }',
    '2:40: pools.web.sticky.secret: must have 16 characters or more',
  ],
  [
    'pools:\n  web: { sticky: { by: cookie, same_site: none } }',
    '2:43: pools.web.sticky.same_site: needs TLS (ssl.enabled, or trusted_proxies that speak it), or sticky.secure: true: clients take none only with Secure',
  ],
  [
    'pools:\n  web:\n    max_connections: 1\n    max_requests: 2',
    '4:19: pools.web.max_requests: must not be more than max_connections, which is 1 (c.yaml:3): each request has a connection of its own',
  ],
  [
    'pools:\n  web:\n    timeouts: { response: 1s }\n    retries: { hedge_after: 2s }',
    '4:29: pools.web.retries.hedge_after: must be shorter than timeouts.response, which is 1s (c.yaml:3)',
  ],
  [
    'pools:\n  default: {}\nretries: false',
    '3:1: retries: is of the pool default, which stands in pools.default (c.yaml:2): write it there',
  ],
  [
    'pools:\n  default: {}\ntimeouts: { idle: 1s, connect: 1s }',
    '3:23: timeouts.connect: is of the pool default, which stands in pools.default (c.yaml:2): write it there',
  ],
])('%j: %s', (text, problem) => {
  expect(problemsOf(text)).toEqual([`c.yaml:${problem}`]);
});

test('a key of a pool that is wrong leaves everything else to be judged', () => {
  const text = `pools:
  web: { retries: { attempts: 0 }, backends: [":1", ":1"] }
  api: { sticky: { by: header } }
routes:
  - { pool: wbe }
  - { path: /a, pool: api }`;
  expect(problemsOf(text)).toEqual([
    'c.yaml:2:31: pools.web.retries.attempts: must be a whole number from 1 to 10, not 0',
    'c.yaml:2:53: pools.web.backends.1: http://localhost:1 is the same backend as pools.web.backends.0 (c.yaml:2)',
    'c.yaml:3:20: pools.api.sticky.name: is missing: the name of a header field, such as X-User',
    'c.yaml:5:13: routes.0.pool: there is no pool "wbe" (did you mean "web"?)',
  ]);
});

test('of a variable, the path is told', () => {
  const around = { env: { FAIRLEAD_POOLS: '{"web":{"slow_start":5}}' } };
  expect(problemsOf('', around)).toEqual([
    'FAIRLEAD_POOLS: pools.web.slow_start: must be a duration with a unit, such as 500ms or 30s, or false for none, not 5 (add a unit: 5s or 5ms)',
  ]);
  const top = { env: { TARGET_BACKEND_URLS: 'http://a:1' } };
  expect(problemsOf('pools: { default: {} }', top)).toEqual([
    'TARGET_BACKEND_URLS: is of the pool default, which stands in pools.default (c.yaml:1): write it there',
  ]);
});

test.each([
  [
    'queue: {}',
    'pools.web: queue has no effect without max_connections, max_requests or circuit_breaker: no backend is ever full',
  ],
  [
    'health_check: { frequency: 5s, down_frequency: 6s }',
    'pools.web: health_check.down_frequency is longer than health_check.frequency, which is 5s: what is down is checked less often than what is up, and comes back late',
  ],
  [
    'timeouts: { response: 5s, total: 4s }',
    'pools.web: timeouts.response has no effect beside timeouts.total, which is no longer',
  ],
])('a note says which pool it is about: %s', (text, note) => {
  const given = text.startsWith('timeouts')
    ? `${text}, retries: false, outlier_detection: false`
    : text;
  const config = `pools: { web: { backends: [":1"], ${given} } }\nroutes: [{ pool: web }]`;
  expect(notesOf(config)).toEqual([note]);
});

test('two pools that set the same cookie are told of', () => {
  const sticky = 'sticky: { by: cookie, name: s }, backends: [":1"]';
  const routes = 'routes: [{ path: /a, pool: a }, { path: /b, pool: b }]';
  expect(notesOf(`pools: { a: { ${sticky} }, b: { ${sticky} } }\n${routes}`)).toEqual([
    'the pools a and b both set the cookie s: a client that both serve under one host loses its session again and again',
  ]);
});
