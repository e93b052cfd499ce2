/** A route that is split over pools, from outside: shares, clients that stay, and a canary that is down. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { NamedBackend } from './named-pool.ts';
import { get, metrics, QUIET_HEALTH } from './stage.ts';

const CONFIG = 'fairlead.config.json';

interface Site {
  readonly fairlead: Fairlead;
  readonly stable: NamedBackend;
  readonly canary: NamedBackend;
}

async function site(
  policies: Readonly<Record<string, unknown>>,
  weights: readonly [number, number],
): Promise<Site> {
  const [stable, canary] = [new NamedBackend('stable'), new NamedBackend('canary')];
  await Promise.all([stable.start(), canary.start()]);
  const pool = ({ url }: NamedBackend): object => ({
    backends: [url],
    // A slow machine must not look like a sick backend.
    health_check: { method: 'http', frequency: '1h', timeout: '10s', fall: 1, rise: 1 },
    ...policies,
  });
  const fairlead = await startFairlead({
    config: {
      ...QUIET_HEALTH,
      trusted_proxies: ['127.0.0.1'],
      pools: { web: pool(stable), next: pool(canary) },
      routes: [
        {
          split: [
            { pool: 'web', weight: weights[0] },
            { pool: 'next', weight: weights[1], name: 'canary' },
          ],
        },
      ],
    },
  });
  for (const { url } of [stable, canary]) {
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
    );
  }
  return { fairlead, stable, canary };
}

async function reweigh({ fairlead }: Site, weights: readonly [number, number]): Promise<void> {
  const file = join(fairlead.cwd, CONFIG);
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  const split = [
    { pool: 'web', weight: weights[0] },
    { pool: 'next', weight: weights[1], name: 'canary' },
  ];
  await writeFile(file, JSON.stringify({ ...config, routes: [{ split }] }));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
}

async function ask(client: RawClient, fields: readonly string[] = [], path = '/') {
  await client.write(get(path, fields));
  const response = await client.readResponse();
  return { ...response, name: String(response.body) };
}

/** By client, over several connections, which may be served by different threads. */
async function namesOf({ fairlead }: Site, addresses: readonly string[]): Promise<string[]> {
  const clients = await Promise.all([1, 2, 3].map(() => rawClient(fairlead.port)));
  const names: string[] = [];
  for (const [index, address] of addresses.entries()) {
    const client = clients[index % clients.length] as RawClient;
    names.push((await ask(client, [`X-Forwarded-For: ${address}`])).name);
  }
  for (const client of clients) client.end();
  return names;
}

const CLIENTS = Array.from({ length: 100 }, (_, one) => `10.0.0.${one}`);

test('each part gets its share of the requests, and the log and the metrics say which', async () => {
  const the = await site({}, [75, 25]);
  const client = await rawClient(the.fairlead.port);
  const names: string[] = [];
  for (let one = 0; one < 100; one++) names.push((await ask(client)).name);
  client.end();
  const canaries = names.filter((name) => name === 'canary').length;
  expect(Math.abs(canaries - 25)).toBeLessThan(4);
  const lines = await waitFor(() => {
    const written = the.fairlead.accessLines();
    return written.length === 100 ? written : undefined;
  }, LONG_MS);
  const logged = lines.filter(({ split }) => split === 'canary');
  expect(logged).toHaveLength(canaries);
  expect(logged[0]).toMatchObject({ route: 'routes.0', pool: 'next' });
  expect(lines.filter(({ split }) => split === 'web')).toHaveLength(100 - canaries);
  const counts = await metrics(the.fairlead);
  const key = `fairlead_requests_total{pool="next",backend="${the.canary.url}",code="200"}`;
  expect(counts.get(key)).toBe(canaries);
});

function partsOf(stable: number, canary: number): readonly object[] {
  return [
    { pool: 'web', weight: stable },
    { pool: 'next', weight: canary, name: 'canary' },
  ];
}

test('the admin API shows the routes as they are in force', async () => {
  const the = await site({}, [9, 1]);
  const shown = async (): Promise<unknown> =>
    (await fetch(`${the.fairlead.adminUrl}/routes`)).json();
  expect(await shown()).toEqual([
    { name: 'routes.0', pools: ['web', 'next'], config: { split: partsOf(9, 1) } },
  ]);
  await reweigh(the, [1, 1]);
  expect(await shown()).toMatchObject([{ config: { split: partsOf(1, 1) } }]);
});

test('by address: a client has one part in all threads, and weights move those that must', async () => {
  const the = await site({ sticky: { by: 'ip' } }, [70, 30]);
  const before = await namesOf(the, CLIENTS);
  expect(new Set(before)).toEqual(new Set(['stable', 'canary']));
  // Each on another connection than before.
  expect(await namesOf(the, CLIENTS.toReversed())).toEqual(before.toReversed());
  await reweigh(the, [50, 50]);
  const after = await namesOf(the, CLIENTS);
  expect(after).not.toEqual(before);
  for (const [index, name] of before.entries()) {
    expect([CLIENTS[index], name === 'stable' || after[index] === name]).toEqual([
      CLIENTS[index],
      true,
    ]);
  }
  await reweigh(the, [70, 30]);
  expect(await namesOf(the, CLIENTS)).toEqual(before);
});

test('by cookie: a client stays with the part whose session it has, also at the weight 0', async () => {
  const the = await site({ sticky: { by: 'cookie' } }, [50, 50]);
  const client = await rawClient(the.fairlead.port);
  const cookies = new Map<string, string>();
  while (cookies.size < 2) {
    const { name, fields } = await ask(client);
    cookies.set(name, fields.get('set-cookie')?.[0]?.split(';')[0] ?? '');
  }
  expect(cookies.get('stable')).toMatch(/^fairlead-web=/);
  expect(cookies.get('canary')).toMatch(/^fairlead-next=/);
  await reweigh(the, [100, 0]);
  for (let one = 0; one < 20; one++) {
    for (const [name, cookie] of cookies) {
      expect((await ask(client, [`Cookie: ${cookie}`])).name).toBe(name);
    }
    expect((await ask(client, ['Cookie: fairlead-next=forged'])).name).toBe('stable');
    expect((await ask(client)).name).toBe('stable');
  }
  client.end();
});

test('a part whose pool is down is passed over, and gets its clients back', async () => {
  const health = { frequency: '100ms', timeout: '10s', fall: 1, rise: 1 };
  const the = await site({ sticky: { by: 'ip' }, health_check: health }, [50, 50]);
  const before = await namesOf(the, CLIENTS);
  the.canary.isHealthy = false;
  await the.fairlead.waitForLog(({ event }) => event === 'backend.down', LONG_MS);
  await waitFor(
    async () => !(await namesOf(the, CLIENTS.slice(0, 10))).includes('canary'),
    LONG_MS,
  );
  expect(new Set(await namesOf(the, CLIENTS))).toEqual(new Set(['stable']));
  the.canary.isHealthy = true;
  await waitFor(async () => (await namesOf(the, CLIENTS)).includes('canary'), LONG_MS);
  expect(await namesOf(the, CLIENTS)).toEqual(before);
});
