/** The config in force: what the sources said, with what operators changed through the admin API laid over it. */
import type { EffectiveConfig } from '../config/effective.ts';
import { backendOf } from '../config/effective-pool.ts';
import { isMapping } from '../config/layer.ts';
import { DEFAULT_POOL, type Settings } from '../config/settings.ts';
import type { PoolRegistry } from './pool-registry.ts';
import type { Registry } from './registry.ts';

const FROM_API = 'api';

/** The same shape as the config's own view; values that an operator changed have the origin `api`. */
export function withApiChanges(effective: EffectiveConfig, registry: Registry): EffectiveConfig {
  const origins = new Map(Object.entries(effective.origins));
  let config = effective.config;
  for (const pool of registry.pools()) {
    const prefix = prefixOf(pool, registry.settings);
    const backends = shownBackends(pool, `${prefix}backends`, effective.origins, origins);
    if (pool.strategySource === 'api') origins.set(`${prefix}strategy`, FROM_API);
    const changed = { strategy: pool.strategy, backends };
    if (prefix !== '') config = withPool(config, pool.name, changed);
    // A pool that no request gets to by itself has no list in the config: see configOf.
    else if (backends.length > 0 || 'backends' in config) config = { ...config, ...changed };
    else config = { ...config, strategy: pool.strategy };
  }
  return { config, origins: Object.fromEntries(origins) };
}

/** Where a pool stands in the config. */
function prefixOf({ name }: PoolRegistry, { defaultForm }: Settings): string {
  return name === DEFAULT_POOL && defaultForm === 'short' ? '' : `pools.${name}.`;
}

function withPool(
  config: EffectiveConfig['config'],
  name: string,
  changed: Readonly<Record<string, unknown>>,
): EffectiveConfig['config'] {
  const pools = isMapping(config['pools']) ? config['pools'] : {};
  const pool = isMapping(pools[name]) ? pools[name] : {};
  return { ...config, pools: { ...pools, [name]: { ...pool, ...changed } } };
}

/** @param origins gets those of what is shown, in the place of those of the list in the config. */
function shownBackends(
  pool: PoolRegistry,
  list: string,
  configured: EffectiveConfig['origins'],
  origins: Map<string, string>,
): unknown[] {
  for (const index of pool.settings.backends.keys()) {
    for (const part of ['', '.url', '.weight', '.backup'])
      origins.delete(`${list}.${index}${part}`);
  }
  const places = new Map(pool.settings.backends.map(({ url }, index) => [url, `${list}.${index}`]));
  return pool.backends().map(({ address, weight, isBackup, source }, index) => {
    const { url } = address;
    const listed = places.get(url);
    // A backend with more than a URL is an object: its parts have origins, it has none of its own.
    const listedOrigin = configured[`${listed}`] ?? configured[`${listed}.url`];
    const path = `${list}.${index}`;
    const origin = source === 'api' ? FROM_API : (listedOrigin ?? FROM_API);
    const shown = backendOf({ url, weight, isBackup });
    if (typeof shown === 'string') {
      origins.set(path, origin);
      return shown;
    }
    const entry = pool.entry(url);
    const originOf = (key: string, isOverridden: boolean): string =>
      isOverridden ? FROM_API : (configured[`${listed}.${key}`] ?? origin);
    origins.set(`${path}.url`, origin);
    origins.set(`${path}.weight`, originOf('weight', entry.weight !== undefined));
    if (shown.backup)
      origins.set(`${path}.backup`, originOf('backup', entry.isBackup !== undefined));
    return shown;
  });
}
