/**
 * In a cluster, a change of one pool costs what one pool costs. After a change at one instance that was not to be kept, each change of others cost
 * that instance all pools, until it was started again.
 */
import { expect, test } from 'vitest';
import { Registry } from '../../src/control/registry.ts';
import { LOCAL_IDS } from '../../src/control/state/kept-changes.ts';
import {
  configEntry,
  NO_OPERATOR_STATE,
  type OperatorEntry,
  type OperatorState,
  type PoolChanges,
} from '../../src/control/state/operator-state.ts';
import { backend, poolSettings, settings } from '../control/fixtures.ts';

/** Counts how often somebody goes through it. */
class LookedAt extends Map<string, OperatorEntry> {
  times = 0;

  override [Symbol.iterator](): MapIterator<[string, OperatorEntry]> {
    this.times++;
    return super[Symbol.iterator]();
  }
}

const SETTINGS = settings({ backends: [backend('http://a')] }, [
  poolSettings('api', { backends: [backend('http://b')] }),
  poolSettings('quiet', { backends: [backend('http://c')] }),
]);

function changesOf(url: string, id: number, weight?: number): PoolChanges {
  const entries = new Map([[url, { ...configEntry(url, id), weight }]]);
  return { strategy: undefined, entries };
}

test('it stays in force, and others cost what they did', () => {
  const registry = new Registry({ settings: SETTINGS, threadCount: 1 });
  const quiet = new LookedAt([['http://c', configEntry('http://c', 2)]]);
  const state: OperatorState = {
    ...NO_OPERATOR_STATE,
    nextId: LOCAL_IDS,
    pools: new Map([
      ['default', changesOf('http://a', 0)],
      ['api', changesOf('http://b', 1)],
      ['quiet', { strategy: undefined, entries: quiet }],
    ]),
  };
  let revision = 1;
  const take = (pool: string, changes: PoolChanges): void => {
    const pools = new Map(state.pools).set(pool, changes);
    registry.applyShared({ settings: SETTINGS, state: { ...state, pools }, revision: revision++ });
  };
  const weights = () => registry.backends().map(({ weight }) => weight);
  registry.applyShared({ settings: SETTINGS, state, revision: revision++ });
  registry.defaultPool.planUpdate(0, { weight: 5 }).commit(false);
  const before = quiet.times;
  take('api', changesOf('http://b', 1, 3));
  expect(weights()).toEqual([5, 3, 1]);
  expect(registry.defaultPool.isKept('http://a')).toBe(false);
  take('api', changesOf('http://b', 1, 4));
  expect(weights()).toEqual([5, 4, 1]);
  // Of the same pool, too: what is kept is that of the others, what is in force is ours.
  take('default', changesOf('http://a', 0, 9));
  expect(weights()).toEqual([5, 1, 1]);
  expect(registry.keptState.pools.get('default')?.entries.get('http://a')?.weight).toBe(9);
  expect(quiet.times).toBe(before);
});
