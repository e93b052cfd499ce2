/** Who may ask where a route has something against it: by address. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { RawClient, type RawResponse, rawClient } from '../support/raw-client.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { get, metrics, QUIET_HEALTH, scriptedBackend } from './stage.ts';

async function site(routes: readonly Record<string, unknown>[], config = {}) {
  const backend = await scriptedBackend();
  const fairlead = await startFairlead({
    config: { ...QUIET_HEALTH, backends: [backend.url], routes, ...config },
  });
  await fairlead.waitForLog(({ event }) => event === 'backend.up');
  return { fairlead, backend };
}

async function ask(fairlead: Fairlead, request: string, host = '127.0.0.1'): Promise<RawResponse> {
  const client = await rawClient(fairlead.port, { host });
  await client.write(request);
  const response = await client.readResponse();
  client.end();
  return response;
}

const TRUSTING = { trusted_proxies: ['127.0.0.1', '::1'] };

function from(address: string, path: string): string {
  return get(path, [`X-Forwarded-For: ${address}`]);
}

test('allow and deny go by the address of the client, which a trusted proxy says', async () => {
  const { fairlead, backend } = await site(
    [
      {
        path: '/in',
        pool: 'default',
        allow: ['10.0.0.0/8', '2001:db8::/32'],
        deny: ['10.9.0.0/16'],
      },
      { path: '/out', pool: 'default', deny: ['203.0.113.0/24'] },
      { path: '/answer', allow: ['10.0.0.0/8'], respond: { body: 'in' } },
    ],
    TRUSTING,
  );
  const statusOf = async (address: string, path: string): Promise<number> =>
    (await ask(fairlead, from(address, path))).status;
  for (const [address, status] of [
    ['10.1.2.3', 200],
    ['10.9.2.3', 403],
    ['11.1.2.3', 403],
    ['2001:db8::7', 200],
    ['2001:db9::7', 403],
    // One client in two forms: RFC 4291 §2.5.5.2.
    ['::ffff:10.1.2.3', 200],
    ['::ffff:a09:203', 403],
    // What is said before the proxy's own word is not believed.
    ['10.1.2.3, 11.1.2.3', 403],
    ['11.1.2.3, 10.1.2.3', 200],
    ['nonsense', 403],
  ] as const) {
    expect([address, await statusOf(address, '/in')]).toEqual([address, status]);
  }
  expect(await statusOf('203.0.113.9', '/out')).toBe(403);
  expect(await statusOf('203.0.114.9', '/out')).toBe(200);
  expect(await statusOf('10.1.2.3', '/answer')).toBe(200);
  expect(await statusOf('11.1.2.3', '/answer')).toBe(403);
  expect(await statusOf('203.0.113.9', '/free')).toBe(200);
  const lines = await waitFor(() => {
    const all = fairlead.accessLines().filter(({ error }) => error === 'ERR_ADDRESS_REFUSED');
    return all.length >= 8 ? all : null;
  }, LONG_MS);
  expect(lines.find(({ path }) => path === '/out')).toMatchObject({
    client: '203.0.113.9',
    route: 'routes.1',
    status: 403,
  });
  expect(backend.served('/out')).toHaveLength(1);
  const samples = await metrics(fairlead);
  // As with a rate limit: of the pool that would have served it, if there is one.
  const count = (pool: string) =>
    samples.get(`fairlead_requests_total{pool="${pool}",backend="none",code="403"}`);
  expect([count('default'), count('none')]).toEqual([7, 1]);
});

test('a client of its own word is known by its connection', async () => {
  const { fairlead } = await site([{ path: '/in', pool: 'default', allow: ['10.0.0.0/8'] }]);
  expect((await ask(fairlead, from('10.1.2.3', '/in'))).status).toBe(403);
  const refused = await ask(fairlead, get('/in', ['Accept: application/json']));
  expect(JSON.parse(String(refused.body))).toMatchObject({ code: 'ERR_ADDRESS_REFUSED' });
});

test('an address of IPv4 that comes over IPv6 is in its block', async () => {
  const { fairlead } = await site([{ pool: 'default', allow: ['127.0.0.0/8'] }]);
  // The listener has both; the system shows IPv4 as ::ffff:127.0.0.1 there.
  expect((await ask(fairlead, get('/'), '127.0.0.1')).status).toBe(200);
  expect((await ask(fairlead, get('/'), '::1')).status).toBe(403);
});

test('no byte of a body is asked for before the address is looked at', async () => {
  const { fairlead, backend } = await site([{ pool: 'default', deny: ['127.0.0.1'] }]);
  const client = await rawClient(fairlead.port);
  await client.write(get('/up', ['Content-Length: 4', 'Expect: 100-continue'], 'POST'));
  const head = await client.readUntil('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 403 /);
  expect(head).toMatch(/^Connection: close\r$/m);
  client.end();
  expect(backend.served('/up')).toHaveLength(0);
});

test('a client of a unix socket has no address: no allow lets it in, and no deny keeps it out', async () => {
  const everybody = ['0.0.0.0/0', '::/0'];
  const { fairlead } = await site(
    [
      { path: '/in', pool: 'default', allow: everybody },
      { path: '/out', pool: 'default', deny: everybody },
    ],
    {
      listeners: [
        { unix: 'plain.sock' },
        { unix: 'proxied.sock', proxy_protocol: { from: ['unix'] } },
      ],
      ...TRUSTING,
    },
  );
  const by = async (socket: string, text: string): Promise<number> => {
    const client = new RawClient(connect(join(fairlead.cwd, socket)));
    afterTest(() => void client.socket.destroy());
    await client.write(text);
    return (await client.readResponse()).status;
  };
  for (const [path, plain, proxied] of [
    ['/in', 403, 200],
    ['/out', 200, 403],
  ] as const) {
    expect(await by('plain.sock', get(path))).toBe(plain);
    // Nor is it believed what it says of others.
    expect(await by('plain.sock', from('10.0.0.1', path))).toBe(plain);
    const header = 'PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n';
    expect(await by('proxied.sock', header + get(path))).toBe(proxied);
  }
});
