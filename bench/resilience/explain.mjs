/**
 * `POST /explain` is asked about a random request, and then that request is sent: what was said is what comes of it, down to the
 * backend. Routes of every kind, hosts and paths in many spellings, pools of every strategy whose draw no clock has a part in.
 */
import { backendOf, Client } from './client.mjs';
import { exactly, shown } from './figure.mjs';
import { until } from './place.mjs';

const BACKENDS = 6;

const named = (name, rest) => ({ ...rest, response_headers: { set: { 'x-route': name } } });

/** @param {readonly number[]} ports */
function configFor(ports) {
  const [a, b, c, d, e, f] = ports.map((port) => `http://127.0.0.1:${port}`);
  return {
    trusted_proxies: ['127.0.0.1'],
    // Nobody is taken out in between.
    outlier_detection: false,
    routes: [
      named('v1', { host: 'api.test', path: '/v1/', pool: 'turns', strip_prefix: '/v1' }),
      named('v1-posts', { host: 'api.test', path: '/v1/', method: ['POST'], pool: 'hash' }),
      named('name', { host: 'api.test', path: '/users/:id/photos', pool: 'ip' }),
      named('any-api', { host: ['*.api.test', 'api.test'], pool: 'cookie' }),
      named('beta', { host: '*.test', headers: { 'x-beta': '1' }, pool: 'chance' }),
      named('query', { path: '/v1/', query: { preview: 'true' }, pool: 'two' }),
      named('split', {
        host: 'www.test',
        split: [
          { pool: 'chance', weight: 3 },
          { pool: 'two', weight: 1 },
        ],
      }),
      named('closed', { path: '/closed/', allow: ['10.1.0.0/16'], pool: 'ip' }),
      named('limited', {
        path: '/limited/',
        pool: 'ip',
        rate_limit: { rate: 1, per: '1h', burst: 2, by: 'header', name: 'x-user' },
      }),
      { path: '/old/', redirect: { to: '/new/${path.rest}', status: 308 } },
      { path: '=/robots.txt', respond: { status: 200, body: 'none' } },
      named('rest', { host: 'rest.test', pool: 'turns' }),
    ],
    pools: {
      turns: {
        strategy: 'round-robin',
        backends: [{ url: a, weight: 3 }, { url: b, weight: 2 }, c],
      },
      hash: {
        strategy: 'consistent-hash',
        hash: { by: 'header', name: 'x-user' },
        backends: [a, b, c],
      },
      ip: { strategy: 'ip-hash', backends: [d, e, { url: f, weight: 2 }] },
      cookie: { sticky: { by: 'cookie', name: 's' }, backends: [a, d, e] },
      chance: { strategy: 'least-connections', backends: [a, b, c, d] },
      two: { strategy: 'random-two', sticky: { by: 'ip' }, backends: [e, f] },
    },
  };
}

/** Mulberry32: the same cases every time. */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const HOSTS =
  'api.test API.test:8080 x.api.test api.test. www.test rest.test rest.test other 192.0.2.1 [::1]:80 a%2ftest api..test'.split(
    ' ',
  );
const PATHS =
  '/v1/a /v1 /v1x /%761/a /v1/../old/x /users/7/photos /users//photos /closed/x /limited/x /old/a/b /robots.txt /robots.txt/ / /%2e%2e/x /a%00b /v1//a /./v1/b'.split(
    ' ',
  );
const QUERIES = ['', '', '?preview=true', '?preview=tru%65', '?preview', '?a=1&preview=true'];

function randomRequest(random, cookies) {
  const one = (list) => list[Math.floor(random() * list.length)];
  const some = (share, make) => (random() < share ? [make()] : []);
  const method = one(['GET', 'GET', 'GET', 'POST', 'PURGE', 'CONNECT']);
  return {
    method,
    host: one(HOSTS),
    path: one(PATHS) + one(QUERIES),
    headers: Object.fromEntries([
      ...some(0.9, () => [
        'X-Forwarded-For',
        `10.${Math.floor(random() * 3)}.0.${Math.floor(random() * 20)}`,
      ]),
      ...some(0.4, () => ['X-Beta', one(['1', '2'])]),
      ...some(0.7, () => ['X-User', `user-${Math.floor(random() * 50)}`]),
      ...some(cookies.length > 0 ? 0.5 : 0, () => ['Cookie', one(cookies)]),
      ...some(0.03, () => ['Bad Name', '1']),
      ...some(method === 'POST' ? 1 : 0, () => ['Content-Length', '0']),
    ]),
  };
}

function textOf({ method, host, path, headers }) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join('')}\r\n`;
}

function fieldOf({ head }, name) {
  return new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? null;
}

/** What came of a request, and what was said of it, in the same words. */
function cameOf(answer) {
  const location = fieldOf(answer, 'location');
  const backend = backendOf(answer) ?? null;
  return { status: answer.status, location, backend, route: fieldOf(answer, 'x-route') };
}

function saidOf({ answer, pool, route, routes }, names) {
  const isServed = answer === null;
  const url = isServed ? pool.backend.url : null;
  const isNamed = route !== null && routes.length > 0 && names.has(route);
  return {
    status: isServed ? 200 : answer.status,
    location: isServed ? null : answer.location,
    backend: url === null ? null : Number(url.slice(url.lastIndexOf(':') + 1)),
    route: isNamed ? names.get(route) : null,
  };
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const explained = {
  name: 'explain',
  title: 'What /explain says is what comes of a request',
  full: { cases: 10_000 },
  short: { cases: 250 },
  async run(place, { cases }) {
    const backends = await place.backends(BACKENDS);
    const config = configFor(backends.ports);
    const fairlead = await place.fairlead([], config);
    await until(async () => {
      const pools = JSON.parse(await fairlead.admin('/pools'));
      return pools.every((pool) => pool.active_backends === pool.total_backends);
    }, 'pools whose backends are all alive');
    const names = new Map(
      config.routes.map((one, index) => [
        `routes.${index}`,
        one.response_headers?.set['x-route'] ?? null,
      ]),
    );
    const client = new Client(fairlead.port);
    const random = seeded(7);
    const cookies = [];
    const differences = [];
    let served = 0;
    for (let index = 0; index < cases; index++) {
      const request = randomRequest(random, cookies);
      const said = await fairlead.admin('/explain', {
        method: 'POST',
        body: JSON.stringify(request),
      });
      const answer = await client.request(textOf(request));
      const session = fieldOf(answer, 'set-cookie');
      if (session !== null && cookies.length < 3) cookies.push(session.split(';')[0]);
      const pair = [saidOf(said, names), cameOf(answer)];
      if (JSON.stringify(pair[0]) !== JSON.stringify(pair[1])) differences.push({ request, pair });
      else if (said.answer === null) served++;
    }
    client.close();
    if (differences.length > 0) console.error(JSON.stringify(differences.slice(0, 3), null, 1));
    return [
      exactly(`cases of ${cases} in which something else came`, differences.length, 0),
      shown('of them served by the backend that was named', served),
    ];
  },
};
