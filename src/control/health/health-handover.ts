/**
 * Health that a reload must not forget: a pool that gets another name, or another pool in its place, has new backends with the
 * URLs of old ones. Until they are checked, what was known of their URL by checks of the same kind holds for them.
 */
import { isDeepStrictEqual } from 'node:util';
import type { HealthCheckSettings } from '../../config/settings.ts';
import type { Backend } from '../backend.ts';
import type { PoolRegistry } from '../pool-registry.ts';

interface Checked {
  readonly backend: Backend;
  readonly healthCheck: HealthCheckSettings;
}

export class HealthHandover {
  readonly #known = new Set<Backend>();
  /** By URL, which says all of an address. */
  readonly #checked = new Map<string, Checked[]>();

  /** @param pools before the reload */
  constructor(pools: readonly Pick<PoolRegistry, 'settings' | 'backends'>[]) {
    for (const pool of pools) {
      const { healthCheck } = pool.settings;
      for (const backend of pool.backends()) {
        this.#known.add(backend);
        const { url } = backend.address;
        const same = this.#checked.get(url);
        if (same === undefined) this.#checked.set(url, [{ backend, healthCheck }]);
        else same.push({ backend, healthCheck });
      }
    }
  }

  /** @param pools after it */
  finish(pools: readonly PoolRegistry[]): void {
    for (const pool of pools) {
      for (const backend of pool.backends()) {
        if (this.#known.has(backend)) continue;
        const known = this.#latest(backend.address.url, pool.settings.healthCheck);
        if (known !== undefined) pool.live.takeOver(backend.id, known);
      }
    }
  }

  /** The one that was checked last, if any was. */
  #latest(url: string, healthCheck: HealthCheckSettings): Backend | undefined {
    let latest: Backend | undefined;
    for (const one of this.#checked.get(url) ?? []) {
      const { lastCheck } = one.backend;
      if (lastCheck === undefined || lastCheck <= (latest?.lastCheck ?? -Infinity)) continue;
      if (isDeepStrictEqual(one.healthCheck, healthCheck)) latest = one.backend;
    }
    return latest;
  }
}
