/** Of the key `cluster`: what instances share of their limits. */
import type { MergedConfig } from './merge.ts';
import type { Settings } from './settings.ts';

export function compileSharing(
  { config, isSound }: MergedConfig,
  notes: string[],
): Pick<Settings, 'instances'> {
  const { cluster } = config;
  if (!isSound('cluster')) return { instances: 1 };
  const instances = cluster === false ? 1 : cluster.instances;
  const isShared = rateLimitsOf(config).some((limit) => limit && limit.scope === 'shared');
  if (isShared && instances === 1) {
    notes.push(
      'rate_limit.scope shared divides by the number of instances, and that is 1: cluster.instances says how many there are',
    );
  }
  return { instances };
}

/** Of all pools and routes. */
function rateLimitsOf({ rate_limit: own, pools, routes }: MergedConfig['config']) {
  return [
    own,
    ...Object.values(pools).map((pool) => pool.rate_limit),
    ...routes.map((route) => route.rate_limit),
  ];
}
