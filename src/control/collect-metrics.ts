/** Gathers what the metrics page shows. Nothing is counted here: only read. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { BackendMetrics } from '../observe/backend-metrics.ts';
import type { CertificateMetrics } from '../observe/certificate-metrics.ts';
import type { CounterEngineMetrics } from '../observe/counter-engine-metrics.ts';
import type { DiscoveryMetrics } from '../observe/discovery-metrics.ts';
import type { Metrics, PoolMetrics } from '../observe/prometheus.ts';
import type { RouteMetrics } from '../observe/route-metrics.ts';
import { readBackendCounters } from '../snapshot/counters.ts';
import { DELAY_RESOLUTION_MS, LoopDelay } from '../snapshot/loop-delay.ts';
import { readPoolCounters } from '../snapshot/pool-counters.ts';
import { processClockOffsetMs } from '../snapshot/process-clock.ts';
import { readHeaps, readLoopDelays, readProcessCounters } from '../snapshot/process-totals.ts';
import { readRouteCounters } from '../snapshot/route-counters.ts';
import type { AcmePlace } from './acme/acme-place.ts';
import { isAlive } from './backend.ts';
import type { Certificates } from './certificates/certificates.ts';
import type { ClusterFigures } from './cluster-port.ts';
import type { PoolSearch } from './discovery/discovery.ts';
import { type ShownPool, withinBounds } from './metrics-bounds.ts';
import { maxDescriptors, openDescriptors } from './open-files.ts';
import type { Pools, RunningPool } from './pools.ts';
import type { RouteCounts } from './route-counts.ts';
import { wallTime } from './steady-time.ts';
import type { DataThreads } from './threads/data-threads.ts';
import type { SpanCounts } from './tracing/span-queue.ts';

export interface ReloadCounts {
  succeeded: number;
  failed: number;
  /** Clock time in ms. */
  lastSuccess: number | undefined;
  /** The last one, if it was refused: another config than that of the file is in force. */
  refused: RefusedReload | null;
}

export interface RefusedReload {
  readonly at: Date;
  /** For people, viewers among them. */
  readonly reason: string;
}

export interface MetricsSources {
  readonly pools: Pools;
  readonly routeCounts: RouteCounts;
  readonly threads: DataThreads;
  readonly reloads: Readonly<ReloadCounts>;
  readonly certificates: Certificates;
  readonly acme: AcmePlace;
  readonly search: (pool: string) => PoolSearch | undefined;
  readonly droppedLogLines: () => number;
  readonly spans: Readonly<SpanCounts>;
  readonly cluster: () => ClusterFigures | undefined;
  readonly counterEngine: () => CounterEngineMetrics | null;
  readonly version: string;
}

export interface MetricsCollector {
  collect(): Metrics;
  stop(): void;
}

export function createMetricsCollector(sources: MetricsSources): MetricsCollector {
  const { pools, threads, reloads, version } = sources;
  const clockOffsetMs = processClockOffsetMs();
  const now = (): number => performance.now() + clockOffsetMs;
  const delay = new LoopDelay(monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS }), now());
  const startedAtSeconds = Date.now() / 1000 - process.uptime();

  return {
    collect() {
      const nowMs = now();
      const cpu = process.cpuUsage();
      const memory = process.memoryUsage();
      const { shown, leftOut } = withinBounds(pools.all(), ({ registry }) => registry);
      return {
        pools: shown.map((pool) => poolMetrics(pool, threads.threadCount)),
        routes: routeMetrics(sources.routeCounts, threads.threadCount),
        leftOut,
        process: readProcessCounters(threads.counters, threads.threadCount),
        dataThreadDelays: readLoopDelays(threads.counters, threads.threadCount, nowMs),
        dataThreadHeaps: readHeaps(threads.counters, threads.threadCount),
        certificates: certificateMetrics(sources),
        searches: pools
          .all()
          .flatMap(({ registry: { name } }) => searchMetrics(name, sources.search(name))),
        cluster: sources.cluster(),
        counterEngine: sources.counterEngine(),
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
          isLastReloadGood: reloads.refused === null,
          logLinesDropped: sources.droppedLogLines(),
          spans: sources.spans,
        },
      };
    },
    stop: () => delay.stop(),
  };
}

function certificateMetrics({ certificates, acme }: MetricsSources): CertificateMetrics {
  const { taken, refused } = certificates.counts;
  return {
    own: certificates.own().map(({ certFile, facts }) => ({
      name: facts.names[0] ?? facts.subject,
      file: certFile,
      notAfterSeconds: facts.notAfterMs / 1000,
    })),
    broken: certificates.faults.length,
    taken,
    refused,
    acme: acmeMetrics(acme),
  };
}

function acmeMetrics(acme: AcmePlace): CertificateMetrics['acme'] {
  const states = acme.states();
  const { issued, failed } = acme.counts;
  const awaited = states.filter(({ certificate }) => certificate === undefined).length;
  const failing = states.filter(({ failure }) => failure !== undefined).length;
  return { issued, failed, awaited, failing, asks: acme.asks };
}

function searchMetrics(pool: string, search: PoolSearch | undefined): DiscoveryMetrics[] {
  if (search === undefined) return [];
  const { kind, status } = search;
  const { lastSuccess, isFailing, found, keptAt, successes, faults } = status;
  const isKept = keptAt !== undefined;
  const lastSuccessSeconds =
    lastSuccess === undefined ? undefined : wallTime(lastSuccess).getTime() / 1000;
  return [{ pool, source: kind, isFailing, found, isKept, successes, faults, lastSuccessSeconds }];
}

function routeMetrics(counts: RouteCounts, threadCount: number): RouteMetrics[] {
  return Array.from(counts.all(), ([name, counters]) => ({
    name,
    totals: readRouteCounters(counters, threadCount),
  })).filter(({ totals }) => totals.statuses.size > 0);
}

function poolMetrics(
  { running, backends }: ShownPool<RunningPool>,
  threadCount: number,
): PoolMetrics {
  const { registry, health, watch } = running;
  const { tenths, eligibility } = registry.decision();
  return {
    name: registry.name,
    isPanic: eligibility.isPanic,
    breaker: registry.live.poolBreaker.state,
    totals: readPoolCounters(registry.counters, threadCount),
    backends: backends.map((backend): BackendMetrics => {
      const { passed, failed, inconclusive } = health.counts(backend.id);
      return {
        pool: registry.name,
        url: backend.address.url,
        isUp: isAlive(backend),
        isEligible: tenths.has(backend.id),
        isEjected: backend.ejection !== undefined,
        ejections: watch.ejections(backend.id),
        breaker: backend.breaker.state,
        totals: readBackendCounters(backend.counters, threadCount),
        checksPassed: passed,
        checksFailed: failed,
        checksInconclusive: inconclusive,
      };
    }),
  };
}
