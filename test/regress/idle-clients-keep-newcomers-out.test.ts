/** Clients that had been idle for long took every place of `limits.client_connections`, and new ones were closed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { get, metrics, scriptedBackend, silent, startProxy } from '../behaviour/stage.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const PLACES = 4;
/** Who was busy within the last second is not idle; then a tick must pass. */
const IDLE_MS = 2_000;

async function start(args: readonly string[], config: Readonly<Record<string, unknown>> = {}) {
  const backend = await scriptedBackend();
  backend.on('/busy', silent);
  const limits = { client_connections: PLACES };
  return startProxy([backend.url], { limits, ...config }, { args });
}

async function served(client: RawClient): Promise<RawClient> {
  await client.write(get('/'));
  expect((await client.readResponse()).status).toBe(200);
  return client;
}

async function full(fairlead: Fairlead, tls = false): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let index = 0; index < PLACES; index++) {
    clients.push(await served(await rawClient(fairlead.port, { tls })));
  }
  return clients;
}

async function count(fairlead: Fairlead, name: string): Promise<number | undefined> {
  return (await metrics(fairlead)).get(`${name}{reason="limit"}`);
}

const CLOSED = 'fairlead_idle_clients_closed_total';
const REFUSED = 'fairlead_client_connections_refused_total';

test('the one that has been idle for longest makes room, and one without a request before it', async () => {
  const fairlead = await start(['--threads', '1']);
  const [first, second, , fourth] = await full(fairlead);
  if (first === undefined || second === undefined) throw new Error('no clients');
  await sleep(IDLE_MS);
  await served(first);
  await served(await rawClient(fairlead.port));
  // The first one has just been busy.
  await waitFor(() => second.isEnded);
  expect(first.isEnded).toBe(false);
  expect(await count(fairlead, CLOSED)).toBe(1);

  const mute = await rawClient(fairlead.port);
  await waitFor(async () => (await count(fairlead, CLOSED)) === 2);
  await sleep(IDLE_MS);
  await served(await rawClient(fairlead.port));
  await waitFor(() => mute.isEnded);
  // It came when the order had been looked up before.
  expect([first.isEnded, fourth?.isEnded]).toEqual([false, false]);
  expect(await count(fairlead, REFUSED)).toBe(0);
  const told = fairlead.logs().filter(({ event }) => event === 'clients.idle_closed');
  expect(told).toMatchObject([{ level: 'warn', reason: 'limit' }]);
});

describe.each([
  ['by default', false],
  ['over TLS', true],
] as const)('%s', (_name, tls) => {
  test.runIf(hasTool('openssl'))('room is made in whichever thread somebody is idle', async () => {
    const fairlead = await start([], tls ? { ssl: makeCertificate() } : {});
    const clients = await full(fairlead, tls);
    for (let round = 1; round <= PLACES; round++) {
      await sleep(IDLE_MS);
      clients.push(await served(await rawClient(fairlead.port, { tls })));
      await waitFor(() => clients.filter(({ isEnded }) => isEnded).length >= round);
    }
    await waitFor(
      async () => (await metrics(fairlead)).get('fairlead_client_connections') === PLACES,
    );
    expect(await count(fairlead, CLOSED)).toBe(PLACES);
    expect(await count(fairlead, REFUSED)).toBe(0);
  });
});

test('nobody who is busy makes room', async () => {
  const fairlead = await start([]);
  for (const client of await full(fairlead)) await client.write(get('/busy'));
  await sleep(IDLE_MS);
  const late = await rawClient(fairlead.port);
  await waitFor(() => late.isEnded);
  expect(late.text).toBe('');
  expect(await count(fairlead, CLOSED)).toBe(0);
  expect(await count(fairlead, REFUSED)).toBe(1);
  await fairlead.waitForLog(
    ({ event, reason }) => event === 'clients.refused' && reason === 'limit',
  );
});
