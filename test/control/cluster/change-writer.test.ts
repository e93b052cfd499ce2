import { expect, test } from 'vitest';
import { ChangeWriter } from '../../../src/control/cluster/change-writer.ts';
import { NotShared } from '../../../src/control/cluster-port.ts';
import { KEYS, objectsIn, storeWith } from './made.ts';

test.each(['x', '{"next":"7"}', '{"next":-1}', 'null', '[]'])(
  'ids that somebody has written to the store by hand as %s are said to be wrong, and given to nobody',
  async (value) => {
    const store = await storeWith({ pools: { web: { backends: ['http://a'] } } });
    await store.commit({ conditions: [], writes: [{ put: KEYS.ids, value }] });
    const writer = new ChangeWriter({ store, keys: KEYS, instance: 'one' });
    writer.base = { epoch: 'e', revision: 1, objects: await objectsIn(store) };
    expect(() => writer.nextId).toThrow(NotShared);
    expect(() => writer.nextId).toThrow(/meta\/ids is not what an instance writes/);
  },
);
