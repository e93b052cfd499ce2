/**
 * The proxy had no descriptor left for a connection to the backend whose turn it was, and answered 503, while connections to
 * another one stood idle.
 */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { OK, severalBackends } from '../behaviour/several-backends.ts';
import { get, metrics, type ScriptedBackend } from '../behaviour/stage.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

/** At the next tick what is idle would make room: what these tests look at takes place before it, however slow the machine. */
const BETWEEN_TICKS = new URL(
  '../support/patches/between-ticks-of-descriptors.mjs',
  import.meta.url,
).href;

/** Below this limit all numbers are taken: from now on no descriptor is to be had. What is open stays. */
const NONE = 1;

function limitDescriptors(pid: number, limit: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

async function send(client: RawClient, request: string) {
  await client.write(request);
  return client.readResponse();
}

/** Two backends, and one client whose thread has an idle connection to each. */
async function setUp(config: Readonly<Record<string, unknown>> = {}) {
  const the = await severalBackends(
    2,
    { timeouts: { backend_keep_alive: '5m' }, ...config },
    { env: { NODE_OPTIONS: `--import ${BETWEEN_TICKS}` } },
  );
  const [away, idle] = the.backends as [ScriptedBackend, ScriptedBackend];
  const client = await rawClient(the.fairlead.port);
  for (let user = 0; the.backends.some((backend) => backend.served('/warm').length === 0); user++) {
    expect((await send(client, get('/warm', [`X-User: ${user}`]))).status).toBe(200);
  }
  const closeIdle = async (backend: ScriptedBackend): Promise<void> => {
    for (const connection of backend.raw.connections) connection.end();
    await waitFor(() => backend.raw.connections.every(({ isEnded }) => isEnded));
    await waitFor(async () => {
      const name = `fairlead_backend_connections{pool="default",backend="${backend.url}",state="idle"}`;
      return (await metrics(the.fairlead)).get(name) === 0;
    });
  };
  return { ...the, away, idle, client, closeIdle };
}

test('requests go over the connections that are idle, whatever their method and the budget', async () => {
  const the = await setUp({ retries: { budget_percent: 0 } });
  await the.closeIdle(the.away);
  limitDescriptors(the.fairlead.pid, NONE);
  for (let round = 0; round < 6; round++) {
    expect((await send(the.client, get('/work'))).status).toBe(200);
  }
  the.idle.on('/post', async (connection) => {
    expect(String(await connection.readBytes(4))).toBe('body');
    await connection.write(OK);
  });
  for (let round = 0; round < 2; round++) {
    const post = `${get('/post', ['Content-Length: 4'], 'POST')}body`;
    expect((await send(the.client, post)).status).toBe(200);
  }
  expect([the.away.served('/work').length, the.idle.served('/work').length]).toEqual([0, 6]);
  const saved = await waitFor(() => {
    const lines = the.fairlead.accessLines().filter((line) => line['attempts'] !== undefined);
    return lines.length === 4 ? lines : undefined;
  });
  for (const line of saved) {
    expect(line).toMatchObject({
      status: 200,
      attempts: [
        { backend: the.away.url, outcome: 'ERR_OUT_OF_SOCKETS' },
        { backend: the.idle.url, outcome: 'ok' },
      ],
    });
  }
});

test('it is held against no backend, and when none is idle the answer says what is short', async () => {
  const the = await setUp();
  await the.closeIdle(the.away);
  await the.closeIdle(the.idle);
  limitDescriptors(the.fairlead.pid, NONE);
  for (let round = 0; round < 4; round++) {
    const response = await send(the.client, get('/none'));
    expect(response.status).toBe(503);
    expect(String(response.body)).toContain('ERR_OUT_OF_SOCKETS');
    expect(response.fields.get('proxy-status')?.[0]).toContain('proxy_internal_limit_reached');
  }
  limitDescriptors(the.fairlead.pid, 1024);
  const page = await metrics(the.fairlead);
  const valuesOf = (name: string): number[] =>
    [...page].flatMap(([key, value]) => (key.startsWith(`${name}{`) ? [value] : []));
  expect(valuesOf('fairlead_backend_up')).toEqual([1, 1]);
  expect(valuesOf('fairlead_backend_failures_total')).toEqual([0, 0]);
  expect(new Set(valuesOf('fairlead_retries_total'))).toEqual(new Set([0]));
  expect(valuesOf('fairlead_retries_refused_total')).toEqual([0]);
  // And it goes on as if nothing had been.
  expect((await send(the.client, get('/again'))).status).toBe(200);
});

test('a session goes elsewhere for this once, and stays where it is', async () => {
  const the = await setUp({ sticky: { by: 'header', name: 'x-user' } });
  const fields = ['X-User: somebody'];
  expect((await send(the.client, get('/first', fields))).status).toBe(200);
  const isAway = the.away.served('/first').length === 1;
  const [home, other] = isAway ? [the.away, the.idle] : [the.idle, the.away];
  await the.closeIdle(home);
  limitDescriptors(the.fairlead.pid, NONE);
  expect((await send(the.client, get('/short', fields))).status).toBe(200);
  expect(other.served('/short').length).toBe(1);
  limitDescriptors(the.fairlead.pid, 1024);
  expect((await send(the.client, get('/again', fields))).status).toBe(200);
  expect(home.served('/again').length).toBe(1);
});
