/** Routes in the config: what they mean, what is wrong with them and where, and what `check` says of those without effect. */
import { expect, test } from 'vitest';
import { leastCostMs } from '../support/machine-speed.ts';
import { type Around, loadText, problemsOf, settingsOf } from './load-text.ts';

const POOLS = 'pools: { web: { backends: [":1"] }, api: { backends: [":2"] } }';

function notesOf(text: string, around: Around = {}): readonly string[] {
  const result = loadText(text, around);
  if (!result.ok) throw new Error(problemsOf(text, around).join('\n'));
  return result.notes;
}

const toPool = (pool: string) => ({ kind: 'pool', pool });

const ANY = {
  hosts: [],
  path: { kind: 'prefix', segments: [] },
  methods: [],
  headers: [],
  query: [],
};

function matchOf(route: string): unknown {
  const { routes } = settingsOf(`${POOLS}\nroutes:\n  - { ${route}, pool: web }`);
  expect(routes).toHaveLength(1);
  expect(routes[0]).toMatchObject({ name: 'routes.0', action: toPool('web') });
  return routes[0]?.match;
}

test.each([
  ['host: API.Example.com.', { hosts: ['api.example.com'] }],
  ['host: [a, "*.B.example", 10.0.0.1]', { hosts: ['a', '*.b.example', '10.0.0.1'] }],
  ['host: ["::1", "[fe80:0::1]"]', { hosts: ['[::1]', '[fe80::1]'] }],
  ['path: /', {}],
  ['path: /v1/', { path: { kind: 'prefix', segments: [{ kind: 'text', text: 'v1' }] } }],
  ['path: =/v1', { path: { kind: 'exact', segments: [{ kind: 'text', text: 'v1' }] } }],
  ['path: /:id', { path: { kind: 'prefix', segments: [{ kind: 'name', name: 'id' }] } }],
  ['method: GET', { methods: ['GET'] }],
  ['method: [GET, M-SEARCH]', { methods: ['GET', 'M-SEARCH'] }],
  ['headers: { X-Beta: true }', { headers: [{ name: 'x-beta', value: { kind: 'present' } }] }],
  ['headers: { a: "" }', { headers: [{ name: 'a', value: { kind: 'exact', text: '' } }] }],
  [
    'headers: { a: { prefix: p } }',
    { headers: [{ name: 'a', value: { kind: 'parts', prefix: 'p', suffix: '', contains: '' } }] },
  ],
  [
    'query: { A: "1", "b c": { suffix: s, contains: c } }',
    {
      query: [
        { name: 'A', value: { kind: 'exact', text: '1' } },
        { name: 'b c', value: { kind: 'parts', prefix: '', suffix: 's', contains: 'c' } },
      ],
    },
  ],
])('%s', (route, match) => {
  expect(matchOf(route)).toEqual({ ...ANY, ...match });
});

const ALL_ELSE = { name: 'default', match: ANY, action: toPool('default') };

test.each([
  ['', [ALL_ELSE]],
  ['backends: [":3"]', [ALL_ELSE]],
  [POOLS, [ALL_ELSE]],
  ['routes: []', [ALL_ELSE]],
  [`${POOLS}\nroutes: [{ pool: web, path: /a }]`, [{ action: toPool('web') }]],
  [`${POOLS}\nretries: false\nroutes: [{ pool: web, path: /a }]`, [{ action: toPool('web') }]],
  [
    `backends: []\n${POOLS}\nroutes: [{ pool: web, path: /a }]`,
    [{ action: toPool('web') }, ALL_ELSE],
  ],
  [
    'pools: { default: {} }\nroutes: [{ pool: default, path: /a }]',
    [{ action: toPool('default') }, ALL_ELSE],
  ],
])('after %j, all else goes to the pool default or nowhere', (text, routes) => {
  expect(settingsOf(text).routes).toMatchObject(routes);
});

test('routes come from a variable, and replace those of the file', () => {
  const around = { env: { FAIRLEAD_ROUTES: '[{"host":"b.example","pool":"api"}]' } };
  const text = `${POOLS}\nroutes: [{ pool: web }, { path: /a, pool: web }]`;
  expect(settingsOf(text, around).routes).toMatchObject([
    { match: { hosts: ['b.example'] }, action: toPool('api') },
  ]);
  expect(problemsOf(POOLS, { env: { FAIRLEAD_ROUTES: '[{"pool":"wep"}]' } })).toEqual([
    'FAIRLEAD_ROUTES: routes.0.pool: there is no pool "wep" (did you mean "web"?)',
  ]);
});

const HOST =
  'must be a host name, "*." and a host name for all below it, or an IP address, without a port';
const TEXT = 'must be true for any, a text (in quotes), or { prefix, suffix, contains }';
const ASCII = 'must be ASCII without spaces at its ends: no header field has anything else';

test.each([
  [
    '{ path: /a }',
    '3:5: routes.0: leads nowhere: it needs pool, split, redirect, respond or maintenance: true',
  ],
  ['{ pool: wep }', '3:13: routes.0.pool: there is no pool "wep" (did you mean "web"?)'],
  ['{ pool: constructor }', '3:13: routes.0.pool: there is no pool "constructor"'],
  ['web', '3:5: routes.0: must be a mapping, such as { path: /v1/, pool: api }, not "web"'],
  ['{ pool: web, strip_path: /v1 }', '3:18: routes.0.strip_path: unknown key'],
  ['{ pool: web, hots: a }', '3:18: routes.0.hots: unknown key (did you mean "host"?)'],
  [
    '{ pool: web, host: "*" }',
    `3:24: routes.0.host: ${HOST}, not "*" (any host is matched without this key)`,
  ],
  ['{ pool: web, host: "a:80" }', `3:24: routes.0.host: ${HOST}, not "a:80"`],
  ['{ pool: web, host: "a.*" }', `3:24: routes.0.host: ${HOST}, not "a.*"`],
  ['{ pool: web, host: a.. }', `3:24: routes.0.host: ${HOST}, not "a.."`],
  [
    '{ pool: web, host: [a, bücher.example] }',
    `3:28: routes.0.host.1: ${HOST}, not "bücher.example" (write xn--bcher-kva.example)`,
  ],
  ['{ pool: web, host: [a, b, A] }', '3:31: routes.0.host.2: a stands here twice'],
  ['{ pool: web, host: [] }', '3:24: routes.0.host: must not be empty'],
  [
    '{ pool: web, host: 1 }',
    '3:24: routes.0.host: must be a host, such as api.example.com, or a list of them, not 1',
  ],
  [
    '{ pool: web, path: a }',
    '3:24: routes.0.path: must begin with "/", or with "=/" for exactly this path',
  ],
  ['{ pool: web, path: /a/../b }', '3:24: routes.0.path: must not have dot segments'],
  [
    '{ pool: web, path: "/a?b" }',
    '3:24: routes.0.path: must end before "?" and "#": "query" matches a query',
  ],
  ['{ pool: web, method: get }', '3:26: routes.0.method: must be in capitals (write GET)'],
  [
    '{ pool: web, method: [GET, "A B"] }',
    '3:32: routes.0.method.1: must be a method, such as GET, not "A B"',
  ],
  ['{ pool: web, method: [GET, GET] }', '3:32: routes.0.method.1: GET stands here twice'],
  [
    '{ pool: web, headers: { "a b": true } }',
    '3:29: routes.0.headers.a b: must be the name of a header field, such as X-Beta',
  ],
  ['{ pool: web, headers: { host: a } }', '3:35: routes.0.headers.host: is matched by "host"'],
  ...['Connection', 'te', 'Keep-Alive', 'transfer-encoding', 'http2-settings'].map(
    (name): [string, string] => [
      `{ pool: web, headers: { ${name}: a } }`,
      `3:${33 + name.length - 2}: routes.0.headers.${name}: is for one hop only and never forwarded: no route goes by it`,
    ],
  ),
  [
    '{ pool: web, headers: { X_Forwarded-Proto: https } }',
    '3:48: routes.0.headers.X_Forwarded-Proto: is never forwarded: write it with "-" for "_"',
  ],
  [
    '{ pool: web, headers: { x-a: true, X-A: b } }',
    '3:45: routes.0.headers.X-A: stands here twice: the case of its letters does not count',
  ],
  ['{ pool: web, headers: { a: 1 } }', `3:32: routes.0.headers.a: ${TEXT}, not 1`],
  ['{ pool: web, headers: { a: false } }', `3:32: routes.0.headers.a: ${TEXT}, not false`],
  [
    '{ pool: web, headers: { a: {} } }',
    '3:32: routes.0.headers.a: must have prefix, suffix or contains',
  ],
  ['{ pool: web, headers: { a: " b" } }', `3:32: routes.0.headers.a: ${ASCII}`],
  ['{ pool: web, headers: { a: é } }', `3:32: routes.0.headers.a: ${ASCII}`],
  ['{ pool: web, headers: { a: { suffix: "b " } } }', `3:42: routes.0.headers.a.suffix: ${ASCII}`],
  [
    '{ pool: web, headers: { __proto__: "1" } }',
    '3:29: routes.0.headers.__proto__: must not be a name here',
  ],
  [
    '{ pool: web, query: { __proto__: "1" } }',
    '3:27: routes.0.query.__proto__: must not be a name here',
  ],
  [
    '{ pool: web, query: { "": a } }',
    '3:27: routes.0.query.: must be the name of a query parameter',
  ],
  [
    '{ pool: web, query: [a] }',
    '3:25: routes.0.query: must be a mapping of query parameters, such as { preview: true }, not a list',
  ],
])('%s: %s', (route, problem) => {
  expect(problemsOf(`${POOLS}\nroutes:\n  - ${route}`)).toEqual([`c.yaml:${problem}`]);
});

test('the same route twice is told with both places', () => {
  const text = `${POOLS}
routes:
  - { host: [a, b], path: /x/:id, headers: { X-A: "1" }, pool: web }
  - { path: /, pool: web }
  - { host: [B, a.], path: /x/:no/, headers: { x-a: "1" }, pool: api }`;
  expect(problemsOf(text)).toEqual([
    'c.yaml:5:5: routes.2: is for the same requests as routes.0 (c.yaml:3)',
  ]);
});

test('of a pool that could not be read, routes to it are not wrong', () => {
  const text = 'pools: { Web: {}, api: 5 }\nroutes: [{ pool: Web }, { path: /a, pool: api }]';
  expect(problemsOf(text)).toHaveLength(2);
});

test.each([
  [
    `${POOLS}\nroutes:\n  - { path: /a, pool: web }\n  - { path: /a, method: GET, pool: api }\n  - { path: /a, method: GET, headers: { a: true }, pool: api }`,
    [],
  ],
  [
    `${POOLS}\nroutes:\n  - { path: /a, method: GET, pool: web }\n  - { path: /a, method: PUT, pool: api }\n  - { path: /a, method: [PUT, GET], pool: api }`,
    [
      'routes.2 (c.yaml:5) never gets a request: routes.0 (c.yaml:3) and routes.1 (c.yaml:4) take them all',
    ],
  ],
  [
    `backends: [":3"]\n${POOLS}\nroutes:\n  - { pool: web }\n  - { path: /a, pool: api }`,
    [
      'the pool default gets no request by itself: routes.0 (c.yaml:4) takes those that no other route is for',
    ],
  ],
  [
    `merge_slashes: false\n${POOLS}\nroutes: [{ pool: web }, { path: =/admin, pool: api, allow: [10.0.0.1] }]`,
    [
      'merge_slashes (c.yaml:1) lets //admin pass routes.1 (c.yaml:3) by, and whom that keeps out: to most backends it is /admin all the same',
    ],
  ],
  [`merge_slashes: false\n${POOLS}\nroutes: [{ path: /a, pool: web }, { pool: api }]`, []],
  // Others lead there.
  [
    'backends: [":1"]\nroutes: [{ pool: default, maintenance: true }, { headers: { a: b }, pool: default }]',
    [],
  ],
  [`${POOLS}\nroutes: [{ pool: web }]`, ['pools.api (c.yaml:1) is used by no route']],
  [
    'pools: { web: { backends: [":1"] }, api: {} }\nroutes: [{ pool: web }, { path: /a, pool: api }]',
    ['the pool api has no backends: its requests are answered 503'],
  ],
  [
    'pools: { web: { backends: [":1"] }, api: { backends: [] } }\nroutes: [{ pool: web }, { path: /a, pool: api }]',
    [],
  ],
  [
    'backends: [":1"]\nencoded_slashes: keep\nmerge_slashes: false',
    [
      'encoded_slashes has no effect: no route looks at paths, and no backend has one, so they are forwarded as they are',
      'merge_slashes has no effect: no route looks at paths, and no backend has one, so they are forwarded as they are',
    ],
  ],
  ['backends: [":1"]\nencoded_slashes: keep\nroutes: [{ path: /a, pool: default }]', []],
  [
    `${POOLS}\nroutes:\n  - { headers: { X-Forwarded-Proto: https }, pool: web }\n  - { headers: { x-real-ip: true, a: b }, pool: api }`,
    [
      'routes.0 (c.yaml:3) never gets a request: x-forwarded-proto counts from trusted_proxies only, and there are none',
      'routes.1 (c.yaml:4) never gets a request: x-real-ip counts from trusted_proxies only, and there are none',
    ],
  ],
  [
    `trusted_proxies: [10.0.0.0/8]\n${POOLS}\nroutes:\n  - { headers: { forwarded: true, upgrade: websocket }, pool: web }\n  - { path: /a@b, pool: api }`,
    [],
  ],
  [
    `${POOLS}\nroutes:\n  - { path: /a;b, pool: web }\n  - { path: /a%3bb/c, pool: api }`,
    [
      'routes.0 (c.yaml:3) has ";" in its path: "%3B" is another path, but not to every backend',
      'routes.1 (c.yaml:4) has ";" in its path: "%3B" is another path, but not to every backend',
    ],
  ],
  // Nobody asks for the pool default: that it is empty is nobody's business.
  ['pools: { web: { backends: [":1"] } }\nroutes: [{ path: /a, pool: web }]', []],
])('what has no effect is told: %s', (text, notes) => {
  expect(notesOf(text)).toEqual(notes);
});

test.each([
  ['/api/*', 'a path is a prefix: write /api/'],
  ['/a*', 'a path is a prefix: write /a/'],
  ['=/a/**', 'a path is a prefix: write /a/'],
  ['/*', 'a path is a prefix: write /'],
  ['/users/*/photos', 'for any one segment, write a name: /:name'],
  ['/*/photos/*', 'for any one segment, write a name: /:name'],
  ['/a*b', 'for any one segment, write a name: /:name'],
])('who writes path: %s means something else', (path, hint) => {
  const text = `${POOLS}\nroutes:\n  - { path: /b, pool: api }\n  - { path: "${path}", pool: web }`;
  expect(notesOf(text)).toEqual([
    `routes.1 (c.yaml:4) has a "*" in its path, a character like any other there (${hint})`,
  ]);
});

test('of nine hundred notes, a hundred are told', () => {
  const pools = Object.fromEntries(
    Array.from({ length: 900 }, (_, index) => [
      `p${index}`,
      { backends: [{ url: ':1', backup: true }] },
    ]),
  );
  const notes = notesOf(JSON.stringify({ pools }), { name: 'c.json' });
  expect(notes).toHaveLength(101);
  expect(notes[0]).toBe('pools.p0: every backend is a backup: they are used as if none was');
  // Each pool has that one; of those without a route, twenty are told, and how many more; and the pool default is empty.
  expect(notes.at(-1)).toBe('822 notes more');
});

const idle = (key: string, where: string) =>
  `${key} (${where}) has no effect: it is of the pool default, where no route leads, and other pools have their own`;

test.each([
  ['retries: { attempts: 5 }', ['retries']],
  ['retries: false', ['retries']],
  ['strategy: ip-hash\nrate_limit: { rate: 5 }', ['strategy:1', 'rate_limit:2']],
  ['timeouts:\n  idle: 5s\n  response: 5s', ['timeouts.response:3']],
  ['request_timeout: 5s', ['timeouts.response:1']],
  ['health_check_path: /up', ['health_check_path']],
  ['sticky: { by: ip }', ['sticky']],
  ['enable_sticky_sessions: true', ['sticky']],
  ['host_header: backend\nlenient_responses: true', ['host_header:1', 'lenient_responses:2']],
  ['outlier_detection: true\nport: 81\nlimits: { body: 1MiB }', []],
  // What is said there is what every pool does anyway.
  ['strategy: round-robin\nretries: { attempts: 3 }', []],
])('with pools alone, nobody goes by what stands at the top level: %j', (keys, idleKeys) => {
  const text = `${keys}\n${POOLS}\nroutes: [{ pool: web }, { path: /a, pool: api }]`;
  const notes = idleKeys.map((one) => {
    const [key = '', line = '1'] = one.split(':');
    return idle(key, `c.yaml:${line}`);
  });
  expect(notesOf(text)).toEqual(expect.arrayContaining(notes));
  expect(notesOf(text)).toHaveLength(notes.length);
  // With a route to the pool default, they count.
  expect(
    notesOf(`${keys}\n${POOLS}\nroutes: [{ pool: web }, { path: /a, pool: default }]`),
  ).toEqual(expect.not.arrayContaining([expect.stringContaining('of the pool default')]));
});

test('a policy from a variable or a flag that nobody goes by is told by its name', () => {
  const text = `${POOLS}\nroutes: [{ pool: web }, { path: /a, pool: api }]`;
  const flags = [{ name: '--strategy', path: ['strategy'], value: 'ip-hash' }];
  expect(notesOf(text, { env: { FAIRLEAD_RETRIES: 'false' }, flags })).toEqual([
    idle('strategy', '--strategy'),
    idle('retries', 'FAIRLEAD_RETRIES'),
  ]);
});

test.each([
  ['', ['default']],
  [POOLS, ['default']],
  [`backends: [":3"]\n${POOLS}\nroutes: [{ path: /a, pool: web }]`, ['web', 'default']],
  [`${POOLS}\nroutes: [{ path: /a, pool: web }, { path: /b, pool: web }]`, ['web']],
  [`backends: [":3"]\n${POOLS}\nroutes: [{ pool: web }]`, ['web']],
  [`${POOLS}\nroutes: [{ method: [GET, PUT], pool: web }, { method: GET, pool: api }]`, ['web']],
])('the pools that a route leads to: %s', (text, pools) => {
  expect(settingsOf(text).routedPools).toEqual(pools);
});

test('a text of 1 MiB of routes for one path is judged in a short time', () => {
  const routes = Array.from({ length: 10_000 }, (_, index) => ({
    headers: { x: { prefix: `v${index}` } },
    pool: 'default',
  }));
  const text = JSON.stringify({ routes });
  const judge = () => expect(settingsOf(text, { name: 'c.json' }).routes).toHaveLength(10_000);
  // Compared each with each they take a minute.
  expect(leastCostMs(judge, 8_000)).toBeLessThan(8_000);
});

test('more routes than can be compared are refused', () => {
  const text = `{"routes":[${'{"pool":"x"},'.repeat(10_000)}{"pool":"x"}]}`;
  expect(problemsOf(text, { name: 'c.json' })).toEqual([
    'c.json:1:11: routes: must not have more than 10000 routes',
  ]);
});
