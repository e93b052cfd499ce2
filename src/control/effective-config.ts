/** The config in force: what the sources said, with what operators changed through the admin API laid over it. */
import { backendOf, type EffectiveConfig } from '../config/effective.ts';
import type { Registry } from './registry.ts';

const FROM_API = 'api';

/** The same shape as the config's own view; values that an operator changed have the origin `api`. */
export function withApiChanges(effective: EffectiveConfig, registry: Registry): EffectiveConfig {
  const pool = registry.defaultPool;
  const origins: Record<string, string> = {};
  for (const [path, origin] of Object.entries(effective.origins)) {
    if (!path.startsWith('backends.')) origins[path] = origin;
  }
  if (pool.strategySource === 'api') origins['strategy'] = FROM_API;

  const places = new Map(
    pool.settings.backends.map(({ url }, index) => [url, `backends.${index}`]),
  );
  const backends = pool.backends().map(({ address, weight, isBackup, source }, index) => {
    const { url } = address;
    const listed = places.get(url);
    // A backend with more than a URL is an object: its parts have origins, it has none of its own.
    const listedOrigin = effective.origins[`${listed}`] ?? effective.origins[`${listed}.url`];
    const path = `backends.${index}`;
    const origin = source === 'api' ? FROM_API : (listedOrigin ?? FROM_API);
    const shown = backendOf({ url, weight, isBackup });
    if (typeof shown === 'string') {
      origins[path] = origin;
      return shown;
    }
    const entry = pool.entry(url);
    const originOf = (key: string, isOverridden: boolean): string =>
      isOverridden ? FROM_API : (effective.origins[`${listed}.${key}`] ?? origin);
    origins[`${path}.url`] = origin;
    origins[`${path}.weight`] = originOf('weight', entry.weight !== undefined);
    if (shown.backup) origins[`${path}.backup`] = originOf('backup', entry.isBackup !== undefined);
    return shown;
  });
  return { config: { ...effective.config, strategy: pool.strategy, backends }, origins };
}
