/** What an instance of a cluster says of itself. */
import type { Page } from './metrics-page.ts';

export interface ClusterMetrics {
  readonly state: string;
  /** Of the last change that it runs on. */
  readonly revision: number;
  readonly configAgeSeconds: number;
  readonly members: number;
  readonly refusedObjects: number;
}

const STATES = ['connecting', 'current', 'stale', 'held'];

export function writeCluster(page: Page, cluster: ClusterMetrics): void {
  page.family(
    'fairlead_cluster_state',
    'gauge',
    'How the store of the cluster is followed: 1 for the state that holds.',
  );
  for (const state of STATES) page.sample({ state }, cluster.state === state ? 1 : 0);
  page.single(
    'fairlead_cluster_applied_revision',
    'gauge',
    'The revision of the shared configuration that this instance runs on.',
    cluster.revision,
  );
  page.single(
    'fairlead_cluster_config_age_seconds',
    'gauge',
    'Since this instance last knew that it runs on what the store has.',
    cluster.configAgeSeconds,
  );
  page.single(
    'fairlead_cluster_members',
    'gauge',
    'Instances with a lease, as of the last look.',
    cluster.members,
  );
  page.single(
    'fairlead_cluster_refused_objects',
    'gauge',
    'Objects of the store that are not valid, and not run on as they are.',
    cluster.refusedObjects,
  );
}
