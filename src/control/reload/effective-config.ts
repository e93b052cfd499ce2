/** The config in force: what the sources said, with what operators changed through the admin API laid over it. */
import type { EffectiveConfig } from '../../config/effective/effective.ts';
import { backendOf } from '../../config/effective/effective-pool.ts';
import { isMapping } from '../../config/read/layer.ts';
import { DEFAULT_POOL, type Settings } from '../../config/settings.ts';
import type { PoolRegistry } from '../pool-registry.ts';
import type { Registry } from '../registry.ts';

const FROM_API = 'api';

export interface ConfigInForce extends EffectiveConfig {
  /** What is in force and stands in no config: there only if there is something. */
  readonly notes?: readonly string[];
}

/** The same shape as the config's own view; values that an operator changed have the origin `api`. */
export function withApiChanges(effective: EffectiveConfig, registry: Registry): ConfigInForce {
  const { settings } = registry;
  const notes: string[] = [];
  const origins = new Map(Object.entries(effective.origins));
  let config = effective.config;
  for (const pool of registry.pools()) {
    const prefix = prefixOf(pool, settings);
    if (pool.strategySource === 'api') origins.set(`${prefix}strategy`, FROM_API);
    const { strategy } = pool;
    const changed: Record<string, unknown> = { strategy };
    // At the top level, a list of backends would be for all requests that no route is for: see configOf.
    if (prefix === '' && !('backends' in config)) notes.push(...notesOnLeftOut(pool));
    else {
      const list = `${prefix}backends`;
      changed['backends'] = shownBackends(pool, list, effective.origins, origins);
    }
    config = prefix === '' ? { ...config, ...changed } : withPool(config, pool.name, changed);
  }
  return {
    config,
    origins: Object.fromEntries(origins),
    ...(notes.length > 0 && { notes }),
  };
}

/** Who reads the config back has to add them again. */
function notesOnLeftOut(pool: PoolRegistry): string[] {
  const count = pool.backends().length;
  if (count === 0) return [];
  return [
    `without what was added to the pool ${pool.name} (GET /backends, ${count} in all): as "backends" of a config it would get all requests that no route is for`,
  ];
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
  const listedOnes = pool.backends().filter(({ source }) => source !== 'discovery');
  return listedOnes.map(({ address, weight, isBackup, source }, index) => {
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
