/** Who is in a cluster, on a store in memory and by a clock of the test. */
import { expect, test } from 'vitest';
import { type Member, Members } from '../../../src/control/cluster/members.ts';
import { StoreTable } from '../../../src/control/cluster/store-table.ts';
import { TableStore } from '../../../src/control/cluster/table-store.ts';
import { waitForAll } from '../../../src/control/cluster/wait-for-all.ts';
import { NotEverywhere } from '../../../src/control/cluster-port.ts';
import { waitFor } from '../../support/wait-for.ts';
import { KEYS } from './made.ts';
import { madeTiming } from './made-timing.ts';

function around() {
  const { timing, goTo } = madeTiming();
  return { store: new TableStore(new StoreTable()), timing, goTo };
}

async function made(startedAt = 0, { store, timing, goTo } = around()) {
  const rivals: string[] = [];
  const counts: number[] = [];
  const members = new Members({
    store,
    keys: KEYS,
    timing,
    self: { instance: 'a', address: null, version: '1' },
    onRival: (message) => rivals.push(message),
    now: () => startedAt,
    onCount: (count) => counts.push(count),
  });
  const put = (of: Partial<Member>) => {
    const b = { instance: 'b', address: null, version: '1', epoch: 'e', applied: 9, since: '' };
    const value = JSON.stringify({ refused: [], ...b, ...of });
    return store.commit({ conditions: [], writes: [{ put: KEYS.member('b'), value }] });
  };
  const isThere = async () => (await store.read(KEYS.member('a'))).object !== undefined;
  return { store, timing, goTo, counts, members, put, isThere, rivals };
}

test('how many there are is told once, when this one is among them', async () => {
  const { members, counts, put, isThere } = await made();
  await put({});
  // A look before this one is there.
  await members.list();
  expect(counts).toEqual([]);
  members.runsOn('e', 9, []);
  await waitFor(isThere);
  // And once only.
  await members.list();
  await members.list();
  expect(counts).toEqual([2]);
});

test('as many as at a look without this one are told as well', async () => {
  const { store, members, counts, put, isThere } = await made();
  await put({});
  await members.list();
  await store.commit({ conditions: [], writes: [{ remove: KEYS.member('b') }] });
  members.runsOn('e', 9, []);
  await waitFor(isThere);
  await members.list();
  expect(counts).toEqual([1]);
});

test('a key that is taken away is written again', async () => {
  const { store, goTo, members, isThere } = await made();
  members.runsOn('e', 9, []);
  await waitFor(isThere);
  await members.list();
  await store.commit({ conditions: [], writes: [{ remove: KEYS.member('a') }] });
  await members.list();
  // No oftener than it tells anything.
  expect(await isThere()).toBe(false);
  await goTo(200);
  await waitFor(isThere);
});

test.each<[string, Partial<Member>]>([
  ['is behind', { applied: 4 }],
  ['follows another store', { epoch: 'other', applied: 900 }],
  ['knows nothing yet', { epoch: null, applied: 900 }],
  ['has refused all of it', { refused: [{ key: KEYS.cfg, reason: 'wrong' }] }],
])('who %s does not run on a change', async (_, of) => {
  const { timing, goTo, members, put, isThere } = await made();
  members.runsOn('e', 5, []);
  await waitFor(isThere);
  await put(of);
  await members.list();
  expect(members.allRunOn(5)).toBe(false);
  const waiting = waitForAll(members, 'a', 5, timing).catch((thrown: unknown) => thrown);
  for (let ms = 100; ms < 6_000; ms += 100) await goTo(ms);
  const error = await waiting;
  expect(error).toBeInstanceOf(NotEverywhere);
  expect(error).toMatchObject({ revision: 5, instances: ['b'] });
  // One object that it has refused is no reason.
  await put({ applied: 5, refused: [{ key: KEYS.route('1'), reason: 'wrong' }] });
  await waitForAll(members, 'a', 5, timing);
  expect(members.allRunOn(5)).toBe(true);
});

test('that all of it is refused is told before all else', async () => {
  const { store, members, isThere } = await made();
  const refused = Array.from({ length: 30 }, (_, index) => ({ key: `${index}`, reason: '' }));
  members.runsOn('e', 9, [...refused, { key: KEYS.cfg, reason: 'wrong' }]);
  await waitFor(isThere);
  const [self] = await members.list();
  expect(self?.refused).toHaveLength(20);
  expect(self?.refused[0]).toEqual({ key: KEYS.cfg, reason: 'wrong' });
  await store.close();
});

test('who leaves while it asks for its lease is not left in the list', async () => {
  const { store, members, isThere } = await made();
  const ask = store.lease.bind(store);
  const held: (() => void)[] = [];
  let isReleased = false;
  store.lease = async (options) => {
    const lease = await ask(options);
    await new Promise<void>((resolve) => void held.push(resolve));
    const release = lease.release.bind(lease);
    return Object.assign(lease, {
      release: async () => {
        await release();
        isReleased = true;
      },
    });
  };
  members.runsOn('e', 9, []);
  await waitFor(() => held.length === 1);
  await members.close();
  for (const answer of held) answer();
  await waitFor(() => isReleased);
  expect(await isThere()).toBe(false);
});

test('two processes that go by one name both say so, and no change is called known to all', async () => {
  const first = await made(1);
  const second = await made(2, first);
  const both = [first, second];
  for (const { members } of both) members.runsOn('e', 9, []);
  await waitFor(first.isThere);
  for (let ms = 1_000; ms <= 20_000; ms += 1_000) {
    await first.goTo(ms);
    for (const { members } of both) await members.list();
  }
  for (const { rivals, members } of both) {
    expect(rivals).toEqual([expect.stringContaining('another instance is called a as well')]);
    expect(members.rivalry).toBeDefined();
  }
  const { members, timing, goTo } = first;
  const waiting = waitForAll(members, 'a', 9, timing).catch((thrown: unknown) => thrown);
  for (let ms = 20_050; ms < 26_000; ms += 50) await goTo(ms);
  expect(await waiting).toMatchObject({ instances: ['another a'] });
  await second.members.close();
  for (let ms = 26_000; ms <= 60_000; ms += 1_000) {
    await goTo(ms);
    await members.list();
  }
  expect(members.rivalry).toBeUndefined();
  await waitForAll(members, 'a', 9, timing);
});

test('the process that takes the place of another is no rival, nor is the one before when it goes on', async () => {
  const old = await made(1);
  const heir = await made(2, old);
  old.members.runsOn('e', 9, []);
  await waitFor(old.isThere);
  old.members.hold();
  heir.members.runsOn('e', 9, []);
  // What it has found out meanwhile is the heir's to say.
  old.members.runsOn('e', 10, []);
  const applied = async () => (await old.members.list()).map(({ applied: at }) => at);
  for (let ms = 1_000; ms <= 10_000; ms += 1_000) {
    await old.goTo(ms);
    await heir.members.list();
  }
  expect(await applied()).toEqual([9]);
  await heir.members.close();
  old.members.goOn();
  await old.goTo(20_000);
  await waitFor(async () => (await applied())[0] === 10);
  expect([...old.rivals, ...heir.rivals]).toEqual([]);
});
