/**
 * An instance that had changed something in the old store (revision 74) ran on the new one as it was accepted (revision 10), and on nothing that
 * was written there until its revisions had passed 74: it said "followed", and stayed as it was, for the revisions of the old store counted.
 */
import { expect, test } from 'vitest';
import { ChangeWriter } from '../../src/control/cluster/change-writer.ts';
import { NO_OPERATOR_STATE } from '../../src/control/state/operator-state.ts';
import { disturbed, KEYS, objectsIn, storeWith } from '../control/cluster/made.ts';

const SHOP = { pools: { web: { backends: ['http://a'] } }, routes: [{ path: '/', pool: 'web' }] };
const TERMS = { at: undefined, actor: {}, drain: undefined };

test('what was written to the store before does not keep an instance from what the next one has', async () => {
  const store = await storeWith(SHOP);
  const writer = new ChangeWriter({ store, keys: KEYS, instance: 'one' });
  const objects = await objectsIn(store);
  const base = { epoch: objects.get(KEYS.epoch)?.value ?? '', revision: 3, objects };
  const write = (reached = async () => {}) =>
    writer.write(NO_OPERATOR_STATE, NO_OPERATOR_STATE, TERMS, undefined, reached);
  writer.base = base;
  const revision = (await write()) ?? 0;
  expect(writer.isUpTo({ ...base, revision: revision - 1 })).toBe(false);
  expect(writer.isUpTo({ ...base, revision })).toBe(true);
  const anew = { ...base, epoch: 'another', revision: 1 };
  expect(writer.isUpTo(anew)).toBe(true);
  writer.base = anew;
  expect(writer.isUpTo({ ...anew, revision: 2 })).toBe(true);
});

test('nor does what was on its way when the store was accepted', async () => {
  const store = await storeWith(SHOP);
  const objects = await objectsIn(store);
  const base = { epoch: objects.get(KEYS.epoch)?.value ?? '', revision: 3, objects };
  const anew = { ...base, epoch: 'another', revision: 1 };
  const held: (() => void)[] = [];
  const slow = disturbed(store, () => undefined);
  const commit = slow.commit.bind(slow);
  slow.commit = async (transaction) => {
    const done = await commit(transaction);
    await new Promise<void>((resolve) => void held.push(resolve));
    return done;
  };
  const writer = new ChangeWriter({ store: slow, keys: KEYS, instance: 'one' });
  writer.base = base;
  const writing = writer.write(
    NO_OPERATOR_STATE,
    NO_OPERATOR_STATE,
    TERMS,
    undefined,
    async () => {},
  );
  await expect
    .poll(async () => (await store.read(KEYS.head)).object?.revision ?? 0)
    .toBeGreaterThan(3);
  writer.base = anew;
  for (const answer of held) answer();
  await writing;
  expect(writer.isUpTo({ ...anew, revision: 2 })).toBe(true);
});
