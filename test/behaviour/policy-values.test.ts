/** Values of the policies that are out of range: the admin API refuses each with 422, and says which and why. */
import { beforeAll, expect, test } from 'vitest';
import { type NamedPool, startPool } from './named-pool.ts';

/** Where it stands, and values that can not stand there. */
const BAD: Readonly<Record<string, readonly unknown[]>> = {
  max_connections: [-1, 1.5, 1_000_001, 'many', true],
  max_requests: [-1, 1.5, 1_000_001, 'many', true],
  queue: [true, 5, []],
  'queue.size': [0, -1, 1_000_001, 'big', false],
  'queue.timeout': ['0', 5, 'soon', '-1s'],
  enable_sticky_sessions: ['sometimes', 1, null],
  sticky_session_ttl: ['0', 60, 'long', '-1h'],
  sticky: [true, 'cookie', []],
  'sticky.by': ['address', 1, null],
  'sticky.ttl': ['0', 60, 'long'],
  'sticky.secret': ['short', 5, 'has a space in the middle'],
  retries: [true, 3, []],
  'retries.attempts': [0, 11, 1.5, '3x'],
  'retries.per_try_timeout': [5, 'soon', true],
  'retries.on_status': [503, [399], [600], [503, 503], ['5xx']],
  'retries.budget_percent': [-1, 101, 2.5],
  'retries.replay_buffer': [-1, '17MiB', 'some', true],
  'retries.backoff': [25, 'soon', true],
  'retries.hedge_after': [25, 'soon', true],
  'retries.non_idempotent': ['POST', 1],
  outlier_detection: [5, 'on', []],
  'outlier_detection.enabled': ['maybe', 1],
  'outlier_detection.consecutive_failures': [-1, 1_001, 1.5, true],
  'outlier_detection.consecutive_5xx': [-1, 1_001, 1.5, true],
  'outlier_detection.failure_percent': [-1, 101, 'half', true],
  'outlier_detection.min_requests': [0, -1, 1_000_001],
  'outlier_detection.interval': ['9ms', 10, 'long'],
  'outlier_detection.base_ejection': ['0', 30, 'long'],
  'outlier_detection.max_ejection': ['0', 300, 'long', '1s'],
  'outlier_detection.max_ejection_percent': [-1, 101, false],
  'outlier_detection.slow_call': [5, 'slow', true],
  circuit_breaker: [5, 'on', []],
  'circuit_breaker.enabled': ['maybe', 1],
  'circuit_breaker.failure_percent': [0, 101, false],
  'circuit_breaker.min_requests': [0, -1, 1_000_001],
  'circuit_breaker.interval': ['9ms', 10, 'long'],
  'circuit_breaker.open': ['0', 30, 'long'],
  'circuit_breaker.half_open_requests': [0, 1_001, 1.5],
  rate_limit: [true, 100, []],
  'rate_limit.rate': [0, -1, 1_000_001, 1.5],
  'rate_limit.per': ['0', 1, 'day'],
  'rate_limit.burst': [0, -1, 1_000_001],
  'rate_limit.by': ['query', 'path', 1],
  slow_start: [30, 'long', true, '-1s'],
  panic_threshold_percent: [-1, 101, 'half', true],
  hash: ['ip', false, []],
  'hash.by': ['address', 1],
  'limits.client_connections': [-1, 1.5, 10_000_001, true],
  'limits.connections_per_client': [-1, 1.5, 10_000_001, true],
};

/** What a mapping needs beside the value that is tried. */
const BESIDE: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  sticky: { by: 'cookie' },
  rate_limit: { rate: 10 },
};

let the: NamedPool;
beforeAll(async () => {
  the = await startPool(1, {}, { isAlone: true });
});

test('each of them', async () => {
  for (const [path, values] of Object.entries(BAD)) {
    const [section = '', key] = path.split('.');
    for (const value of values) {
      const config = {
        [section]: key === undefined ? value : { ...BESIDE[section], [key]: value },
      };
      const { status, json } = await the.call('POST', '/config:validate', config);
      const { problems = [] } = json as {
        readonly problems?: readonly { readonly path: string }[];
      };
      const isNamed = problems.some((problem) => problem.path.startsWith(path));
      expect([config, status, isNamed, JSON.stringify(json)]).toEqual([
        config,
        422,
        true,
        expect.any(String),
      ]);
    }
  }
});

test('names that a key needs, or has no use for', async () => {
  for (const config of [
    { sticky: {} },
    { sticky: { by: 'header' } },
    { sticky: { by: 'query' } },
    { sticky: { by: 'ip', name: 'X-User' } },
    { sticky: { by: 'cookie', name: 'a=b' } },
    { sticky: { by: 'header', name: 'X User' } },
    { sticky: { by: 'ip', secret: 'a-secret-of-sixteen' } },
    { rate_limit: {} },
    { rate_limit: { rate: 5, by: 'header' } },
    { rate_limit: { rate: 5, by: 'cookie' } },
    { rate_limit: { rate: 5, name: 'X-User' } },
    { hash: { by: 'cookie' }, strategy: 'consistent-hash' },
    { hash: { by: 'path', name: 'x' }, strategy: 'consistent-hash' },
    { enable_sticky_sessions: true, sticky: false },
    { enable_sticky_sessions: false, sticky: { by: 'cookie' } },
    { sticky_session_ttl: '1h', sticky: { by: 'cookie', ttl: '2h' } },
    { retries: { hedge_after: '20s' } },
    { retries: { attempts: 1, hedge_after: '20ms' } },
    { outlier_detection: { slow_call: '10s' } },
    { outlier_detection: { consecutive_fails: 5 } },
    { circuit_braker: true },
  ]) {
    const { status, json } = await the.call('POST', '/config:validate', config);
    expect([config, status, JSON.stringify(json)]).toEqual([config, 422, expect.any(String)]);
  }
});

test('of backends', async () => {
  const url = 'http://127.0.0.1:1';
  for (const [method, path, body] of [
    ['POST', '/backends', { url, weight: -1 }],
    ['POST', '/backends', { url, weight: 1_001 }],
    ['POST', '/backends', { url, weight: null }],
    ['POST', '/backends', { url, backup: 1 }],
    ['POST', '/backends', { url, backup: null }],
    ['PATCH', '/backends/0', { weight: 1.5 }],
    ['PATCH', '/backends/0', { weight: '2' }],
    ['PATCH', '/backends/0', { state: 'off' }],
    ['PATCH', '/backends/0', { state: null }],
    ['PATCH', '/backends/0', { backup: 'yes' }],
    ['PATCH', '/backends/0', {}],
    ['PUT', '/backends/0/status', { alive: 1 }],
    ['PUT', '/strategy', { strategy: 'luck' }],
    ['PATCH', '/backends/0?drain=soon', { state: 'draining' }],
    ['DELETE', '/backends/0?drain=-1s', undefined],
  ] as const) {
    const { status, json } = await the.call(method, path, body);
    expect([path, body, status, JSON.stringify(json)]).toEqual([
      path,
      body,
      422,
      expect.any(String),
    ]);
  }
  expect(await the.views()).toMatchObject([{ id: 0, alive: true, effective_weight: 1 }]);
});
