/**
 * In a cluster a backend was disabled at one instance alone (`--not-kept`), then enabled for all. That is what the store holds anyway, so
 * nothing was written, and nothing was published either: the data threads left the backend out until something else changed.
 */
import { expect, test } from 'vitest';
import type { SharedChanges } from '../../src/control/cluster-port.ts';
import { Registry } from '../../src/control/registry.ts';
import { Sharing } from '../../src/control/sharing.ts';
import { backend, recordLog, settings } from '../control/fixtures.ts';

test('a kept change that takes back one that is not kept is published, and written nowhere', async () => {
  const registry = new Registry({
    settings: settings({ backends: [backend('http://a'), backend('http://b')] }),
    threadCount: 1,
    now: () => 0,
  });
  const pool = registry.defaultPool;
  let writes = 0;
  const shared: SharedChanges = {
    nextId: 2,
    write: () => Promise.resolve(++writes),
    take: () => false,
    drainOf: () => undefined,
    appliedByAll: () => Promise.resolve(),
  };
  const states = () => pool.backends().map(({ adminState }) => adminState);
  const published: string[][] = [];
  const sharing = new Sharing({
    shared,
    registry,
    log: recordLog(),
    publish: () => {
      published.push(states());
      return Promise.resolve();
    },
    onGone: () => {},
    onState: () => Promise.resolve(),
  });
  pool.planUpdate(0, { state: 'disabled' }).commit(false);
  expect(states()).toEqual(['disabled', 'enabled']);
  const terms = { precondition: undefined, isToBeKept: true };
  const enable = () => sharing.change(() => pool.planUpdate(0, { state: 'enabled' }), terms);
  expect((await enable()).id).toBe(0);
  expect([published, writes]).toEqual([[['enabled', 'enabled']], 0]);
  // What is so already is told to nobody.
  await enable();
  expect(published).toHaveLength(1);
});
