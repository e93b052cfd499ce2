/**
 * NTLM authenticates a connection. A client that had logged in at /api and then asked for a page of another pool lost its
 * login: its backend connection was closed, for one that was for that page alone.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import {
  type Connection,
  get,
  type Script,
  scriptedBackend,
  silent,
  startProxy,
} from '../behaviour/stage.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { okResponse } from '../support/raw-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

/** Says who has logged in on the connection. */
function logins(): Script {
  const users = new WeakMap<Connection, string>();
  return async (connection, head) => {
    const token = /^authorization: NTLM (.*?)\r\n/im.exec(head)?.[1];
    if (token !== undefined) users.set(connection, token);
    await connection.write(okResponse(users.get(connection) ?? 'nobody'));
  };
}

/** `/api` has a pool of its own, with one backend; the rest goes to the others. */
async function site(rest: number, config: Readonly<Record<string, unknown>> = {}) {
  const [api, ...web] = await Promise.all(
    Array.from({ length: rest + 1 }, () => scriptedBackend()),
  );
  if (api === undefined) throw new Error('no backend');
  const fairlead = await startProxy(
    web.map(({ url }) => url),
    {
      pools: { api: { backends: [api.url], health_check: { method: 'tcp' } } },
      routes: [{ path: '/api', pool: 'api' }],
      ...config,
    },
  );
  await fairlead.waitForLog(
    ({ event, msg }) => event === 'backend.up' && msg?.includes(api.url) === true,
  );
  return { fairlead, api, web };
}

async function ask(client: RawClient, path: string, fields: string[] = []): Promise<string> {
  await client.write(get(path, fields));
  return String((await client.readResponse()).body);
}

const asUser = (name: string): string[] => [`Authorization: NTLM ${name}`];

test('a login holds, whatever the client asks of other pools', async () => {
  const { fairlead, api, web } = await site(1);
  for (const backend of [api, ...web]) {
    backend.on('/api', logins());
    backend.on('/', logins());
  }
  const client = await rawClient(fairlead.port);
  expect(await ask(client, '/api', asUser('alice'))).toBe('alice');
  for (let round = 0; round < 3; round++) {
    expect(await ask(client, '/')).toBe('nobody');
    expect(await ask(client, '/api')).toBe('alice');
  }
  // Who logs in at both is known at both.
  expect(await ask(client, '/', asUser('bob'))).toBe('bob');
  for (let round = 0; round < 3; round++) {
    expect(await ask(client, '/api')).toBe('alice');
    expect(await ask(client, '/')).toBe('bob');
  }
  expect(new Set(api.served('/api')).size).toBe(1);
  client.end();
  await waitFor(() => api.served('/api')[0]?.isEnded);
  await waitFor(() => web[0]?.served('/').at(-1)?.isEnded);
});

test('the connection is closed when its pool leaves', async () => {
  const { fairlead, api } = await site(1);
  api.on('/api', logins());
  const client = await rawClient(fairlead.port);
  expect(await ask(client, '/api', asUser('alice'))).toBe('alice');
  expect(await ask(client, '/')).toBe('ok');
  await removePool(fairlead, 'api');
  await waitFor(() => api.served('/api')[0]?.isEnded);
  expect(await ask(client, '/api')).toBe('ok');
  client.end();
});

async function removePool({ cwd, adminUrl }: Fairlead, name: string): Promise<void> {
  const file = `${cwd}/fairlead.config.json`;
  const config = JSON.parse(await readFile(file, 'utf8')) as { pools: Record<string, unknown> };
  const pools = Object.fromEntries(Object.entries(config.pools).filter(([key]) => key !== name));
  await writeFile(file, JSON.stringify({ ...config, pools, routes: [] }));
  expect((await fetch(`${adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
}

test('a login holds where the route is split: the client stays with its part', async () => {
  const { fairlead, api, web } = await site(1, {
    routes: [{ split: [{ pool: 'api' }, { pool: 'default' }] }],
  });
  for (const backend of [api, ...web]) backend.on('/', logins());
  const client = await rawClient(fairlead.port);
  expect(await ask(client, '/', asUser('alice'))).toBe('alice');
  for (let round = 0; round < 10; round++) expect(await ask(client, '/')).toBe('alice');
  client.end();
});

test('a login in one pool keeps no request to another from being hedged', async () => {
  const { fairlead, api, web } = await site(2, { retries: { hedge_after: '50ms' } });
  api.on('/api', logins());
  let turn = 0;
  for (const backend of web) {
    backend.on('/slow', (connection) =>
      turn++ === 0 ? silent(connection) : connection.write(okResponse('hedge')),
    );
  }
  const client = await rawClient(fairlead.port);
  expect(await ask(client, '/api', asUser('alice'))).toBe('alice');
  expect(await ask(client, '/slow')).toBe('hedge');
  client.end();
});
