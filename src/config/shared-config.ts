/**
 * What the instances of a cluster share: pools and routes, in the words of a config file. For an instance it stands in the place of what
 * its own sources say of them.
 */

import {
  isMapping,
  type Layer,
  type Path,
  type RawConfig,
  valueAt,
  withoutKeys,
} from './read/layer.ts';
import { healthCheck } from './schema/health-check-schema.ts';
import { policies } from './schema/policy-schema.ts';
import { poolKeys, poolTimeouts } from './schema/pool-schema.ts';

export interface SharedConfig {
  /** `pools` and `routes`; references to the environment are filled in at each instance. */
  readonly value: RawConfig;
  readonly place: Layer['place'];
}

/** Before anything is known. */
export const NOTHING_SHARED: SharedConfig = {
  value: { pools: {}, routes: [] },
  place: () => ({ origin: 'store' }),
};

/** Those of `timeouts` that stand at the top level for the pool `default`; `idle` is of clients as well. */
const TIMEOUTS_OF_POOLS = Object.keys(poolTimeouts).filter((key) => key !== 'idle');

const SHARED_KEYS: readonly Path[] = [
  ['pools'],
  ['routes'],
  ...Object.keys(poolKeys).map((key) => [key]),
  ...Object.keys(policies).map((key) => [key]),
  ...Object.keys(healthCheck).map((key) => [`health_check_${key}`]),
  ['backend_tls'],
  ['request_timeout'],
  ['backend_timeout'],
  ...TIMEOUTS_OF_POOLS.map((key) => ['timeouts', key]),
];

/** Whether these sources say where the instances agree. */
export function isInCluster(layers: readonly Layer[]): boolean {
  const isOff =
    layers.findLast(({ value }) => value['cluster'] !== undefined)?.value['cluster'] === false;
  return !isOff && layers.some(({ value }) => isMapping(valueAt(value, ['cluster', 'etcd'])));
}

/** The same source without what the store says. @returns also what was left out, as it is written. */
export function withoutShared(layer: Layer): { readonly layer: Layer; readonly left: string[] } {
  const left = SHARED_KEYS.filter((path) => valueAt(layer.value, path) !== undefined);
  if (left.length === 0) return { layer, left: [] };
  const whole = left.filter(({ length }) => length === 1).map(([key]) => String(key));
  let value = withoutKeys(layer.value, new Set(whole));
  const { timeouts } = value;
  if (isMapping(timeouts)) {
    value = { ...value, timeouts: withoutKeys(timeouts, new Set(TIMEOUTS_OF_POOLS)) };
  }
  return { layer: { ...layer, value }, left: left.map((path) => path.join('.')) };
}

/** The pools and routes that a file describes, in the long form, as they are written: with their references. */
export function sharedIn(file: RawConfig): RawConfig {
  const pools = isMapping(file['pools']) ? file['pools'] : {};
  const routes = Array.isArray(file['routes']) ? file['routes'] : [];
  const isDefaultUsed =
    pools['default'] === undefined &&
    (routes.length === 0 || file['backends'] !== undefined || isOn(file['discover']));
  return {
    pools: isDefaultUsed ? { default: defaultPoolOf(file), ...pools } : pools,
    routes,
  };
}

function isOn(value: unknown): boolean {
  return value !== undefined && value !== false;
}

/** What stands at the top level for the pool `default`, as it would stand in `pools`. */
function defaultPoolOf(file: RawConfig): RawConfig {
  const pool: Record<string, unknown> = {};
  for (const key of Object.keys(poolKeys)) if (file[key] !== undefined) pool[key] = file[key];
  const {
    enable_sticky_sessions: isSticky,
    sticky_session_ttl: ttl,
    ...others
  } = pick(file, Object.keys(policies));
  Object.assign(pool, others);
  if (isSticky === true && others['sticky'] === undefined) pool['sticky'] = { by: 'ip' };
  if (isSticky === true && isMapping(others['sticky'])) {
    pool['sticky'] = { by: 'ip', ...others['sticky'] };
  }
  if (ttl !== undefined && isMapping(pool['sticky'])) pool['sticky'] = { ttl, ...pool['sticky'] };
  if (file['backend_tls'] !== undefined) pool['tls'] = file['backend_tls'];
  const check = Object.keys(healthCheck).filter((key) => file[`health_check_${key}`] !== undefined);
  if (check.length > 0) {
    const values = check.map((key) => [key, file[`health_check_${key}`]]);
    pool['health_check'] = Object.fromEntries(values);
  }
  const timeouts = isMapping(file['timeouts']) ? file['timeouts'] : {};
  const response = file['request_timeout'] ?? file['backend_timeout'];
  const own = {
    ...(response !== undefined && { response }),
    ...pick(timeouts, [...TIMEOUTS_OF_POOLS, 'idle']),
  };
  if (Object.keys(own).length > 0) pool['timeouts'] = own;
  return pool;
}

function pick(value: RawConfig, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    keys.filter((key) => value[key] !== undefined).map((key) => [key, value[key]]),
  );
}
