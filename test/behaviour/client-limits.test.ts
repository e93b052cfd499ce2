/** `limits.connections_per_client`: who has too many connections is closed without an answer. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { RawClient } from '../support/raw-client.ts';
import { hasTool } from '../support/tools.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';
import { type NamedPool, startPool } from './named-pool.ts';
import { get, metrics } from './stage.ts';

const TWO = { limits: { connections_per_client: 2 } } as const;
const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

interface From {
  readonly host?: string;
  /** All of 127.0.0.0/8 is this machine on Linux. */
  readonly localAddress?: string;
}

async function open(the: NamedPool, { host = '127.0.0.1', localAddress }: From = {}) {
  const { port } = the.fairlead;
  const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
  afterTest(() => {
    socket.destroy();
  });
  const client = new RawClient(socket);
  await once(socket, 'connect');
  return client;
}

async function served(client: RawClient): Promise<string> {
  await client.write(get('/'));
  const { status, body } = await client.readResponse();
  return `${status} ${body}`;
}

async function isRefused(client: RawClient): Promise<void> {
  await within(client.closed, SOON_MS, 'the end of one too many');
  expect(client.text).toBe('');
}

function count(the: NamedPool, connections: number): Promise<boolean> {
  return waitFor(
    async () => (await metrics(the.fairlead)).get('fairlead_client_connections') === connections,
  );
}

describe.each([
  ['--threads', '1'],
  ['--threads', '2'],
])('%s %s', (...args) => {
  test('one over is closed without an answer, and there is room again when one has gone', async () => {
    const the = await startPool(1, TWO, { args });
    const [first, second] = [await open(the), await open(the)];
    expect([await served(first), await served(second)]).toEqual(['200 A', '200 A']);
    await isRefused(await open(the));
    await isRefused(await open(the));
    // Those who were there are not disturbed.
    expect([await served(first), await served(second)]).toEqual(['200 A', '200 A']);

    first.end();
    await count(the, 1);
    const third = await open(the);
    expect(await served(third)).toBe('200 A');
    await isRefused(await open(the));
    second.reset();
    await count(the, 1);
    expect(await served(await open(the))).toBe('200 A');
    await isRefused(await open(the));
  });
});

test('clients do not take each other’s places', async () => {
  const the = await startPool(1, TWO);
  for (const localAddress of ['127.0.0.1', '127.0.0.2', '127.0.0.3']) {
    const clients = [await open(the, { localAddress }), await open(the, { localAddress })];
    for (const client of clients) expect(await served(client)).toBe('200 A');
    await isRefused(await open(the, { localAddress }));
  }
});

test.runIf(hasIPv6)('an IPv6 client is one as well', async () => {
  const the = await startPool(1, TWO);
  const clients = [await open(the, { host: '::1' }), await open(the, { host: '::1' })];
  for (const client of clients) expect(await served(client)).toBe('200 A');
  await isRefused(await open(the, { host: '::1' }));
  expect(await served(await open(the))).toBe('200 A');
});

test('trusted proxies are not counted: they hold the connections of many', async () => {
  const the = await startPool(1, { ...TWO, trusted_proxies: ['127.0.0.2'] });
  for (let index = 0; index < 6; index++) {
    const client = await open(the, { localAddress: '127.0.0.2' });
    expect(await served(client)).toBe('200 A');
  }
  await open(the);
  await open(the);
  await isRefused(await open(the));
});

test('the limit on all of them holds beside it, and a refused one takes no place there', async () => {
  const the = await startPool(1, { limits: { connections_per_client: 1, client_connections: 2 } });
  const first = await open(the, { localAddress: '127.0.0.2' });
  expect(await served(first)).toBe('200 A');
  await isRefused(await open(the, { localAddress: '127.0.0.2' }));
  await isRefused(await open(the, { localAddress: '127.0.0.2' }));
  const second = await open(the, { localAddress: '127.0.0.3' });
  expect(await served(second)).toBe('200 A');
  // Whoever is idle makes room.
  const backend = the.backend(0);
  backend.answer = (request) => {
    request.resume();
  };
  for (const client of [first, second]) await client.write(get('/'));
  await waitFor(() => backend.requests === 4);
  await isRefused(await open(the, { localAddress: '127.0.0.4' }));
  first.reset();
  await count(the, 1);
  backend.answer = backend.good;
  expect(await served(await open(the, { localAddress: '127.0.0.4' }))).toBe('200 A');
});

function secured(the: NamedPool): Promise<RawClient | 'refused'> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: the.fairlead.port,
    rejectUnauthorized: false,
  });
  afterTest(() => {
    socket.destroy();
  });
  return new Promise((resolve) => {
    socket.once('secureConnect', () => resolve(new RawClient(socket)));
    socket.once('close', () => resolve('refused'));
    socket.on('error', () => {});
  });
}

describe.runIf(hasTool('openssl'))('over TLS', () => {
  test('one over is closed before its handshake, and there is room again when one has gone', async () => {
    const the = await startPool(1, { ...TWO, ssl: makeCertificate() });
    const [first, second] = [await secured(the), await secured(the)];
    if (first === 'refused' || second === 'refused') throw new Error('a place was not given');
    expect([await served(first), await served(second)]).toEqual(['200 A', '200 A']);
    expect(await within(secured(the), SOON_MS, 'the end of one too many')).toBe('refused');
    first.socket.destroy();
    await count(the, 1);
    expect(await secured(the)).not.toBe('refused');
    expect(await within(secured(the), SOON_MS, 'the end of one too many')).toBe('refused');
  });

  test('one that never ends its handshake has a place as well', async () => {
    const the = await startPool(1, { ...TWO, ssl: makeCertificate() });
    const silent = await open(the);
    await open(the);
    await count(the, 2);
    expect(await within(secured(the), SOON_MS, 'the end of one too many')).toBe('refused');
    silent.socket.destroy();
    await count(the, 1);
    expect(await secured(the)).not.toBe('refused');
  });
});
