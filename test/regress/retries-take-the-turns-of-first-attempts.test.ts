/**
 * Two backends, one of which failed every request: first attempts and retries took turns on one ticket, so that all first
 * attempts went to the bad one. Turns are for requests: whatever else is picked takes none.
 */
import { describe, expect, test } from 'vitest';
import { BUSY, OK, severalBackends } from '../behaviour/several-backends.ts';
import { answer, silent } from '../behaviour/stage.ts';
import type { Fairlead, LogLine } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const NO_LIMIT = { attempts: 3, budget_percent: 100 };

/** The backend of the first attempt: one line per request for the path. */
async function firstsOf(fairlead: Fairlead, path: string, count: number): Promise<string[]> {
  const lines = await waitFor<LogLine[] | undefined>(() => {
    const found = fairlead.accessLines().filter((line) => line['path'] === path);
    return found.length === count ? found : undefined;
  });
  return lines.map((line) => {
    const attempts = (line['attempts'] ?? []) as { backend: string }[];
    return attempts[0]?.backend ?? (line['backend'] as string);
  });
}

function counts(urls: readonly string[], firsts: readonly string[]): number[] {
  return urls.map((url) => firsts.filter((first) => first === url).length);
}

describe.each([
  ['equal weights', [1, 1], 120, [60, 60]],
  ['three to one', [3, 1], 120, [90, 30]],
  ['three backends', [1, 1, 1], 120, [40, 40, 40]],
  ['uneven ones', [3, 2, 1], 120, [60, 40, 20]],
] as const)('%s', (_, weights, requests, expected) => {
  test.each([1, 8])(
    'one backend fails them all, %i at once: first attempts are spread by weight, exactly',
    async (concurrency) => {
      const { fairlead, backends } = await severalBackends(weights, {
        retries: { ...NO_LIMIT, on_status: [503] },
      });
      backends[0]?.on('/work', answer(BUSY));
      let left = requests;
      const work = async (): Promise<void> => {
        while (left-- > 0) {
          // A connection each: the system spreads them over the threads.
          const response = await fetch(`${fairlead.url}/work`, {
            headers: { connection: 'close' },
          });
          expect([response.status, await response.text()]).toEqual([200, 'ok']);
        }
      };
      await Promise.all(Array.from({ length: concurrency }, work));
      const firsts = await firstsOf(fairlead, '/work', requests);
      expect(
        counts(
          backends.map(({ url }) => url),
          firsts,
        ),
      ).toEqual(expected);
    },
  );
});

test('the retries of one backend go to all others', async () => {
  const the = await severalBackends(3, { retries: { ...NO_LIMIT, on_status: [503] } });
  the.backends[0]?.on('/work', answer(BUSY));
  const client = await rawClient(the.fairlead.port);
  for (let round = 0; round < 60; round++) {
    await client.write(the.get('/work'));
    expect((await client.readResponse()).status).toBe(200);
  }
  // One connection is one thread, and there its retries take turns of their own.
  expect(the.backends.map((backend) => backend.served('/work').length)).toEqual([20, 30, 30]);
  client.reset();
});

test('hedges take no turns', async () => {
  const the = await severalBackends(2, { retries: { ...NO_LIMIT, hedge_after: '20ms' } });
  the.backends[0]?.on('/slow', silent);
  for (let round = 0; round < 8; round++) expect((await the.ask('/slow')).status).toBe(200);
  // Of the other one's, a hedge may go to the first if the machine is slow.
  const firsts = await firstsOf(the.fairlead, '/slow', 8);
  const urls = the.backends.map(({ url }) => url);
  expect(counts(urls, firsts)).toEqual([4, 4]);
  expect(the.backends[1]?.served('/slow')).toHaveLength(8);
});

test('a keep-alive race takes no turn', async () => {
  const the = await severalBackends(2, { retries: NO_LIMIT });
  const client = await rawClient(the.fairlead.port);
  const used = new Set<unknown>();
  the.backends[0]?.on('/race', async (connection) => {
    if (used.has(connection)) {
      connection.end();
      return;
    }
    used.add(connection);
    await connection.write(OK);
  });
  for (let round = 0; round < 12; round++) {
    await client.write(the.get('/race'));
    expect((await client.readResponse()).status).toBe(200);
  }
  const firsts = await firstsOf(the.fairlead, '/race', 12);
  expect(
    counts(
      the.backends.map(({ url }) => url),
      firsts,
    ),
  ).toEqual([6, 6]);
  expect(firsts[0]).not.toBe(firsts[1]);
  expect(firsts).toEqual(Array.from({ length: 12 }, (_, index) => firsts[index % 2]));
  client.reset();
});

test('a request that waits in the queue takes one turn, however often it is tried', async () => {
  const { fairlead, backends, served, get, everywhere } = await severalBackends([3, 1], {
    max_requests: 1,
    queue: { size: 10, timeout: '30s' },
  });
  everywhere('/held', silent);
  for (let round = 0; round < 4; round++) {
    // Two that stay, and one that waits for 20 looks or so. With the five behind them it is eight turns, two cycles.
    const held = [await rawClient(fairlead.port), await rawClient(fairlead.port)];
    for (const [index, client] of held.entries()) {
      await client.write(get('/held'));
      await waitFor(() => served('/held') === 2 * round + index + 1);
    }
    const waiting = await rawClient(fairlead.port);
    await waiting.write(get('/waits'));
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(served('/waits')).toBe(round);
    for (const client of held) client.reset();
    expect((await waiting.readResponse()).status).toBe(200);
    waiting.reset();
    const path = `/next/${round}`;
    for (let index = 0; index < 5; index++) {
      const client = await rawClient(fairlead.port);
      await client.write(get(path));
      expect((await client.readResponse()).status).toBe(200);
      client.reset();
    }
    expect(backends.map((backend) => backend.served(path).length)).toEqual([4, 1]);
    expect(await firstsOf(fairlead, path, 5)).toEqual(
      [0, 0, 0, 1, 0].map((index) => backends[index]?.url),
    );
  }
});
