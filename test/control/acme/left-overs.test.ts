/** What is kept does not become more for ever. */
import { expect, test } from 'vitest';
import type { Certificate } from '../../../src/config/certificates/certificate-facts.ts';
import type { FailureRecord } from '../../../src/control/acme/acme-records.ts';
import {
  IssuanceRound,
  type IssuanceRoundOptions,
} from '../../../src/control/acme/issuance-round.ts';
import { leftOversOf } from '../../../src/control/acme/left-overs.ts';
import { StoreTable } from '../../../src/control/cluster/store-table.ts';
import { TableStore } from '../../../src/control/cluster/table-store.ts';

const DAY_MS = 86_400_000;
const NOW_MS = 1e12;

function object(key: string) {
  return { key, value: '', revision: 1, createdAt: 1 };
}

test('certificates go a month after their end, failures a week after their next try, unless somebody wants them', () => {
  const days = new Map([
    ['acme/certificate/old', -31],
    ['acme/certificate/wanted', -31],
    ['acme/certificate/ended', -29],
    ['acme/certificate/good', 60],
    ['acme/failure/old', -8],
    ['acme/failure/wanted', -8],
    ['acme/failure/late', -6],
    ['acme/failure/next', 1],
  ]);
  const atMs = (key: string): number | undefined => {
    const day = days.get(key);
    return day === undefined ? undefined : NOW_MS + day * DAY_MS;
  };
  const others = ['acme/certificate/unreadable', 'acme/failure/unreadable', 'acme/account/old'];
  const found = leftOversOf(
    {
      objects: [...days.keys(), ...others].map(object),
      certificateAt: (key) => {
        const notAfterMs = atMs(key);
        return notAfterMs === undefined ? undefined : ({ facts: { notAfterMs } } as Certificate);
      },
      failureAt: (key) => {
        const retryAtMs = atMs(key);
        return retryAtMs === undefined ? undefined : ({ retryAtMs } as FailureRecord);
      },
    },
    new Set(['wanted']),
    NOW_MS,
  );
  expect(found.map(({ keys }) => keys)).toEqual([
    ['acme/certificate/old'],
    ['acme/failure/old', 'acme/order/old'],
  ]);
});

test('a round removes them behind its orders, under its lock, and not what is another one by now', async () => {
  const store = new TableStore(new StoreTable());
  const keys = Array.from({ length: 120 }, (_, index) => `acme/failure/${index}`);
  for (const key of keys)
    await store.commit({ conditions: [], writes: [{ put: key, value: '1' }] });
  const { objects } = await store.list('acme/');
  const leftOvers = objects.map((one) => ({ object: one, keys: [one.key] }));
  // In the last of the transactions.
  const changed = objects.at(-1)?.key ?? '';
  await store.commit({ conditions: [], writes: [{ put: changed, value: '2' }] });
  const events: string[] = [];
  const hear = (event: string): void => void events.push(event);
  const round = new IssuanceRound({
    opened: { store, spreadMs: 0, close: async () => {} },
    log: { debug: hear, info: hear, warn: hear, error: hear, fatal: hear },
    holder: 'one',
    signal: new AbortController().signal,
    nowMs: () => NOW_MS,
    leftOvers: () => leftOvers,
    onOrdering: () => {},
  } as Partial<IssuanceRoundOptions> as IssuanceRoundOptions);
  const other = await store.lease({ ttlMs: 10_000 });
  await store.commit({
    conditions: [],
    writes: [{ put: 'acme/lock', value: 'other', lease: other.id }],
  });
  expect(await round.run([])).toBe(false);
  expect((await store.list('acme/failure/')).objects).toHaveLength(120);
  await other.release();
  expect(await round.run([])).toBe(true);
  const left = (await store.list('acme/')).objects.map(({ key }) => key);
  expect(left).toHaveLength(20);
  expect(left).toContain(changed);
  expect(events).toEqual([]);
  await store.close();
});
