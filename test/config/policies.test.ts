/** What the policies of a config mean: defaults, switches, several names of one setting, several layers. */
import { describe, expect, test } from 'vitest';
import { type Around, loadText, problemsOf, settingsOf } from './load-text.ts';

function notesOf(text: string, around: Around = {}): readonly string[] {
  const result = loadText(text, around);
  if (!result.ok) throw new Error('has problems');
  return result.notes;
}

test('an empty config retries and ejects, and nothing more', () => {
  expect(settingsOf('')).toMatchObject({
    maxConnections: 0,
    maxRequests: 0,
    hashKey: { by: 'ip', name: '' },
    sticky: null,
    retries: {
      attempts: 3,
      perTryTimeoutMs: 0,
      onStatus: [],
      onGrpcStatus: [],
      budgetPercent: 20,
      replayBufferBytes: 65_536,
      backoffMs: 25,
      hedgeAfterMs: 0,
      nonIdempotent: false,
    },
    queue: { size: 0 },
    rateLimit: null,
    outlier: {
      consecutiveFailures: 5,
      consecutive5xx: 0,
      failurePercent: 50,
      minRequests: 20,
      intervalMs: 10_000,
      baseEjectionMs: 30_000,
      maxEjectionMs: 300_000,
      maxEjectionPercent: 50,
      slowCallMs: 0,
    },
    breaker: null,
    slowStartMs: 0,
    panicThresholdPercent: 50,
    timeouts: { totalMs: 0 },
    limits: { connectionsPerClient: 0, bufferedBytes: 268_435_456 },
  });
  expect(notesOf('')).toEqual([]);
});

const BREAKER = {
  failurePercent: 50,
  minRequests: 20,
  intervalMs: 10_000,
  openMs: 30_000,
  halfOpenRequests: 5,
};

test.each([
  ['retries: false', { retries: { attempts: 1, hedgeAfterMs: 0 } }],
  [
    'retries: { per_try_timeout: 1s, hedge_after: 500ms }',
    { retries: { perTryTimeoutMs: 1000, hedgeAfterMs: 500 } },
  ],
  [
    'retries: { replay_buffer: false, backoff: 0s }',
    { retries: { replayBufferBytes: 0, backoffMs: 0 } },
  ],
  ['retries: { on_status: [503, 429] }', { retries: { onStatus: [503, 429] } }],
  ['retries: { on_grpc_status: [UNAVAILABLE, CANCELLED] }', { retries: { onGrpcStatus: [14, 1] } }],
  ['outlier_detection: false', { outlier: null }],
  ['outlier_detection: { enabled: false, interval: 1s }', { outlier: null }],
  ['outlier_detection: true', { outlier: { consecutiveFailures: 5 } }],
  ['outlier_detection: { consecutive_failures: false }', { outlier: { consecutiveFailures: 0 } }],
  ['outlier_detection: { consecutive_5xx: 7 }', { outlier: { consecutive5xx: 7 } }],
  ['outlier_detection: { slow_call: 2s }', { outlier: { slowCallMs: 2000 } }],
  ['circuit_breaker: true', { breaker: BREAKER }],
  ['circuit_breaker: { open: 1m }', { breaker: { ...BREAKER, openMs: 60_000 } }],
  ['circuit_breaker: { enabled: false, open: 1m }', { breaker: null }],
  ['queue: {}', { queue: { size: 1000, timeoutMs: 5000 } }],
  ['queue: { size: 5, timeout: 1m }', { queue: { size: 5, timeoutMs: 60_000 } }],
  ['max_requests: 9', { maxRequests: 9 }],
  [
    'rate_limit: { rate: 100 }',
    { rateLimit: { key: { by: 'ip', name: '' }, rate: 100, perMs: 1000, burst: 100 } },
  ],
  [
    'rate_limit: { rate: 6, per: 1m, burst: 1 }',
    { rateLimit: { rate: 6, perMs: 60_000, burst: 1 } },
  ],
  [
    'rate_limit: { rate: 1, by: cookie, name: Id }',
    { rateLimit: { key: { by: 'cookie', name: 'Id' } } },
  ],
  ['rate_limit: { rate: 9, scope: local }', { rateLimit: { rate: 9 } }],
  [
    'cluster: { instances: 3 }\nrate_limit: { rate: 9, scope: shared }',
    { instances: 3, rateLimit: { rate: 9, burst: 9, scope: 'shared' } },
  ],
  ['cluster: false', { instances: 1 }],
  ['hash: { by: header, name: X-User }', { hashKey: { by: 'header', name: 'x-user' } }],
  ['hash: { by: path }', { hashKey: { by: 'path', name: '' } }],
  ['hash: { by: query, name: "a[b]" }', { hashKey: { by: 'query', name: 'a[b]' } }],
  ['slow_start: 1m', { slowStartMs: 60_000 }],
  ['panic_threshold_percent: false', { panicThresholdPercent: 0 }],
  ['timeouts: { total: 1s }', { timeouts: { totalMs: 1000 } }],
  ['timeouts: { total: false }', { timeouts: { totalMs: 0 } }],
  ['limits: { buffered: 2MiB }', { limits: { bufferedBytes: 2_097_152 } }],
  ['limits: { buffered: false }', { limits: { bufferedBytes: 0 } }],
  ['limits: { connections_per_client: 9 }', { limits: { connectionsPerClient: 9 } }],
  [
    'backends: [{ url: ":1", weight: 0 }, { url: ":2", backup: true }]',
    {
      backends: [
        { weight: 0, isBackup: false },
        { weight: 1, isBackup: true },
      ],
    },
  ],
])('%s', (text, settings) => {
  expect(settingsOf(text)).toMatchObject(settings);
});

test.each(['random-two', 'peak-ewma', 'ip-hash', 'consistent-hash'])('strategy: %s', (strategy) => {
  expect(settingsOf(`strategy: ${strategy}`).strategy).toBe(strategy);
});

describe('sticky sessions', () => {
  const byIp = {
    key: { by: 'ip', name: '' },
    ttlMs: 3_600_000,
    secret: undefined,
    cookie: null,
    learns: null,
    isShared: false,
  };
  const cookie = { sameSite: 'lax', secure: 'auto', domain: '', path: '/' };

  test.each([
    ['enable_sticky_sessions: true', byIp],
    ['enable_sticky_sessions: true\nsticky_session_ttl: 30m', { ...byIp, ttlMs: 1_800_000 }],
    ['enable_sticky_sessions: false\nsticky_session_ttl: 1h', null],
    ['sticky: { by: ip }', byIp],
    ['sticky: { by: ip }\nenable_sticky_sessions: true', byIp],
    ['sticky: { ttl: 1s }\nenable_sticky_sessions: true', { ...byIp, ttlMs: 1000 }],
    ['sticky: false\nenable_sticky_sessions: false', null],
    ['sticky: { by: cookie }', { ...byIp, key: { by: 'cookie', name: 'fairlead' }, cookie }],
    [
      'sticky: { by: cookie, ttl: 60m }\nsticky_session_ttl: 1h',
      { ...byIp, key: { by: 'cookie', name: 'fairlead' }, cookie },
    ],
    [
      'sticky: { by: cookie, name: Shop, secret: 0123456789abcdef, ttl: 2s }',
      {
        key: { by: 'cookie', name: 'Shop' },
        ttlMs: 2000,
        secret: '0123456789abcdef',
        cookie,
        learns: null,
        isShared: false,
      },
    ],
    [
      'sticky: { by: cookie, same_site: strict, secure: false, domain: .Example.com, path: /shop }',
      {
        ...byIp,
        key: { by: 'cookie', name: 'fairlead' },
        cookie: { sameSite: 'strict', secure: false, domain: 'example.com', path: '/shop' },
      },
    ],
    [
      'sticky: { by: cookie, same_site: none, secure: true }',
      {
        ...byIp,
        key: { by: 'cookie', name: 'fairlead' },
        cookie: { ...cookie, sameSite: 'none', secure: true },
      },
    ],
    [
      'trusted_proxies: [10.0.0.1]\nsticky: { by: cookie, name: __Host-a, same_site: none }',
      { ...byIp, key: { by: 'cookie', name: '__Host-a' }, cookie: { ...cookie, sameSite: 'none' } },
    ],
    [
      'sticky: { by: learn, cookie: JSESSIONID, ttl: 30m }',
      {
        ...byIp,
        key: { by: 'cookie', name: 'JSESSIONID' },
        ttlMs: 1_800_000,
        learns: 'cookie',
      },
    ],
    [
      'sticky: { by: socket.io }',
      { ...byIp, key: { by: 'query', name: 'sid' }, learns: 'socket.io' },
    ],
    ['sticky: { by: header, name: X-User }', { ...byIp, key: { by: 'header', name: 'x-user' } }],
    [
      'sticky: { by: query, name: user }\nsticky_session_ttl: 5s',
      { ...byIp, key: { by: 'query', name: 'user' }, ttlMs: 5000 },
    ],
  ])('%j', (text, sticky) => {
    expect(settingsOf(text).sticky).toEqual(sticky);
  });

  test.each([
    // The lifetime stands in a layer of its own, whichever of its names it has.
    ['sticky_session_ttl: 30m', { FAIRLEAD_ENABLE_STICKY_SESSIONS: 'true' }, 'ip', 1_800_000],
    ['sticky: { by: cookie, ttl: 1s }', { FAIRLEAD_STICKY_SESSION_TTL: '2s' }, 'cookie', 2000],
    ['sticky: { by: cookie, ttl: 1s }', { FAIRLEAD_STICKY: '{"ttl":"3s"}' }, 'cookie', 3000],
    ['enable_sticky_sessions: false', { FAIRLEAD_STICKY: '{"by":"cookie"}' }, 'cookie', 3_600_000],
    ['sticky: { by: cookie }', { FAIRLEAD_ENABLE_STICKY_SESSIONS: 'false' }, undefined, undefined],
    ['sticky: { by: cookie }', { FAIRLEAD_STICKY: 'false' }, undefined, undefined],
    ['sticky: { by: cookie }', { FAIRLEAD_ENABLE_STICKY_SESSIONS: 'true' }, 'ip', 3_600_000],
  ])('%j under %j', (text, env, by, ttlMs) => {
    const { sticky } = settingsOf(text, { env: env as Record<string, string> });
    expect([sticky?.key.by, sticky?.ttlMs]).toEqual([by, ttlMs]);
  });
});

describe('the environment', () => {
  test('holds policies as JSON', () => {
    const env = {
      FAIRLEAD_RETRIES: '{"attempts":2,"on_status":[503]}',
      FAIRLEAD_OUTLIER_DETECTION: 'false',
      FAIRLEAD_CIRCUIT_BREAKER: 'true',
      FAIRLEAD_STICKY: '{"by":"cookie","secret":"0123456789abcdef"}',
      FAIRLEAD_HASH: '{"by":"path"}',
      FAIRLEAD_QUEUE: '{"size":3}',
      FAIRLEAD_MAX_REQUESTS: '4',
      FAIRLEAD_RATE_LIMIT: '{"rate":5}',
      FAIRLEAD_SLOW_START: '6s',
      FAIRLEAD_PANIC_THRESHOLD_PERCENT: 'false',
    };
    expect(settingsOf('', { env })).toMatchObject({
      retries: { attempts: 2, onStatus: [503] },
      outlier: null,
      breaker: BREAKER,
      sticky: { key: { by: 'cookie' }, secret: '0123456789abcdef' },
      hashKey: { by: 'path' },
      queue: { size: 3 },
      maxRequests: 4,
      rateLimit: { rate: 5 },
      slowStartMs: 6000,
      panicThresholdPercent: 0,
    });
  });

  test('merges with the file, and a switch leaves the values of the file', () => {
    const text =
      'retries: { attempts: 2, backoff: 1s }\ncircuit_breaker: { enabled: false, open: 1m }';
    const env = { FAIRLEAD_RETRIES: '{"attempts":4}', FAIRLEAD_CIRCUIT_BREAKER: 'true' };
    expect(settingsOf(text, { env })).toMatchObject({
      retries: { attempts: 4, backoffMs: 1000 },
      breaker: { openMs: 60_000 },
    });
  });

  test.each([
    [
      { FAIRLEAD_RETRIES: 'true' },
      'FAIRLEAD_RETRIES: must be false or a mapping, such as { attempts: 3 }, not true',
    ],
    [
      { FAIRLEAD_RETRIES: '{"atempts":2}' },
      'FAIRLEAD_RETRIES: retries.atempts: unknown key (did you mean "attempts"?)',
    ],
    [
      { FAIRLEAD_STICKY: '{"by":"cookie","secret":"tiny"}' },
      'FAIRLEAD_STICKY: sticky.secret: must have 16 characters or more',
    ],
    [
      { FAIRLEAD_ENABLE_STICKY_SESSIONS: 'true', FAIRLEAD_STICKY: 'false' },
      'FAIRLEAD_ENABLE_STICKY_SESSIONS: contradicts sticky (FAIRLEAD_STICKY), which is false',
    ],
  ])('%j', (env, problem) => {
    expect(problemsOf('', { env: env as Record<string, string> })).toEqual([problem]);
  });
});

test.each([
  [
    'enable_sticky_sessions: false\nsticky_session_ttl: 1h',
    'sticky_session_ttl has no effect while enable_sticky_sessions is false',
  ],
  ['hash: { by: path }', 'hash has no effect while the strategy is round-robin'],
  [
    'max_requests: 1\nqueue: { timeout: 3s }\ntimeouts: { total: 3s }',
    'queue.timeout has no effect beside timeouts.total, which is no longer',
  ],
  [
    'timeouts: { total: 3s, response: 4s }',
    'timeouts.response has no effect beside timeouts.total, which is no longer',
  ],
  [
    'health_check_frequency: 10s\nhealth_check_down_frequency: 11s',
    'health_check_down_frequency is longer than health_check_frequency, which is 10s: what is down is checked less often than what is up, and comes back late',
  ],
  [
    'queue: {}',
    'queue has no effect without max_connections, max_requests or circuit_breaker: no backend is ever full',
  ],
  [
    'retries: { attempts: 1, on_status: [503] }',
    'retries.on_status has no effect while retries.attempts is 1',
  ],
  [
    'outlier_detection: { slow_call: 2s }\nretries: { hedge_after: 1s }',
    'outlier_detection.slow_call is longer than retries.hedge_after: where a hedge answers in between, the slow call is not seen',
  ],
  [
    'outlier_detection: { max_ejection_percent: 0 }',
    'outlier_detection has no effect while its max_ejection_percent is 0',
  ],
  [
    'outlier_detection: { consecutive_failures: 0, failure_percent: false }',
    'outlier_detection has no effect while its consecutive_failures, consecutive_5xx and failure_percent are off',
  ],
  [
    'backends: [{ url: ":1", backup: true }]',
    'every backend is a backup: they are used as if none was',
  ],
  [
    'backends: [{ url: ":1", weight: 0 }]',
    'every backend has the weight 0: only clients with a sticky session are served',
  ],
])('%j is fine, but noted', (text, note) => {
  expect(notesOf(text)).toEqual([note]);
});

test.each([
  'hash: { by: path }\nstrategy: consistent-hash',
  'queue: {}\nmax_connections: 5',
  'queue: {}\nmax_requests: 5',
  'queue: {}\ncircuit_breaker: true',
  'outlier_detection: { slow_call: 1s }\nretries: { hedge_after: 1s }',
  'enable_sticky_sessions: true\nsticky_session_ttl: 1h',
  'backends: [{ url: ":1", backup: true }, ":2"]',
  'retries: false',
  'health_check_frequency: 10s\nhealth_check_down_frequency: 10s',
  'health_check_frequency: 100ms',
])('%j needs no note', (text) => {
  expect(notesOf(text)).toEqual([]);
});

describe('flat configs load as they stand', () => {
  test('way B: weights, sticky by cookie', () => {
    const text = `strategy: weighted-round-robin
backends: [{ url: "http://localhost:8081", weight: 3 }, "http://localhost:8082"]
sticky: { by: cookie, name: fairlead, ttl: 1h }`;
    expect(settingsOf(text)).toMatchObject({
      strategy: 'round-robin',
      backends: [{ weight: 3 }, { weight: 1 }],
      sticky: { key: { by: 'cookie' } },
    });
    expect(notesOf(text)).toEqual([]);
  });

  test('way C: the flat config, with what is asked for beside it', () => {
    const flat = {
      port: 8080,
      strategy: 'least-conn',
      health_check_frequency: '30s',
      backends: ['http://localhost:8082', 'http://localhost:8083', 'http://localhost:8084'],
      admin_port: 8081,
      request_timeout: '10s',
    };
    const json = { name: 'config.json' };
    expect(settingsOf(JSON.stringify(flat), json)).toMatchObject({
      rateLimit: null,
      breaker: null,
    });
    const asked = JSON.stringify({ ...flat, rate_limit: { rate: 100 }, circuit_breaker: true });
    expect(settingsOf(asked, json)).toMatchObject({
      strategy: 'least-connections',
      rateLimit: { key: { by: 'ip' }, rate: 100 },
      breaker: BREAKER,
      timeouts: { responseMs: 10_000 },
    });
  });

  test('way D: stickiness by address', () => {
    const flat = {
      health_check_method: 'tcp',
      backend_timeout: '5s',
      backends: [5, 3, 2].map((weight, index) => ({
        url: `http://localhost:${8081 + index}`,
        weight,
      })),
      enable_sticky_sessions: true,
      sticky_session_ttl: '30m',
      ssl: { enabled: false, cert_file: './certs/server.crt', key_file: './certs/server.key' },
    };
    expect(settingsOf(JSON.stringify(flat), { name: 'config.json' })).toMatchObject({
      backends: [{ weight: 5 }, { weight: 3 }, { weight: 2 }],
      sticky: { key: { by: 'ip', name: '' }, ttlMs: 1_800_000 },
    });
  });
});
