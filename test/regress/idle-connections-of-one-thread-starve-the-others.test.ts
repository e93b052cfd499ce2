/**
 * With `max_connections` and several data threads, one thread kept so many idle connections to a backend that the limit
 * was reached: every request in another thread was refused, although the backend had nothing to do.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Backend } from '../../src/data/backend/backend.ts';
import type { BackendConnection } from '../../src/data/backend/backend-connection.ts';
import type { BackendStream } from '../../src/data/backend/backend-stream.ts';
import type { Http1Stream } from '../../src/data/backend/http1-stream.ts';
import type { RequestFacts } from '../../src/data/wire/request.ts';
import { afterTest } from '../support/after-test.ts';
import { type LiveBackends, liveBackends, WaitingUser } from '../support/live-backends.ts';
import { waitFor } from '../support/wait-for.ts';

const KEEP_ALIVE = { backendKeepAliveMs: 60_000, backendMaxAgeMs: 0 };

const FACTS = {} as RequestFacts;

/** One backend as two data threads see it. */
async function twoThreads(): Promise<LiveBackends> {
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
  return liveBackends((server.address() as AddressInfo).port);
}

function connectionOf(stream: BackendStream): BackendConnection {
  return (stream as Http1Stream).connection;
}

async function connected(backend: Backend, limit: number): Promise<BackendStream> {
  const user = new WaitingUser();
  const stream = backend.acquire(user, FACTS, true, 0, limit);
  if (stream === null) throw new Error('the backend is full');
  await waitFor(() => user.isConnected);
  return stream;
}

test('a thread keeps its share of the limit as idle connections, and the other finds room', async () => {
  const { threads, open, idle } = await twoThreads();
  const [first, second] = threads;
  const busy: BackendStream[] = [];
  for (let count = 0; count < 4; count++) busy.push(await connected(first, 4));
  expect(second.acquire(new WaitingUser(), FACTS, true, 0, 4)).toBeNull();
  for (const stream of busy) first.putIdle(connectionOf(stream), 0, KEEP_ALIVE, 4);
  expect([open(), idle()]).toEqual([2, 2]);
  const others = [await connected(second, 4), await connected(second, 4)];
  expect(second.acquire(new WaitingUser(), FACTS, true, 0, 4)).toBeNull();
  for (const stream of others) stream.cancel();
});

test('an idle connection that may not be taken makes room for a fresh one', async () => {
  const { threads, open, idle } = await twoThreads();
  const [first] = threads;
  const stream = await connected(first, 2);
  first.putIdle(connectionOf(stream), 0, KEEP_ALIVE, 2);
  const other = await connected(first, 1);
  expect([open(), idle()]).toEqual([1, 0]);
  other.cancel();
  expect(open()).toBe(0);
});
