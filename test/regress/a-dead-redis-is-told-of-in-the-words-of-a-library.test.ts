/** What is said of a server that is down: why it can't be reached, and not which options the package for it was made with. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Take } from '../../src/control/counter-engine/counter-store.ts';
import { type RedisModule, RedisStore } from '../../src/control/counter-engine/redis-store.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

const ASKED: Take = {
  owner: 'web',
  key: 'k',
  limit: { key: { by: 'ip', name: '' }, rate: 1, perMs: 1000, burst: 1 },
  want: 1,
  debtMs: 0,
};

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function storeAt(host: string, port: number) {
  const reasons: string[] = [];
  const module = (await import('ioredis')) as unknown as RedisModule;
  const settings = {
    url: `redis://${host}:${port}`,
    username: undefined,
    password: undefined,
    passwordFile: undefined,
    prefix: 'fairlead:',
    tls: {},
    files: {},
  };
  const store = new RedisStore(module, settings, {
    onReady: () => {},
    onError: (reason) => reasons.push(reason),
  });
  ends.push(() => store.close());
  return { store, reasons };
}

test('a call fails with what the connection failed with, by whichever name', async () => {
  const port = await freePort();
  for (const host of ['127.0.0.1', 'localhost']) {
    const { store, reasons } = await storeAt(host, port);
    await waitFor(() => reasons.length > 1);
    const refused = expect.stringContaining(`connect ECONNREFUSED 127.0.0.1:${port}`) as string;
    expect(new Set(reasons)).toEqual(new Set([refused]));
    await expect(store.take(ASKED)).rejects.toThrow(`connect ECONNREFUSED 127.0.0.1:${port}`);
  }
});

test('one that hangs up without a word is told of as that', async () => {
  const server = createServer((socket) => socket.on('error', () => {}).end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => server.close());
  const { store } = await storeAt('127.0.0.1', (server.address() as AddressInfo).port);
  await once(server, 'connection');
  await expect(store.take(ASKED)).rejects.toThrow('the connection has ended');
});
