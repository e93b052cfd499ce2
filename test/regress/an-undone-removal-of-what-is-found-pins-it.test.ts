/**
 * In a cluster, who undid the removal of a backend that discovery had found was told an id that nobody has: it was added a second time,
 * by the store, and stayed when discovery did not find it any more.
 */
import { expect, test } from 'vitest';
import { backendAt } from '../../src/control/discovery/found-backends.ts';
import { Registry } from '../../src/control/registry.ts';
import { LOCAL_IDS } from '../../src/control/state/kept-changes.ts';
import { NO_OPERATOR_STATE } from '../../src/control/state/operator-state.ts';
import { address, settings } from '../control/fixtures.ts';

test('it has its own id again, and leaves with the source that has found it', () => {
  const found = ['10.0.0.1', '10.0.0.2'].map((host) => ({
    ...backendAt({ tls: false, host, port: 80, basePath: '' }),
    isGoing: false,
  }));
  const discovery = {
    source: { kind: 'file', path: '/found', format: 'yaml' },
    minBackends: 0,
    mayBeTls: false,
    basePath: '',
    serverName: null,
  } as never;
  const registry = new Registry({
    settings: settings({ discovery }),
    threadCount: 1,
    operatorState: { ...NO_OPERATOR_STATE, nextId: LOCAL_IDS },
  });
  const pool = registry.defaultPool;
  const ids = () => registry.backends().map(({ id }) => id);
  const fromStore = 57;
  const again = () =>
    pool.planNew(
      address('http://10.0.0.2'),
      { weight: 1, isBackup: false, state: 'enabled', id: LOCAL_IDS + 1 },
      fromStore,
    );

  registry.setFound('default', found);
  expect(ids()).toEqual([LOCAL_IDS, LOCAL_IDS + 1]);
  pool.planRemove(LOCAL_IDS + 1).commit();
  expect(again().commit().id).toBe(LOCAL_IDS + 1);
  pool.planRemove(LOCAL_IDS + 1).commit();
  registry.setFound('default', found.slice(0, 1));
  expect(again).toThrow('http://10.0.0.2 is not found any more');
  expect(ids()).toEqual([LOCAL_IDS]);
});
