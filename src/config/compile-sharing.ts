/** Of the key `cluster`: what instances share of their limits. */
import { compileRedis } from './compile-redis.ts';
import type { Resolve } from './compile-tls.ts';
import { formatPath, type Path } from './layer.ts';
import type { MergedConfig } from './merge.ts';
import type { Problem } from './problem.ts';
import type { Settings } from './settings.ts';

export function compileSharing(
  merged: MergedConfig,
  resolve: Resolve,
  problems: Problem[],
  notes: string[],
): Pick<Settings, 'instances' | 'redis'> {
  const { config, isSound } = merged;
  const { cluster } = config;
  if (!isSound('cluster')) return { instances: 1, redis: null };
  const instances = cluster === false ? 1 : cluster.instances;
  const limits = rateLimitsOf(config);
  if (instances === 1 && limits.some(({ limit }) => limit.scope === 'shared')) {
    notes.push(
      'rate_limit.scope shared divides by the number of instances, and that is 1: cluster.instances says how many there are',
    );
  }
  const global = limits.filter(({ limit }) => limit.scope === 'global');
  if (cluster === false || cluster.redis === false) {
    for (const { path } of global) {
      const at: Path = [...path, 'scope'];
      problems.push({
        ...merged.placeOf(at, 'key'),
        path: formatPath(at),
        message: 'global needs cluster.redis, which counts for all instances',
      });
    }
  } else if (global.length === 0) {
    notes.push('cluster.redis has no effect: no rate_limit has scope: global');
  }
  return { instances, redis: compileRedis(merged, resolve, problems) };
}

/** Of all pools and routes, with where they stand. */
function rateLimitsOf({ rate_limit: own, pools, routes }: MergedConfig['config']) {
  const all: { readonly path: Path; readonly limit: typeof own | undefined }[] = [
    { path: ['rate_limit'], limit: own },
    ...Object.entries(pools).map(([name, pool]) => ({
      path: ['pools', name, 'rate_limit'] as const,
      limit: pool.rate_limit,
    })),
    ...routes.map((route, index) => ({
      path: ['routes', index, 'rate_limit'] as const,
      limit: route.rate_limit,
    })),
  ];
  return all.flatMap(({ path, limit }) => (limit ? [{ path, limit }] : []));
}
