/** What a config would change, in its own words. */
import { expect, test } from 'vitest';
import { configChanges } from '../../src/config/diff.ts';
import { validateConfigText } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/settings.ts';

function settingsOf(text: string): Settings {
  const input = { flags: { values: [] }, env: {}, cwd: '/' };
  const result = validateConfigText(text, 'c.yaml', input);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.settings;
}

const changes = (before: string, after: string) =>
  configChanges(settingsOf(before), settingsOf(after));

const pool = (name: string, more = '') => `pools: { ${name}: { backends: [":1"]${more} } }\n`;
const routes = (name: string) => `routes: [{ pool: ${name} }]\n`;
const secrets = (token: string, secret: string) =>
  `admin: { token: ${token} }\nbackends: [":1"]\nsticky: { by: cookie, secret: ${secret} }\n`;

const hash = (first: string) => `$scrypt$ln=15,r=8,p=1$${first.repeat(22)}$${'b'.repeat(43)}`;
const guarded = (password: string, log: string) =>
  `backends: [":1"]\nlog_level: ${log}\nroutes: [{ path: /in, pool: default, basic_auth: { users: { ann: "${password}" } } }]\n`;

test('nothing', () => {
  expect(
    changes('backends: [":1"]', 'backends: [{ url: "http://localhost:1", weight: 1 }]'),
  ).toEqual([]);
});

test('plain values, policies that are switched on, and their parts', () => {
  const before = 'strategy: ip-hash\ntimeouts: { connect: 1s }\nbackends: [":1"]\n';
  const after = 'timeouts: { connect: 2s }\nrate_limit: { rate: 5 }\nbackends: [":1"]\n';
  expect(changes(before, after)).toEqual([
    { path: 'strategy', change: 'changed', before: 'ip-hash', after: 'round-robin' },
    { path: 'timeouts.connect', change: 'changed', before: '1s', after: '2s' },
    {
      path: 'rate_limit',
      change: 'changed',
      before: false,
      after: expect.objectContaining({ rate: 5 }) as unknown,
    },
  ]);
});

test('backends are known by their URL, wherever they stand', () => {
  const before = 'backends: [":1", ":2", { url: ":3", weight: 2, backup: true }]';
  expect(changes(before, 'backends: [{ url: ":3", weight: 4 }, ":4", ":1"]')).toEqual([
    {
      path: 'backends[http://localhost:2]',
      change: 'removed',
      before: { url: 'http://localhost:2', weight: 1 },
    },
    { path: 'backends[http://localhost:3].weight', change: 'changed', before: 2, after: 4 },
    { path: 'backends[http://localhost:3].backup', change: 'removed', before: true },
    {
      path: 'backends[http://localhost:4]',
      change: 'added',
      after: { url: 'http://localhost:4', weight: 1 },
    },
  ]);
  const order = ['backends[', 'http://localhost:1', 'http://localhost:2'].slice(1);
  expect(changes('backends: [":1", ":2"]', 'backends: [":2", ":1"]')).toEqual([
    { path: 'backends', change: 'moved', before: order, after: order.toReversed() },
  ]);
});

test('pools are known by their name', () => {
  expect(
    changes(pool('a') + routes('a'), pool('a', ', retries: { attempts: 5 }') + routes('a')),
  ).toEqual([{ path: 'pools.a.retries.attempts', change: 'changed', before: 3, after: 5 }]);
  const renamed = changes(pool('a') + routes('a'), pool('b') + routes('b'));
  expect(renamed.map(({ path, change }) => `${change} ${path}`)).toEqual([
    'removed pools.a',
    'added pools.b',
    'changed routes[*].pool',
  ]);
});

test('routes are known by what they match, so that one in front moves none of the others', () => {
  const pools = 'pools: { a: { backends: [":1"] }, b: { backends: [":2"] } }\n';
  const before = `${pools}routes:
  - { host: x.example, path: /v1/, pool: a }
  - { host: [y.example, z.example], method: GET, headers: { x-beta: true }, pool: a }
`;
  const after = `${pools}routes:
  - { host: new.example, query: { p: "1" }, pool: b }
  - { host: x.example, path: /v1/, pool: b }
  - { host: [y.example, z.example], method: GET, headers: { x-beta: true }, pool: b }
`;
  expect(changes(before, after).map(({ path, change }) => `${change} ${path}`)).toEqual([
    'changed routes[x.example/v1].pool',
    'changed routes[y.example,z.example GET {"headers":{"x-beta":true}}].pool',
    'added routes[new.example {"query":{"p":"1"}}]',
  ]);
});

test('of secrets it is said that they differ, and nothing else', () => {
  const found = changes(
    secrets('first-token-0123456789', 'first-secret-0123456789'),
    secrets('second-token-0123456789', 'second-secret-0123456789'),
  );
  expect(found).toEqual(
    ['admin.token', 'sticky.secret'].map((path) => ({
      path,
      change: 'changed',
      before: '***',
      after: '***',
    })),
  );
});

test('a password of a route is another one, which is not told', () => {
  expect(changes(guarded(hash('a'), 'info'), guarded(hash('c'), 'debug'))).toEqual([
    { path: 'log_level', change: 'changed', before: 'info', after: 'debug' },
    { path: 'routes[*/in].basic_auth.users', change: 'changed', before: '***', after: '***' },
  ]);
});

const rules = (value: string) =>
  `backends: [":1"]
health_check_headers: { X-Auth: ${value}, X-A: a }
pools: { api: { backends: [":2"], health_check: { headers: { x-session: ${value} } } } }
routes:
  - { path: /v1, pool: api, request_headers: { set: { X-Auth: ${value}, X-A: a } },
      response_headers: { add: { Set-Cookie: "s=${value}" } } }
`;

test('a value of a rule or of a check that is not shown is another one, and its place is told', () => {
  const found = changes(rules('geheim'), rules('anders'));
  expect(found).toEqual(
    [
      'health_check_headers.X-Auth',
      'pools.api.health_check.headers.x-session',
      'routes[*/v1].request_headers.set.X-Auth',
      'routes[*/v1].response_headers.add.Set-Cookie',
    ].map((path) => ({ path, change: 'changed', before: '***', after: '***' })),
  );
});
