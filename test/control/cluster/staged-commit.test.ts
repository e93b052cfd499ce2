/** Changes of several transactions, on a store in memory that fails in between. */
import { expect, test } from 'vitest';
import { explainError } from '../../../src/control/admin/explain.ts';
import { ChangeWriter } from '../../../src/control/cluster/change-writer.ts';
import {
  type RegistryStore,
  StoreError,
  type StoreFault,
} from '../../../src/control/cluster/registry-store.ts';
import { valueIn, valueOf } from '../../../src/control/cluster/shared-objects.ts';
import { commitStaged, StageLost } from '../../../src/control/cluster/staged-commit.ts';
import { NotShared } from '../../../src/control/cluster-port.ts';
import { LOCAL_IDS } from '../../../src/control/state/kept-changes.ts';
import { configEntry, NO_OPERATOR_STATE } from '../../../src/control/state/operator-state.ts';
import { disturbed, KEYS, objectsIn, storeWith } from './made.ts';

const POOL = { pools: { web: { backends: ['http://a'] } } };

const writes = (write: string) =>
  Array.from({ length: 250 }, (_, index) => ({
    put: KEYS.control('web', `http://h${index}`),
    value: valueOf({ url: `http://h${index}`, weight: 2, write }),
  }));

async function changeIn(store: RegistryStore) {
  const objects = await objectsIn(store);
  return {
    writes,
    epoch: objects.get(KEYS.epoch)?.value ?? '',
    head: objects.get(KEYS.head)?.revision ?? 0,
    instance: 'a',
    writeId: 'id-1',
  };
}

/** As `GET /cluster/writes/{id}` looks for it. */
async function isCalledMade(store: RegistryStore, id: string): Promise<boolean> {
  const objects = await objectsIn(store);
  return [...objects.values()].some((object) => valueIn(object, 'write') === id);
}

function failing(store: RegistryStore, at: number, kind: StoreFault): RegistryStore {
  return disturbed(store, async (count) => {
    if (count === at) throw new StoreError(kind, `it is ${kind}`);
  });
}

test.each<[number, StoreFault, string]>([
  [2, 'unreachable', 'only a part of it was written (it is unreachable); it is run on'],
  [3, 'full', 'only a part of it was written (it is full); it is run on'],
  [2, 'outcome-unknown', 'only a part of it was written (it is outcome-unknown); it is run on'],
  [
    3,
    'outcome-unknown',
    'a part of it was written, and maybe the rest (it is outcome-unknown); it is run on',
  ],
])(
  'where part %i fails (%s), a part is in force, and the change is not called made',
  async (at, kind, says) => {
    const store = await storeWith(POOL);
    const change = await changeIn(store);
    const failed = commitStaged(failing(store, at, kind), KEYS, change);
    await expect(failed).rejects.toThrow(StageLost);
    await expect(failed).rejects.toThrow(says);
    const written = await objectsIn(store);
    expect(written.has(KEYS.control('web', 'http://h0'))).toBe(true);
    expect(written.has(KEYS.staged)).toBe(false);
    expect(await isCalledMade(store, 'id-1')).toBe(false);
  },
);

test('where the first part fails nothing was made, and all of it is called made', async () => {
  const store = await storeWith(POOL);
  const change = await changeIn(store);
  await expect(commitStaged(failing(store, 1, 'full'), KEYS, change)).rejects.toThrow(StoreError);
  expect(await commitStaged(store, KEYS, change)).toBeGreaterThan(change.head);
  expect(await isCalledMade(store, 'id-1')).toBe(true);
  // Also after the next one.
  await store.commit({ conditions: [], writes: [{ put: KEYS.head, value: '{}' }] });
  expect(await isCalledMade(store, 'id-1')).toBe(true);
});

test('where the first part has no answer, it may be in force, and nobody says that nothing is', async () => {
  const store = await storeWith(POOL);
  const unanswered = failing(store, 1, 'outcome-unknown');
  const failed = commitStaged(unanswered, KEYS, await changeIn(store));
  await expect(failed).rejects.toThrow(StageLost);
  await expect(failed).rejects.toThrow('maybe a part of it was written (it is outcome-unknown)');
});

test('a lease that has run out in between is not somebody else', async () => {
  const store = await storeWith(POOL);
  const change = await changeIn(store);
  const slow = disturbed(store, (count) =>
    count === 2 ? store.commit({ conditions: [], writes: [{ remove: KEYS.staged }] }) : undefined,
  );
  await expect(commitStaged(slow, KEYS, change)).rejects.toThrow('it took too long');
});

test('an operator is answered 504 where a part of a change is in force', async () => {
  const store = await storeWith({ pools: { web: { backends: ['http://a'] } } });
  const objects = await objectsIn(store);
  const writer = new ChangeWriter({
    store: failing(store, 2, 'unreachable'),
    keys: KEYS,
    instance: 'a',
  });
  writer.base = { epoch: objects.get(KEYS.epoch)?.value ?? '', revision: 1, objects };
  const urls = Array.from({ length: 150 }, (_, index) => `http://h${index}`);
  const stateWith = (weight: number | undefined) => ({
    nextId: 0,
    pools: new Map([
      [
        'web',
        {
          strategy: undefined,
          entries: new Map(urls.map((url) => [url, { ...configEntry(url, undefined), weight }])),
        },
      ],
    ]),
    sessionSecret: undefined,
    otherSecrets: [],
  });
  const terms = { at: undefined, actor: undefined, drain: undefined };
  const error = await writer
    .write(stateWith(undefined), stateWith(3), terms, undefined, async () => {})
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NotShared);
  const problem = explainError(error);
  expect(problem).toMatchObject({ status: 504, code: 'ERR_OUTCOME_UNKNOWN' });
  expect(problem?.message).toContain('only a part of it was written (it is unreachable)');
});

test('an id that no instance would understand is not written', async () => {
  const store = await storeWith(POOL);
  const put = { put: KEYS.ids, value: valueOf({ next: LOCAL_IDS }) };
  await store.commit({ conditions: [], writes: [put] });
  const objects = await objectsIn(store);
  const writer = new ChangeWriter({ store, keys: KEYS, instance: 'a' });
  writer.base = { epoch: objects.get(KEYS.epoch)?.value ?? '', revision: 1, objects };
  const entry = { ...configEntry('http://b', LOCAL_IDS), source: 'api' as const };
  const pools = new Map([
    ['web', { strategy: undefined, entries: new Map([['http://b', entry]]) }],
  ]);
  const terms = { at: undefined, actor: undefined, drain: undefined };
  const written = writer.write(
    NO_OPERATOR_STATE,
    { ...NO_OPERATOR_STATE, pools },
    terms,
    undefined,
    async () => {},
  );
  await expect(written).rejects.toThrow('all its 1000000 ids');
  expect(await objectsIn(store)).toEqual(objects);
});
