/** An instance of a cluster in memory, as far as it goes without data threads. */

import { ClusterInstance } from '../../../src/control/cluster/cluster-instance.ts';
import type { RegistryStore } from '../../../src/control/cluster/registry-store.ts';
import type { ClusterSurroundings } from '../../../src/control/cluster-port.ts';
import { Drains } from '../../../src/control/drains.ts';
import { Operator } from '../../../src/control/operator.ts';
import { Registry } from '../../../src/control/registry.ts';
import { StateStore } from '../../../src/control/state/state-file.ts';
import { afterTest } from '../../support/after-test.ts';
import { recordLog, settings } from '../fixtures.ts';
import { instanceLoad, loadFile } from './made.ts';

export interface MadeInstance {
  readonly instance: ClusterInstance;
  readonly registry: Registry;
  readonly operator: Operator;
  /** Deadlines of drains, as data threads would be told of them. */
  readonly drainMs: number[];
}

export async function instanceOn(
  store: RegistryStore,
  {
    name = 'one',
    key,
    beforeTaking = async () => {},
  }: {
    readonly name?: string;
    readonly key?: string | undefined;
    /** What a change of the store waits for before it is run on, as for others before it. */
    readonly beforeTaking?: () => Promise<unknown>;
  } = {},
): Promise<MadeInstance> {
  const etcd = { endpoints: ['http://127.0.0.1:1'], prefix: '/f/' };
  const { cluster } = loadFile({ cluster: { name: 'shop', instance: name, etcd } }).settings;
  if (cluster === null) throw new Error('the file has one');
  const instance = await ClusterInstance.open({
    settings: { ...cluster, key, snapshotFile: undefined },
    store,
    log: recordLog(),
    version: '1',
  });
  afterTest(() => instance.close());
  const registry = new Registry({ settings: settings(), threadCount: 1, now: () => 0 });
  const drainMs: number[] = [];
  const drains = new Drains({
    log: recordLog(),
    threadCount: 1,
    tell: (message) => {
      if (message.kind === 'drain-backend') drainMs.push(message.deadlineMs);
    },
    moveSessions: async () => {},
    poolOf: () => 'web',
    countersOf: (id) => registry.backend(id)?.counters,
    hasSessions: () => false,
  });
  const operator = new Operator({
    registry,
    store: new StateStore(undefined),
    log: recordLog(),
    drains,
    publish: async () => {},
    shared: instance.changes,
  });
  const around: ClusterSurroundings = {
    registry,
    sharedChanged: async () => {
      await operator.inTurn(beforeTaking);
      await operator.sharedChanged();
    },
    load: instanceLoad,
    taken: () => {},
    instancesAre: () => {},
    checkNow: () => {},
    finishRemoval: async () => {},
    ticketKeysAre: () => {},
    token: () => undefined,
  };
  await instance.begin(around);
  return { instance, registry, operator, drainMs };
}
