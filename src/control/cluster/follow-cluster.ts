/** A cluster as the config describes it. */
import type { ClusterSettings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import { ClusterInstance } from './cluster-instance.ts';
import { EtcdStore } from './etcd/etcd-store.ts';
import type { RegistryStore } from './registry-store.ts';

export function openStore({ etcd }: ClusterSettings): RegistryStore {
  const { endpoints, tls, login } = etcd;
  return new EtcdStore({ endpoints, tls, ...(login !== null && { login }) });
}

export function followCluster(
  settings: ClusterSettings,
  log: Logger,
  version: string,
): Promise<ClusterInstance> {
  return ClusterInstance.open({ settings, store: openStore(settings), log, version });
}
