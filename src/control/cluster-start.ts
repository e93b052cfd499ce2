/** Nothing of a cluster is loaded where there is none. */
import type { ClusterSettings } from '../config/settings.ts';
import type { Logger } from '../observe/logger.ts';
import type { ClusterPort } from './cluster-port.ts';
import { VERSION } from './version.ts';

export async function openCluster(
  settings: ClusterSettings | null,
  log: Logger,
): Promise<ClusterPort | undefined> {
  if (settings === null) return undefined;
  const { followCluster } = await import('./cluster/follow-cluster.ts');
  return followCluster(settings, log, VERSION);
}
