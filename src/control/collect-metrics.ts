/** Gathers what the metrics page shows. Nothing is counted here: only read. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { BackendMetrics } from '../observe/backend-metrics.ts';
import type { Metrics } from '../observe/prometheus.ts';
import { readBackendCounters } from '../snapshot/counters.ts';
import { DELAY_RESOLUTION_MS, LoopDelay } from '../snapshot/loop-delay.ts';
import { readPoolCounters } from '../snapshot/pool-counters.ts';
import { processClockOffsetMs } from '../snapshot/process-clock.ts';
import { readLoopDelays, readProcessCounters } from '../snapshot/process-totals.ts';
import { isAlive } from './backend.ts';
import { DEFAULT_POOL } from './build-snapshot.ts';
import type { DataThreads } from './data-threads.ts';
import type { HealthChecker } from './health.ts';
import { maxDescriptors, openDescriptors } from './open-files.ts';
import type { PoolWatch } from './pool-watch.ts';
import type { Registry } from './registry.ts';

export interface ReloadCounts {
  succeeded: number;
  failed: number;
  /** Clock time in ms. */
  lastSuccess: number | undefined;
}

export interface MetricsSources {
  readonly registry: Registry;
  readonly health: HealthChecker;
  readonly watch: PoolWatch;
  readonly threads: DataThreads;
  readonly reloads: Readonly<ReloadCounts>;
  readonly droppedLogLines: () => number;
  readonly version: string;
}

export interface MetricsCollector {
  collect(): Metrics;
  stop(): void;
}

export function createMetricsCollector(sources: MetricsSources): MetricsCollector {
  const { registry, health, watch, threads, reloads, version } = sources;
  const clockOffsetMs = processClockOffsetMs();
  const now = (): number => performance.now() + clockOffsetMs;
  const delay = new LoopDelay(monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS }), now());
  const startedAtSeconds = Date.now() / 1000 - process.uptime();

  return {
    collect() {
      const nowMs = now();
      const cpu = process.cpuUsage();
      const memory = process.memoryUsage();
      const { tenths, eligibility } = registry.decision();
      return {
        pool: DEFAULT_POOL,
        isPanic: eligibility.isPanic,
        breaker: registry.live.poolBreaker.state,
        backends: registry.backends().map((backend): BackendMetrics => {
          const { passed, failed, inconclusive } = health.counts(backend.id);
          return {
            url: backend.address.url,
            isUp: isAlive(backend),
            isEligible: tenths.has(backend.id),
            isEjected: backend.ejection !== undefined,
            ejections: watch.ejections(backend.id),
            breaker: backend.breaker.state,
            totals: readBackendCounters(backend.counters, threads.threadCount),
            checksPassed: passed,
            checksFailed: failed,
            checksInconclusive: inconclusive,
          };
        }),
        poolTotals: readPoolCounters(registry.poolCounters, threads.threadCount),
        process: readProcessCounters(threads.counters, threads.threadCount),
        dataThreadDelays: readLoopDelays(threads.counters, threads.threadCount, nowMs),
        control: {
          version,
          nodeVersion: process.version,
          startedAtSeconds,
          cpuSeconds: (cpu.user + cpu.system) / 1e6,
          residentBytes: memory.rss,
          heapUsedBytes: memory.heapUsed,
          openDescriptors: openDescriptors(),
          maxDescriptors: maxDescriptors(),
          eventLoopDelaySeconds: delay.read(nowMs),
          dataThreads: threads.threadCount,
          dataThreadRestarts: threads.restarts,
          reloadsSucceeded: reloads.succeeded,
          reloadsFailed: reloads.failed,
          lastReloadSeconds:
            reloads.lastSuccess === undefined ? undefined : reloads.lastSuccess / 1000,
          logLinesDropped: sources.droppedLogLines(),
        },
      };
    },
    stop: () => delay.stop(),
  };
}
