/**
 * Nobody looked at paths when a request came; it waited, and a backend with a path in its URL was added meanwhile. It got the request
 * as `GET /base/../secret`, where one that comes later is refused.
 */
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { metrics, QUIET_HEALTH } from '../behaviour/stage.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

async function asking({ port }: Fairlead, target: string): Promise<RawClient> {
  const client = await rawClient(port);
  await client.write(`GET ${target} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n`);
  return client;
}

async function add({ adminUrl }: Fairlead, url: string): Promise<void> {
  const body = JSON.stringify({ url });
  expect((await fetch(`${adminUrl}/backends`, { method: 'POST', body })).status).toBe(201);
}

/** Answers nothing by itself. */
async function silentBackend() {
  const held: ServerResponse[] = [];
  const backend = await httpBackend((_request, response) => held.push(response));
  return { ...backend, held };
}

test('in the queue', async () => {
  const slow = await silentBackend();
  const other = await httpBackend();
  const fairlead = await startFairlead({
    config: {
      ...QUIET_HEALTH,
      backends: [slow.url],
      max_requests: 1,
      queue: { size: 10, timeout: '60s' },
    },
  });
  const first = await asking(fairlead, '/first');
  await waitFor(() => slow.held.length === 1);
  const waiting = new Map<string, RawClient>();
  for (const target of [
    '/../secret',
    '/x/..%2fsecret',
    '/..;/secret',
    '/x/../y',
    '/%7eme?q=/../',
  ]) {
    waiting.set(target, await asking(fairlead, target));
  }
  const depth = async () => (await metrics(fairlead)).get('fairlead_queue_depth{pool="default"}');
  await waitFor(async () => (await depth()) === waiting.size);

  await add(fairlead, `${other.url}/base`);
  const statuses: Record<string, number> = {};
  for (const [target, client] of waiting) statuses[target] = (await client.readResponse()).status;
  expect(statuses).toEqual({
    '/../secret': 400,
    '/x/..%2fsecret': 400,
    '/..;/secret': 400,
    '/x/../y': 200,
    '/%7eme?q=/../': 200,
  });
  expect(other.requests.toSorted()).toEqual(['GET /base/y', 'GET /base/~me?q=/../']);
  const line = await waitFor(() =>
    fairlead.accessLines().find(({ path }) => path === '/../secret'),
  );
  expect(line).toMatchObject({ error: 'ERR_BAD_PATH' });
  slow.held[0]?.end('ok');
  expect((await first.readResponse()).status).toBe(200);
  expect(slow.requests).toEqual(['GET /first']);
});

test('for a second attempt', async () => {
  const slow = await silentBackend();
  const other = await httpBackend();
  const fairlead = await startFairlead({ config: { ...QUIET_HEALTH, backends: [slow.url] } });
  const unclear = await asking(fairlead, '/../secret');
  await waitFor(() => slow.held.length === 1);
  const clear = await asking(fairlead, '/x/../y');
  await waitFor(() => slow.held.length === 2);
  await add(fairlead, `${other.url}/base`);
  for (const response of slow.held) response.destroy();
  expect((await unclear.readResponse()).status).toBe(502);
  expect((await clear.readResponse()).status).toBe(200);
  expect(other.requests).toEqual(['GET /base/y']);
});

test('a path of backends that are yet to be found counts at once', async () => {
  const { url, requests } = await httpBackend();
  const fairlead = await startFairlead({
    config: {
      ...QUIET_HEALTH,
      backends: [url],
      discover: { dns: 'http://not.there.invalid/base' },
    },
  });
  expect((await (await asking(fairlead, '/../x')).readResponse()).status).toBe(400);
  expect((await (await asking(fairlead, '/x/../y')).readResponse()).status).toBe(200);
  expect(requests).toEqual(['GET /y']);
});
