import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { Agent, request } from 'undici';
import { describe, expect, test } from 'vitest';
import { STRATEGY_NAMES } from '../../src/snapshot/snapshot.ts';
import {
  leftover,
  metrics,
  NOTHING,
  type ScriptedBackend,
  scriptedBackend,
  silent,
  startProxy,
} from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  candidates,
  client,
  KEY,
  picks,
  STRATEGY_CASES,
  shares,
  strategyOf,
  type TestCandidate,
} from './strategy-cases.ts';

describe.each(STRATEGY_NAMES)('%s', (name) => {
  test.each(STRATEGY_CASES)('$title', ({ run }) => {
    expect.hasAssertions();
    run(name);
  });
});

describe('round-robin', () => {
  test.each([
    [[1, 1, 1], 3],
    [[5, 1, 1], 7],
    [[5, 3, 2], 10],
    [[10, 6, 4], 10],
    [[1000, 999, 1], 2_000],
    [[7], 1],
  ])('weights %j are exact over any cycle of %i, wherever it begins', (weights, cycle) => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const firstTurn of [0, 1, 12_345]) {
      const ids = picks(strategyOf('round-robin', candidates(...weights), { firstTurn }), cycle);
      expect(shares(ids, weights.length)).toEqual(
        weights.map((weight) => (weight * cycle) / total),
      );
    }
  });

  test('5, 1, 1 is spread smoothly, never five in a row', () => {
    expect(picks(strategyOf('round-robin', candidates(5, 1, 1)), 7)).toEqual([0, 0, 1, 0, 2, 0, 0]);
  });

  test.each([[[1, 1, 1, 1]], [[5, 3, 2]], [[9, 1]], [[100, 99, 3, 1]]])(
    'any stretch of turns is within one request per backend of its share (%j)',
    (weights) => {
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const counts = weights.map(() => 0);
      const strategy = strategyOf('round-robin', candidates(...weights));
      for (let turn = 1; turn <= 2 * total; turn++) {
        const id = strategy.pick(KEY, null)?.id ?? -1;
        counts[id] = (counts[id] ?? 0) + 1;
        for (const [index, weight] of weights.entries()) {
          const share = (turn * weight) / total;
          expect(Math.abs((counts[index] ?? 0) - share)).toBeLessThan(weights.length);
        }
      }
    },
  );

  test('one that is down leaves the proportions of the others as they are', () => {
    const all = candidates(4, 2, 1) as [TestCandidate, TestCandidate, TestCandidate];
    const strategy = strategyOf('round-robin', all);
    strategy.rebuild([all[0], all[2]]);
    expect(shares(picks(strategy, 50), 3)).toEqual([40, 0, 10]);
  });

  test('the shared turn counter may wrap', () => {
    const strategy = strategyOf('round-robin', candidates(1, 1), { firstTurn: 2 ** 32 - 3 });
    expect(shares(picks(strategy, 6), 2)).toEqual([3, 3]);
  });
});

describe('further picks of round-robin', () => {
  const all = candidates(3, 2, 1) as [TestCandidate, TestCandidate, TestCandidate];

  test('take no turn from other requests', () => {
    const strategy = strategyOf('round-robin', all);
    const ids: number[] = [];
    for (let turn = 0; turn < 12; turn++) {
      ids.push(strategy.pick(KEY, null)?.id ?? -1);
      for (let further = 0; further < turn % 4; further++) strategy.pick(KEY, [all[0]]);
      strategy.pick(KEY, []);
    }
    expect(ids).toEqual(picks(strategyOf('round-robin', all), 12));
  });

  test('are spread by weight among those that are left', () => {
    expect(shares(picks(strategyOf('round-robin', all), 60, { avoid: [] }), 3)).toEqual([
      30, 20, 10,
    ]);
    expect(shares(picks(strategyOf('round-robin', all), 60, { avoid: [all[0]] }), 3)).toEqual([
      0, 40, 20,
    ]);
    expect(shares(picks(strategyOf('round-robin', all), 9, { avoid: all }), 3)).toHaveLength(3);
  });

  test('come before any turn was taken, also of a cycle that is worked out piece by piece', () => {
    const many = candidates(...Array.from({ length: 500 }, (_, index) => 1_000_003 - index));
    const strategy = strategyOf('round-robin', many);
    const avoid = many.slice(0, 499);
    expect(strategy.pick(KEY, avoid)).toBe(many[499]);
    expect(new Set(picks(strategy, 400, { avoid: [] })).size).toBeGreaterThan(200);
    expect(strategy.pick(KEY, many)).not.toBeNull();
  });
});

/** After a request more for it. In whole numbers, which don't round. */
function isLessLoaded(one: TestCandidate, other: TestCandidate): boolean {
  return (
    BigInt(one.inFlight + 1) * BigInt(other.weight) <
    BigInt(other.inFlight + 1) * BigInt(one.weight)
  );
}

describe('least-connections', () => {
  test('the one with the fewest requests in flight is picked', () => {
    const all = candidates(1, 1, 1);
    const strategy = strategyOf('least-connections', all);
    for (const [index, inFlight] of [5, 3, 4].entries()) {
      (all[index] as TestCandidate).inFlight = inFlight;
    }
    expect(strategy.pick(KEY, null)?.id).toBe(1);
    (all[1] as TestCandidate).inFlight = 9;
    expect(strategy.pick(KEY, null)?.id).toBe(2);
  });

  test('per unit of weight: an idle backend of weight 3 goes before one of weight 1', () => {
    const all = candidates(1, 3);
    const strategy = strategyOf('least-connections', all);
    expect(new Set(picks(strategy, 50))).toEqual(new Set([1]));
    expect(shares(picks(strategy, 400, { inFlight: 400 }), 2)).toEqual([100, 300]);
  });

  test('equal loads are settled by chance, evenly', () => {
    const counts = shares(picks(strategyOf('least-connections', candidates(2, 2, 2)), 9_000), 3);
    for (const count of counts) expect(Math.abs(count - 3_000)).toBeLessThan(250);
  });

  test('whatever the weights and loads, each of those with the least load is picked, and nobody else', () => {
    // Whole loads per weight make ties of different weights.
    const backend = fc
      .record({
        weight: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 10_000 })),
        load: fc.option(fc.integer({ min: 1, max: 3 })),
        other: fc.oneof(fc.nat(12), fc.nat(1_000_000)),
        isAvoided: fc.boolean(),
      })
      .map(({ weight, load, other, isAvoided }) => {
        return { weight, inFlight: load === null ? other : load * weight - 1, isAvoided };
      });
    fc.assert(
      fc.property(fc.array(backend, { minLength: 1, maxLength: 12 }), fc.nat(), (pool, seed) => {
        const all = candidates(...pool.map(({ weight }) => weight));
        for (const [id, { inFlight }] of pool.entries())
          (all[id] as TestCandidate).inFlight = inFlight;
        const strategy = strategyOf('least-connections', all, { seed });
        for (const avoid of [null, all.filter(({ id }) => pool[id]?.isAvoided)]) {
          const others = all.filter((one) => avoid?.includes(one) !== true);
          const left = others.length === 0 ? all : others;
          const least = left.filter((one) => !left.some((other) => isLessLoaded(other, one)));
          const picked = Array.from({ length: 400 }, () => strategy.pick(KEY, avoid));
          expect(new Set(picked)).toEqual(new Set(least));
        }
      }),
    );
  });

  test('two proxies with different seeds do not march in step', () => {
    const [first, second] = [1, 2].map((seed) =>
      picks(strategyOf('least-connections', candidates(1, 1, 1), { seed }), 50),
    );
    expect(first).not.toEqual(second);
  });
});

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
/** Several data threads share a port by SO_REUSEPORT: Linux, Node 22.12 and later. */
const HAS_REUSE_PORT =
  process.platform === 'linux' && (major > 22 || (major === 22 && minor >= 12));
const THREADS = HAS_REUSE_PORT ? 3 : 1;

describe(`through ${THREADS} data ${THREADS === 1 ? 'thread' : 'threads'}`, () => {
  test('round robin is exact over a full cycle of the whole process', async () => {
    const backends = await Promise.all([scriptedBackend(), scriptedBackend(), scriptedBackend()]);
    const weights = [5, 3, 2];
    const fairlead = await startProxy(
      backends.map(({ url }, index) => ({ url, weight: weights[index] ?? 1 })),
      {},
      { args: ['--threads', '3'] },
    );
    expect((await metrics(fairlead)).get('fairlead_data_threads')).toBe(THREADS);
    const rounds = 20;
    // A connection each: the kernel spreads them over the threads.
    await Promise.all(
      Array.from({ length: 10 * rounds }, async () => {
        const response = await fetch(`${fairlead.url}/turn`, { headers: { connection: 'close' } });
        expect(response.status).toBe(200);
      }),
    );
    expect(backends.map((backend) => backend.served('/turn').length)).toEqual(
      weights.map((weight) => weight * rounds),
    );
    expect(await leftover(fairlead)).toEqual(NOTHING);
  });

  test('least connections counts the requests in flight of all threads', async () => {
    const backends = await Promise.all([scriptedBackend(), scriptedBackend(), scriptedBackend()]);
    const released: (() => void)[] = [];
    for (const backend of backends) {
      backend.on('/held', async (connection) => {
        await new Promise<void>((resolve) => released.push(resolve));
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      });
    }
    const fairlead = await startProxy(
      backends.map(({ url }) => url),
      { strategy: 'least-connections' },
      { args: ['--threads', '3'] },
    );
    const agent = new Agent({ connections: null, pipelining: 1 });
    afterTest(() => agent.destroy());
    const answers: Promise<number>[] = [];
    // One after the other, so that each pick sees the ones before it, on whatever thread they are.
    for (let index = 0; index < 30; index++) {
      answers.push(
        request(`${fairlead.url}/held`, { dispatcher: agent }).then(
          async ({ statusCode, body }) => {
            await body.dump();
            return statusCode;
          },
        ),
      );
      await waitFor(() => released.length === index + 1);
    }
    expect(backends.map((backend) => backend.served('/held').length)).toEqual([10, 10, 10]);
    for (const release of released) release();
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
    await agent.destroy();
    expect(await leftover(fairlead)).toEqual(NOTHING);
  });

  test.each(['ip-hash', 'consistent-hash'] as const)(
    '%s: all threads send a client to the same backend',
    async (strategy) => {
      const backends = await Promise.all([scriptedBackend(), scriptedBackend(), scriptedBackend()]);
      const fairlead = await startProxy(
        backends.map(({ url }) => url),
        { strategy, trusted_proxies: ['127.0.0.0/8', '::1/128'] },
        { args: ['--threads', '3'] },
      );
      const clients = Array.from({ length: 40 }, (_, index) => client(index));
      for (const address of clients) {
        // A connection each, one after the other: whatever is in flight would count for consistent-hash.
        for (let round = 0; round < 4; round++) {
          const response = await fetch(`${fairlead.url}/of/${address}`, {
            headers: { connection: 'close', 'x-forwarded-for': address },
          });
          expect(await response.text()).toBe('ok');
        }
      }
      const served = clients.map((address) =>
        backends.map((backend) => backend.served(`/of/${address}`).length),
      );
      expect(new Set(served.map((counts) => counts.toSorted().join(' ')))).toEqual(
        new Set(['0 0 4']),
      );
      // Not all of them at the same one.
      expect(new Set(served.map((counts) => counts.indexOf(4))).size).toBe(3);
      expect(await leftover(fairlead)).toEqual(NOTHING);
    },
  );

  test('peak EWMA leaves a slow backend alone once it has answered', async () => {
    const backends = await Promise.all([scriptedBackend(), scriptedBackend(), scriptedBackend()]);
    const [slow] = backends as [ScriptedBackend, ...ScriptedBackend[]];
    slow.on('/get', async (connection) => {
      await setTimeout(500);
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    const fairlead = await startProxy(
      backends.map(({ url }) => url),
      { strategy: 'peak-ewma' },
      { args: ['--threads', '3'] },
    );
    for (let round = 0; round < 100; round++) {
      const response = await fetch(`${fairlead.url}/get`, { headers: { connection: 'close' } });
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
    // Each thread has to find out by itself.
    const [ofSlow = 0, ...ofOthers] = backends.map((backend) => backend.served('/get').length);
    expect(ofSlow).toBeGreaterThan(0);
    expect(ofSlow).toBeLessThanOrEqual(THREADS);
    expect(Math.min(...ofOthers)).toBeGreaterThan(0);
    expect(await leftover(fairlead)).toEqual(NOTHING);
  });

  test('a switch of the strategy takes effect at once, in every thread', async () => {
    const backends = await Promise.all([scriptedBackend(), scriptedBackend()]);
    const fairlead = await startProxy(
      backends.map(({ url }) => url),
      {},
      { args: ['--threads', '3'] },
    );
    // One of them holds what it gets, the other answers.
    backends[0]?.on('/stuck', silent);
    const stuck = new AbortController();
    const held = Array.from({ length: 6 }, () =>
      fetch(`${fairlead.url}/stuck`, { signal: stuck.signal }).catch(() => 'aborted'),
    );
    await waitFor(() => backends.every((backend) => backend.served('/stuck').length === 3));
    const switched = await fetch(`${fairlead.adminUrl}/strategy`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ strategy: 'least-connections' }),
    });
    expect(switched.status).toBe(200);
    for (let round = 0; round < 20; round++) {
      await fetch(`${fairlead.url}/next`, { headers: { connection: 'close' } });
    }
    expect(backends.map((backend) => backend.served('/next').length)).toEqual([0, 20]);
    stuck.abort();
    await Promise.all(held);
    expect(await leftover(fairlead)).toEqual(NOTHING);
  });
});
