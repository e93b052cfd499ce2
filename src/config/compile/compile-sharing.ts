/** Of the key `cluster`: what instances share of their limits and sessions. */

import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import { formatPath, type Path } from '../read/layer.ts';
import type { Settings } from '../settings.ts';
import { compileRedis } from './compile-redis.ts';
import type { Resolve } from './compile-tls.ts';

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
  const shared = sharedSessionsOf(config);
  if (cluster === false || cluster.redis === false) {
    const lacks = (path: Path, what: string): void => {
      const at: Path = [...path, 'scope'];
      const message = `global needs cluster.redis, which ${what} for all instances`;
      problems.push({ ...merged.placeOf(at, 'key'), path: formatPath(at), message });
    };
    for (const { path } of global) lacks(path, 'counts');
    for (const path of shared) lacks(path, 'keeps sessions');
  } else if (global.length + shared.length === 0 && cluster.etcd === undefined) {
    // Where there is a store, it has the pools and routes that may want it.
    notes.push('cluster.redis has no effect: no rate_limit and no sticky has scope: global');
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

/** Where pools say that theirs are. */
function sharedSessionsOf({ sticky: own, pools }: MergedConfig['config']): Path[] {
  const all: readonly (readonly [Path, typeof own | undefined])[] = [
    [['sticky'], own],
    ...Object.entries(pools).map(
      ([name, pool]) => [['pools', name, 'sticky'] as const, pool.sticky as typeof own] as const,
    ),
  ];
  return all.flatMap(([path, sticky]) => (sticky && sticky.scope === 'global' ? [path] : []));
}
