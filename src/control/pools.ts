/** What runs for each pool: the checks of its backends, and the watch over what requests have met there. */
import type { Logger } from '../observe/logger.ts';
import type { Eligibility, Snapshot } from '../snapshot/snapshot.ts';
import { PoolWatch } from './faults/pool-watch.ts';
import { CheckGate } from './health/check-gate.ts';
import { HealthChecker } from './health/health.ts';
import type { Probe } from './health/probe.ts';
import { mayRetry } from './may-retry.ts';
import { poolLog } from './pool-log.ts';
import type { PoolRegistry } from './pool-registry.ts';
import type { Registry } from './registry.ts';

export interface PoolsOptions {
  readonly registry: Registry;
  readonly log: Logger;
  readonly probe: Probe;
  readonly threadCount: number;
  /** Tells the data threads. */
  readonly publish: (poolId: number, eligibility: Eligibility) => void;
}

/** One pool, and what runs for it. */
export interface RunningPool {
  readonly registry: PoolRegistry;
  readonly health: HealthChecker;
  readonly watch: PoolWatch;
}

export class Pools {
  readonly #options: PoolsOptions;
  /** So many checks at a time, of all pools together. */
  readonly #gate = new CheckGate();
  #running: ReadonlyMap<number, RunningPool>;
  /** What the watch and the checks of a pool were told last. */
  readonly #synced = new Map<
    number,
    { readonly version: number; readonly eligibility: Eligibility }
  >();
  #isStopped = false;

  /** The data threads run on the registry's snapshot of this moment, or are about to. No check begins before `sync`. */
  constructor(options: PoolsOptions) {
    this.#options = options;
    this.#running = new Map(
      options.registry.pools().map((pool) => [pool.id, this.#run(pool)] as const),
    );
  }

  /** In the order of the config. */
  all(): RunningPool[] {
    return [...this.#running.values()];
  }

  /** That of a backend; undefined for one that is gone. */
  of(backendId: number): RunningPool | undefined {
    const pool = this.#options.registry.poolOf(backendId);
    return pool && this.#running.get(pool.id);
  }

  /** The checks that are due begin. */
  begin(): void {
    for (const { health } of this.all()) health.sync();
  }

  /** An operator changed something, and the data threads were told of this snapshot with it. */
  sync(snapshot: Snapshot): void {
    if (this.#isStopped) return;
    const before = this.#running;
    this.#running = new Map(
      this.#options.registry
        .pools()
        .map((pool) => [pool.id, before.get(pool.id) ?? this.#run(pool)] as const),
    );
    for (const [id, pool] of before) {
      if (this.#running.has(id)) continue;
      stop(pool);
      this.#synced.delete(id);
    }
    for (const { id, eligibility } of snapshot.pools) {
      const pool = this.#running.get(id);
      if (pool !== undefined && this.#isNews(pool, eligibility)) {
        pool.watch.sync(eligibility);
        pool.health.sync();
      }
    }
  }

  /** Whether anything of a pool has changed since it was told so. */
  #isNews({ registry: { id, version } }: RunningPool, eligibility: Eligibility): boolean {
    const known = this.#synced.get(id);
    if (known?.version === version && known.eligibility === eligibility) return false;
    this.#synced.set(id, { version, eligibility });
    return true;
  }

  /** The process drains: see `HealthChecker.drain`. */
  drain(): void {
    const { threadCount } = this.#options;
    for (const { health, registry } of this.all()) {
      health.drain(() => mayRetry(registry, threadCount));
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const pool of this.all()) stop(pool);
  }

  #run(registry: PoolRegistry): RunningPool {
    const { probe, threadCount, publish } = this.#options;
    const log = poolLog(this.#options.log, registry.name);
    const watch = new PoolWatch({
      registry,
      log,
      threadCount,
      publish: (eligibility) => publish(registry.id, eligibility),
    });
    const health = new HealthChecker({
      registry,
      log,
      probe,
      gate: this.#gate,
      onChange: () => watch.refresh(),
      onPassed: (id, checkedFrom) => watch.checkPassed(id, checkedFrom),
      onRecovered: (id) => watch.recovered(id),
    });
    return { registry, health, watch };
  }
}

function stop({ health, watch }: RunningPool): void {
  health.stop();
  watch.stop();
}
