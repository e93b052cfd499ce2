/**
 * What one process has found out about its backends, for the one that takes its place: health, ejections, breakers that are open. By
 * pool and URL, since the new process may have another config. Times are lengths: the clocks of the two begin at their starts.
 *
 * What another version writes may be more or less than what this one knows: what can't be understood of a backend is left out, and
 * that is found out anew.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { HealthCheckSettings } from '../../config/settings.ts';
import type { RunningPool } from '../pools.ts';

const VERSION = 1;
/** Longer ones are for nobody to read. */
const MOST_TEXT = 2_000;

const length = z.number().min(0);
const text = z.string().max(MOST_TEXT);
const breakerSchema = z.object({ remainingMs: length, openMs: length, reason: text });
const ejectionSchema = z.object({
  sinceMs: length,
  remainingMs: length,
  reason: text,
  times: z.int().min(1),
  mayCheckEnd: z.boolean(),
});
const healthSchema = z.object({
  health: z.enum(['healthy', 'unhealthy']),
  isUnreachable: z.boolean(),
  isCheckFailing: z.boolean(),
  checkedMs: length.optional(),
  changedMs: length,
  reason: text.optional(),
  hint: text,
});
const poolSchema = z.object({
  /** What health was found out by: a hash, since it may hold secrets. */
  check: z.string(),
  breaker: z.unknown().optional(),
  backends: z.record(z.string(), z.record(z.string(), z.unknown())),
});
const fileSchema = z.object({
  version: z.literal(VERSION),
  pools: z.record(z.string(), z.unknown()),
});

type Health = z.infer<typeof healthSchema>;
type StoredPool = z.infer<typeof poolSchema>;

/** As `KnownBackends` reads it. */
export function describeBackends(pools: readonly RunningPool[]): string {
  const described = pools.map(({ registry, watch }) => {
    const now = registry.now();
    const backends = registry.backends().map((backend) => {
      const { health, lastCheck, lastReason, lastChange, hint } = backend;
      const known: Health | undefined =
        health === 'unknown'
          ? undefined
          : {
              health,
              isUnreachable: backend.isUnreachable,
              isCheckFailing: backend.isCheckFailing,
              ...(lastCheck !== undefined && { checkedMs: now - lastCheck }),
              changedMs: now - lastChange,
              ...(lastReason !== undefined && { reason: lastReason.slice(0, MOST_TEXT) }),
              hint: hint.slice(0, MOST_TEXT),
            };
      return [backend.address.url, { health: known, ...watch.record(backend) }] as const;
    });
    const pool: StoredPool = {
      check: hashOf(registry.settings.healthCheck),
      breaker: watch.recordOfPool(),
      backends: Object.fromEntries(backends),
    };
    return [registry.name, pool] as const;
  });
  return JSON.stringify({ version: VERSION, pools: Object.fromEntries(described) });
}

export class KnownBackends {
  /** By name. */
  readonly #pools: ReadonlyMap<string, StoredPool>;
  /** By name. */
  readonly #begun = new Set<string>();
  readonly #takenUp = new Set<number>();
  readonly counts = { healthy: 0, unhealthy: 0, ejected: 0, open: 0 };

  /** @param told undefined: nothing is known. */
  constructor(told: string | undefined) {
    this.#pools = new Map(
      Object.entries(poolsIn(told)).flatMap(([name, raw]) => {
        const pool = poolSchema.safeParse(raw);
        return pool.success ? [[name, pool.data] as const] : [];
      }),
    );
  }

  /** Of pools as they begin: no backend of theirs was checked yet. */
  begin(pools: readonly RunningPool[]): void {
    for (const pool of pools) {
      this.#takeUp(pool);
      // The data threads are about to begin with it.
      pool.watch.sync(pool.registry.eligibility());
    }
  }

  /** Of what has come since then: backends that were found by a name, and pools that a cluster shares. */
  goOn(pools: readonly RunningPool[]): void {
    for (const pool of pools) {
      this.#takeUp(pool);
      pool.watch.refresh();
    }
  }

  #takeUp({ registry, watch }: RunningPool): void {
    const known = this.#pools.get(registry.name);
    if (known === undefined) return;
    if (!this.#begun.has(registry.name)) {
      this.#begun.add(registry.name);
      const breakerOfAll = breakerSchema.safeParse(known.breaker).data;
      if (breakerOfAll !== undefined) {
        watch.takeUpOfPool(breakerOfAll);
        this.counts.open++;
      }
    }
    const isSameCheck = known.check === hashOf(registry.settings.healthCheck);
    for (const { id, address, health } of registry.backends()) {
      const told = known.backends[address.url];
      if (told === undefined || this.#takenUp.has(id)) continue;
      this.#takenUp.add(id);
      const ejection = ejectionSchema.safeParse(told['ejection']).data;
      const breaker = breakerSchema.safeParse(told['breaker']).data;
      watch.takeUp(id, { ejection, breaker });
      if (registry.backend(id)?.ejection !== undefined) this.counts.ejected++;
      if (registry.backend(id)?.breaker.state === 'open') this.counts.open++;
      const found = healthSchema.safeParse(told['health']).data;
      // A check of its own says more, and another check something else.
      if (found === undefined || !isSameCheck || health !== 'unknown') continue;
      this.counts[found.health]++;
      const now = registry.now();
      registry.live.takeOver(id, {
        health: found.health,
        isUnreachable: found.isUnreachable,
        isCheckFailing: found.isCheckFailing,
        lastCheck: found.checkedMs === undefined ? undefined : now - found.checkedMs,
        lastChange: now - found.changedMs,
        lastReason: found.reason,
        hint: found.hint,
      });
    }
  }
}

function poolsIn(told: string | undefined): Record<string, unknown> {
  if (told === undefined) return {};
  try {
    return fileSchema.safeParse(JSON.parse(told)).data?.pools ?? {};
  } catch {
    return {};
  }
}

function hashOf(check: HealthCheckSettings): string {
  return createHash('sha256').update(JSON.stringify(check)).digest('base64');
}
