import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ClientTable,
  createClientTable,
  createClientTables,
  giveBackClientShare,
  NO_ENTRY,
} from '../../src/snapshot/client-table.ts';
import { hammer } from './threads.ts';

/** What a bucket holds, and how coarsely entries expire. */
const SLOTS = 8;
const UNIT_MS = 100;

/** One bucket, unless said otherwise: whatever the hash, keys meet in it. */
function memoryOf({ buckets = 1, values = 1, epochMs = 0 } = {}): SharedArrayBuffer {
  return createClientTable({ buckets, values, epochMs });
}

function put(table: ClientTable, key: number, value: number, nowMs: number, untilMs: number): void {
  const entry = table.acquire(key, ~key, nowMs);
  table.set(entry, 0, value);
  table.keepUntil(entry, untilMs);
  table.release();
}

function valueOf(table: ClientTable, key: number, nowMs: number): number | null {
  const entry = table.find(key, ~key, nowMs);
  if (entry === NO_ENTRY) return null;
  const value = table.get(entry, 0);
  table.release();
  return value;
}

describe('an entry', () => {
  test('is found by its key alone, through every view of the memory', () => {
    const memory = memoryOf({ buckets: 64, values: 3 });
    const table = new ClientTable(memory);
    const entry = table.acquire(0xdead_beef, 0xffff_ffff, 0);
    expect([table.isNew, table.get(entry, 0), table.sum(entry)]).toEqual([true, 0, 0]);
    table.set(entry, 0, -5);
    table.set(entry, 2, 7);
    table.keepUntil(entry, 1_000);
    table.release();

    const other = new ClientTable(memory);
    const again = other.find(0xdead_beef, 0xffff_ffff, 999);
    expect([other.get(again, 0), other.get(again, 1), other.get(again, 2)]).toEqual([-5, 0, 7]);
    expect(other.sum(again)).toBe(2);
    other.release();
    expect(other.find(0xdead_beef, 0xffff_fffe, 0)).toBe(NO_ENTRY);
    expect(other.find(0xdead_beee, 0xffff_ffff, 0)).toBe(NO_ENTRY);
    expect(other.acquire(0xdead_beef, 0xffff_ffff, 999)).toBe(again);
    expect([other.isNew, other.hasEvicted]).toEqual([false, false]);
  });

  test.each([0, 12_345.6])(
    'lives for as long as it is kept, hardly longer (epoch %d)',
    (epochMs) => {
      const table = new ClientTable(memoryOf({ epochMs }));
      put(table, 1, 11, epochMs, epochMs + 250);
      expect(valueOf(table, 1, epochMs + 249)).toBe(11);
      expect(valueOf(table, 1, epochMs + 250 + UNIT_MS)).toBeNull();
      put(table, 1, 12, epochMs + 60_000, epochMs + 90_000);
      expect(valueOf(table, 1, epochMs + 89_999)).toBe(12);
    },
  );

  test('is free again when nothing was said of keeping it, and when it was freed', () => {
    const table = new ClientTable(memoryOf());
    table.acquire(1, 1, 0);
    table.release();
    expect(table.find(1, 1, 0)).toBe(NO_ENTRY);
    const entry = table.acquire(1, 1, 0);
    table.keep(entry);
    table.release();
    expect(table.find(1, 1, 1e12)).toBe(entry);
    table.free(entry);
    table.release();
    expect(table.find(1, 1, 0)).toBe(NO_ENTRY);
  });

  test('that comes anew has nothing of the one before', () => {
    const table = new ClientTable(memoryOf());
    for (let key = 0; key < SLOTS; key++) put(table, key, 99, 0, 100);
    for (let key = 0; key < SLOTS; key++) {
      const entry = table.acquire(100 + key, 0, 10_000);
      expect([table.isNew, table.hasEvicted, table.get(entry, 0)]).toEqual([true, false, 0]);
      table.keepUntil(entry, 20_000);
      table.release();
    }
  });

  test('can be kept for 6 years, and saturates', () => {
    const table = new ClientTable(memoryOf());
    const years = 365.25 * 86_400_000;
    put(table, 1, 1, 0, 6 * years);
    put(table, 2, 2, 0, 1e300);
    expect(valueOf(table, 1, 5.9 * years)).toBe(1);
    expect(valueOf(table, 2, 6.7 * years)).toBe(2);
    expect(valueOf(table, 1, 1e300)).toBeNull();
  });
});

describe('a full bucket', () => {
  test('gives up what would have expired first, and says so', () => {
    const table = new ClientTable(memoryOf());
    const until = [500, 300, 700, 100, 900, 600, 400, 800].map((units) => units * UNIT_MS);
    for (const [key, at] of until.entries()) {
      put(table, key, key, 0, at);
      expect(table.hasEvicted).toBe(false);
    }
    put(table, 50, 50, 0, 1_000 * UNIT_MS);
    expect(table.hasEvicted).toBe(true);
    expect(valueOf(table, 3, 0)).toBeNull();
    put(table, 51, 51, 0, 1_000 * UNIT_MS);
    expect(valueOf(table, 1, 0)).toBeNull();
    // The next one to go has expired by now: nobody loses anything.
    put(table, 52, 52, 401 * UNIT_MS, 1_000 * UNIT_MS);
    expect(table.hasEvicted).toBe(false);
    for (const key of [0, 2, 4, 5, 7, 50, 51, 52]) expect(valueOf(table, key, 0)).toBe(key);
  });

  test('of entries that are kept takes nobody, and locks nobody out', () => {
    const table = new ClientTable(memoryOf());
    for (let key = 0; key < SLOTS; key++) {
      table.keep(table.acquire(key, key, 0));
      table.release();
    }
    expect(table.acquire(50, 50, 1e12)).toBe(NO_ENTRY);
    const entry = table.acquire(3, 3, 0);
    expect(table.isNew).toBe(false);
    table.free(entry);
    table.release();
    expect(table.acquire(50, 50, 0)).toBe(entry);
  });
});

test('a bucket does what a list of at most eight would do', () => {
  interface Kept {
    readonly key: number;
    readonly value: number;
    readonly until: number;
  }
  const step = fc.record({
    key: fc.nat({ max: 11 }),
    value: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    units: fc.nat({ max: 20 }),
    pause: fc.nat({ max: 5 }),
    writes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const table = new ClientTable(memoryOf());
      let kept: Kept[] = [];
      let now = 0;
      for (const { key, value, units, pause, writes } of steps) {
        now += pause;
        kept = kept.filter(({ until }) => until > now);
        const known = kept.find((entry) => entry.key === key);
        expect(valueOf(table, key, now * UNIT_MS)).toBe(known?.value ?? null);
        if (!writes) continue;
        kept = kept.filter((entry) => entry !== known);
        const first = kept.toSorted((a, b) => a.until - b.until)[0];
        const isFull = kept.length === SLOTS;
        // Of several that expire together any may go: the model can't know which.
        if (isFull && kept.filter(({ until }) => until === first?.until).length > 1) return;
        if (isFull) kept = kept.filter((entry) => entry !== first);
        put(table, key, value, now * UNIT_MS, (now + units) * UNIT_MS);
        expect(table.hasEvicted).toBe(isFull);
        kept.push({ key, value, until: now + units });
      }
    }),
  );
});

describe('the lock', () => {
  test('of a thread that died is taken over, and is not given back by the dead', () => {
    const memory = memoryOf();
    const [dead, second, third] = [1, 2, 3].map(() => new ClientTable(memory)) as [
      ClientTable,
      ClientTable,
      ClientTable,
    ];
    dead.acquire(1, 1, 0);
    let startedAt = performance.now();
    second.keep(second.acquire(2, 2, 0));
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    // It was not dead but asleep. The lock is the second's now, and the third has to wait for it.
    dead.release();
    startedAt = performance.now();
    third.acquire(3, 3, 0);
    expect(performance.now() - startedAt).toBeGreaterThan(50);
    second.release();
    third.release();
    expect(dead.find(2, 2, 0)).not.toBe(NO_ENTRY);
  });

  test('makes read, decide and write one step for all threads', async () => {
    const memory = memoryOf();
    const [rounds, keys, threads] = [60_000, 5, 3];
    await hammer(threads, 'count', { memory, rounds, keys });
    const table = new ClientTable(memory);
    const counts = Array.from({ length: keys }, (_, key) => {
      const entry = table.find(key << 16, key, 0);
      const count = table.get(entry, 0);
      table.release();
      return count;
    });
    expect(counts).toEqual(counts.map(() => (threads * rounds) / keys));
  });
});

test('tables of two processes put a key in different places', () => {
  const seeds = Array.from({ length: 20 }, () => {
    const { sessions, rates } = createClientTables(1);
    return [new ClientTable(sessions), new ClientTable(rates)].map(
      ({ seedA, seedB }) => `${seedA} ${seedB}`,
    );
  });
  expect(new Set(seeds.flat()).size).toBe(40);
});

test('the share of a thread that died is given back, and no other', () => {
  const tables = createClientTables(3);
  const table = new ClientTable(tables.connections);
  const at = table.epochMs;
  for (const [key, shares] of [
    [1, [5, 0, 0]],
    [2, [1, 2, 3]],
    [3, [0, 4, 0]],
  ] as const) {
    const entry = table.acquire(key, key, at);
    for (const [thread, share] of shares.entries()) table.set(entry, thread, share);
    table.keep(entry);
    table.release();
  }
  giveBackClientShare(tables, 0);
  expect(table.find(1, 1, at)).toBe(NO_ENTRY);
  const left = [2, 3].map((key) => {
    const sum = table.sum(table.find(key, key, at));
    table.release();
    return sum;
  });
  expect(left).toEqual([5, 4]);
});
