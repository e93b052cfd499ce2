import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClientConnections } from '../../src/data/limit/client-connections.ts';
import {
  ClientTable,
  createClientTable,
  createClientTables,
  giveBackClientShare,
} from '../../src/snapshot/client-table.ts';
import { hammer } from './threads.ts';

test('a client has its limit in all threads together, and others have theirs', () => {
  const { connections: memory } = createClientTables(2);
  const [first, second] = [new ClientConnections(memory, 0), new ClientConnections(memory, 1)];
  expect([first, second, first].map((thread) => thread.tryOpen('a', 3))).toEqual([
    true,
    true,
    true,
  ]);
  expect([first, second].map((thread) => thread.tryOpen('a', 3))).toEqual([false, false]);
  expect(first.tryOpen('b', 3)).toBe(true);
  second.closed('a');
  expect(first.tryOpen('a', 3)).toBe(true);
  expect(second.tryOpen('a', 3)).toBe(false);
});

test('a limit that changes counts those that are open', () => {
  const { connections: memory } = createClientTables(1);
  const thread = new ClientConnections(memory, 0);
  for (let index = 0; index < 100; index++) expect(thread.tryOpen('a', 0)).toBe(true);
  expect(thread.tryOpen('a', 100)).toBe(false);
  expect(thread.tryOpen('a', 101)).toBe(true);
});

test('the connections of a thread that died are given back', () => {
  const tables = createClientTables(2);
  const [dead, alive] = [0, 1].map((index) => new ClientConnections(tables.connections, index)) as [
    ClientConnections,
    ClientConnections,
  ];
  for (let index = 0; index < 3; index++) dead.tryOpen('a', 5);
  for (let index = 0; index < 2; index++) alive.tryOpen('a', 5);
  dead.tryOpen('b', 1);
  expect([alive.tryOpen('a', 5), alive.tryOpen('b', 1)]).toEqual([false, false]);
  giveBackClientShare(tables, 0);
  const replacement = new ClientConnections(tables.connections, 0);
  expect([1, 2, 3, 4].map(() => replacement.tryOpen('a', 5))).toEqual([true, true, true, false]);
  expect(replacement.tryOpen('b', 1)).toBe(true);
});

test('where the table has no room, clients are let in uncounted and nobody loses his count', () => {
  const memory = createClientTable({ buckets: 1, values: 1, epochMs: 0 });
  const thread = new ClientConnections(memory, 0);
  const counted = Array.from({ length: 8 }, (_, index) => `counted ${index}`);
  for (const client of counted) expect(thread.tryOpen(client, 1)).toBe(true);
  for (let index = 0; index < 3; index++) expect(thread.tryOpen('late', 1)).toBe(true);
  for (const client of counted) expect(thread.tryOpen(client, 1)).toBe(false);
  // One goes, and the latecomer is counted from now on; closing the uncounted ones takes nothing from that.
  thread.closed('counted 0');
  expect(thread.tryOpen('late', 1)).toBe(true);
  for (let index = 0; index < 3; index++) thread.closed('late');
  expect(thread.tryOpen('late', 1)).toBe(false);
  thread.closed('late');
  expect(thread.tryOpen('late', 1)).toBe(true);
});

test('whatever opens and closes: as many are let in as a count says, and nothing is left at the end', () => {
  const move = fc.record({
    thread: fc.nat({ max: 1 }),
    client: fc.constantFrom('a', 'b', 'c'),
    opens: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(move, { maxLength: 100 }),
      fc.integer({ min: 1, max: 5 }),
      (moves, limit) => {
        const memory = createClientTable({ buckets: 2, values: 2, epochMs: 0 });
        const threads = [0, 1].map((index) => new ClientConnections(memory, index));
        const open = [new Map<string, number>(), new Map<string, number>()];
        const openOf = (thread: number, client: string): number => open[thread]?.get(client) ?? 0;
        for (const { thread, client, opens } of moves) {
          const held = openOf(thread, client);
          const isAllowed = openOf(0, client) + openOf(1, client) < limit;
          const change = opens ? Number(isAllowed) : -Math.min(1, held);
          const isLetIn = opens && threads[thread]?.tryOpen(client, limit);
          expect(isLetIn).toBe(opens && isAllowed);
          if (change < 0) threads[thread]?.closed(client);
          open[thread]?.set(client, held + change);
        }
        for (const [thread, clients] of open.entries()) {
          for (const [client, held] of clients) {
            for (let index = 0; index < held; index++) threads[thread]?.closed(client);
          }
        }
        const left: number[] = [];
        new ClientTable(memory).forEach((entry) => left.push(entry));
        expect(left).toEqual([]);
      },
    ),
  );
});

test('the limit is exact while three threads open and close', async () => {
  const memory = createClientTable({ buckets: 1, values: 3, epochMs: 0 });
  const clients = ['192.0.2.1', '192.0.2.2', '2001:db8:0:1::/64'];
  const open = new Int32Array(new SharedArrayBuffer(4 * clients.length));
  const limit = 10;
  interface Result {
    readonly most: number;
    readonly refused: number;
    readonly held: readonly number[];
  }
  const input = { memory, rounds: 60_000, clients, limit, open };
  const results = await hammer<Result>(3, 'connections', input);
  // It was reached and never passed.
  expect(Math.max(...results.map(({ most }) => most))).toBe(limit);
  expect(results.every(({ refused }) => refused > 0)).toBe(true);
  for (const [index, client] of clients.entries()) {
    const held = results.reduce((sum, result) => sum + (result.held[index] ?? 0), 0);
    expect(held).toBe(Atomics.load(open, index));
    const rest = new ClientConnections(memory, 0);
    let free = 0;
    while (rest.tryOpen(client, limit)) free++;
    expect(held + free).toBe(limit);
  }
});
