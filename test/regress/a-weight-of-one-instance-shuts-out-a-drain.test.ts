/**
 * In a cluster, a change at one instance that is not to be kept is about what it names. A weight was laid over all that others wanted of the same
 * backend: one that they drained or disabled went on getting clients here.
 */
import { expect, test } from 'vitest';
import type { BackendUpdate } from '../../src/control/plan.ts';
import { Registry } from '../../src/control/registry.ts';
import { LOCAL_IDS } from '../../src/control/state/kept-changes.ts';
import {
  configEntry,
  NO_OPERATOR_STATE,
  type OperatorEntry,
} from '../../src/control/state/operator-state.ts';
import { backend, settings } from '../control/fixtures.ts';

const SETTINGS = settings({ backends: [backend('http://a')] });

function inCluster() {
  const registry = new Registry({ settings: SETTINGS, threadCount: 1 });
  let revision = 0;
  const othersWant = (change: Partial<OperatorEntry>): void => {
    const entry = { ...configEntry('http://a', 0), ...change };
    const changes = { strategy: undefined, entries: new Map([[entry.url, entry]]) };
    const state = {
      ...NO_OPERATOR_STATE,
      nextId: LOCAL_IDS,
      pools: new Map([['default', changes]]),
    };
    registry.applyShared({ settings: SETTINGS, state, revision: ++revision });
  };
  othersWant({});
  const hereAlone = (update: BackendUpdate): void =>
    void registry.defaultPool.planUpdate(0, update).commit(false);
  const now = () => {
    const [{ weight, isBackup, adminState } = {}] = registry.backends();
    return { weight, isBackup, adminState };
  };
  return { hereAlone, othersWant, now };
}

test.each(['draining', 'disabled'] as const)('others have it %s', (state) => {
  const { hereAlone, othersWant, now } = inCluster();
  hereAlone({ weight: 2 });
  othersWant({ state, weight: 7, isBackup: true });
  expect(now()).toEqual({ weight: 2, isBackup: true, adminState: state });
});

test('what it does name is as it was set here', () => {
  const { hereAlone, othersWant, now } = inCluster();
  hereAlone({ state: 'disabled' });
  othersWant({ state: 'draining', weight: 7 });
  expect(now()).toEqual({ weight: 7, isBackup: false, adminState: 'disabled' });
});
