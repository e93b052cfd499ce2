/** What wins over what: defaults < file < environment < flags; and the many names of one setting. */
import { describe, expect, test } from 'vitest';
import { loadText, problemsOf, settingsOf } from './load-text.ts';

function originOf(path: string, ...load: Parameters<typeof loadText>): string | undefined {
  const result = loadText(...load);
  if (!result.ok) return undefined;
  const source = result.origins.get(path);
  return `${source?.origin} ${source?.detail}`.trim();
}

describe('precedence', () => {
  const file = 'port: 1001\n';
  const env = { FAIRLEAD_PORT: '1002' };
  const flags = [{ name: '--port', path: ['port'], value: '1003' }];

  test.each([
    ['', {}, 8080, 'default'],
    [file, {}, 1001, 'file c.yaml:1'],
    [file, { env }, 1002, 'environment FAIRLEAD_PORT'],
    [file, { env, flags }, 1003, 'flag --port'],
  ])('%j with %j', (text, around, port, origin) => {
    expect(settingsOf(text, around).port).toBe(port);
    expect(originOf('port', text, around)).toBe(origin);
  });

  test('mappings are merged key by key, lists replaced', () => {
    const text = 'timeouts: { head: 1s, connect: 1s }\nbackends: [":1", ":2"]\n';
    const around = {
      env: { FAIRLEAD_TIMEOUTS: '{"connect":"3s","idle":"4s"}', FAIRLEAD_BACKENDS: ':3' },
    };
    const settings = settingsOf(text, around);
    expect(settings.timeouts).toMatchObject({ headMs: 1000, connectMs: 3000, idleMs: 4000 });
    expect(settings.backends.map(({ port }) => port)).toEqual([3]);
    expect(originOf('timeouts.head', text, around)).toBe('file c.yaml:1');
    expect(originOf('timeouts.idle', text, around)).toBe('environment FAIRLEAD_TIMEOUTS');
  });

  test('a value that another layer overrides is judged all the same', () => {
    expect(problemsOf('port: x', { env })).toHaveLength(1);
  });
});

describe('the response timeout', () => {
  test.each([
    ['request_timeout: 5s', 5000],
    ['backend_timeout: 5s', 5000],
    ['timeouts: { response: 5s }', 5000],
    ['request_timeout: 90s\nbackend_timeout: 1m30s', 90_000],
    ['', 10_000],
  ])('%j', (text, responseMs) => {
    expect(settingsOf(text).timeouts.responseMs).toBe(responseMs);
  });

  test('by any name wins over a lower layer by any other', () => {
    const env = { FAIRLEAD_BACKEND_TIMEOUT: '7s' };
    expect(settingsOf('timeouts: { response: 5s }', { env }).timeouts.responseMs).toBe(7000);
    expect(originOf('timeouts.response', 'request_timeout: 5s')).toBe('file c.yaml:1');
    expect(originOf('timeouts.response', 'request_timeout: 5s', { env })).toBe(
      'environment FAIRLEAD_BACKEND_TIMEOUT',
    );
  });
});

describe('the environment', () => {
  test('way E: the names of containers', () => {
    const env = {
      TARGET_BACKEND_URLS: 'http://localhost:8081, http://localhost:8082,',
      HEALTH_CHECK_INTERVAL: '10s',
      HEALTH_CHECK_PATH: '/up',
      PROXY_LISTEN_ADDR: '127.0.0.1:8000',
    };
    expect(settingsOf('', { env })).toMatchObject({
      host: '127.0.0.1',
      port: 8000,
      backends: [{ url: 'http://localhost:8081' }, { url: 'http://localhost:8082' }],
      healthCheck: { method: 'http', path: '/up', intervalMs: 10_000, timeoutMs: 5000 },
    });
    expect(settingsOf('', { env: { PROXY_LISTEN_ADDR: ':81' } })).toMatchObject({
      host: undefined,
      port: 81,
    });
    expect(settingsOf('', { env: { PROXY_LISTEN_ADDR: '[::1]:81' } }).host).toBe('::1');
  });

  test('a text becomes what the schema wants', () => {
    const env = {
      FAIRLEAD_THREADS: '2',
      FAIRLEAD_STRATEGY: 'least-conn',
      FAIRLEAD_ACCESS_LOG: 'false',
      FAIRLEAD_STATE_FILE: 'state.json',
      FAIRLEAD_MAX_CONNECTIONS: 'false',
      FAIRLEAD_TRUSTED_PROXIES: '10.0.0.0/8,::1',
      FAIRLEAD_ADMIN_TOKEN: '12345',
      FAIRLEAD_BACKENDS: '[{"url":":1","weight":3}]',
      FAIRLEAD_LIMITS: '{"body":"1MiB"}',
    };
    expect(settingsOf('', { env })).toMatchObject({
      threads: 2,
      strategy: 'least-connections',
      accessLog: false,
      stateFile: '/nowhere/state.json',
      maxConnections: 0,
      forwarding: { trustedProxies: ['10.0.0.0/8', '::1/128'] },
      admin: { token: '12345' },
      backends: [{ port: 1, weight: 3 }],
      limits: { bodyBytes: 1_048_576 },
    });
  });

  test('empty is not set', () => {
    const env = { FAIRLEAD_PORT: '', TARGET_BACKEND_URLS: ' ', FAIRLEAD_CONFIG: 'x' };
    expect(settingsOf('', { env })).toMatchObject({ port: 8080, backends: [] });
  });

  test.each([
    [{ FAIRLEAD_PROT: '1' }, 'FAIRLEAD_PROT: unknown variable (did you mean "FAIRLEAD_PORT"?)'],
    [{ FAIRLEAD_BANANA: '1' }, 'FAIRLEAD_BANANA: unknown variable'],
    [{ FAIRLEAD_PORT: 'x' }, 'FAIRLEAD_PORT: must be a whole number from 1 to 65535, not "x"'],
    [
      { FAIRLEAD_TIMEOUTS: '{"head":1}' },
      'FAIRLEAD_TIMEOUTS: timeouts.head: must be a duration with a unit, such as 500ms, 30s or 1m30s, not 1 (add a unit: 1s or 1ms)',
    ],
    [
      { FAIRLEAD_TIMEOUTS: '5s' },
      'FAIRLEAD_TIMEOUTS: is not valid JSON: expected the end of the file, found "s" at character 2',
    ],
    [
      { HEALTH_CHECK_INTERVAL: '10' },
      'HEALTH_CHECK_INTERVAL: "10" is not a duration (add a unit: 10s or 10ms)',
    ],
    [
      { PROXY_LISTEN_ADDR: '8080' },
      'PROXY_LISTEN_ADDR: "8080" is not a listen address (write :8080 or 127.0.0.1:8080)',
    ],
    [
      { PROXY_LISTEN_ADDR: ':0' },
      'PROXY_LISTEN_ADDR: must be a whole number from 1 to 65535, not 0',
    ],
    [
      { FAIRLEAD_PORT: '1', PROXY_LISTEN_ADDR: ':2' },
      'PROXY_LISTEN_ADDR: contradicts FAIRLEAD_PORT, which sets the same key',
    ],
    [
      { TARGET_BACKEND_URLS: 'http://a,http://A/' },
      'TARGET_BACKEND_URLS: backends.1: http://a is the same backend as backends.0 (TARGET_BACKEND_URLS)',
    ],
    [
      { FAIRLEAD_ENABLE_STICKY_SESSIONS: 'yes' },
      'FAIRLEAD_ENABLE_STICKY_SESSIONS: must be true or false, not "yes"',
    ],
    [
      { FAIRLEAD_ADMIN_TOKEN: 'my secret' },
      'FAIRLEAD_ADMIN_TOKEN: admin.token: must be visible ASCII characters without spaces',
    ],
  ])('%j', (env, problem) => {
    expect(problemsOf('', { env: env as Record<string, string> })).toEqual([problem]);
  });

  test('the variables that Kubernetes sets for a service called fairlead are no configuration', () => {
    const env = {
      FAIRLEAD_PORT: 'tcp://10.3.2.1:8080',
      FAIRLEAD_SERVICE_HOST: '10.3.2.1',
      FAIRLEAD_SERVICE_PORT_HTTP: '8080',
      FAIRLEAD_PORT_8080_TCP: 'tcp://10.3.2.1:8080',
      FAIRLEAD_PORT_8080_TCP_ADDR: '10.3.2.1',
    };
    const result = loadText('', { env });
    expect(result).toMatchObject({
      ok: true,
      settings: { listeners: [{ address: { port: 8080 } }] },
    });
    expect(result.ok && result.notes).toHaveLength(5);
  });
});

describe('references', () => {
  test('in any string, with defaults, and as the type that the schema wants', () => {
    const text = [
      'port: ${PORT}',
      'admin: { token: "${TOKEN}" }',
      'backends: ["http://${HOST}:${UNSET:-81}", "${EMPTY:-http://b}"]',
      'access_log: "$${x}/${EMPTY}log"',
    ].join('\n');
    const env = { PORT: '99', TOKEN: '123', HOST: 'a', EMPTY: '' };
    expect(settingsOf(text, { env })).toMatchObject({
      port: 99,
      admin: { token: '123' },
      backends: [{ url: 'http://a:81' }, { url: 'http://b' }],
      accessLog: { target: { file: '/nowhere/${x}/log' } },
    });
  });

  test('a list from one variable', () => {
    const env = { URLS: ':1,:2' };
    expect(settingsOf('backends: ${URLS}', { env }).backends.map(({ port }) => port)).toEqual([
      1, 2,
    ]);
  });

  test.each([
    [
      'port: ${NOPE}',
      '1:7: port: the environment variable NOPE is not set (set it, or write ${NOPE:-default})',
    ],
    [
      'port: ${constructor}',
      '1:7: port: the environment variable constructor is not set (set it, or write ${constructor:-default})',
    ],
    [
      'backends:\n  - url: "http://${NOPE}"',
      '2:10: backends.0.url: the environment variable NOPE is not set (set it, or write ${NOPE:-default})',
    ],
    [
      'host: "${a b}"',
      '1:7: host: has a malformed reference "${a b}" (write ${NAME} or ${NAME:-default}; $${ is a plain ${)',
    ],
    [
      'host: "${a"',
      '1:7: host: has a malformed reference "${a" (write ${NAME} or ${NAME:-default}; $${ is a plain ${)',
    ],
    ['port: ${PORT:-x}', '1:7: port: must be a whole number from 1 to 65535, not "x"'],
  ])('%j', (text, problem) => {
    expect(problemsOf(text)).toEqual([`c.yaml:${problem}`]);
  });
});

describe('what depends on several keys', () => {
  test.each([
    ['', 'auto', '/health'],
    ['health_check_path: /up', 'http', '/up'],
    ['health_check_path: /up\nhealth_check_method: auto', 'auto', '/up'],
    ['health_check_method: tcp', 'tcp', '/health'],
  ])('the health check of %j', (text, method, path) => {
    expect(settingsOf(text).healthCheck).toMatchObject({ method, path });
  });

  test.each([
    ['health_check_frequency: 30s', 5000, 1000],
    ['health_check_frequency: 2s', 2000, 1000],
    ['health_check_frequency: 200ms', 200, 200],
    ['health_check_frequency: 2s\nhealth_check_timeout: 1s', 1000, 1000],
    ['health_check_down_frequency: 3s', 5000, 3000],
  ])('the times of %j', (text, timeoutMs, downIntervalMs) => {
    expect(settingsOf(text).healthCheck).toMatchObject({ timeoutMs, downIntervalMs });
  });

  test('none is none', () => {
    const text = 'max_connections: false\nlimits: { body: false, client_connections: false }';
    expect(settingsOf(text)).toMatchObject({
      maxConnections: 0,
      limits: { bodyBytes: 0, clientConnections: 0 },
    });
  });

  test.each([
    ['', { kind: 'client' }],
    ['host_header: backend', { kind: 'backend' }],
    ['host_header: example.com:81', { kind: 'fixed', value: 'example.com:81' }],
  ])('the Host field of %j', (text, hostHeader) => {
    expect(settingsOf(text).hostHeader).toEqual(hostHeader);
  });

  test('a token in the environment does not bring back an admin API that the file has put off', () => {
    const env = { FAIRLEAD_ADMIN_TOKEN: 'secret' };
    expect(settingsOf('admin: false', { env }).admin).toMatchObject({ isOff: true });
    expect(settingsOf('admin: {}', { env }).admin).toMatchObject({ isOff: false, token: 'secret' });
    const file = settingsOf('admin: { token: a }', { env: { FAIRLEAD_ADMIN: 'false' } });
    expect(file.admin).toMatchObject({ isOff: true });
  });

  test('a token opens other addresses to the admin API', () => {
    const env = { FAIRLEAD_ADMIN_TOKEN: 'secret' };
    expect(settingsOf('admin: { host: 0.0.0.0 }', { env }).admin).toEqual({
      host: '0.0.0.0',
      port: 9000,
      token: 'secret',
      tokens: null,
      rates: { reads: 200, writes: 50 },
      isOff: false,
      unix: null,
      tls: undefined,
    });
  });
});
