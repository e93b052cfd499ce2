/** `fairlead import nginx`: nobody gets in who would not in nginx, unless it is said; and of two locations that which nginx prefers. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { converted } from './nginx/made.ts';

const UP = 'upstream app { server 10.0.0.1:80; }';
const CLOSED = ['0.0.0.0/0', '::/0'];

function serverWith(directives: string): string {
  return `http { ${UP} server {\n${directives}\nlocation / { proxy_pass http://app; } } }`;
}

test.each([
  ['', '', ['127.0.0.1', '::1'], 'a.conf:2: listen 80 proxy_protocol: CLOSED: nobody says'],
  ['set_real_ip_from 10.0.0.0/8;', 'real_ip_header proxy_protocol;', ['10.0.0.0/8'], ''],
  ['set_real_ip_from unix:;', 'real_ip_header proxy_protocol;', ['unix'], ''],
  [
    'set_real_ip_from 10.0.0.1;',
    '',
    ['10.0.0.1'],
    'a.conf:2: listen 80 proxy_protocol: differs: the address in the header is the client’s',
  ],
])('whose PROXY header is believed: %s %s', (from, header, believed, why) => {
  const { config, said } = converted(serverWith(`listen 80 proxy_protocol; ${from} ${header}`));
  expect(config.listeners).toEqual([{ port: 80, proxy_protocol: { from: believed } }]);
  expect(said.length).toBe(why === '' ? 0 : 1);
  expect(said.join()).toContain(why);
});

test('a PROXY header is believed of nobody whom the config does not name', async () => {
  const backend = await httpBackend((request, response) => {
    response.end(`for ${request.headers['x-forwarded-for']}`);
  });
  const [port, adminPort, cwd] = [await freePort(), await freePort(), temporaryFolder('import')];
  writeFileSync(
    `${cwd}/a.conf`,
    `server { listen 127.0.0.1:${port} proxy_protocol; location / { proxy_pass ${backend.url}; } }`,
  );
  await runFairlead(['import', 'nginx', 'a.conf', '-o', 'fairlead.yaml'], { cwd });
  const args = ['--config', `${cwd}/fairlead.yaml`, '--admin-port', String(adminPort)];
  await startFairlead({ args, ports: { port, adminPort } });
  const say = async (localAddress: string, words: string): Promise<string> => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    await once(socket, 'connect');
    socket.write(`${words}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    return text(socket);
  };
  const header = 'PROXY TCP4 192.0.2.9 10.0.0.1 4386 80\r\n';
  await waitFor(async () => (await say('127.0.0.2', '')).endsWith('for 127.0.0.2'));
  expect(await say('127.0.0.2', header)).toMatch(/^HTTP\/1\.1 400 /);
  expect(await say('127.0.0.1', header)).toMatch(/for 192\.0\.2\.9$/);
});

test.each([
  [
    'if ($request_method = POST) { return 405; }',
    [{ method: ['POST'], respond: { status: 405 } }, { pool: 'app' }],
  ],
  [
    'if ($request_method !~ ^(GET|HEAD)$ ) { return 403 "no"; }',
    [
      { method: ['GET', 'HEAD'], pool: 'app' },
      { respond: { status: 403, body: 'no', headers: { 'content-type': 'text/plain' } } },
    ],
  ],
  [
    'if ($http_x_key != "a b") { return 401; }',
    [{ headers: { 'x-key': 'a b' }, pool: 'app' }, { respond: { status: 401 } }],
  ],
  [
    'if ($http_user_agent = bad) { return 444; }',
    [{ headers: { 'user-agent': 'bad' }, respond: { status: 403 } }, { pool: 'app' }],
  ],
])('an if that a route can say: %s', (condition, terms) => {
  for (const place of [
    serverWith(condition),
    serverWith(`location /x { ${condition} proxy_pass http://app; }`),
  ]) {
    const { config, said } = converted(place);
    const [path] = place.includes('/x') ? ['/x'] : ['/'];
    expect(config.routes.filter((route) => route['path'] === path)).toEqual(
      terms.map((one) => ({ path, ...one })),
    );
    expect(said.join('\n')).not.toMatch(/CLOSED|left out/);
  }
});

test('limit_except with deny all is a route as well', () => {
  const { config, said } = converted(
    `http { ${UP} server { location / { proxy_pass http://app; limit_except GET POST { deny all; } } } }`,
  );
  expect(config.routes).toEqual([
    { path: '/', method: ['GET', 'HEAD', 'POST'], pool: 'app' },
    { path: '/', respond: { status: 403 } },
  ]);
  expect(said).toEqual([]);
});

test.each([
  'if ($remote_addr != 10.0.0.1) { return 403; }',
  'if ($http_x_key) { return 404; }',
  'if ($http_x_key = $arg_key) { return 403; }',
  'if ($http_x_forwarded_for = 10.0.0.1) { return 403; }',
  'if ($request_method ~ POST) { return 403; }',
  'if ($request_method !~ ^GET|HEAD$) { return 403; }',
  'if ($request_method = POST) { break; return 403; }',
  'if ($host != a.test) { return 444; }',
  'if ($request_method = PUT) { return 403; } if ($request_method = POST) { return 405; }',
])('an if that no route can say closes: %s', (condition) => {
  const { config, said } = converted(serverWith(condition));
  expect(config.routes).toEqual([{ path: '/', pool: 'app', deny: CLOSED }]);
  expect(
    said.filter((one) => !one.startsWith('a.conf:2: if (') || !one.includes('CLOSED: ')),
  ).toEqual([]);
  const inside = converted(
    serverWith(`location /x { allow 10.0.0.1; deny all; ${condition} proxy_pass http://app; }`),
  );
  expect(inside.config.routes).toEqual([
    { path: '/x', pool: 'app', deny: CLOSED },
    { path: '/', pool: 'app' },
  ]);
});

test.each([
  'limit_except GET { allow 10.0.0.1; deny all; }',
  'limit_except GET { auth_basic on; }',
])('%s closes', (directive) => {
  const { config, said } = converted(
    `http { ${UP} server { location / { proxy_pass http://app; ${directive} } } }`,
  );
  expect(config.routes).toEqual([{ path: '/', pool: 'app', deny: CLOSED }]);
  expect(said).toEqual([expect.stringContaining('CLOSED: ')]);
});

test('an if that refuses nobody, or is never reached, is left out', () => {
  const { config, said } = converted(
    serverWith(`if ($arg_a) { return 301 /b; } if ($http_x_a) { set $a 1; }
    location /x { return 410; if ($arg_a) { return 403; } }`),
  );
  expect(config.routes).toEqual([
    { path: '/x', respond: { status: 410 } },
    { path: '/', pool: 'app' },
  ]);
  expect(said.filter((one) => one.includes(': if (') && one.includes('left out'))).toHaveLength(3);
});

test.each([
  ['location /x { internal; proxy_pass http://app; }', { respond: { status: 404 } }],
  ['location /x { return 444; }', { respond: { status: 404 } }],
  ['location /x { proxy_pass http://$where; }', { respond: { status: 404 } }],
  [
    'location @app { proxy_pass http://app; } location /x { deny all; try_files $uri @app; }',
    { pool: 'app', deny: CLOSED },
  ],
])('what is kept from clients stays so: %s', (locations, terms) => {
  const { config } = converted(serverWith(locations));
  expect(config.routes.filter(({ path }) => path === '/x')).toEqual([{ path: '/x', ...terms }]);
});

test('a regular expression that is left out, and with it what it refuses, is told of', () => {
  const { said } = converted(
    serverWith('location ~ /\\.ht { deny all; }\nlocation ~ \\.php$ { proxy_pass http://app; }'),
  );
  expect(said).toEqual([
    expect.stringMatching(/^a\.conf:2: .*WHAT IT REFUSES IS OPEN.*nginx asks it before/),
    expect.stringMatching(/^a\.conf:3: (?!.*OPEN).*nginx asks it before/),
  ]);
});

test.each([
  ['location /u/a { return 201; } location ~ ^/u/ { return 202; }', ['/u/']],
  ['location ~ ^/u/ { return 202; } location /u/ { return 201; }', ['/u/']],
  ['location ^~ /u/ { return 201; } location ~ ^/u/ { return 202; }', ['/u/']],
  ['location ^~ /u/ { return 201; } location ~ ^/u/a { return 202; }', ['/u/']],
  ['location ~ ^/u/ { return 202; } location ~ ^/u/a/ { return 203; }', ['/u/']],
  ['location ~ ^/u/a/ { return 202; } location ~ ^/u/ { return 203; }', ['/u/a/', '/u/']],
  ['location = /u { return 201; } location ~ ^/u$ { return 202; }', ['=/u']],
  ['location /u { return 201; } location /u/ { return 202; }', ['=/u', '/u/']],
])('of two locations, that which nginx takes: %s', (locations, paths) => {
  const { config, said } = converted(`http { server {\n${locations.replace('} l', '}\nl')} } }`);
  expect(config.routes.map(({ path }) => path)).toEqual(paths);
  const dropped = said.filter((one) => /left out: (nginx takes location|another block)/.test(one));
  expect(dropped).toHaveLength(2 - paths.length);
});

test('where nginx may take another location, it is said', () => {
  const { config, said } = converted(
    `http { server { location /u/ { location ~ ^/u/ { return 202; } location /u/a/ { return 201; } } } }`,
  );
  expect(config.routes.map(({ path }) => path)).toEqual(['/u/', '/u/a/']);
  expect(said.join('\n')).toContain(
    'location /u/a/: differs: nginx may take location ~ ^/u/ (line 1) for its requests',
  );
});

test.each([
  [
    'location /x/ { proxy_pass http://app; }',
    [{ path: '=/x', redirect: { to: '/x/', status: 301 } }],
    '',
  ],
  [
    'location /x/ { proxy_pass http://app; } location = /x { return 204; }',
    [{ path: '=/x', respond: { status: 204 } }],
    '',
  ],
  [
    'location /x/ { return 204; }',
    [],
    'a.conf:2: location /x/: differs: a route for /x/ is for /x, too',
  ],
  [
    'location ~ ^/x/ { proxy_pass http://app; }',
    [],
    'a.conf:2: location ~ ^/x/: differs: a route for /x/ is for /x, too',
  ],
])('/x beside /x/: %s', (locations, routes, why) => {
  const { config, said } = converted(serverWith(locations));
  expect(config.routes.filter(({ path }) => path === '=/x')).toEqual(routes);
  expect(said.length).toBe(why === '' ? 0 : 1);
  expect(said.join()).toContain(why);
});

test.each([
  ['', 'location / { proxy_pass http://app; proxy_redirect off; }', undefined, ''],
  ['', 'proxy_redirect off; location / { proxy_pass http://app; }', undefined, ''],
  ['proxy_redirect off;', 'location / { proxy_pass http://app; }', undefined, ''],
  [
    'proxy_redirect off;',
    'location / { proxy_pass http://app; proxy_redirect default; }',
    'rewrite',
    '',
  ],
  ['', 'location / { proxy_pass http://app; }', 'rewrite', ''],
  [
    '',
    'location / { proxy_pass http://app; } location = /a { proxy_pass http://app; proxy_redirect off; }',
    'rewrite',
    'proxy_redirect off: differs: location: rewrite is for all routes',
  ],
  [
    '',
    'location / { proxy_pass http://app; proxy_redirect http://a/ /b/; }',
    'rewrite',
    'proxy_redirect http://a/ /b/: left out: location: rewrite puts',
  ],
])('%s %s', (http, server, location, why) => {
  const { config, said } = converted(`http { ${UP} ${http} server { ${server} } }`);
  expect(config['location']).toBe(location);
  expect(said.length).toBe(why === '' ? 0 : 1);
  expect(said.join()).toContain(why);
});

test.each([
  ['set_real_ip_from 10.0.0.1; real_ip_header X-Forwarded-For;', '', ['10.0.0.1'], ''],
  ['set_real_ip_from 10.0.0.1;', '', undefined, 'left out: trusted_proxies say their client in'],
  ['', 'set_real_ip_from 10.0.0.1;', undefined, 'left out: trusted_proxies is for all servers'],
])('trusted proxies: %s %s', (http, server, trusted, why) => {
  const { config, said } = converted(
    `http { ${UP} ${http} server { ${server} location / { proxy_pass http://app; } } }`,
  );
  expect(config['trusted_proxies']).toEqual(trusted);
  expect(said.length).toBe(why === '' ? 0 : 1);
  expect(said.join()).toContain(why);
});
