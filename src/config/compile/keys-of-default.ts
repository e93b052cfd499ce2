/** The keys at the top level that are of the pool `default`, and those of them that are of nobody because no route leads there. */
import { isDeepStrictEqual } from 'node:util';
import {
  backendTlsOf,
  hostHeaderOf,
  policiesOf,
  poolTimeoutsOf,
  shortFormOf,
} from '../effective/effective-pool.ts';
import { type MergedConfig, mergeLayers } from '../merge.ts';
import { formatPlace } from '../problem.ts';
import { formatPath, type Path, valueAt } from '../read/layer.ts';
import { healthCheck } from '../schema/health-check-schema.ts';
import { policies } from '../schema/policy-schema.ts';
import { poolKeys, poolTimeouts } from '../schema/pool-schema.ts';
import { configSchema } from '../schema/schema.ts';
import type { PoolSettings } from '../settings.ts';
import { compilePool } from './compile-pool.ts';
import { poolViews } from './pool-view.ts';

/** Of the pool `default`, what the short form has at the top level. Not `timeouts.idle`: that is also of clients. */
export const KEYS_OF_DEFAULT: readonly Path[] = [
  ...Object.keys(poolKeys).map((key) => [key]),
  ...Object.keys(healthCheck).map((key) => [`health_check_${key}`]),
  ...Object.keys(poolTimeouts)
    .filter((key) => key !== 'idle')
    .map((key) => ['timeouts', key]),
  ...Object.keys(policies).map((key) => [key]),
  ['backend_tls'],
];

/**
 * The other pools inherit nothing of them. What is given and says the same as no key at all is what they do anyway: so a config
 * that `fairlead print-config` has printed is not complained of.
 */
export function notesOnIdleKeys(merged: MergedConfig, pool: PoolSettings): string[] {
  const given = KEYS_OF_DEFAULT.filter(merged.isGiven);
  if (given.length === 0) return [];
  const [view] = poolViews(mergeLayers([], [], configSchema));
  const bare = shownOf(
    compilePool(view, { describeOwn: () => undefined, folderOf: () => '' }, [], []),
  );
  const shown = shownOf(pool);
  const differing = given.filter(
    (path) => !isDeepStrictEqual(valueAt(bare, path), valueAt(shown, path)),
  );
  return differing.map((path) => {
    const where = formatPlace(merged.placeOf(path, 'key'));
    return `${formatPath(path)} (${where}) has no effect: it is of the pool default, where no route leads, and other pools have their own`;
  });
}

function shownOf(pool: PoolSettings): Readonly<Record<string, unknown>> {
  return {
    ...shortFormOf(pool, false),
    ...policiesOf(pool),
    ...(pool.backendTls === null ? {} : { backend_tls: backendTlsOf(pool.backendTls) }),
    timeouts: poolTimeoutsOf(pool),
    protocol: pool.protocol,
    host_header: hostHeaderOf(pool),
    send_proxy_protocol: pool.proxyVersion ?? false,
    lenient_responses: pool.hasLenientResponses,
  };
}
