/** The policies' bad values and contradictions: exactly what a user reads, and where it points. */
import { expect, test } from 'vitest';
import { problemsOf } from './load-text.ts';

const DURATION = 'must be a duration with a unit, such as 500ms, 30s or 1m30s';
const DURATION_OR_NONE = 'must be a duration with a unit, such as 500ms or 30s, or false for none';
const PERCENT_OR_OFF = 'must be a whole number from 0 to 100, or false for off';
const COUNT = 'must be a whole number from 1 to 1000000';
const PERCENT = 'must be a whole number from 0 to 100';

test.each([
  [
    'backends: [{ url: ":1", weight: -1 }]',
    '1:33: backends.0.weight: must be a whole number from 0 to 1000, not -1',
  ],
  ['backends: [{ url: ":1", backup: 1 }]', '1:33: backends.0.backup: must be true or false, not 1'],
  [
    'backends: [{ url: ":1", bakup: true }]',
    '1:25: backends.0.bakup: unknown key (did you mean "backup"?)',
  ],

  ['sticky: true', '1:9: sticky: must be false or a mapping, such as { by: cookie }, not true'],
  [
    'sticky: cookie',
    '1:9: sticky: must be false or a mapping, such as { by: cookie }, not "cookie"',
  ],
  ['sticky: {}', '1:1: sticky.by: is missing: ip, cookie, header, query, learn or socket.io'],
  [
    'sticky: { ttl: 1h }',
    '1:1: sticky.by: is missing: ip, cookie, header, query, learn or socket.io',
  ],
  [
    'sticky: { by: cokie }',
    '1:15: sticky.by: must be one of ip, cookie, header, query, learn, socket.io, not "cokie" (did you mean "cookie"?)',
  ],
  ['sticky: { by: ip, tll: 1h }', '1:19: sticky.tll: unknown key (did you mean "ttl"?)'],
  ['sticky: { by: ip, ttl: 0s }', '1:24: sticky.ttl: must be at least 1ms'],
  [
    'sticky: { by: ip, ttl: 60 }',
    `1:24: sticky.ttl: ${DURATION}, not 60 (add a unit: 60s or 60ms)`,
  ],
  [
    'sticky: { by: ip, name: x }',
    '1:25: sticky.name: has no meaning by ip (c.yaml:1): leave it out',
  ],
  [
    'sticky: { by: header }',
    '1:11: sticky.name: is missing: the name of a header field, such as X-User',
  ],
  [
    'sticky: { by: query }',
    '1:11: sticky.name: is missing: the name of a query parameter as it stands in a URL, such as user',
  ],
  [
    'sticky: { by: cookie, name: "a b" }',
    '1:29: sticky.name: must be the name of a cookie, such as session, not "a b"',
  ],
  [
    'sticky: { by: cookie, name: "a=b" }',
    '1:29: sticky.name: must be the name of a cookie, such as session, not "a=b"',
  ],
  [
    'sticky: { by: cookie, name: __Host-shop }',
    '1:29: sticky.name: needs TLS (ssl.enabled, or trusted_proxies that speak it), or sticky.secure: true: clients take a cookie of such a name only with Secure',
  ],
  [
    'sticky: { by: cookie, name: __Secure-shop, secure: false }',
    '1:29: sticky.name: needs sticky.secure, which is false: clients take a cookie of such a name only with Secure',
  ],
  [
    'sticky: { by: cookie, name: __Host-shop, secure: true, domain: a.example }',
    '1:64: sticky.domain: clients refuse a Domain where the name begins with __Host-',
  ],
  [
    'sticky: { by: cookie, name: __host-shop, secure: true, path: /shop }',
    '1:62: sticky.path: must be / where the name begins with __Host-',
  ],
  [
    'sticky: { by: cookie, same_site: none }',
    '1:34: sticky.same_site: needs TLS (ssl.enabled, or trusted_proxies that speak it), or sticky.secure: true: clients take none only with Secure',
  ],
  [
    'sticky: { by: cookie, same_site: none, secure: false }',
    '1:34: sticky.same_site: needs sticky.secure, which is false: clients take none only with Secure',
  ],
  [
    'sticky: { by: cookie, same_site: Lax }',
    '1:34: sticky.same_site: must be one of lax, strict, none, not "Lax" (did you mean "lax"?)',
  ],
  [
    'sticky: { by: cookie, secure: yes }',
    '1:31: sticky.secure: must be true, false or auto, not "yes"',
  ],
  [
    'sticky: { by: cookie, domain: "a.example; Path=/" }',
    '1:31: sticky.domain: must be a host name, such as example.com, not "a.example; Path=/"',
  ],
  [
    'sticky: { by: cookie, domain: "a\\r\\nX: y" }',
    '1:31: sticky.domain: must be a host name, such as example.com, not "a\\r\\nX: y"',
  ],
  [
    'sticky: { by: cookie, domain: 127.0.0.1 }',
    '1:31: sticky.domain: must be a host name, such as example.com, not "127.0.0.1"',
  ],
  [
    'sticky: { by: cookie, path: shop }',
    '1:29: sticky.path: must start with a slash (write /shop)',
  ],
  ...['/a;b', '/a b', '/a\\r\\nb', '/\u00e4'].map((path) => [
    `sticky: { by: cookie, path: "${path}" }`,
    `1:29: sticky.path: must be visible ASCII without spaces and without ";", not "${path}"`,
  ]),
  [
    'sticky: { by: learn }',
    '1:11: sticky.cookie: is missing: the name of a cookie, such as session',
  ],
  [
    'sticky: { by: learn, cookie: "a;b" }',
    '1:30: sticky.cookie: must be the name of a cookie, such as session, not "a;b"',
  ],
  [
    'sticky: { by: learn, cookie: a, name: b }',
    '1:39: sticky.name: has no meaning by learn: sticky.cookie names the cookie',
  ],
  [
    'sticky: { by: learn, cookie: a, same_site: lax }',
    '1:44: sticky.same_site: has no meaning by learn: it is an attribute of the cookie',
  ],
  [
    'sticky: { by: cookie, cookie: a }',
    '1:31: sticky.cookie: is for by: learn; the cookie that Fairlead sets is named by sticky.name',
  ],
  [
    'sticky: { by: socket.io, name: sid }',
    '1:32: sticky.name: has no meaning by socket.io: leave it out',
  ],
  [
    'sticky: { by: socketio }',
    '1:15: sticky.by: must be one of ip, cookie, header, query, learn, socket.io, not "socketio" (did you mean "socket.io"?)',
  ],
  [
    'sticky: { by: ip, path: /shop }',
    '1:25: sticky.path: has no meaning by ip: it is an attribute of the cookie',
  ],
  ['sticky: { by: cookie, name: "" }', '1:29: sticky.name: must not be empty'],
  [
    'sticky: { by: header, name: "X:Y" }',
    '1:29: sticky.name: must be the name of a header field, such as X-User, not "X:Y"',
  ],
  [
    'sticky: { by: query, name: "a&b" }',
    '1:28: sticky.name: must be the name of a query parameter as it stands in a URL, such as user, not "a&b"',
  ],
  [
    'sticky: { by: cookie, secret: fifteen-signs-x }',
    '1:31: sticky.secret: must have 16 characters or more',
  ],
  [
    'sticky: { by: cookie, secret: "sixteen signs and spaces" }',
    '1:31: sticky.secret: must be visible ASCII characters without spaces',
  ],
  [
    'sticky: { by: header, name: X, secret: 0123456789abcdef }',
    '1:40: sticky.secret: has no meaning by header: it signs the cookie',
  ],
  ['enable_sticky_sessions: on', '1:25: enable_sticky_sessions: must be true or false, not "on"'],
  [
    'sticky: false\nenable_sticky_sessions: true',
    '2:25: enable_sticky_sessions: contradicts sticky (c.yaml:1), which is false',
  ],
  [
    'sticky: { by: cookie }\nenable_sticky_sessions: true',
    '2:25: enable_sticky_sessions: contradicts sticky.by (c.yaml:1), which is cookie: true stands for ip',
  ],
  [
    'sticky: { by: cookie }\nenable_sticky_sessions: false',
    '2:25: enable_sticky_sessions: contradicts sticky (c.yaml:1), which turns sticky sessions on',
  ],
  [
    'sticky: { by: ip, ttl: 1h }\nsticky_session_ttl: 2h',
    '2:21: sticky_session_ttl: contradicts sticky.ttl (c.yaml:1), which means the same',
  ],

  [
    'hash: false',
    '1:7: hash: must be a mapping with by and name, such as { by: header, name: X-User }, not false',
  ],
  [
    'hash: { by: body }',
    '1:13: hash.by: must be one of ip, header, cookie, path, query, not "body"',
  ],
  [
    'hash: { by: header }',
    '1:9: hash.name: is missing: the name of a header field, such as X-User',
  ],
  [
    'hash: { by: path, name: x }',
    '1:25: hash.name: has no meaning by path (c.yaml:1): leave it out',
  ],
  ['hash: { name: x }', '1:15: hash.name: has no meaning by ip (default): leave it out'],

  ['retries: true', '1:10: retries: must be false or a mapping, such as { attempts: 3 }, not true'],
  ['retries: 3', '1:10: retries: must be false or a mapping, such as { attempts: 3 }, not 3'],
  ['retries: { atempts: 1 }', '1:12: retries.atempts: unknown key (did you mean "attempts"?)'],
  [
    'retries: { attempts: 0 }',
    '1:22: retries.attempts: must be a whole number from 1 to 10, not 0',
  ],
  [
    'retries: { attempts: 11 }',
    '1:22: retries.attempts: must be a whole number from 1 to 10, not 11',
  ],
  [
    'retries: { per_try_timeout: 5 }',
    `1:29: retries.per_try_timeout: ${DURATION_OR_NONE}, not 5 (add a unit: 5s or 5ms)`,
  ],
  [
    'retries: { per_try_timeout: 10s }',
    '1:29: retries.per_try_timeout: must be shorter than timeouts.response, which is 10s (default)',
  ],
  [
    'request_timeout: 1s\nretries: { per_try_timeout: 2s }',
    '2:29: retries.per_try_timeout: must be shorter than timeouts.response, which is 1s (c.yaml:1)',
  ],
  [
    'timeouts: { total: 2s }\nretries: { per_try_timeout: 2s }',
    '2:29: retries.per_try_timeout: must be shorter than timeouts.total, which is 2s (c.yaml:1)',
  ],
  [
    'retries: { on_status: 503 }',
    '1:23: retries.on_status: must be a list of status codes from 400 to 599, not 503',
  ],
  [
    'retries: { on_status: [503, 399] }',
    '1:29: retries.on_status.1: must be a whole number from 400 to 599, not 399',
  ],
  [
    'retries: { on_status: [600] }',
    '1:24: retries.on_status.0: must be a whole number from 400 to 599, not 600',
  ],
  ['retries: { on_status: [503, 502, 503] }', '1:34: retries.on_status.2: 503 stands here twice'],
  [
    'retries: { on_grpc_status: [UNAVAILABLE, UNAVAILABLE] }',
    '1:42: retries.on_grpc_status.1: UNAVAILABLE stands here twice',
  ],
  ['retries: { budget_percent: 101 }', `1:28: retries.budget_percent: ${PERCENT}, not 101`],
  [
    'retries: { replay_buffer: 17MiB }',
    '1:27: retries.replay_buffer: must be from 0 to 16777216 bytes',
  ],
  ['retries: { backoff: true }', `1:21: retries.backoff: ${DURATION_OR_NONE}, not true`],
  [
    'retries: { hedge_after: soon }',
    '1:25: retries.hedge_after: "soon" is not a duration (units are ms, s, m and h: 500ms, 30s, 1m30s)',
  ],
  [
    'retries: { hedge_after: 10s }',
    '1:25: retries.hedge_after: must be shorter than timeouts.response, which is 10s (default)',
  ],
  [
    'retries: { hedge_after: 2s, per_try_timeout: 1s }',
    '1:25: retries.hedge_after: must be shorter than retries.per_try_timeout, which is 1s (c.yaml:1)',
  ],
  [
    'timeouts: { total: 500ms }\nretries: { hedge_after: 1s }',
    '2:25: retries.hedge_after: must be shorter than timeouts.total, which is 500ms (c.yaml:1)',
  ],
  [
    'retries: { attempts: 1, hedge_after: 1s }',
    '1:38: retries.hedge_after: needs a second attempt, but retries.attempts is 1 (c.yaml:1)',
  ],
  [
    'retries: { non_idempotent: maybe }',
    '1:28: retries.non_idempotent: must be true or false, not "maybe"',
  ],

  [
    'outlier_detection: 5',
    '1:20: outlier_detection: must be true, false or a mapping, such as { consecutive_failures: 5 }, not 5',
  ],
  [
    'outlier_detection: { enabled: 1 }',
    '1:31: outlier_detection.enabled: must be true or false, not 1',
  ],
  [
    'outlier_detection: { consecutive_failures: 1001 }',
    '1:44: outlier_detection.consecutive_failures: must be a whole number from 0 to 1000, not 1001',
  ],
  [
    'outlier_detection: { failure_percent: 101 }',
    `1:39: outlier_detection.failure_percent: ${PERCENT}, not 101`,
  ],
  [
    'outlier_detection: { min_requests: 0 }',
    `1:36: outlier_detection.min_requests: ${COUNT}, not 0`,
  ],
  [
    'outlier_detection: { interval: 9ms }',
    '1:32: outlier_detection.interval: must be at least 10ms',
  ],
  [
    'outlier_detection: { base_ejection: 0s }',
    '1:37: outlier_detection.base_ejection: must be at least 1ms',
  ],
  [
    'outlier_detection: { base_ejection: 6m }',
    '1:37: outlier_detection.base_ejection: must not be longer than max_ejection, which is 5m (default)',
  ],
  [
    'outlier_detection: { max_ejection: 29s }',
    '1:36: outlier_detection.max_ejection: must not be shorter than base_ejection, which is 30s (default)',
  ],
  [
    'outlier_detection: { base_ejection: 2s, max_ejection: 1s }',
    '1:55: outlier_detection.max_ejection: must not be shorter than base_ejection, which is 2s (c.yaml:1)',
  ],
  [
    'outlier_detection: { max_ejection_percent: 101 }',
    `1:44: outlier_detection.max_ejection_percent: ${PERCENT}, not 101`,
  ],
  [
    'outlier_detection: { slow_call: 10s }',
    '1:33: outlier_detection.slow_call: must be shorter than timeouts.response, which is 10s (default)',
  ],
  [
    'outlier_detection: { slow_call: 3s }\nretries: { per_try_timeout: 3s }',
    '1:33: outlier_detection.slow_call: must be shorter than retries.per_try_timeout, which is 3s (c.yaml:2)',
  ],
  [
    'outlier_detection: { slow_call: 3s }\ntimeouts: { total: 1s }',
    '1:33: outlier_detection.slow_call: must be shorter than timeouts.total, which is 1s (c.yaml:2)',
  ],
  [
    'outlier_detection: { consecutive_4xx: 5 }',
    '1:22: outlier_detection.consecutive_4xx: unknown key (did you mean "consecutive_5xx"?)',
  ],

  [
    'circuit_breaker: "on"',
    '1:18: circuit_breaker: must be true, false or a mapping, such as { failure_percent: 50 }, not "on"',
  ],
  [
    'circuit_breaker: { failure_percent: 0 }',
    '1:37: circuit_breaker.failure_percent: must be a whole number from 1 to 100, not 0',
  ],
  ['circuit_breaker: { min_requests: 0 }', `1:34: circuit_breaker.min_requests: ${COUNT}, not 0`],
  ['circuit_breaker: { interval: 0s }', '1:30: circuit_breaker.interval: must be at least 10ms'],
  ['circuit_breaker: { open: 0s }', '1:26: circuit_breaker.open: must be at least 1ms'],
  [
    'circuit_breaker: { half_open_requests: 1001 }',
    '1:40: circuit_breaker.half_open_requests: must be a whole number from 1 to 1000, not 1001',
  ],
  [
    'circuit_breaker: { half_open: 1 }',
    '1:20: circuit_breaker.half_open: unknown key (did you mean "half_open_requests"?)',
  ],

  [
    'max_requests: 1000001',
    '1:15: max_requests: must be a whole number from 0 to 1000000, not 1000001',
  ],
  ['max_requests: true', '1:15: max_requests: must be a whole number, or 0 for no limit, not true'],
  [
    'max_connections: 5\nmax_requests: 6',
    '2:15: max_requests: must not be more than max_connections, which is 5 (c.yaml:1): each request has a connection of its own',
  ],
  [
    'queue: 5',
    '1:8: queue: must be false or a mapping, such as { size: 1000, timeout: 5s }, not 5',
  ],
  ['queue: { size: 0 }', `1:16: queue.size: ${COUNT}, not 0`],
  ['queue: { timeout: 0s }', '1:19: queue.timeout: must be at least 1ms'],
  ['queue: { length: 5 }', '1:10: queue.length: unknown key'],
  [
    'limits: { connections_per_client: -1 }',
    '1:35: limits.connections_per_client: must be a whole number from 0 to 10000000, not -1',
  ],
  [
    'limits: { client_connections: 5, connections_per_client: 6 }',
    '1:58: limits.connections_per_client: must not be larger than client_connections, which is 5 (c.yaml:1)',
  ],

  [
    'rate_limit: true',
    '1:13: rate_limit: must be false or a mapping, such as { rate: 100, burst: 20 }, not true',
  ],
  ['rate_limit: { burst: 5 }', '1:1: rate_limit.rate: is missing: how many requests?'],
  ['rate_limit: { rate: 0 }', `1:21: rate_limit.rate: ${COUNT}, not 0`],
  ['rate_limit: { rate: 1.5 }', `1:21: rate_limit.rate: ${COUNT}, not 1.5`],
  [
    'rate_limit: { rate: 1, per: 1 }',
    `1:29: rate_limit.per: ${DURATION}, not 1 (add a unit: 1s or 1ms)`,
  ],
  ['rate_limit: { rate: 1, burst: 0 }', `1:31: rate_limit.burst: ${COUNT}, not 0`],
  [
    'rate_limit: { rate: 1, by: query }',
    '1:28: rate_limit.by: must be one of ip, header, cookie, not "query"',
  ],
  [
    'rate_limit: { rate: 1, by: header }',
    '1:24: rate_limit.name: is missing: the name of a header field, such as X-User',
  ],
  [
    'rate_limit: { rate: 1, name: x }',
    '1:30: rate_limit.name: has no meaning by ip (default): leave it out',
  ],

  [
    'outlier_detection: { consecutive_failures: true }',
    '1:44: outlier_detection.consecutive_failures: must be a whole number from 0 to 1000, or false for off, not true',
  ],
  ['slow_start: 30', `1:13: slow_start: ${DURATION_OR_NONE}, not 30 (add a unit: 30s or 30ms)`],
  ['slow_start: true', `1:13: slow_start: ${DURATION_OR_NONE}, not true`],
  ['panic_threshold_percent: 101', `1:26: panic_threshold_percent: ${PERCENT}, not 101`],
  ['panic_threshold_percent: half', `1:26: panic_threshold_percent: ${PERCENT_OR_OFF}, not "half"`],
  [
    'timeouts: { total: forever }',
    '1:20: timeouts.total: "forever" is not a duration (units are ms, s, m and h: 500ms, 30s, 1m30s)',
  ],
])('%s', (text, problem) => {
  expect(problemsOf(text)).toEqual([`c.yaml:${problem}`]);
});

test('a contradiction between layers names both', () => {
  const text = 'sticky:\n  by: cookie\n  name: shop\n';
  const env = { FAIRLEAD_STICKY: '{"by":"ip"}', FAIRLEAD_RETRIES: '{"per_try_timeout":"20s"}' };
  expect(problemsOf(text, { env })).toEqual([
    'c.yaml:3:9: sticky.name: has no meaning by ip (FAIRLEAD_STICKY): leave it out',
    'FAIRLEAD_RETRIES: retries.per_try_timeout: must be shorter than timeouts.response, which is 10s (default)',
  ]);
});

test('a secret is in no message', () => {
  const text = 'sticky: { by: cookie, secret: "not for\\neverybody" }\nprot: 1';
  expect(problemsOf(text).join('\n')).not.toContain('everybody');
});

test('what another problem spoils is not judged', () => {
  expect(problemsOf('timeouts: { response: x }\nretries: { per_try_timeout: 20s }')).toHaveLength(
    1,
  );
  expect(problemsOf('sticky: { by: x, name: y }\nenable_sticky_sessions: true')).toHaveLength(1);
});
