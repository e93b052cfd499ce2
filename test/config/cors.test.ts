/** `cors` of a route: what it means, what is wrong with it, and how it is shown. */
import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { loadText, problemsOf, settingsOf } from './load-text.ts';

const text = (cors: string, more = ''): string =>
  `pools: { web: { backends: [":1"] } }\nroutes:\n  - { path: /a, pool: web, cors: ${cors}${more} }`;

const ofMethod = (method: string): string => text('{ origins: ["*"] }', `, method: ${method}`);

test('what it means', () => {
  expect(settingsOf(text('{ origins: ["*"] }')).routes[0]?.cors).toEqual({
    origins: [],
    methods: ['GET', 'HEAD', 'POST'],
    headers: [],
    exposed: [],
    hasCredentials: false,
    maxAgeSeconds: 600,
  });
  const full =
    '{ origins: ["https://a.test", "https://*.b.test:8443"], methods: [PUT], headers: [X-A], exposed: [X-B], credentials: true, max_age: 1h }';
  expect(settingsOf(text(full)).routes[0]?.cors).toEqual({
    origins: ['https://a.test', 'https://*.b.test:8443'],
    methods: ['PUT'],
    headers: ['X-A'],
    exposed: ['X-B'],
    hasCredentials: true,
    maxAgeSeconds: 3_600,
  });
  const any =
    '{ origins: ["http://localhost:3000"], headers: ["*"], exposed: ["*"], max_age: false }';
  expect(settingsOf(text(any)).routes[0]?.cors).toMatchObject({
    headers: null,
    exposed: null,
    maxAgeSeconds: 0,
  });
  expect(settingsOf('backends: [":1"]').routes[0]?.cors).toBeNull();
});

test.each([
  ['{}', /routes\.0\.cors\.origins: is missing: whose pages may ask\?/],
  ['{ origins: [] }', /must name an origin, or be \["\*"\]/],
  ['{ origins: "https://a.test" }', /must be a list of origins/],
  ['{ origins: [a.test] }', /must be an origin, such as https:\/\/app\.example\.com/],
  ['{ origins: ["https://a.test/"] }', /write https:\/\/a\.test/],
  ['{ origins: ["https://A.test"] }', /write https:\/\/a\.test/],
  ['{ origins: ["https://a.test/path"] }', /must be an origin/],
  ['{ origins: ["https://a.test:443"] }', /names the port that https has anyway/],
  ['{ origins: ["*", "https://a.test"] }', /"\*" is all of them: alone/],
  ['{ origins: ["https://a.test", "https://a.test"] }', /https:\/\/a\.test stands here twice/],
  ['{ origins: ["*"], methods: [get] }', /must be a method in capitals/],
  ['{ origins: ["*"], headers: ["a b"] }', /must be the name of a header field/],
  ['{ origins: ["*"], credentials: true }', /needs origins that are named/],
  [
    '{ origins: ["https://a.test"], credentials: true, exposed: ["*"] }',
    /must name the fields beside credentials: true/,
  ],
  ['{ origins: ["*"], max_ages: 1s }', /max_ages/],
])('%s is told: %s', (cors, message) => {
  expect(problemsOf(text(cors)).join('\n')).toMatch(message);
});

test('what it says is not said elsewhere', () => {
  const more = ', response_headers: { set: { Access-Control-Allow-Origin: "*" } }';
  expect(problemsOf(text('{ origins: ["*"] }', more)).join('\n')).toMatch(
    /Access-Control-Allow-Origin contradicts cors/,
  );
});

test('a route that no preflight gets to is told of', () => {
  const note =
    'routes.0: cors answers no preflights: they are OPTIONS, which is not among its methods';
  expect(loadText(ofMethod('POST'))).toMatchObject({ ok: true, notes: [note] });
  expect(loadText(ofMethod('[POST, OPTIONS]'))).toMatchObject({ ok: true, notes: [] });
});

test.each([
  '{ origins: ["*"] }',
  '{ origins: ["https://a.test"], methods: [PUT, DELETE], headers: ["*"], exposed: [X-B], credentials: true, max_age: false }',
])('%s means the same when it is printed', (cors) => {
  const loaded = loadText(text(cors));
  if (!loaded.ok) throw new Error('not read');
  const printed = JSON.stringify(effectiveConfig(loaded).config);
  expect(settingsOf(printed, { name: 'c.json' }).routes[0]?.cors).toEqual(
    loaded.settings.routes[0]?.cors,
  );
});
