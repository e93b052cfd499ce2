/** What a route answers itself, who may ask, and error pages: what it means, what is wrong with it, and how it is shown. */
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type Around, loadText, problemsOf, settingsOf } from './load-text.ts';

const POOLS = 'pools: { web: { backends: [":1"] } }';

function routeOf(route: string) {
  return settingsOf(`${POOLS}\nroutes:\n  - { path: /a, ${route} }`).routes[0];
}

function notesOf(text: string, around: Around = {}): readonly string[] {
  const result = loadText(text, around);
  if (!result.ok) throw new Error(problemsOf(text, around).join('\n'));
  return result.notes;
}

const HASH = `"$scrypt$ln=10,r=8,p=1$${'A'.repeat(22)}$${'B'.repeat(43)}"`;

const PLAIN = ['Content-Type', 'text/plain; charset=utf-8'];

test.each([
  ['respond: {}', { status: 200, headers: [], body: '' }],
  ['respond: { body: ok }', { status: 200, headers: [PLAIN], body: 'ok' }],
  // Bytes, a character for each.
  ['respond: { body: ü }', { status: 200, headers: [PLAIN], body: 'Ã¼' }],
  [
    'respond: { status: 418, body: x, headers: { content-type: a/b, X-A: ["1", "2"] } }',
    {
      status: 418,
      headers: [
        ['content-type', 'a/b'],
        ['X-A', '1'],
        ['X-A', '2'],
      ],
      body: 'x',
    },
  ],
])('%s', (route, answer) => {
  expect(routeOf(route)?.action).toEqual({ kind: 'answer', answer });
});

test.each([
  ['/b', 302, ['/b']],
  ['"/b/${path.rest}"', 302, ['/b/', { of: 'path.rest', segments: 1 }]],
  ['"https://${host}${path}"', 302, ['https://', { of: 'host' }, { of: 'path' }]],
])('redirect: %s', (to, status, template) => {
  expect(routeOf(`redirect: { to: ${to} }`)?.action).toEqual({
    kind: 'redirect',
    status,
    to: template,
  });
});

test('maintenance stands beside what a route does otherwise, or alone', () => {
  expect(routeOf('pool: web, maintenance: true')).toMatchObject({
    action: { kind: 'pool', pool: 'web' },
    maintenance: { retryAfterSeconds: 60 },
  });
  expect(routeOf('pool: web, maintenance: false')).toMatchObject({ maintenance: null });
  expect(routeOf('maintenance: { retry_after: 1h }')).toMatchObject({
    action: { kind: 'none' },
    maintenance: { retryAfterSeconds: 3600 },
  });
});

test.each([
  [
    '{ path: /a, maintenance: false }',
    '3:5: routes.0: leads nowhere: it needs pool, split, redirect, respond or maintenance: true',
  ],
  [
    '{ path: /a, pool: web, respond: {} }',
    '3:28: routes.0.respond: contradicts pool (c.yaml:3): a route does one thing',
  ],
  [
    '{ path: /a, redirect: { to: /b }, respond: {} }',
    '3:39: routes.0.respond: contradicts redirect (c.yaml:3): a route does one thing',
  ],
  [
    '{ path: /a, redirect: /b }',
    '3:27: routes.0.redirect: must be a mapping, such as { to: "/new/${path.rest}", status: 308 }, not "/b"',
  ],
  ['{ path: /a, redirect: {} }', '3:27: routes.0.redirect.to: is missing'],
  [
    '{ path: /a, redirect: { to: /b, status: 200 } }',
    '3:45: routes.0.redirect.status: must be 301, 302, 303, 307 or 308, not 200',
  ],
  [
    '{ path: "=/a", redirect: { to: "/b/${path.rest}" } }',
    '3:36: routes.0.redirect.to: has ${path.rest}, but nothing is behind an exact path',
  ],
  [
    '{ path: /a, redirect: { to: "https://${header.x}/b" } }',
    '3:33: routes.0.redirect.to: must not have a variable in its host but ${host} and ${host.label(N)} (a "/" ends the host)',
  ],
  [
    '{ path: /a, redirect: { to: //b.example/c } }',
    '3:33: routes.0.redirect.to: must not begin with two slashes: the second would begin a host',
  ],
  [
    '{ path: /a, redirect: { to: /b }, strip_prefix: /a }',
    '3:53: routes.0.strip_prefix: has no effect: requests of this route go to no pool',
  ],
  [
    '{ path: /a, respond: { status: 199 } }',
    '3:36: routes.0.respond.status: must be a whole number from 200 to 599, not 199',
  ],
  [
    '{ path: /a, respond: { status: 204, body: x } }',
    '3:47: routes.0.respond.body: must be empty: a 204 has none',
  ],
  [
    '{ path: /a, respond: { headers: { Content-Length: "1" } } }',
    '3:55: routes.0.respond.headers.Content-Length: is written by Fairlead itself',
  ],
  [
    '{ path: /a, respond: { headers: { connection: close } } }',
    '3:51: routes.0.respond.headers.connection: is written by Fairlead itself',
  ],
  [
    '{ path: /a, respond: { headers: { "a b": x } } }',
    '3:39: routes.0.respond.headers.a b: must be the name of a header field, such as Content-Type',
  ],
  [
    String.raw`{ path: /a, respond: { headers: { x: "a\r\nb: c" } } }`,
    String.raw`3:42: routes.0.respond.headers.x: must be ASCII without control characters, not "a\r\nb: c"`,
  ],
  [
    '{ path: /a, respond: { headers: { x: " a" } } }',
    '3:42: routes.0.respond.headers.x: must not have spaces at its ends',
  ],
  [
    '{ path: /a, respond: { headers: { __proto__: x } } }',
    '3:39: routes.0.respond.headers.__proto__: must not be a name here',
  ],
  [
    '{ path: /a, maintenance: { retry_after: 10ms } }',
    '3:45: routes.0.maintenance.retry_after: must be at least 1s',
  ],
  [
    '{ path: /a, pool: web, allow: [10.0.0.0/33] }',
    '3:36: routes.0.allow.0: must be an IP address or a CIDR block, such as 10.0.0.0/8, not "10.0.0.0/33"',
  ],
  [
    '{ path: /a, pool: web, deny: [a] }',
    '3:35: routes.0.deny.0: must be an IP address or a CIDR block, such as 10.0.0.0/8, not "a"',
  ],
  [
    '{ path: /a, pool: web, allow: [] }',
    '3:35: routes.0.allow: must not be empty: nobody could ask',
  ],
  [
    '{ path: /a, pool: web, error_pages: { 200: a } }',
    '3:43: routes.0.error_pages.200: must be a status from 400 to 599, or 4xx or 5xx',
  ],
  [
    '{ path: /a, pool: web, error_pages: { 503: {} } }',
    '3:48: routes.0.error_pages.503: must have either file or text',
  ],
  [
    '{ path: /a, pool: web, error_pages: { 503: { text: a, content_type: "a/b\\r\\nc: d" } } }',
    '3:73: routes.0.error_pages.503.content_type: must be a media type, such as text/html; charset=utf-8, not "a/b\\r\\nc: d"',
  ],
  [
    '{ path: /a, pool: web, error_pages: { 503: no.html } }',
    '3:48: routes.0.error_pages.503: cannot read /nowhere/no.html: no such file',
  ],
  // What was written there may be the password: it is not repeated.
  [
    '{ path: /a, pool: web, basic_auth: { users: { alice: hunter2 } } }',
    '3:58: routes.0.basic_auth.users.alice: must be a hash, as "fairlead hash-password" makes it',
  ],
  [
    '{ path: /a, pool: web, basic_auth: { users: { alice: 1 } } }',
    '3:58: routes.0.basic_auth.users.alice: must be a hash, as "fairlead hash-password" makes it',
  ],
  ['{ path: /a, pool: web, basic_auth: {} }', '3:40: routes.0.basic_auth.users: is missing'],
  [
    '{ path: /a, pool: web, basic_auth: { users: {} } }',
    '3:49: routes.0.basic_auth.users: must not be empty',
  ],
  [
    `{ path: /a, pool: web, basic_auth: { users: { "a:b": ${HASH} } } }`,
    '3:51: routes.0.basic_auth.users.a:b: must be the name of a user: 1 to 255 characters, without colons',
  ],
  [
    `{ path: /a, pool: web, basic_auth: { users: { a: ${HASH}, __proto__: ${HASH} } } }`,
    '3:146: routes.0.basic_auth.users.__proto__: must not be a name here',
  ],
  [
    `{ path: /a, pool: web, basic_auth: { realm: "a\\nb", users: { a: ${HASH} } } }`,
    '3:49: routes.0.basic_auth.realm: must be 1 to 100 visible ASCII characters, not "a\\nb"',
  ],
])('%s: %s', (route, problem) => {
  expect(problemsOf(`${POOLS}\nroutes:\n  - ${route}`)).toEqual([`c.yaml:${problem}`]);
});

test('a route that answers itself uses no pool, and one under maintenance does', () => {
  const answers = `${POOLS}\nroutes:\n  - { path: /a, respond: {} }`;
  expect(notesOf(answers)).toEqual(['pools.web (c.yaml:1) is used by no route']);
  expect(settingsOf(answers).routedPools).toEqual([]);
  const rests = `${POOLS}\nroutes:\n  - { path: /a, pool: web, maintenance: true }`;
  expect(notesOf(rests)).toEqual([]);
  expect(settingsOf(rests).routedPools).toEqual(['web']);
});

test('a page for what Fairlead never answers is told', () => {
  expect(notesOf('error_pages: { 500: { text: a }, 502: { text: b } }')).toEqual([
    'error_pages.500 (c.yaml:1) has no effect: Fairlead itself never answers 500',
  ]);
});

async function folder(): Promise<string> {
  const made = temporaryFolder('pages');
  return made;
}

test('the type of a page is by the ending of its file', async () => {
  const cwd = await folder();
  for (const name of ['a.html', 'a.txt', 'a.JSON', 'a']) await writeFile(join(cwd, name), 'ü');
  const text = `error_pages:
  400: a.html
  403: a.txt
  404: ${cwd}/a.JSON
  408: a
  502: { file: a.txt, content_type: text/x }`;
  const { errorPages } = settingsOf(text, { cwd });
  expect(errorPages.map(({ status, page }) => [status, page.contentType, page.body])).toEqual([
    ['400', 'text/html; charset=utf-8', 'Ã¼'],
    ['403', 'text/plain; charset=utf-8', 'Ã¼'],
    ['404', 'application/json', 'Ã¼'],
    ['408', 'text/html; charset=utf-8', 'Ã¼'],
    ['502', 'text/x', 'Ã¼'],
  ]);
});

test('a file that is no page is told with its place', async () => {
  const cwd = await folder();
  await mkdir(join(cwd, 'sub'));
  await writeFile(join(cwd, 'big'), '');
  await truncate(join(cwd, 'big'), 256 * 1024 + 1);
  expect(problemsOf('error_pages:\n  400: sub\n  404: big', { cwd })).toEqual([
    `c.yaml:2:8: error_pages.400: cannot read ${cwd}/sub: it is a folder`,
    `c.yaml:3:8: error_pages.404: ${cwd}/big is larger than 256 KiB`,
  ]);
});

function eachWithPage(names: readonly string[]) {
  const routes = names.map((name, index) => ({
    path: `/${index}`,
    respond: {},
    error_pages: { 404: name },
  }));
  return { routes };
}

test('all pages together are bounded, and one file counts once', async () => {
  const cwd = await folder();
  const pages = Array.from({ length: 65 }, (_, index) => `p${index}`);
  for (const name of pages) {
    await writeFile(join(cwd, name), '');
    await truncate(join(cwd, name), 256 * 1024);
  }
  const same = JSON.stringify(eachWithPage(pages.map(() => 'p0')));
  const { routes: loaded } = settingsOf(same, { cwd, name: 'c.json' });
  expect(new Set(loaded.map(({ errorPages }) => errorPages[0]?.page)).size).toBe(1);
  const [problem, ...more] = problemsOf(JSON.stringify(eachWithPage(pages)), {
    cwd,
    name: 'c.json',
  });
  expect(problem).toMatch(/routes\.64\.error_pages\.404: is one too many: .* 16777216 bytes/);
  expect(more).toEqual([]);
});

test('users have a name, a hash and what is said of them; hashes are not shown', () => {
  const text = `${POOLS}\nroutes: [{ pool: web, basic_auth: { users: { alice: ${HASH} } } }]`;
  const loaded = loadText(text);
  if (!loaded.ok) throw new Error(problemsOf(text).join('\n'));
  const { access } = loaded.settings.routes[0] ?? {};
  expect(access).toMatchObject({
    basicAuth: {
      realm: 'Restricted',
      users: [{ name: 'alice', hash: { cost: 1024, blockSize: 8, parallelization: 1 } }],
      forwardsAuthorization: false,
    },
  });
  expect(effectiveConfig(loaded).config['routes']).toEqual([
    {
      pool: 'web',
      basic_auth: { realm: 'Restricted', users: { alice: '***' }, forward_authorization: false },
    },
  ]);
});

test('what is shown means the same when it is read again', async () => {
  const cwd = await folder();
  await writeFile(join(cwd, 'a.html'), 'a');
  const text = `${POOLS}
error_pages: { 503: a.html, 4xx: { text: "ü\\n", content_type: text/x } }
routes:
  - { path: /a, respond: { status: 410, body: "ü", headers: { X-A: ["1", "2"] } } }
  - { path: /b, pool: web, maintenance: { retry_after: 90s }, allow: [10.0.0.1] }
  - { path: /c, maintenance: true, deny: ["::/0"], error_pages: { 503: { text: x } } }
  - { path: /d, redirect: { to: "/e/\${path.rest}?a=%7Bb", status: 308 } }
  - { pool: web }`;
  const loaded = loadText(text, { cwd });
  if (!loaded.ok) throw new Error(problemsOf(text, { cwd }).join('\n'));
  const shown = effectiveConfig(loaded).config;
  expect(shown['routes']).toMatchObject([
    { respond: { status: 410, body: 'ü', headers: { 'X-A': ['1', '2'] } } },
    { pool: 'web', maintenance: { retry_after: '1m30s' }, allow: ['10.0.0.1/32'] },
    { maintenance: { retry_after: '1m' }, deny: ['::/0'], error_pages: { 503: { text: 'x' } } },
    { redirect: { to: '/e/${path.rest}?a=%7Bb', status: 308 } },
    { pool: 'web' },
  ]);
  const again = loadText(JSON.stringify(shown), { cwd, name: 'c.json' });
  expect(again).toMatchObject({ ok: true });
  if (!again.ok) return;
  expect(again.settings.routes).toEqual(loaded.settings.routes);
  expect(again.settings.errorPages).toEqual(loaded.settings.errorPages);
});
