/**
 * When `limits.client_connections` was lowered below the clients that were there, every thread sent away as many idle ones of
 * its own as there were too many in all: with two threads twice as many. And idle clients were counted at each tick where
 * there is no limit that they could make room for.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { IdleClients, type MayBeIdle } from '../../src/data/listen/idle-clients.ts';
import { Places } from '../../src/data/listen/places.ts';
import type { DataContext } from '../../src/data/relay/context.ts';
import { createProcessCounters } from '../../src/snapshot/process-cells.ts';
import { ProcessCounters } from '../../src/snapshot/process-counters.ts';
import { giveBackProcessShare } from '../../src/snapshot/process-totals.ts';
import { get, metrics } from '../behaviour/stage.ts';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const NOW_MS = 1_000_000;

interface Thread {
  readonly places: Places;
  readonly counters: ProcessCounters;
  readonly clients: Set<MayBeIdle>;
  /** How often its clients were looked through. */
  looks: number;
}

interface Terms {
  limit: number;
  /** Their places are given back by `releaseLate`. */
  readonly areLate?: boolean;
  /** Called while one closes. */
  onClosing(thread: Thread): void;
}

function threadsWith(idle: readonly number[], terms: Terms) {
  const buffer = createProcessCounters(idle.length);
  const late: (() => void)[] = [];
  const threads = idle.map((count, index) => {
    const counters = new ProcessCounters(buffer, index, idle.length);
    const context = {
      counters,
      nowMs: NOW_MS,
      post: () => {},
      processNowMs: () => NOW_MS,
      descriptors: { limit: 0, mayAdmit: () => true },
      clientConnections: {},
      get view() {
        const limits = { clientConnections: terms.limit, connectionsPerClient: 0 };
        return { snapshot: { limits } };
      },
    } as unknown as DataContext;
    const clients = new Set<MayBeIdle>();
    const places = new Places(
      context,
      new IdleClients(() => {
        thread.looks++;
        return clients;
      }),
    );
    const thread: Thread = { places, counters, clients, looks: 0 };
    for (let made = 0; made < count; made++) {
      const client: MayBeIdle = {
        hasServed: true,
        idleSinceMs: 0,
        makeRoom() {
          terms.onClosing(thread);
          clients.delete(client);
          if (terms.areLate === true) late.push(() => places.release(''));
          else places.release('');
          return true;
        },
      };
      clients.add(client);
      places.admit(0, () => undefined);
    }
    return thread;
  });
  return {
    buffer,
    threads,
    left: () => threads.map(({ clients }) => clients.size),
    releaseLate: () => {
      for (const release of late.splice(0)) release();
    },
  };
}

/** Each of them takes its tick in the middle of those of the others, as on cores of their own. */
function tickAtOnce(threads: readonly Thread[], terms: Terms): void {
  const waiting = new Set(threads);
  const tick = (thread: Thread): void => {
    if (waiting.delete(thread)) thread.places.tick(NOW_MS);
  };
  terms.onClosing = () => {
    for (const thread of threads) tick(thread);
  };
  for (const thread of threads) tick(thread);
  terms.onClosing = () => {};
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

test.each([
  [[30, 30], 40],
  [[30, 30, 30], 80],
  [[1, 1, 1], 2],
  [[50, 0, 3], 10],
])('of %j idle clients no more go than a limit of %i asks for', (idle, limit) => {
  const terms: Terms = { limit: 0, onClosing: () => {} };
  const { threads, left } = threadsWith(idle, terms);
  terms.limit = limit;
  for (let tick = 0; tick < 40; tick++) {
    tickAtOnce(threads, terms);
    expect(sum(left())).toBeGreaterThanOrEqual(limit);
  }
  expect(sum(left())).toBe(limit);
});

test('each thread sends away its share', () => {
  const terms: Terms = { limit: 1_000, onClosing: () => {} };
  const { threads, left } = threadsWith([60, 30], terms);
  for (const { places } of threads) places.tick(NOW_MS);
  terms.limit = 45;
  for (let tick = 0; tick < 10; tick++) tickAtOnce(threads, terms);
  const [first, second] = left();
  expect(sum(left())).toBe(45);
  expect(first).toBeGreaterThan(20);
  expect(second).toBeGreaterThan(5);
});

test('those that are gone only later are not sent away twice, and those of a dead thread by another', () => {
  const terms: Terms = { limit: 0, areLate: true, onClosing: () => {} };
  const { threads, left, releaseLate, buffer } = threadsWith([10, 10], terms);
  terms.limit = 15;
  const [first, second] = threads as [Thread, Thread];
  first.places.tick(NOW_MS);
  second.places.tick(NOW_MS);
  expect(left()).toEqual([5, 10]);
  releaseLate();
  second.places.tick(NOW_MS);
  expect(left()).toEqual([5, 10]);
  terms.limit = 12;
  first.places.tick(NOW_MS);
  expect(left()).toEqual([4, 10]);
  giveBackProcessShare(buffer, 0);
  terms.limit = 8;
  second.places.tick(NOW_MS);
  expect(left()).toEqual([4, 8]);
});

test('without a limit nobody is counted, and none that was', () => {
  const terms: Terms = { limit: 100, onClosing: () => {} };
  const { threads } = threadsWith([5, 5], terms);
  const [first, second] = threads as [Thread, Thread];
  first.places.tick(NOW_MS);
  expect(second.counters.idleClientsElsewhere).toBe(5);
  terms.limit = 0;
  const { looks } = first;
  first.places.tick(NOW_MS);
  expect(first.looks).toBe(looks);
  expect(second.counters.idleClientsElsewhere).toBe(0);
});

test('as clients see it', async () => {
  const backends = [(await httpBackend()).url];
  const configOf = (places: number) => ({ backends, limits: { client_connections: places } });
  const fairlead = await startFairlead({ config: configOf(100) });
  await waitFor(async () => (await fetch(`${fairlead.adminUrl}/readyz`)).ok);
  const clients: RawClient[] = [];
  for (let index = 0; index < 20; index++) {
    const client = await rawClient(fairlead.port);
    await client.write(get('/'));
    await client.readResponse();
    clients.push(client);
  }
  // Who was busy within the last second is not idle.
  await sleep(1_500);
  await writeFile(join(fairlead.cwd, 'fairlead.config.json'), JSON.stringify(configOf(9)));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  const left = (): number => clients.filter(({ isEnded }) => !isEnded).length;
  await waitFor(() => left() <= 9);
  // Some ticks.
  await sleep(500);
  expect(left()).toBe(9);
  expect((await metrics(fairlead)).get('fairlead_client_connections')).toBe(9);
});
