/** Every key's bad values: exactly what a user reads, and where it points. */
import { expect, test } from 'vitest';
import { problemsOf } from './load-text.ts';

const PORT = 'must be a whole number from 1 to 65535';
const DURATION = 'must be a duration with a unit, such as 500ms, 30s or 1m30s';
const UNITS = 'units are ms, s, m and h: 500ms, 30s, 1m30s';
const SIZE = 'must be a size, such as 65536, 64KiB or 1MB';
const LISTEN = 'must be an IP address, a host name, or * for all addresses';
const HOST_HEADER = 'must be client, backend, or a host name with or without a port';
const BLOCK = 'must be an IP address or a CIDR block, such as 10.0.0.0/8';
const STRATEGIES =
  'round-robin, least-connections, random-two, peak-ewma, ip-hash, consistent-hash, least-conn, weighted-round-robin';

test.each([
  ['port: 0', `1:7: port: ${PORT}, not 0`],
  ['port: 65536', `1:7: port: ${PORT}, not 65536`],
  ['port: 80.5', `1:7: port: ${PORT}, not 80.5`],
  ['port: "80"', `1:7: port: ${PORT}, not "80"`],
  ['port:', `1:6: port: ${PORT}, not null`],
  ['port: [1]', `1:7: port: ${PORT}, not a list`],
  ['host: a b', `1:7: host: ${LISTEN}, not "a b"`],
  ['host: 1', `1:7: host: ${LISTEN}, not 1`],
  ['admin_port: -1', `1:13: admin_port: ${PORT}, not -1`],
  ['admin_port: 8080', '1:13: admin_port: must differ from port, which is 8080 too (default)'],
  [
    'port: 9000',
    '1:7: port: must differ from admin_port, which is 9000 too (default) (set admin_port to another port)',
  ],
  ['admin: true', '1:8: admin: must be false, or a mapping with host and token, not true'],
  ['admin: { port: 1 }', '1:10: admin.port: unknown key'],
  [
    'admin: { host: 0.0.0.0 }',
    '1:16: admin.host: 0.0.0.0 is not a loopback address, so the admin API needs a token (set admin.tokens_file, admin.token or FAIRLEAD_ADMIN_TOKEN)',
  ],
  ['admin: { mode: "0600" }', '1:16: admin.mode: is of a unix socket'],
  [
    'admin: { unix: /x.sock, host: 127.0.0.1 }',
    '1:31: admin.host: is of a port, and admin.unix takes its place',
  ],
  [
    'listeners: [{ unix: /x.sock }]\nadmin: { unix: /x.sock }',
    '2:16: admin.unix: /x.sock is where clients connect',
  ],
  [
    'admin: { unix: /x.sock }\nbackends: ["unix:/x.sock"]',
    '2:12: backends.0: unix:/x.sock is the admin API of Fairlead itself: clients would reach it',
  ],
  ['admin: { token: "" }', '1:17: admin.token: must not be empty'],
  [
    'admin: { token: my secret }',
    '1:17: admin.token: must be visible ASCII characters without spaces',
  ],
  ['admin: { token: 4711 }', '1:17: admin.token: must be a text'],
  [
    'tracing: true',
    '1:10: tracing: must be false or a mapping, such as { endpoint: "http://localhost:4318" }, not true',
  ],
  [
    'tracing: { endpoint: localhost:4318 }',
    '1:22: tracing.endpoint: must be a URL that begins with http:// or https://, not "localhost:4318"',
  ],
  [
    'tracing: { endpoint: "http://me:secret@c:4318" }',
    '1:22: tracing.endpoint: must not hold a name or a password (a token goes into tracing.headers)',
  ],
  ['tracing: { sample: 10 }', '1:20: tracing.sample: must be a number from 0 to 1, not 10'],
  [
    'tracing: { headers: { a b: c } }',
    '1:23: tracing.headers.a b: must be the name of a header field',
  ],
  ['threads: 0', '1:10: threads: must be auto or 1 to 64, not 0'],
  ['threads: 65', '1:10: threads: must be auto or 1 to 64, not 65'],
  ['threads: many', '1:10: threads: must be auto or a whole number from 1 to 64, not "many"'],
  [
    'strategy: round-robbin',
    `1:11: strategy: must be one of ${STRATEGIES}, not "round-robbin" (did you mean "round-robin"?)`,
  ],
  ['strategy: 1', `1:11: strategy: must be one of ${STRATEGIES}, not 1`],
  ['backends: http://a', '1:11: backends: must be a list of backends, not "http://a"'],
  ['backends: [5]', '1:12: backends.0: must be a URL or { url, weight }, not 5'],
  [
    'backends: ["http://a//x"]',
    '1:12: backends.0: "http://a//x" has a path that is not clear: visible ASCII, without empty segments, dot segments, and encoded slashes',
  ],
  [
    'backends: ["http://me:secret@a"]',
    '1:12: backends.0: "http://***@a" must not hold a user name or password',
  ],
  ['backends: [{ weight: 2 }]', '1:12: backends.0.url: is missing'],
  [
    'backends: [{ url: "http://a", weight: 1001 }]',
    '1:39: backends.0.weight: must be a whole number from 0 to 1000, not 1001',
  ],
  [
    'backends: [{ url: "http://a", weigth: 2 }]',
    '1:31: backends.0.weigth: unknown key (did you mean "weight"?)',
  ],
  [
    'backends:\n  - http://localhost:3001\n  - { url: "http://:3001/" }',
    '3:5: backends.1: http://localhost:3001 is the same backend as backends.0 (c.yaml:2)',
  ],
  [
    'health_check_method: icmp',
    '1:22: health_check_method: must be one of http, tcp, grpc, auto, not "icmp"',
  ],
  ['health_check_path: health', '1:20: health_check_path: must start with a slash (write /health)'],
  [
    'health_check_path: "/a b"',
    '1:20: health_check_path: must be visible ASCII without spaces and without "#"',
  ],
  [
    'health_check_frequency: 30',
    `1:25: health_check_frequency: ${DURATION}, not 30 (add a unit: 30s or 30ms)`,
  ],
  [
    'health_check_frequency: "30"',
    '1:25: health_check_frequency: "30" is not a duration (add a unit: 30s or 30ms)',
  ],
  ['health_check_frequency: 1ms', '1:25: health_check_frequency: must be at least 10ms'],
  ['health_check_timeout: 0s', '1:23: health_check_timeout: must be at least 1ms'],
  ['health_check_rise: 0', '1:20: health_check_rise: must be a whole number from 1 to 100, not 0'],
  [
    'health_check_fall: 101',
    '1:20: health_check_fall: must be a whole number from 1 to 100, not 101',
  ],
  ['request_timeout: soon', `1:18: request_timeout: "soon" is not a duration (${UNITS})`],
  ['backend_timeout: 1 s', `1:18: backend_timeout: "1 s" is not a duration (${UNITS})`],
  [
    'request_timeout: 5s\nbackend_timeout: 6s',
    '2:18: backend_timeout: contradicts request_timeout (c.yaml:1), which means the same',
  ],
  [
    'timeouts: { response: 5s }\nrequest_timeout: 6s',
    '2:18: request_timeout: contradicts timeouts.response (c.yaml:1), which means the same',
  ],
  [
    'timeouts: 5s',
    '1:11: timeouts: must be a mapping of timeouts, such as { connect: 2s }, not "5s"',
  ],
  ...[
    'head',
    'connect',
    'response',
    'idle',
    'keep_alive',
    'backend_keep_alive',
    'backend_max_age',
    'backend_ping',
    'tunnel',
    'drain',
  ].map((key) => [
    `timeouts:\n  ${key}: 1x`,
    `2:${key.length + 5}: timeouts.${key}: "1x" is not a duration (${UNITS})`,
  ]),
  ['protocol: http2', '1:11: protocol: must be http1, h2 or auto, not "http2"'],
  ['timeouts: { conect: 1s }', '1:13: timeouts.conect: unknown key (did you mean "connect"?)'],
  [
    'timeouts: { head: 600h }',
    '1:19: timeouts.head: "600h" is longer than 596h, the longest possible',
  ],
  ['limits: []', '1:9: limits: must be a mapping of limits, such as { body: 1MiB }, not a list'],
  [
    'limits: { request_line: 1 }',
    '1:25: limits.request_line: must be from 64 to 1048576 bytes, not 1',
  ],
  [
    'limits: { request_line: 64KiB }',
    '1:25: limits.request_line: request_line (65536 bytes) must not be larger than head (32768 bytes)',
  ],
  ['limits: { head: 64k }', '1:17: limits.head: "64k" is not a size (write 64KiB or 64KB)'],
  ['limits: { head: true }', `1:17: limits.head: ${SIZE}, not true`],
  ['limits: { fields: 0 }', '1:19: limits.fields: must be a whole number from 1 to 10000, not 0'],
  [
    'limits: { body: true }',
    '1:17: limits.body: must be a size, such as 1MiB, or 0 for no limit, not true',
  ],
  [
    'limits: { buffered: 64KiB }',
    '1:21: limits.buffered: must be at least 1MiB, or 0 for no limit',
  ],
  [
    'limits: { client_connections: x }',
    '1:31: limits.client_connections: must be a whole number, or 0 for no limit, not "x"',
  ],
  [
    'max_connections: true',
    '1:18: max_connections: must be a whole number, or 0 for no limit, not true',
  ],
  ['host_header: "a b"', `1:14: host_header: ${HOST_HEADER}, not "a b"`],
  [
    'trusted_proxies: 10.0.0.1',
    '1:18: trusted_proxies: must be a list of IP addresses and CIDR blocks, not "10.0.0.1"',
  ],
  ['trusted_proxies: [10.0.0.1, a]', `1:29: trusted_proxies.1: ${BLOCK}, not "a"`],
  ['location: yes', '1:11: location: must be one of keep, rewrite, not "yes"'],
  [
    'upgrade: tcp',
    '1:10: upgrade: must be a list of protocols, such as [websocket, tcp], not "tcp"',
  ],
  [
    'upgrade: [a b]',
    '1:11: upgrade.0: must be the name of a protocol, such as websocket or tcp, not "a b"',
  ],
  [
    'upgrade: [tcp, H2C]',
    '1:16: upgrade.1: must not be H2C: its requests would pass without being looked at',
  ],
  ['upgrade: ["*"]', '1:11: upgrade.0: must name a protocol: there is no wildcard'],
  ['lenient_responses: 1', '1:20: lenient_responses: must be true or false, not 1'],
  ['forwarded: 1', '1:12: forwarded: must be true or false, not 1'],
  ['access_log: 1', '1:13: access_log: must be true, false or the path of a file, not 1'],
  ['access_log: stdout', '1:13: access_log: is not the path of a file (true is standard output)'],
  [
    'access_log: tcp://logs:514',
    '1:13: access_log: is not the path of a file (a syslog server is udp://HOST:PORT or unix:PATH)',
  ],
  [
    'access_log: syslog',
    '1:13: access_log: is not the path of a file (a syslog server is udp://HOST:PORT or unix:PATH)',
  ],
  [
    'access_log: syslog:server=unix:/dev/log',
    '1:13: access_log: is not the path of a file (a syslog server is udp://HOST:PORT or unix:PATH)',
  ],
  [
    'access_log: udp://logs:514/x',
    '1:13: access_log: is not the path of a file (a syslog server is udp://HOST:PORT or unix:PATH)',
  ],
  [
    'access_log: "unix:"',
    '1:13: access_log: is not the path of a file (a syslog server is udp://HOST:PORT or unix:PATH)',
  ],
  [
    'access_log_syslog: { app_name: a b }',
    '1:32: access_log_syslog.app_name: must be 1 to 48 visible ASCII characters without spaces, not "a b"',
  ],
  ['access_log: off', '1:13: access_log: is not the path of a file (write true or false)'],
  ['state_file: none', '1:13: state_file: is not the path of a file (false is none)'],
  [
    'access_log_fields: status',
    '1:20: access_log_fields: must be a list of fields, such as [time, client, path, status], not "status"',
  ],
  ['access_log_fields: []', '1:20: access_log_fields: must not be empty'],
  [
    'access_log_fields: [statuss]',
    '1:21: access_log_fields.0: must be the name of a field, not "statuss" (did you mean status?)',
  ],
  [
    'access_log_fields: [user_agent]',
    '1:21: access_log_fields.0: must be the name of a field, not "user_agent" (a field of the request is header.user-agent)',
  ],
  [
    'access_log_fields: ["header.a b"]',
    '1:21: access_log_fields.0: must be header. and the name of a field, not "header.a b"',
  ],
  [
    'access_log_fields: [header.a, header.A]',
    '1:20: access_log_fields: must not have a field twice',
  ],
  [
    'access_log_format: combined\naccess_log_fields: [status]',
    '2:1: access_log_fields: is for lines of JSON, and access_log_format is combined (take one of them out)',
  ],
  [
    'access_log_sampling: { percent: 101 }',
    '1:33: access_log_sampling.percent: must be a number from 0 to 100, not 101',
  ],
  [
    'access_log_sampling: { slow: 5 }',
    `1:30: access_log_sampling.slow: must be a duration with a unit, such as 500ms or 30s, or false for none, not 5 (add a unit: 5s or 5ms)`,
  ],
  [
    'access_log_redact: { query: token }',
    '1:29: access_log_redact.query: must be a list of names, not "token"',
  ],
  [
    'access_log_redact: { headers: ["a b"] }',
    '1:32: access_log_redact.headers.0: must be the name of a field, not "a b"',
  ],
  ['access_log_format: xml', '1:20: access_log_format: must be one of json, combined, not "xml"'],
  ['log_level: warning', '1:12: log_level: must be one of debug, info, warn, error, not "warning"'],
  ['state_file: true', '1:13: state_file: must be false or the path of a file, not true'],
  [
    'ssl: true',
    '1:6: ssl: must be a mapping with enabled, cert_file, key_file and http2, not true',
  ],
  ['ssl: { enabled: on }', '1:17: ssl.enabled: must be true or false, not "on"'],
  ['sticky_session_ttl: 1', `1:21: sticky_session_ttl: ${DURATION}, not 1 (add a unit: 1s or 1ms)`],
  ['prot: 1', '1:1: prot: unknown key (did you mean "port"?)'],
  ['connect: 1s', '1:1: connect: unknown key (it belongs below timeouts, indented)'],
  ['buffered: 1MiB', '1:1: buffered: unknown key (it belongs below limits, indented)'],
  [
    'timeouts:',
    '1:10: timeouts: must be a mapping of timeouts, such as { connect: 2s }, not null (what belongs to it stands indented below it)',
  ],
  [
    'timeouts: connect:1s',
    '1:11: timeouts: must be a mapping of timeouts, such as { connect: 2s } (a space stands behind the colon of a key)\n"connect:1s"',
  ],
  ['banana: 1', '1:1: banana: unknown key'],
  ['timeouts.head: 1s', '1:1: timeouts.head: unknown key'],
  ['.: 1', '1:1: .: unknown key'],
  ['"": 1', '1:1: unknown key'],
  ['constructor: 1', '1:1: constructor: unknown key'],
  ['__proto__: { port: 1 }', '1:1: __proto__: unknown key (did you mean "protocol"?)'],
])('%s', (text, problem) => {
  expect(problemsOf(text)).toEqual([`c.yaml:${problem}`]);
});

test('ssl without its files says so at ssl, twice', () => {
  expect(problemsOf('port: 1\nssl: { enabled: true }')).toEqual([
    'c.yaml:2:1: ssl.cert_file: is missing: TLS needs a certificate',
    'c.yaml:2:1: ssl.key_file: is missing: TLS needs a private key',
  ]);
});

test('all problems at once, of values and of combinations, in reading order', () => {
  const text = 'admin_port: 8080\nbackends: [":1", ":1"]\nlog_level: x\nprot: 1\nthreads: 0\n';
  const env = { FAIRLEAD_FORWARDED: 'maybe', FAIRLEAD_PROT: '1' };
  const flags = [{ name: '--port', path: ['port'], value: 'x' }];
  expect(problemsOf(text, { env, flags })).toEqual([
    'c.yaml:2:18: backends.1: http://localhost:1 is the same backend as backends.0 (c.yaml:2)',
    'c.yaml:3:12: log_level: must be one of debug, info, warn, error, not "x"',
    'c.yaml:4:1: prot: unknown key (did you mean "port"?)',
    'c.yaml:5:10: threads: must be auto or 1 to 64, not 0',
    'FAIRLEAD_PROT: unknown variable (did you mean "FAIRLEAD_PORT"?)',
    'FAIRLEAD_FORWARDED: must be true or false, not "maybe"',
    `--port: ${PORT}, not "x"`,
  ]);
});

test('a key with a dot in it is one key, beside the mapping that it looks like', () => {
  // Each line's key was once taken for another's, and the config ended in an exception.
  const text = '"timeouts.foo": 1\ntimeouts: { foo: 1 }\n"a.b": "${NOPE}"\n';
  expect(problemsOf(text)).toEqual([
    'c.yaml:1:1: timeouts.foo: unknown key (did you mean "timeouts"?)',
    'c.yaml:2:13: timeouts.foo: unknown key',
    'c.yaml:3:8: a.b: the environment variable NOPE is not set (set it, or write ${NOPE:-default})',
  ]);
});
