/** `GET /events` over real sockets, with events as many and as large as the test wants them. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { eventRoutes } from '../../src/control/admin/event-routes.ts';
import { startAdminServer } from '../../src/control/admin/server.ts';
import {
  EventFollowers,
  MOST_FOLLOWERS,
  MOST_OF_A_VIEWER,
} from '../../src/control/events/event-followers.ts';
import { EventRing } from '../../src/control/events/event-ring.ts';
import { afterTest } from '../support/after-test.ts';
import { eventStream } from '../support/event-stream.ts';
import { waitFor } from '../support/wait-for.ts';
import { recordLog } from './fixtures.ts';

interface Stage {
  readonly ring: EventRing;
  readonly followers: EventFollowers;
  readonly port: number;
  readonly url: string;
  /** Makes so many, and gives the id of the last. */
  happen(count?: number, size?: number): number;
  /** Makes one of this name, with these fields. */
  tell(event: string, fields?: object): void;
}

async function stage(ring = new EventRing(), token?: string, tickMs?: number): Promise<Stage> {
  const followers = new EventFollowers(ring, tickMs);
  const server = await startAdminServer({
    host: '127.0.0.1',
    unix: null,
    port: 0,
    access: () => ({
      host: '127.0.0.1',
      token,
      tokens: null,
      rates: null,
      isOff: false,
      unix: null,
    }),
    routes: eventRoutes({ followers, hasPool: (name) => ['default', 'api', 'web'].includes(name) }),
    log: recordLog(),
    explain: () => undefined,
  });
  afterTest(async () => {
    followers.close();
    await server.close(0);
  });
  return {
    ring,
    followers,
    port: server.port,
    url: `http://127.0.0.1:${server.port}`,
    happen(count = 1, size = 0) {
      for (let left = count; left > 0; left--) {
        const padding = 'x'.repeat(size);
        ring.record('a.b', JSON.stringify({ event: 'a.b', n: ring.last - ring.zero + 1, padding }));
      }
      return ring.last;
    },
    tell(event, fields) {
      ring.record(event, JSON.stringify({ event, n: ring.last - ring.zero + 1, ...fields }));
    },
  };
}

const numbers = (events: readonly { readonly data: object }[]): unknown[] =>
  events.map(({ data }) => (data as { n: unknown }).n);

test('who comes gets what happens from then on, and may come back to what was missed', async () => {
  const { url, happen } = await stage();
  const before = happen(2);
  const first = await eventStream(url);
  expect(first.status).toBe(200);
  expect(first.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  // It knows where it is before anything has happened.
  await waitFor(() => first.lastId() === before);
  happen(2);
  await waitFor(() => first.events.length === 2);
  expect(numbers(first.events)).toEqual([3, 4]);
  first.close();
  happen(3);
  const again = await eventStream(url, '/events', { 'Last-Event-ID': String(first.lastId()) });
  happen(1);
  await waitFor(() => again.events.length === 4);
  expect(numbers(again.events)).toEqual([5, 6, 7, 8]);
  expect(again.names()).toEqual(['a.b', 'a.b', 'a.b', 'a.b']);
});

test('all that is kept is to be had, and the field wins over the query', async () => {
  const { url, happen } = await stage(new EventRing({ mostEvents: 4 }));
  const last = happen(6);
  const all = await eventStream(url, '/events?since=0');
  await waitFor(() => all.events.length === 4);
  expect(numbers(all.events)).toEqual([3, 4, 5, 6]);
  const some = await eventStream(url, '/events?since=0', { 'Last-Event-ID': String(last - 1) });
  await waitFor(() => some.events.length === 1);
  expect(numbers(some.events)).toEqual([6]);
});

test('who was away for too long is told how much is missing', async () => {
  const { url, ring, happen } = await stage(new EventRing({ mostEvents: 4 }));
  const seen = happen(1);
  happen(7);
  const late = await eventStream(url, `/events?since=${seen}`);
  await waitFor(() => late.events.length === 5);
  expect(late.events[0]).toMatchObject({
    id: ring.oldest - 1,
    event: 'gap',
    data: { event: 'gap', reason: 'overflow', since: seen, lost: 3 },
  });
  expect(numbers(late.events.slice(1))).toEqual([5, 6, 7, 8]);
  // After the gap it is one like all others.
  const next = await eventStream(url, `/events?since=${late.events[0]?.id}`);
  await waitFor(() => next.events.length === 4);
  expect(next.names()).not.toContain('gap');
});

test('an id of a process that is gone, or of none, is no place to go on from', async () => {
  const { url, ring, happen } = await stage();
  happen(2);
  for (const since of [ring.zero - 1, ring.last + 1]) {
    const stream = await eventStream(url, '/events', { 'Last-Event-ID': String(since) });
    await waitFor(() => stream.events.length === 3);
    expect(stream.events[0]).toMatchObject({ event: 'gap', data: { reason: 'restart', since } });
    expect(numbers(stream.events.slice(1))).toEqual([1, 2]);
    stream.close();
  }
  for (const id of ['-1', 'x', '1.5', '99999999999999999999', '9'.repeat(16)]) {
    const { status } = await fetch(`${url}/events`, { headers: { 'Last-Event-ID': id } });
    expect({ id, status }).toEqual({ id, status: 422 });
  }
});

/** Asks, reads the first bytes, and no more until it is resumed. */
async function lazyClient(port: number, path: string): Promise<{ socket: Socket; begun: number }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  afterTest(() => void socket.destroy());
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  await once(socket, 'readable');
  return { socket, begun: (socket.read() as Buffer).length };
}

describe('only what is wanted', () => {
  test('names and kinds, by commas or more than once, with the ids that they have for all', async () => {
    const { url, ring, tell } = await stage();
    for (const event of ['backend.down', 'backend.up', 'breaker.opened', 'listening']) tell(event);
    const seen = async (query: string, count: number): Promise<unknown[]> => {
      const stream = await eventStream(url, `/events?since=0&${query}`);
      await waitFor(() => stream.lastId() === ring.last && stream.events.length >= count);
      expect(stream.events.map(({ id }) => id - ring.zero)).toEqual(numbers(stream.events));
      return numbers(stream.events);
    };
    // So that each of them has gone past all before, at an event that everybody gets.
    tell('stopped');
    expect(await seen('type=stopped', 1)).toEqual([5]);
    expect(await seen('type=backend.down,stopped', 2)).toEqual([1, 5]);
    expect(await seen('type=backend.down&type=breaker.*,stopped', 3)).toEqual([1, 3, 5]);
    expect(await seen('type=backend.*,%20backend.up,listening,stopped', 4)).toEqual([1, 2, 4, 5]);
  });

  test('what is about a pool: default goes without saying, and what is about none is left out', async () => {
    const { url, tell } = await stage();
    tell('backend.down', { pool: 'api' });
    tell('backend.down');
    tell('pool.panic', { pool: 'web' });
    tell('config.reloaded');
    tell('backend.moved', { host: 'shared.test' });
    tell('strategy.changed');
    for (const pool of ['api', 'web', 'default']) {
      tell('breaker.opened', { pool, ...(pool === 'default' && { pool: undefined }) });
    }
    const seen = async (query: string, last: number): Promise<unknown[]> => {
      const stream = await eventStream(url, `/events?since=0&${query}`);
      await waitFor(() => numbers(stream.events).includes(last));
      return numbers(stream.events);
    };
    expect(await seen('pool=api', 7)).toEqual([1, 7]);
    expect(await seen('pool=api,web', 8)).toEqual([1, 3, 7, 8]);
    expect(await seen('pool=default', 9)).toEqual([2, 6, 9]);
    expect(await seen('pool=web&type=breaker.*', 8)).toEqual([8]);
  });

  test('it comes back to where it was, also after much that was not for it', async () => {
    const { url, ring, happen, tell } = await stage(new EventRing({ mostEvents: 300 }));
    const filter = '/events?type=killed';
    const first = await eventStream(url, filter);
    await waitFor(() => first.lastId() === ring.zero);
    // More than are kept: its own last event would be gone long ago.
    happen(1000);
    await waitFor(() => ring.last - first.lastId() < 100);
    first.close();
    happen(50);
    tell('killed');
    const again = await eventStream(url, filter, { 'Last-Event-ID': String(first.lastId()) });
    await waitFor(() => again.events.length === 1);
    expect(again.events[0]).toMatchObject({ id: ring.last, event: 'killed' });
  });

  test('signs of life say where it is', async () => {
    const { url, ring, happen } = await stage(undefined, undefined, 10);
    const stream = await eventStream(url, '/events?type=killed');
    await waitFor(() => stream.lastId() === ring.zero);
    const last = happen(3);
    await waitFor(() => stream.lastId() === last);
    expect(stream.events).toEqual([]);
  });

  test('a gap is told whatever is wanted', async () => {
    const { url, happen, tell } = await stage(new EventRing({ mostEvents: 4 }));
    const seen = happen(1);
    happen(7);
    tell('killed');
    const late = await eventStream(url, `/events?type=killed&pool=api&since=${seen}`);
    const all = await eventStream(url, `/events?type=killed&since=${seen}`);
    await waitFor(() => late.events.length === 1 && all.events.length === 2);
    const gap = { event: 'gap', data: { reason: 'overflow', since: seen, lost: 4 } };
    expect(late.events).toMatchObject([gap]);
    expect(all.events).toMatchObject([gap, { event: 'killed' }]);
  });

  test.each([
    ['type=backend.dwn', 422, 'ERR_UNKNOWN_EVENT', 'did you mean "backend.down"?'],
    ['type=backend.up,breakers.*', 422, 'ERR_UNKNOWN_EVENT', 'did you mean "breaker.*"?'],
    ['type=killed&type=', 422, 'ERR_UNKNOWN_EVENT', expect.stringContaining('backend.*')],
    ['type=back*', 422, 'ERR_UNKNOWN_EVENT', expect.stringContaining('backend.')],
    ['type=.*', 422, 'ERR_UNKNOWN_EVENT', expect.stringContaining('backend.*')],
    ['pool=api,other', 404, 'ERR_UNKNOWN_POOL', 'GET /pools lists them'],
    ['pool=', 404, 'ERR_UNKNOWN_POOL', 'GET /pools lists them'],
  ])('%s is refused', async (query, status, code, hint) => {
    const { url } = await stage();
    const refused = await fetch(`${url}/events?${query}`);
    expect(refused.status).toBe(status);
    expect(await refused.json()).toMatchObject({ code, hint });
    expect((await fetch(`${url}/events?${query}`, { method: 'HEAD' })).status).toBe(status);
  });
});

test('who does not read is cut off when the ring overtakes it; nothing is kept for it beside the ring', async () => {
  const { port, ring, happen, url } = await stage(new EventRing({ mostBytes: 1_000_000 }));
  const { socket, begun } = await lazyClient(port, '/events');
  // Somebody who reads sees all of it meanwhile.
  const reader = await eventStream(url);
  for (let made = 0; made < 4000; ) {
    happen(50, 10_000);
    made += 50;
    await waitFor(() => reader.events.length === made);
  }
  expect(numbers(reader.events)).toEqual(Array.from({ length: 4000 }, (_, index) => index + 1));
  expect(ring.last - ring.oldest).toBeLessThan(100);
  let received = begun;
  socket.on('data', (bytes) => {
    received += bytes.length;
  });
  await once(socket, 'close');
  // Of 40 MB, what the kernel took.
  expect(received).toBeLessThan(20_000_000);
});

test('who reads nothing at all loses its place after two signs of life', async () => {
  const ring = new EventRing({ mostEvents: 2000, mostBytes: 100_000_000 });
  const { port, url, happen } = await stage(ring, undefined, 20);
  happen(2000, 10_000);
  await lazyClient(port, '/events?since=0');
  const others = Array.from({ length: MOST_FOLLOWERS - 1 }, () => eventStream(url));
  expect(new Set((await Promise.all(others)).map(({ status }) => status))).toEqual(new Set([200]));
  const next = await waitFor(async () => {
    const one = await eventStream(url);
    return one.status === 200 ? one : undefined;
  });
  expect(next.events).toEqual([]);
});

test('signs of life come while nothing happens', async () => {
  const { port } = await stage(undefined, undefined, 10);
  const socket = connect(port, '127.0.0.1');
  afterTest(() => void socket.destroy());
  let text = '';
  socket.on('data', (bytes) => {
    text += String(bytes);
  });
  socket.write('GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  await waitFor(() => text.split('\n: alive\n\n').length > 3);
  expect(text).not.toContain('data:');
});

test('there is room for so many, and again when one has left', async () => {
  const { url, happen } = await stage();
  const all = await Promise.all(Array.from({ length: MOST_FOLLOWERS }, () => eventStream(url)));
  expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
  const refused = await fetch(`${url}/events`);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10']);
  expect(await refused.json()).toMatchObject({ code: 'ERR_TOO_MANY_FOLLOWERS' });
  // All of them hear, and none is closed to make room for the call that came.
  happen();
  await waitFor(() => all.every(({ events }) => events.length === 1));
  all[0]?.close();
  const next = await waitFor(async () => {
    const one = await eventStream(url, '/events?since=0');
    return one.status === 200 ? one : undefined;
  });
  await waitFor(() => next.events.length === 1);
});

test('HEAD takes no room, and other methods are refused', async () => {
  const { url } = await stage();
  for (let count = 0; count <= MOST_FOLLOWERS; count++) {
    const { status } = await fetch(`${url}/events`, { method: 'HEAD' });
    expect(status).toBe(200);
  }
  expect((await eventStream(url)).status).toBe(200);
  expect((await fetch(`${url}/events`, { method: 'POST' })).status).toBe(405);
});

test('who may not call the API hears nothing', async () => {
  const { url, happen } = await stage(undefined, 'secret');
  expect((await fetch(`${url}/events`)).status).toBe(401);
  const headers = { Authorization: 'Bearer secret' };
  const foreign = { ...headers, Origin: 'https://evil.example' };
  expect((await fetch(`${url}/events`, { headers: foreign })).status).toBe(403);
  const stream = await eventStream(url, '/events', headers);
  await waitFor(() => !Number.isNaN(stream.lastId()));
  happen();
  await waitFor(() => stream.events.length === 1);
  const open = await stage();
  const rebound = await eventStream(open.url, '/events', { Host: 'evil.example' });
  expect(rebound.status).toBe(403);
});

test('at the end what was said is read, and the answer is over', async () => {
  const { url, followers, happen } = await stage();
  const stream = await eventStream(url);
  await waitFor(() => !Number.isNaN(stream.lastId()));
  happen(3);
  followers.close();
  expect(await stream.ended).toBe(true);
  expect(numbers(stream.events)).toEqual([1, 2, 3]);
  expect((await fetch(`${url}/events`)).status).toBe(503);
});

test('a viewer takes a quarter of the places, and gives one to an operator', () => {
  const followers = new EventFollowers(new EventRing());
  const all = { names: null, pools: null };
  afterTest(() => followers.close());
  const places = (count: number, viewer?: string) =>
    Array.from({ length: count }, () => followers.admit(undefined, all, viewer)).filter(
      (one) => one !== undefined,
    ).length;
  expect(places(20, 'eve')).toBe(MOST_OF_A_VIEWER);
  expect(places(1, 'dashboard')).toBe(1);
  // Operators have all the others, and those of viewers as well.
  expect(places(MOST_FOLLOWERS)).toBe(MOST_FOLLOWERS);
  expect(places(1)).toBe(0);
  expect(places(1, 'dashboard')).toBe(0);
});
