/**
 * With `max_connections` and several data threads, one thread kept so many idle connections to a backend that the limit
 * was reached: every request in another thread was refused, although the backend had nothing to do.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Backend } from '../../src/data/backend/backend.ts';
import type {
  BackendConnection,
  ConnectionUser,
} from '../../src/data/backend/backend-connection.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { createBackendCounters, readBackendCounters } from '../../src/snapshot/counters.ts';
import { afterTest } from '../support/after-test.ts';
import { waitFor } from '../support/wait-for.ts';

const NO_BARRIER = {
  crashed(_where: string, error: unknown): never {
    throw error;
  },
};
const KEEP_ALIVE_MS = 60_000;

class User implements ConnectionUser {
  isConnected = false;
  onBackendConnected(): void {
    this.isConnected = true;
  }
  onBackendConnectFailed(): void {}
  onBackendBytes(): void {}
  onBackendEnd(): void {}
  onBackendWriteFailed(): void {}
  onBackendDrain(): void {}
  onBackendCutOff(): void {}

  onCrashed(error: unknown): void {
    throw error;
  }
}

/** One backend as two data threads see it. */
async function twoThreads(): Promise<{
  readonly threads: readonly [Backend, Backend];
  readonly open: () => number;
  readonly idle: () => number;
}> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const counters = createBackendCounters(2);
  const spec = {
    id: 0,
    url: `http://127.0.0.1:${port}`,
    tls: false,
    host: '127.0.0.1',
    port,
    authority: `127.0.0.1:${port}`,
    weight: 1,
    sessionToken: '',
    counters,
  };
  const thread = (index: number): Backend =>
    new Backend(spec, index, 2, new ThreadIo(), NO_BARRIER);
  const threads = [thread(0), thread(1)] as const;
  afterTest(() => {
    for (const backend of threads) backend.closeIdle();
  });
  return {
    threads,
    open: () => readBackendCounters(counters, 2).openConnections,
    idle: () => readBackendCounters(counters, 2).idleConnections,
  };
}

async function connected(backend: Backend, limit: number): Promise<BackendConnection> {
  const user = new User();
  const connection = backend.connect(user, limit);
  if (connection === null) throw new Error('the backend is full');
  await waitFor(() => user.isConnected);
  return connection;
}

test('a thread keeps its share of the limit as idle connections, and the other finds room', async () => {
  const { threads, open, idle } = await twoThreads();
  const [first, second] = threads;
  const busy: BackendConnection[] = [];
  for (let count = 0; count < 4; count++) busy.push(await connected(first, 4));
  expect(second.connect(new User(), 4)).toBeNull();
  for (const connection of busy) first.putIdle(connection, 0, KEEP_ALIVE_MS, 4);
  expect([open(), idle()]).toEqual([2, 2]);
  const others = [await connected(second, 4), await connected(second, 4)];
  expect(second.connect(new User(), 4)).toBeNull();
  for (const connection of others) connection.destroy();
});

test('an idle connection that may not be taken makes room for a fresh one', async () => {
  const { threads, open, idle } = await twoThreads();
  const [first] = threads;
  const connection = await connected(first, 2);
  first.putIdle(connection, 0, KEEP_ALIVE_MS, 2);
  const other = await connected(first, 1);
  expect([open(), idle()]).toEqual([1, 0]);
  other.destroy();
  expect(open()).toBe(0);
});
