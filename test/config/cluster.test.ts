/** The key `cluster`, and what rate limits and sessions want of it. */
import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { loadText } from './load-text.ts';

test.each([
  'rate_limit: { rate: 9, scope: shared }',
  'pools: { web: { rate_limit: { rate: 9, scope: shared } } }',
  'routes: [{ path: /a, pool: default, rate_limit: { rate: 9, scope: shared } }]',
])('%s is of no use where nobody has said how many share it', (text) => {
  const note = 'rate_limit.scope shared divides by the number of instances, and that is 1';
  const of = (more: string) => {
    const loaded = loadText(`${text}\n${more}`);
    return loaded.ok ? loaded.notes.filter((one) => one.startsWith(note)).length : loaded;
  };
  expect(of('')).toBe(1);
  expect(of('cluster: { instances: 1 }')).toBe(1);
  expect(of('cluster: { instances: 2 }')).toBe(0);
});

const URL_OF = 'cluster: { redis: { url: "redis://a" } }';

test.each([
  [URL_OF, { url: 'redis://a', prefix: 'fairlead:', password: undefined, tls: {} }],
  [
    'cluster: { redis: { url: "redis://[::1]:7000/3", username: u, password: p, prefix: "a:" } }',
    { url: 'redis://[::1]:7000/3', username: 'u', password: 'p', prefix: 'a:' },
  ],
  [
    'cluster: { redis: { url: "rediss://a", tls: { server_name: b } } }',
    { tls: { servername: 'b' } },
  ],
])('%s', (text, redis) => {
  const limit = 'rate_limit: { rate: 9, scope: global, on_engine_down: closed }';
  const loaded = loadText(`${text}\n${limit}`);
  expect(loaded).toMatchObject({
    ok: true,
    notes: [],
    settings: { redis, pools: [{ rateLimit: { scope: 'global', onEngineDown: 'closed' } }] },
  });
  if (!loaded.ok) return;
  // Read back, it means the same, but for what is secret.
  const { config } = effectiveConfig(loaded);
  expect(JSON.stringify(config)).not.toContain('"password":"p"');
  const back = loadText(JSON.stringify(config), { name: 'c.json' });
  const { password: _, ...others } = redis as { readonly password?: string };
  expect(back).toMatchObject({ ok: true, notes: [], settings: { redis: others } });
});

test.each([
  ['cluster: { redis: { url: "http://a" } }', 'cluster.redis.url: must be redis:// or rediss://'],
  ['cluster: { redis: { url: "redis://:p@a" } }', 'must not hold a name or a password'],
  ['cluster: { redis: { url: "redis://a/b" } }', 'cluster.redis.url: must be redis://'],
  ['cluster: { redis: {} }', 'cluster.redis.url'],
  [
    'cluster: { redis: { url: "redis://a", tls: { server_name: a } } }',
    'cluster.redis.tls: needs a URL that begins with rediss://',
  ],
  [
    'cluster: { redis: { url: "rediss://a", tls: { cert_file: a.pem } } }',
    'cluster.redis.tls: needs cert_file and key_file together',
  ],
  [
    'cluster: { redis: { url: "redis://a", username: u } }',
    'cluster.redis.username: needs a password',
  ],
  [
    'cluster: { redis: { url: "redis://a", password: a, password_file: b } }',
    'cluster.redis.password: stands beside password_file',
  ],
  [
    'cluster: { redis: { url: "redis://a", password_file: nowhere } }',
    "cluster.redis.password_file: can't be read",
  ],
  [
    'rate_limit: { rate: 9, scope: global }',
    'rate_limit.scope: global needs cluster.redis, which counts for all instances',
  ],
  [
    'cluster: { redis: false }\npools: { web: { rate_limit: { rate: 9, scope: global } } }',
    'pools.web.rate_limit.scope: global needs cluster.redis',
  ],
  [
    'sticky: { by: header, name: x-user, scope: global }',
    'sticky.scope: global needs cluster.redis, which keeps sessions for all instances',
  ],
  [
    'pools: { web: { sticky: { by: learn, cookie: sid, scope: global } } }',
    'pools.web.sticky.scope: global needs cluster.redis',
  ],
  [
    `${URL_OF}\nsticky: { by: cookie, scope: global }`,
    'sticky.scope: has no meaning by cookie: clients carry it to all instances',
  ],
  [
    'rate_limit: { rate: 9, on_engine_down: open }',
    'rate_limit.on_engine_down: is for scope: global alone',
  ],
])('%s is refused', (text, problem) => {
  const loaded = loadText(text);
  expect(loaded.ok ? [] : loaded.problems.map(formatProblem).join('\n')).toContain(problem);
});

test.each([
  ['by: ip', { isShared: true, learns: null }],
  ['by: learn, cookie: sid', { isShared: true, learns: 'cookie' }],
  ['by: socket.io', { isShared: true, learns: 'socket.io' }],
])('sessions by "%s" may be those of all instances', (by, sticky) => {
  const loaded = loadText(`${URL_OF}\nsticky: { ${by}, scope: global }`);
  expect(loaded).toMatchObject({ ok: true, notes: [], settings: { pools: [{ sticky }] } });
  if (!loaded.ok) return;
  const back = loadText(JSON.stringify(effectiveConfig(loaded).config), { name: 'c.json' });
  expect(back).toMatchObject({ ok: true, notes: [], settings: { pools: [{ sticky }] } });
});

test('a server that counts nothing is told of', () => {
  expect(loadText(URL_OF)).toMatchObject({
    ok: true,
    notes: ['cluster.redis has no effect: no rate_limit and no sticky has scope: global'],
  });
  const instance = 'cluster: { etcd: { endpoints: ["http://a:1"] }, redis: { url: "redis://a" } }';
  const { notes } = loadText(instance) as { readonly notes: readonly string[] };
  expect(notes.filter((note) => note.includes('redis'))).toEqual([]);
});
