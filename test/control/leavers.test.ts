/** Backends that were removed while requests are in flight there. The clock is the test's. */
import { expect, test } from 'vitest';
import { Leavers } from '../../src/control/leavers.ts';
import { Registry } from '../../src/control/registry.ts';
import { BackendCounters } from '../../src/snapshot/counters.ts';
import { address, backend, settings } from './fixtures.ts';

test('one that is wanted back as the same has not left', () => {
  const url = 'http://a';
  const registry = new Registry({
    settings: settings({ backends: [backend(url), backend('http://b')] }),
    threadCount: 1,
    now: () => 0,
  });
  const pool = registry.defaultPool;
  const leavers = new Leavers(1, () => 0);
  const sync = () => leavers.sync(registry.pools());
  sync();
  new BackendCounters(pool.backend(0)!.counters, 0, 1).requestStarted();
  pool.planRemove(0).commit();
  sync();
  expect(leavers.view()).toMatchObject([{ id: 0, url, in_flight: 1 }]);
  const asBefore = { weight: 1, isBackup: false, state: 'enabled', id: 0 } as const;
  pool.planNew(address(url), asBefore, undefined).commit();
  sync();
  expect([leavers.view(), leavers.poolOf(0)]).toEqual([[], 'default']);
  pool.planRemove(0).commit();
  sync();
  expect(leavers.view()).toHaveLength(1);
});
