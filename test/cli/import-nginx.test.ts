/** `fairlead import nginx`: what it makes is a config, and what it does not make is said. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { makeCertificate } from '../support/certificate.ts';
import { runFairlead } from '../support/fairlead.ts';
import { converted, folderWith, imported } from './nginx/made.ts';

const UP = 'upstream app { server 10.0.0.1:80; }';

test('a whole config with what it includes', async () => {
  const pair = makeCertificate();
  const cwd = folderWith({
    'nginx.conf': `events {} http { include mime.types; include sites/*.conf;
      map $http_upgrade $connection_upgrade { default upgrade; '' close; } }`,
    'mime.types': 'types { text/html html; }',
    'sites/a.conf': `upstream app { least_conn; server 10.0.0.1:8080 weight=3; server 10.0.0.2:8080 backup; keepalive 8; }
      server { listen 80; server_name shop.test; return 301 https://$host$request_uri; }`,
    'sites/b.conf': `server { listen 443 ssl http2; listen [::]:443 ssl http2; server_name shop.test;
      ssl_certificate ${pair.cert_file}; ssl_certificate_key ${pair.key_file};
      location / { proxy_pass http://app; proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; } }`,
    'sites/.hidden.conf': 'server { listen 81; }',
  });
  const run = await runFairlead(['import', 'nginx', 'nginx.conf', '-o', 'fairlead.yaml'], { cwd });
  expect(run).toEqual({
    code: 0,
    stdout: `${join(cwd, 'fairlead.yaml')} is written\n`,
    stderr: '',
  });
  const text = readFileSync(join(cwd, 'fairlead.yaml'), 'utf8');
  expect(text).toContain('# All of it is carried over.');
  expect(text).toContain('# sites/b.conf:3: location /');
  expect(parse(text)).toEqual({
    limits: { body: '1MiB' },
    location: 'rewrite',
    listeners: [
      { port: 80, redirect_to_https: true },
      { port: 443, tls: { certificates: [pair] } },
    ],
    pools: {
      app: {
        strategy: 'least-connections',
        backends: [
          { url: 'http://10.0.0.1:8080', weight: 3 },
          { url: 'http://10.0.0.2:8080', backup: true },
        ],
        host_header: 'client',
        timeouts: { response: '60s' },
        health_check: { method: 'tcp' },
      },
    },
    routes: [
      { path: '/', pool: 'app', request_headers: { set: { 'x-real-ip': '${client.address}' } } },
    ],
  });
  const check = await runFairlead(['check', '--config', 'fairlead.yaml'], { cwd });
  expect(check).toMatchObject({ code: 0, stderr: '' });
  const again = await runFairlead(['import', 'nginx', 'nginx.conf', '-o', 'fairlead.yaml'], {
    cwd,
  });
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr).toContain('--force replaces it');
});

test.each([
  ['location /api/ { proxy_pass http://app/; }', { path: '/api/', strip_prefix: '/api' }],
  ['location /api/ { proxy_pass http://app/v2/; }', { path: '/api/', rewrite: '/v2/${path.rest}' }],
  ['location = /a { proxy_pass http://app/b; }', { path: '=/a', rewrite: '/b' }],
  ['location ^~ /a/ { proxy_pass http://app; }', { path: '/a/' }],
  ['location ~ ^/users(/|$) { proxy_pass http://app; }', { path: '/users' }],
  ['location /a/ { proxy_pass http://app$request_uri; }', { path: '/a/' }],
])('%s', (location, terms) => {
  const { config } = converted(`http { ${UP} server { ${location} } }`);
  const [first, ...others] = config.routes;
  expect(first).toEqual({ ...terms, pool: 'app' });
  const isSlashed = /location (\^~ )?\/\w+\/ /.test(location);
  expect(others.map(({ path }) => path)).toEqual(isSlashed ? [`=${terms.path.slice(0, -1)}`] : []);
});

test.each([
  [
    'return 301 https://new.test$request_uri;',
    { redirect: { to: 'https://new.test${path}', status: 301 } },
  ],
  ['return 308 /new/;', { redirect: { to: '/new/', status: 308 } }],
  [
    'return 200 pong;',
    { respond: { status: 200, body: 'pong', headers: { 'content-type': 'text/plain' } } },
  ],
  ['return 404;', { respond: { status: 404 } }],
  ['root /srv; try_files $uri =404;', { respond: { status: 404 } }],
])('location /x/ { %s }', (body, terms) => {
  const { config } = converted(`http { server { location /x/ { ${body} } } }`);
  expect(config.routes).toEqual([{ path: '/x/', ...terms }]);
});

test.each([
  ['allow 10.0.0.0/8; allow ::1; deny all;', { allow: ['10.0.0.0/8', '::1'] }],
  ['deny 10.0.0.1; allow all;', { deny: ['10.0.0.1'] }],
  ['deny 10.0.0.1; allow 10.0.0.0/8; deny all;', { deny: ['10.0.0.1'], allow: ['10.0.0.0/8'] }],
  ['deny all;', { deny: ['0.0.0.0/0', '::/0'] }],
  ['client_max_body_size 8m;', { limits: { body: '8MiB' } }],
  ['client_max_body_size 0;', { limits: { body: false } }],
  ['limit_req zone=one burst=5 nodelay;', { rate_limit: { rate: 10, burst: 6 } }],
  ['add_header X-A "b $host" always;', { response_headers: { add: { 'x-a': 'b ${host}' } } }],
  ['proxy_hide_header Server;', { response_headers: { remove: ['server'] } }],
  ['proxy_set_header Accept-Encoding "";', { request_headers: { remove: ['accept-encoding'] } }],
  ['proxy_set_header X-B $http_x_a;', { request_headers: { set: { 'x-b': '${header.x-a}' } } }],
])('of a route: %s', (directives, terms) => {
  const { config, said } = converted(
    `http { limit_req_zone $binary_remote_addr zone=one:1m rate=10r/s; ${UP}
      server { location / { proxy_pass http://app; ${directives} } } }`,
  );
  expect(config.routes).toEqual([{ path: '/', pool: 'app', ...terms }]);
  expect(said).toEqual([]);
});

test.each([
  [
    'proxy_connect_timeout 3s; proxy_read_timeout 5m;',
    { timeouts: { connect: '3s', response: '5m', idle: '5m', tunnel: '5m' } },
  ],
  ['proxy_next_upstream off;', { retries: false }],
  [
    'proxy_next_upstream error http_502 non_idempotent; proxy_next_upstream_tries 2;',
    { retries: { attempts: 2, on_status: [502], non_idempotent: true } },
  ],
  ['proxy_set_header Host static.test;', { host_header: 'static.test' }],
])('of a pool: %s', (directives, terms) => {
  const { config } = converted(
    `http { ${UP} server { location / { proxy_pass http://app; ${directives} } } }`,
  );
  expect(config.pools['app']).toMatchObject(terms);
});

test.each([
  ['hash $request_uri consistent;', { strategy: 'consistent-hash', hash: { by: 'path' } }],
  ['hash $cookie_user;', { strategy: 'consistent-hash', hash: { by: 'cookie', name: 'user' } }],
  ['ip_hash;', { strategy: 'ip-hash' }],
  ['random two least_conn;', { strategy: 'random-two' }],
])('of an upstream: %s', (directives, terms) => {
  const { config } = converted(
    `http { upstream app { ${directives} server 10.0.0.1:80 max_fails=4 fail_timeout=20s max_conns=9; server unix:/run/a.sock max_fails=4 fail_timeout=20s max_conns=9; }
      server { location / { proxy_pass http://app; } } }`,
  );
  expect(config.pools['app']).toMatchObject({
    ...terms,
    backends: ['http://10.0.0.1:80', 'unix:/run/a.sock'],
    outlier_detection: { consecutive_failures: 4, base_ejection: '20s' },
    max_connections: 9,
  });
});

test('TLS to backends, as lenient as it was; and gRPC', () => {
  const { config } = converted(`http { server {
    location / { proxy_pass https://10.0.0.1:8443; proxy_ssl_name app.test; proxy_ssl_server_name on; }
    location /g/ { grpc_pass grpc://10.0.0.2:50051; } } }`);
  expect(Object.values(config.pools)).toMatchObject([
    { backends: ['https://10.0.0.1:8443'], tls: { server_name: 'app.test', verify: false } },
    { backends: ['http://10.0.0.2:50051'], protocol: 'h2' },
  ]);
});

test('names: of the default server none, those of the others as they are', () => {
  const { config } =
    converted(`http { server { listen 80; server_name b.test *.b.test; location / { return 202; } }
    server { listen 80 default_server; server_name _; location / { return 404; } }
    server { listen 80; server_name .c.test; location / { return 204; } } }`);
  expect(config.listeners).toEqual([{ port: 80 }]);
  expect(config.routes.map(({ host, respond }) => [host, respond])).toEqual([
    [['b.test', '*.b.test'], { status: 202 }],
    [undefined, { status: 404 }],
    [['c.test', '*.c.test'], { status: 204 }],
  ]);
});

test.each([
  ['auth_basic on;', 'CLOSED: the hashes'],
  ['auth_request /a;', 'CLOSED: has no counterpart'],
  ['allow 10.0.0.1; deny 10.0.0.0/8; allow all;', 'CLOSED: rules in this order'],
])('what can not be checked is closed: %s', (directives, why) => {
  const { config, said } = converted(
    `http { ${UP} server { location / { proxy_pass http://app; ${directives} } } }`,
  );
  expect(config.routes).toEqual([{ path: '/', pool: 'app', deny: ['0.0.0.0/0', '::/0'] }]);
  expect(said.join('\n')).toContain(why);
});

test.each([
  ['gzip on;', 'a.conf:3: gzip on: left out: Fairlead does not compress'],
  ['frobnicate a b;', 'a.conf:3: frobnicate a b: left out: has no counterpart'],
  [
    'location ~* \\.(jpg|png)$ { proxy_pass http://app; }',
    'left out: a regular expression that is no plain path',
  ],
  ['location /v { proxy_pass http://$backend; }', 'left out: where it leads is found at run time'],
  ['location /s/ { root /srv; }', 'left out: Fairlead serves no files'],
  ['if ($host = a) { return 301 /a; }', 'left out: conditions are routes'],
  ['location /v1 { proxy_pass http://app; }', 'differs: nginx takes all that begins'],
  ['rewrite ^/a$ /b;', 'left out: regular expressions are not carried over'],
])('it is said: %s', (directive, why) => {
  const { said } = converted(
    `http { ${UP} server {\n location / { proxy_pass http://app; }\n ${directive}\n } }`,
  );
  expect(said.join('\n')).toContain(why);
  expect(said.join('\n')).toContain('a.conf:3: ');
});

test('--json', async () => {
  const { code, stdout, stderr } = await imported(
    'http {\n gzip on; server { location / { return 404; } } }',
    '--json',
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const answer = JSON.parse(stdout) as { readonly config: string };
  expect(answer).toEqual({
    file: null,
    config: expect.any(String),
    findings: [
      { file: 'a.conf', line: 2, directive: 'gzip on', kind: 'left-out', why: expect.any(String) },
    ],
    problems: [],
  });
  expect(parse(answer.config)).toMatchObject({ routes: [{ respond: { status: 404 } }] });
});

test.each([
  ['http {', 'a.conf:1:6: this "{" is never closed'],
  ['include none.conf;', 'a.conf:1:1: cannot read none.conf: no such file'],
  ['\ninclude a.conf;', 'a.conf:2:1: a.conf includes itself'],
  ['include *.conf;', 'a.conf:1:1: a.conf includes itself'],
])('%j is refused with its place', async (text, message) => {
  expect(await imported(text, '-o', 'b.yaml')).toEqual({
    code: 2,
    stdout: '',
    stderr: `${message}\n`,
  });
});

test('bad arguments', async () => {
  const cwd = folderWith({});
  for (const args of [[], ['apache', 'a'], ['nginx'], ['nginx', 'a', 'b']]) {
    expect(await runFairlead(['import', ...args], { cwd })).toMatchObject({ code: 2, stdout: '' });
  }
  expect(readdirSync(cwd)).toEqual([]);
});
