/**
 * `sticky: { scope: global }`, kept by a real redis-server for two instances of two data threads: what one has learned, the other knows.
 * The server is frozen, killed and restarted empty, and no request fails or waits for it longer than it may.
 */
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { ENGINE_PATIENCE_MS } from '../../../../src/snapshot/counter-engine.ts';
import { metrics } from '../../../behaviour/stage.ts';
import { type Fairlead, startFairlead } from '../../../support/fairlead.ts';
import { httpBackend } from '../../../support/http-backend.ts';
import { slowness } from '../../../support/machine-speed.ts';
import { type RedisServer, startRedis } from '../../../support/redis.ts';
import { hasTool } from '../../../support/tools.ts';
import { LONG_MS, waitFor } from '../../../support/wait-for.ts';

let redis: RedisServer;
let two: readonly [Fairlead, Fairlead];
let urls: readonly string[];
let names = 0;

interface Answer {
  readonly backend: string;
  /** Of the session; empty: none was begun. */
  readonly cookie: string;
  readonly ms: number;
}

async function get({ url }: Fairlead, path: string, fields: Record<string, string> = {}) {
  const startedAt = performance.now();
  const response = await fetch(`${url}${path}`, { headers: fields });
  const backend = await response.text();
  expect(response.status, `${path}: ${backend}`).toBe(200);
  const [cookie = ''] = (response.headers.get('set-cookie') ?? '').split(';');
  return { backend, cookie, ms: performance.now() - startedAt } satisfies Answer;
}

/** Sessions that backends have begun, through this instance. */
function begin(instance: Fairlead, count: number): Promise<readonly Answer[]> {
  return Promise.all(Array.from({ length: count }, () => get(instance, '/')));
}

/** Where those clients come to through this instance. */
async function placesOf(instance: Fairlead, clients: readonly Answer[]): Promise<string[]> {
  const answers = await Promise.all(clients.map(({ cookie }) => get(instance, '/', { cookie })));
  return answers.map(({ backend }) => backend);
}

/** Sessions that the server has with this backend. */
async function keptFor(url: string): Promise<number> {
  const script = `local n = 0 for _, k in ipairs(redis.call('KEYS', '*st:*')) do if redis.call('GET', k) == '${url}' then n = n + 1 end end return n`;
  return Number((await redis.command(`EVAL "${script}" 0`)).slice(1));
}

/** The server knows all of these: on a busy machine it has not heard of some in time, and does with their next requests. */
async function known(instance: Fairlead, clients: readonly Answer[]): Promise<void> {
  await waitFor(async () => {
    if ((await keptAtAll()) >= clients.length) return true;
    await placesOf(instance, clients);
    return false;
  }, LONG_MS);
}

/** They come to these places through this instance: one that hears of a session too late goes by the hash for once. */
async function follows(
  instance: Fairlead,
  clients: readonly Answer[],
  places: readonly string[],
): Promise<void> {
  await waitFor(
    async () => isDeepStrictEqual(await placesOf(instance, clients), places),
    LONG_MS,
    'the clients where the other instance has them',
  );
}

async function keptAtAll(): Promise<number> {
  const counts = await Promise.all(urls.map(keptFor));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function upOf(instance: Fairlead): Promise<number | undefined> {
  return (await metrics(instance)).get('fairlead_rate_limit_engine_up');
}

async function toBe(isUp: boolean): Promise<void> {
  for (const instance of two) {
    await waitFor(async () => {
      // Who asks nothing does not find out.
      if (!isUp) await timesOf('/limited');
      return (await upOf(instance)) === (isUp ? 1 : 0);
    });
  }
}

/** Requests of clients that nobody knows, at once. @returns how long each has taken. */
async function timesOf(path: string): Promise<number[]> {
  const asked = Array.from({ length: 16 }, (_, index) =>
    get(two[index % 2] as Fairlead, path, { 'x-user': `u${names++}`, cookie: `sid=n${names}` }),
  );
  return (await Promise.all(asked)).map(({ ms }) => ms);
}

describe.skipIf(!hasTool('redis-server'))('sessions of all instances', () => {
  beforeAll(async () => {
    redis = await startRedis();
    const backends = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        httpBackend((request, response) => {
          const isKnown = /sid=/.test(request.headers.cookie ?? '');
          if (!isKnown) response.setHeader('Set-Cookie', `sid=s${names++}; Path=/`);
          response.end(name);
        }),
      ),
    );
    urls = backends.map(({ url }) => url);
    const config = {
      threads: 2,
      access_log: false,
      cluster: { instances: 2, redis: { url: redis.url } },
      pools: {
        web: {
          strategy: 'round-robin',
          health_check: { method: 'tcp', frequency: '1h', timeout: '10s' },
          sticky: { by: 'learn', cookie: 'sid', scope: 'global' },
          backends: urls,
        },
      },
      routes: [
        { path: '/', pool: 'web' },
        { path: '/plain', respond: { status: 200 } },
        {
          path: '/limited',
          respond: { status: 200 },
          rate_limit: { rate: 1000, scope: 'global', by: 'header', name: 'x-user' },
        },
        {
          path: '/both',
          pool: 'web',
          rate_limit: { rate: 1000, scope: 'global', by: 'header', name: 'x-user' },
        },
      ],
    };
    two = await Promise.all([startFairlead({ config }), startFairlead({ config })]);
    await toBe(true);
  });

  test('are at each of them where any of them has learned them to be', async () => {
    const [one, other] = two;
    const clients = await begin(one, 18);
    await known(one, clients);
    const places = clients.map(({ backend }) => backend);
    expect(new Set(places).size).toBe(3);
    await follows(other, clients, places);
    expect(await placesOf(one, clients)).toEqual(places);
  });

  test('whose backend is gone at one of them move once, for all', async () => {
    const [one, other] = two;
    await redis.command('FLUSHALL');
    const clients = await begin(one, 18);
    await known(one, clients);
    const [gone] = urls as [string];
    const change = (state: string): Promise<Response> =>
      fetch(`${one.adminUrl}/pools/web/backends/0`, {
        method: 'PATCH',
        body: JSON.stringify({ state }),
      });
    expect((await change('disabled')).status).toBe(200);
    const places = await placesOf(one, clients);
    expect(places).not.toContain('a');
    // The others stay.
    const moved = clients.filter(({ backend }, index) => backend !== places[index]);
    expect(new Set(moved.map(({ backend }) => backend))).toEqual(new Set(['a']));
    await waitFor(async () => {
      if ((await keptFor(gone)) === 0) return true;
      await placesOf(one, clients);
      return false;
    }, LONG_MS);
    // It has never seen them, and the former backend is fine there.
    await follows(other, clients, places);
    expect((await change('enabled')).status).toBe(200);
    expect(await placesOf(one, clients)).toEqual(places);
  });

  test('and limits wait for a server that is frozen 25 ms at most, also where a request needs both', async () => {
    const over = new Map<string, number>();
    let slowest = 1;
    for (let round = 0; round < 3; round++) {
      for (const path of ['/limited', '/', '/both']) {
        await toBe(true);
        redis.signal('SIGSTOP');
        const waited = await timesOf(path);
        const alone = await timesOf('/plain');
        redis.signal('SIGCONT');
        // It is waited for at all.
        expect(Math.max(...waited)).toBeGreaterThan(ENGINE_PATIENCE_MS / 2);
        slowest = Math.max(slowest, slowness());
        const ms = Math.max(...waited) - Math.max(...alone);
        over.set(path, Math.min(over.get(path) ?? Number.POSITIVE_INFINITY, ms));
      }
    }
    process.stdout.write(
      `frozen: ${JSON.stringify([...over])}, ${slowest.toFixed(1)} times slower\n`,
    );
    const most = ENGINE_PATIENCE_MS * slowest;
    expect([...over].filter(([, ms]) => ms > most)).toEqual([]);
  });

  test('stay where they are while the server is killed, and are shared again once it is back, empty', async () => {
    const [one, other] = two;
    await toBe(true);
    const clients = await begin(one, 18);
    const places = clients.map(({ backend }) => backend);
    await redis.kill();
    for (let round = 0; round < 3; round++) {
      expect(await placesOf(one, clients)).toEqual(places);
      // Who knows nothing sends them somewhere.
      await placesOf(other, clients);
    }
    await toBe(false);
    expect(await placesOf(one, clients)).toEqual(places);
    await redis.start();
    await toBe(true);
    expect(await placesOf(one, clients)).toEqual(places);
    const newcomers = await begin(one, 18);
    await known(one, newcomers);
    await follows(
      other,
      newcomers,
      newcomers.map(({ backend }) => backend),
    );
  });
});
