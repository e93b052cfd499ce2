/** `check` says of a redirect that leads back to its own route; of all that may come to an end it says nothing. */
import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { hasTool } from '../support/tools.ts';
import { loadText, problemsOf } from './load-text.ts';

function loopsOf(routes: string): string[] {
  const text = `pools: { web: { backends: [":1"] } }\nroutes: [${routes}]`;
  const result = loadText(text);
  if (!result.ok) throw new Error(problemsOf(text).join('\n'));
  return result.notes.filter((note) => note.includes('redirects to itself'));
}

const ANOTHER = '{ host: other.test, pool: web }';
const AT = 'routes.0 (c.yaml:2) redirects to itself: who asks for';

test.each([
  ['{ path: /a, redirect: { to: /a } }', '/a is sent to /a,'],
  ['{ path: /a, redirect: { to: "/%61?b" } }', '/a is sent to /a,'],
  ['{ path: =/a, method: [GET, POST], redirect: { to: /a } }', '/a is sent to /a,'],
  ['{ path: /a, redirect: { to: /a/ } }', '/a is sent to /a/,'],
  ['{ path: /a, query: { b: "1" }, redirect: { to: /a } }', '/a is sent to /a,'],
  ['{ path: /, redirect: { to: "${path}" } }', '/ is sent to /,'],
  ['{ path: /, redirect: { to: "/new/${path.rest}" } }', '/ is sent to /new/new/new/new/,'],
  ['{ path: /, redirect: { to: "${scheme}://${host}${path}" } }', '/ is sent to /,'],
  ['{ path: "/:lang", redirect: { to: /en/ } }', '/x is sent to /en/,'],
  ['{ path: "/a/:b", redirect: { to: "/a/${path.b}/c" } }', '/a/x is sent to /a/x/c,'],
  [
    '{ host: [a.test, www.a.test], redirect: { to: "${scheme}://WWW.a.test${path}" } }',
    'a.test/ is sent to www.a.test/,',
  ],
  [
    '{ host: "*.a.test", redirect: { to: "${scheme}://www.a.test/" } }',
    'x.a.test/ is sent to www.a.test/,',
  ],
])('%s', (route, loop) => {
  expect(loopsOf(`${route}, ${ANOTHER}`)).toEqual([`${AT} ${loop} again and again`]);
});

test.each([
  '{ path: =/a, redirect: { to: /a/ } }',
  '{ path: /a, redirect: { to: /b } }',
  '{ path: /old/, redirect: { to: "/${path.rest}" } }',
  '{ path: /, redirect: { to: "/new/${path.rest}" } }, { path: /new/, pool: web }',
  '{ path: "/:lang", redirect: { to: /en/ } }, { path: /en, headers: { a: true }, pool: web }',
  '{ host: "*.a.test", redirect: { to: "${scheme}://www.a.test/" } }, { host: www.a.test, pool: web }',
  '{ path: /a, query: { b: "1" }, redirect: { to: "/a?c" } }',
  '{ path: /a, headers: { cookie: { contains: b } }, redirect: { to: /a } }',
  '{ path: /a, method: POST, redirect: { to: /a, status: 303 } }',
  '{ path: /a, maintenance: true, redirect: { to: /a } }',
  // Whoever serves these is not known here.
  '{ path: /a, redirect: { to: "https://else.test/a" } }',
  '{ path: /a, redirect: { to: "https://${host}${path}" } }',
  '{ host: a.test, redirect: { to: "${scheme}://${host}:8443${path}" } }',
  '{ host: a.test, redirect: { to: "${scheme}://${host.label(1)}.test${path}" } }',
])('not %s', (routes) => {
  expect(loopsOf(`${routes}, ${ANOTHER}`)).toEqual([]);
});

test.runIf(hasTool('openssl'))('https leads back where clients come by TLS', () => {
  const { cert_file, key_file } = makeCertificate();
  const tls = `listeners: [{ port: 443, tls: { certificates: [${JSON.stringify({ cert_file, key_file })}] } }]`;
  const text = `${tls}\nroutes: [{ redirect: { to: "https://\${host}\${path}" } }]`;
  expect(loadText(text)).toMatchObject({
    notes: [`${AT} / is sent to /, again and again`],
  });
});

test('of thousands, so many are looked at as take no time', () => {
  const routes = Array.from({ length: 3_000 }, (_, at) => ({
    host: `*.h${at}.test`,
    redirect: { to: `\${scheme}://www.h${at}.test/` },
  }));
  const result = loadText(JSON.stringify({ routes }), { name: 'c.json' });
  expect(result).toMatchObject({ ok: true });
  const notes = result.ok ? result.notes : [];
  expect(notes.at(-1)).toMatch(/more routes redirect to themselves$/);
});
