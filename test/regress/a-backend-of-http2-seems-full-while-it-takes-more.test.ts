/**
 * Whether a backend has room decides on hedges, on retries to others, and on what goes over connections that are there. Of HTTP/2
 * that was guessed: with `max_connections` reached a backend seemed full to a thread that was still connecting, and to one that
 * had no connection yet and may always have its first; and to one that has its share, and no stream left, it seemed to have room.
 */
import { expect, test } from 'vitest';
import type { Backend } from '../../src/data/backend/backend.ts';
import { clientTerms } from '../../src/data/stream/client-terms.ts';
import type { RequestFacts } from '../../src/data/wire/request.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { liveBackends, WaitingUser } from '../support/live-backends.ts';
import { waitFor } from '../support/wait-for.ts';

const FACTS = { upgrade: '', authenticatesConnection: false } as RequestFacts;

async function twoThreads(maxConcurrentStreams: number) {
  const { port } = await http2Backend(undefined, { settings: { maxConcurrentStreams } });
  return liveBackends(port, false, clientTerms(null, 'h2'));
}

/** @returns null: it is full */
function ask(backend: Backend, limit: number): WaitingUser | null {
  const user = new WaitingUser();
  return backend.acquire(user, FACTS, false, performance.now(), limit) === null ? null : user;
}

test('a connection that is not open yet has room for more, and so has a thread without one', async () => {
  const { threads, open } = await twoThreads(10);
  const [first, second] = threads;
  const user = ask(first, 1);
  expect([first.hasRoom(0, 1), second.hasRoom(0, 1)]).toEqual([true, true]);
  // Nothing is open over which a request could go at once.
  expect([first.hasIdle(0), second.hasIdle(0)]).toEqual([false, false]);
  await waitFor(() => user?.isConnected);
  expect([first.hasRoom(0, 1), first.hasIdle(0)]).toEqual([true, true]);
  expect(ask(first, 1)).not.toBeNull();
  expect(ask(second, 1)).not.toBeNull();
  expect(open()).toBe(2);
});

test('a thread that has its share of connections, and no stream left, has no room', async () => {
  const { threads, open } = await twoThreads(1);
  const [first, second] = threads;
  const user = ask(first, 2);
  await waitFor(() => user?.isConnected);
  expect(open()).toBe(1);
  expect([first.hasRoom(0, 2), second.hasRoom(0, 2)]).toEqual([false, true]);
  expect(ask(first, 2)).toBeNull();
  // Of twice as many it may have another one.
  expect(first.hasRoom(0, 4)).toBe(true);
  expect(ask(first, 4)).not.toBeNull();
});

test('the limit of requests holds, whatever the connections take', async () => {
  const { threads } = await twoThreads(10);
  const [first] = threads;
  const user = ask(first, 0);
  await waitFor(() => user?.isConnected);
  first.counters.tryStartRequest(0);
  expect([first.hasRoom(1, 1), first.hasRoom(2, 1)]).toEqual([false, true]);
});
