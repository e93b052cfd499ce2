import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EffectiveConfig } from '../../src/config/effective/effective.ts';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { TOP_LEVEL_KEYS } from '../../src/config/schema/schema.ts';
import { GRPC_STATUSES } from '../../src/grpc-status.ts';
import { isSecretField } from '../../src/snapshot/secret-field.ts';
import { type Around, type FlatSettings, flat, loadText, settingsOf } from './load-text.ts';

/** Nearly every key, none at its default. */
const FULL = `
port: 1
host: "::1"
admin_port: 2
admin: { host: localhost, token: secret }
threads: 3
strategy: least-conn
hash: { by: query, name: user }
backends: [":3001", { url: "https://b", weight: 7 }, { url: ":3002", backup: true }]
health_check_method: http
health_check_path: /up?x=1
health_check_frequency: 1m0.5s
health_check_timeout: 3s
health_check_rise: 4
health_check_fall: 5
request_timeout: 6s
timeouts: { head: 1s, connect: 2h, idle: 3m, keep_alive: 4s, backend_keep_alive: 5s, backend_max_age: 8m, backend_ping: 9s, tunnel: 6s, total: 7s, drain: 0s }
limits: { request_line: 1000, head: 1MiB, fields: 5, body: 1GB, client_connections: 6, connections_per_client: 2, buffered: 3MiB, kept_requests: 1MiB }
max_connections: 7
max_requests: 6
queue: { size: 9, timeout: 1s }
sticky: { by: cookie, name: shop, ttl: 2h, secret: my-secret-of-16-or-more, same_site: strict, secure: false,
  domain: example.com, path: /shop }
retries: { attempts: 2, per_try_timeout: 2s, on_status: [503, 502], budget_percent: 0, replay_buffer: false,
  backoff: false, hedge_after: 1s, non_idempotent: true }
outlier_detection: { consecutive_failures: false, consecutive_5xx: 8, failure_percent: 90, min_requests: 2, interval: 3s,
  base_ejection: 4s, max_ejection: 5s, max_ejection_percent: 100, slow_call: 1.5s }
circuit_breaker: { failure_percent: 1, min_requests: 2, interval: 3s, open: 4s, half_open_requests: 6 }
rate_limit: { rate: 10, per: 1m, burst: 3, by: header, name: X-Api-Key, scope: shared }
cluster: { instances: 3 }
slow_start: 30s
panic_threshold_percent: 0
protocol: auto
host_header: example.com
trusted_proxies: [10.0.0.0/8]
forwarded: true
x_forwarded: false
via: false
lenient_responses: true
location: rewrite
upgrade: [WebSocket, tcp, tls/1.0]
encoded_slashes: keep
merge_slashes: false
error_pages: { 404: { text: nothing, content_type: text/x } }
access_log: udp://logs.example:1514
access_log_syslog: { facility: local0, app_name: edge }
access_log_fields: [path, status, header.X-Tenant]
access_log_sampling: { percent: 0.5, slow: false }
access_log_redact: { query: [Key], headers: [] }
log_level: debug
state_file: /srv/fairlead/state
`;

function effective(text: string, around: Around = {}): EffectiveConfig {
  const result = loadText(text, around);
  if (!result.ok) throw new Error('has problems');
  return effectiveConfig(result);
}

/** What the settings are once the effective config of `text` is read back; secrets as they are hidden. */
/** As a file: in a text, though not in a key, `${` would begin the name of a variable. */
function fileOf(config: object): string {
  return JSON.stringify(config, (_key, value: unknown) =>
    typeof value === 'string' ? value.replaceAll('${', () => '$${') : value,
  );
}

function readBack(text: string): FlatSettings {
  const { config } = effective(text);
  return settingsOf(fileOf(config), { name: 'c.json' });
}

function hidden(sticky: FlatSettings['sticky']) {
  return sticky && { ...sticky, secret: sticky.secret !== undefined };
}

/** Of a secret, only whether there is one. */
function withoutSecrets(settings: FlatSettings): unknown {
  const { admin, sticky, pools } = settings;
  return {
    ...settings,
    admin: { ...admin, token: admin.token !== undefined },
    sticky: hidden(sticky),
    pools: pools.map((pool) => ({ ...pool, sticky: hidden(pool.sticky) })),
  };
}

const ALL_OFF = `
access_log: false
sticky: false
retries: false
outlier_detection: false
queue: false
rate_limit: false
slow_start: false
panic_threshold_percent: false
`;

/** With pools of every kind, and routes of every kind. */
const LONG = `
timeouts: { idle: 5s }
pools:
  web: { backends: [":1"], sticky: { by: cookie, secret: my-secret-of-16-or-more }, retries: false }
  "1": { backends: [{ url: ":2", weight: 0 }], circuit_breaker: true, health_check: { path: /up } }
  default: { timeouts: { idle: 7s }, strategy: ip-hash }
routes:
  - { host: [A.example.com., "*.b.example", "[::0:1]"], path: /caf\u00e9/:id/, method: [GET, M-SEARCH], pool: web }
  - { host: "*.c.example", path: =/, pool: "1" }
  - { path: =/x/, headers: { X-Beta: true, x.y: "1", x-c: { contains: "$$\${" } }, pool: default }
  - { query: { "a b": "", c.d: { prefix: "1", suffix: "2" } }, pool: web }
`;

test.each([
  '',
  FULL,
  ALL_OFF,
  'access_log: /srv/fairlead/access.log',
  'access_log: "udp://[::1]:99"\naccess_log_syslog: { facility: kern, app_name: a }',
  'access_log: unix:/run/log.sock\naccess_log_format: combined',
  'circuit_breaker: true',
  'enable_sticky_sessions: true',
  LONG,
  'strategy: ip-hash\npools: { web: {} }\nroutes: [{ pool: web }]',
  'backends: []\npools: { web: {} }\nroutes: [{ pool: web }]',
  'backends: [":1"]\npools: { web: {} }',
])('read back, it means the same: %s', (text) => {
  expect(withoutSecrets(readBack(text))).toEqual(withoutSecrets(settingsOf(text)));
});

test('of what is printed where no route leads to the pool default, nothing is complained of', () => {
  const { config } = effective(
    'pools: { web: { backends: [":1"] } }\nroutes: [{ path: /a, pool: web }]',
  );
  expect(config).toHaveProperty('retries');
  expect(loadText(JSON.stringify(config), { name: 'c.json' })).toMatchObject({ notes: [] });
});

test('the list of backends is printed where it says that the pool default is for all else', () => {
  const pools = 'pools: { web: { backends: [":1"] } }\nroutes: [{ path: /a, pool: web }]';
  expect(effective(pools).config).not.toHaveProperty('backends');
  expect(effective(`backends: []\n${pools}`).config).toHaveProperty('backends', []);
});

test('the pool default is printed where it stands', () => {
  const { config } = effective('pools: { default: { backends: [":1"] } }');
  expect(config).toMatchObject({ pools: { default: { backends: ['http://localhost:1'] } } });
  expect(config).not.toHaveProperty('strategy');
  expect(config['timeouts']).toEqual({
    head: '10s',
    idle: '1m',
    keep_alive: '1m15s',
    drain: '30s',
  });
});

test('a config printed and read back needs no notes', () => {
  const text = JSON.stringify(effective('').config);
  expect(loadText(text, { name: 'c.json' })).toMatchObject({ ok: true, notes: [] });
});

const ms = (min: number, max: number) => fc.integer({ min, max }).map((value) => `${value}ms`);
const count = (min: number, max: number) => fc.integer({ min, max });
const offOr = <Value>(value: fc.Arbitrary<Value>) => fc.oneof(fc.constant(false), value);
const some = <Model extends Record<string, fc.Arbitrary<unknown>>>(model: Model) =>
  fc.record(model, { requiredKeys: [] });

const keys = fc.oneof(
  fc.constant({ by: 'ip' }),
  fc.record({
    by: fc.constantFrom('header', 'cookie'),
    name: fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,20}$/),
  }),
);

/** Policies that do not contradict each other: what must be shorter is. */
const model = {
  hash: keys,
  sticky: offOr(
    fc.oneof(
      fc.record({ by: fc.constantFrom('ip', 'socket.io'), ttl: ms(1, 1e7) }),
      fc.record({ by: fc.constant('learn'), cookie: fc.stringMatching(/^\w{1,9}$/) }),
      some({
        name: fc.stringMatching(/^\w{1,9}$/),
        secret: fc.stringMatching(/^[!-#%-~]{16,20}$/),
        same_site: fc.constantFrom('lax', 'strict'),
        secure: fc.constantFrom(true, false, 'auto'),
        domain: fc.stringMatching(/^[a-z]\w{0,3}\.example$/).map((one) => one.replaceAll('_', '')),
        path: fc.stringMatching(/^\/\w{0,9}$/),
      }).map((one) => ({ by: 'cookie', ...one })),
    ),
  ),
  retries: offOr(
    some({
      attempts: count(2, 10),
      per_try_timeout: offOr(ms(5001, 9999)),
      on_status: fc.uniqueArray(count(400, 599), { maxLength: 9 }),
      on_grpc_status: fc.uniqueArray(fc.constantFrom(...GRPC_STATUSES.slice(1))),
      budget_percent: count(0, 100),
      replay_buffer: offOr(count(0, 16 * 1024 * 1024)),
      backoff: offOr(ms(0, 1e6)),
      hedge_after: offOr(ms(0, 5000)),
      non_idempotent: fc.boolean(),
    }),
  ),
  outlier_detection: fc.oneof(
    fc.boolean(),
    some({
      enabled: fc.boolean(),
      consecutive_failures: offOr(count(0, 1000)),
      consecutive_5xx: offOr(count(0, 1000)),
      failure_percent: offOr(count(0, 100)),
      min_requests: count(1, 1e6),
      interval: ms(10, 1e6),
      base_ejection: ms(1, 3e5),
      max_ejection: ms(3e5, 1e6),
      max_ejection_percent: count(0, 100),
      slow_call: offOr(ms(0, 5000)),
    }),
  ),
  circuit_breaker: fc.oneof(
    fc.boolean(),
    some({
      enabled: fc.boolean(),
      failure_percent: count(1, 100),
      min_requests: count(1, 1e6),
      interval: ms(10, 1e6),
      open: ms(1, 1e6),
      half_open_requests: count(1, 1000),
    }),
  ),
  max_requests: offOr(count(0, 1e6)),
  queue: offOr(some({ size: count(1, 1e6), timeout: ms(1, 1e6) })),
  rate_limit: offOr(
    fc
      .tuple(some({ per: ms(1, 1e6), burst: count(1, 1e6) }), keys, count(1, 1e6))
      .map(([more, by, rate]) => ({ ...more, ...by, rate })),
  ),
  slow_start: offOr(ms(0, 1e6)),
  panic_threshold_percent: offOr(count(0, 100)),
  timeouts: some({ total: offOr(ms(10_000, 1e6)) }),
};
const policies = some(model);

const pool = some({
  ...model,
  backends: fc
    .uniqueArray(count(1, 999), { maxLength: 3 })
    .map((all) => all.map((one) => `a:${one}`)),
  health_check: some({
    method: fc.constantFrom('http', 'tcp', 'auto'),
    path: fc.stringMatching(/^\/\w{0,9}$/),
    frequency: ms(10, 1e6),
    down_frequency: ms(10, 1e6),
    timeout: ms(1, 1e6),
    rise: count(1, 100),
    fall: count(1, 100),
  }),
  host_header: fc.constantFrom('client', 'backend', 'a.example:1'),
  lenient_responses: fc.boolean(),
});

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,3}$/);
const host = fc
  .tuple(fc.constantFrom('', '*.'), fc.array(label, { minLength: 1, maxLength: 3 }))
  .map(([star, labels]) => star + labels.join('.'));
const segments = fc.array(fc.stringMatching(/^(\w{1,3}|%[2-3][a-bA-B1-9]|\u00e9| )$/), {
  maxLength: 3,
});
const routePath = fc
  .tuple(fc.constantFrom('', '='), segments, fc.constantFrom('', '/:id'), fc.constantFrom('', '/'))
  .map(
    ([exact, parts, name, end]) => `${exact}${parts.map((one) => `/${one}`).join('')}${name}${end}`,
  )
  .map((one) => (one.endsWith('=') || one === '' ? `${one}/` : one));
const token = fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,9}$/);
const texts = (text: fc.Arbitrary<string>) =>
  fc.oneof(fc.constant(true), text, fc.record({ prefix: text, contains: text }));
const headerTexts = texts(fc.stringMatching(/^([!-~]([ -~]{0,5}[!-~])?)?$/));
const queryTexts = texts(fc.string({ unit: 'grapheme', maxLength: 5 }));

/** What is demanded of a secret is not printed. */
const parameter = fc.string({ minLength: 1, maxLength: 5 }).filter((name) => !isSecretField(name));

/** Each has a method of its own, so that no two are for the same requests. */
const routes = fc
  .array(
    some({
      host: fc.oneof(host, fc.uniqueArray(host, { minLength: 1, maxLength: 3 })),
      path: routePath,
      headers: fc.dictionary(
        fc
          .stringMatching(/^x-[\w!#$%&'*+.^`|~-]{1,9}$/)
          .map((one) => one.toLowerCase())
          .filter((name) => !isSecretField(name)),
        headerTexts,
        { maxKeys: 3 },
      ),
      query: fc.dictionary(parameter, queryTexts, { maxKeys: 3 }),
    }),
    { maxLength: 4 },
  )
  .chain((all) =>
    fc.tuple(
      fc.constant(all),
      fc.uniqueArray(token, { minLength: all.length, maxLength: all.length }),
      fc.array(fc.constantFrom('default', 'web', '1'), {
        minLength: all.length,
        maxLength: all.length,
      }),
    ),
  )
  .map(([all, methods, pools]) =>
    all.map((one, index) => ({
      ...one,
      method: methods[index]?.toUpperCase().padEnd(index + 9, '-'),
      pool: pools[index],
    })),
  );

const long = fc
  .tuple(some({ default: pool }), fc.record({ web: pool, '1': pool }), routes)
  .map(([first, others, list]) => ({ pools: { ...first, ...others }, routes: list }));

test('read back, any policies mean the same', () => {
  fc.assert(
    fc.property(policies, (config) => {
      const text = fileOf(config);
      expect(withoutSecrets(readBack(text))).toEqual(withoutSecrets(settingsOf(text)));
    }),
    { numRuns: 300 },
  );
});

test('read back, any pools and routes mean the same', () => {
  fc.assert(
    fc.property(long, (config) => {
      const text = fileOf(config);
      expect(withoutSecrets(readBack(text))).toEqual(withoutSecrets(settingsOf(text)));
    }),
    { numRuns: 100 },
  );
});

test('read back, any policies in the environment over any in a file mean the same', () => {
  let loaded = 0;
  const run = fc.property(policies, policies, (below, above) => {
    const file = fileOf(below);
    const env = Object.fromEntries(
      Object.entries(above).map(([name, value]) => [
        `FAIRLEAD_${name.toUpperCase()}`,
        JSON.stringify(value).replaceAll(/^"|"$/g, ''),
      ]),
    );
    const result = loadText(file, { env });
    // A name of the file may have no meaning by what the environment says.
    if (!result.ok) return;
    loaded++;
    const { config } = effectiveConfig(result);
    const again = settingsOf(fileOf(config), { name: 'c.json' });
    expect(withoutSecrets(again)).toEqual(withoutSecrets(flat(result.settings)));
  });
  fc.assert(run, { numRuns: 300 });
  expect(loaded).toBeGreaterThan(100);
});

test('secrets are hidden', () => {
  expect(JSON.stringify(effective(FULL))).not.toContain('secret-of');
  expect(effective(FULL).config).toMatchObject({
    admin: { token: '***' },
    sticky: { secret: '****************' },
  });
});

test('every key is there, but for other names of one', () => {
  const without = new Set([
    'request_timeout',
    'backend_timeout',
    'enable_sticky_sessions',
    'sticky_session_ttl',
    // A config without them is printed without them.
    'access_log_syslog',
    'listeners',
    'pools',
    'routes',
    'error_pages',
    'encoded_slashes',
    'merge_slashes',
    'health_check_host',
    'health_check_port',
    'health_check_headers',
    'health_check_expect_body',
    'health_check_service',
    'backend_tls',
    'discover',
  ]);
  expect(Object.keys(effective('').config)).toEqual(
    TOP_LEVEL_KEYS.filter((key) => !without.has(key)),
  );
});

test.each([
  ['', 'sticky', 'default'],
  ['', 'retries.attempts', 'default'],
  ['port: 1\nretries: false', 'retries', 'file c.yaml:2'],
  ['port: 1\ncircuit_breaker: true', 'circuit_breaker.enabled', 'file c.yaml:2'],
  ['port: 1\ncircuit_breaker: true', 'circuit_breaker.open', 'default'],
  ['enable_sticky_sessions: true\nsticky_session_ttl: 2h', 'sticky.by', 'file c.yaml:1'],
  ['enable_sticky_sessions: true\nsticky_session_ttl: 2h', 'sticky.ttl', 'file c.yaml:2'],
  ['enable_sticky_sessions: false', 'sticky', 'file c.yaml:1'],
  ['sticky:\n  by: cookie\n  ttl: 2h', 'sticky.ttl', 'file c.yaml:3'],
  ['sticky:\n  by: cookie\n  ttl: 2h', 'sticky.name', 'default'],
])('after %j, %s is from: %s', (text, path, origin) => {
  expect(effective(text).origins[path]).toBe(origin);
});

test('what a lower layer says below a policy that is off says nothing', () => {
  const text = 'retries: { attempts: 5, backoff: 1s }';
  const off = { env: { FAIRLEAD_RETRIES: 'false' } };
  expect(effective(text, off)).toMatchObject({
    config: { retries: false },
    origins: { retries: 'environment FAIRLEAD_RETRIES' },
  });
  const on = { ...off, flags: [{ name: '--x', path: ['retries'], value: { attempts: 2 } }] };
  expect(effective(text, on)).toMatchObject({
    config: { retries: { attempts: 2, backoff: '25ms' } },
    origins: { 'retries.attempts': 'flag --x', 'retries.backoff': 'default' },
  });
});

test('every value has its origin', () => {
  const around = {
    env: { FAIRLEAD_LOG_LEVEL: 'warn' },
    flags: [{ name: '--port', path: ['port'], value: '5' }],
  };
  const text = 'backends:\n  - :1\n  - { url: ":2",\n      weight: 3 }\nrequest_timeout: 1s\n';
  expect(effective(text, around).origins).toMatchObject({
    port: 'flag --port',
    log_level: 'environment FAIRLEAD_LOG_LEVEL',
    backends: 'file c.yaml:1',
    'backends.0': 'file c.yaml:2',
    'backends.1.url': 'file c.yaml:3',
    'backends.1.weight': 'file c.yaml:4',
    'timeouts.response': 'file c.yaml:5',
    'timeouts.head': 'default',
    admin_port: 'default',
  });
});

test('every value of a pool and of a route has its origin', () => {
  const around = { env: { FAIRLEAD_POOLS: '{"1":{"slow_start":"1s"}}' } };
  const text = `pools:
  web:
    backends:
      - :1
    health_check:
      path: /up
  "1":
    retries: false
routes:
  - host: [a.example,
      b.example]
    headers:
      X-B.c: "1"
    pool: web`;
  const { origins } = effective(text, around);
  expect(origins).toMatchObject({
    'pools.web.backends.0': 'file c.yaml:4',
    'pools.web.health_check.path': 'file c.yaml:6',
    'pools.web.health_check.frequency': 'default',
    'pools.web.retries.attempts': 'default',
    'pools.1.retries': 'file c.yaml:8',
    'pools.1.slow_start': 'environment FAIRLEAD_POOLS',
    'routes.0.host.1': 'file c.yaml:11',
    'routes.0.headers.x-b.c': 'file c.yaml:12',
    'routes.0.pool': 'file c.yaml:14',
    strategy: 'default',
  });
});

test('a secret of a pool is hidden', () => {
  const shown = JSON.stringify(effective(LONG));
  expect(shown).toContain('****************');
  expect(shown).not.toContain('secret-of');
});
