/**
 * The Prometheus text exposition (format 0.0.4) over the shared counters. Pure: what comes in is what is written.
 *
 * A removed backend's series end with it, as Prometheus expects of a target that is gone. Exchanges that no backend
 * took part in are counted under `backend="none"`, and those that belong to no pool under `pool="none"`.
 */
import { ERROR_CODES } from '../errors.ts';
import { ENDINGS } from '../snapshot/endings.ts';
import type { DelaySeconds } from '../snapshot/loop-delay.ts';
import type { PoolTotals } from '../snapshot/pool-counters.ts';
import type { ProcessTotals } from '../snapshot/process-totals.ts';
import {
  type BackendMetrics,
  BREAKER_VALUES,
  type BreakerState,
  codeLabel,
  writeBackends,
  writeHistogram,
  writePassiveHealth,
} from './backend-metrics.ts';
import { type CertificateMetrics, writeCertificates } from './certificate-metrics.ts';
import { type ClusterMetrics, writeCluster } from './cluster-metrics.ts';
import { type CounterEngineMetrics, writeCounterEngine } from './counter-engine-metrics.ts';
import { type DiscoveryMetrics, writeDiscovery } from './discovery-metrics.ts';
import { Page } from './metrics-page.ts';
import { type RouteMetrics, writeRoutes } from './route-metrics.ts';

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface ControlMetrics {
  readonly version: string;
  readonly nodeVersion: string;
  readonly startedAtSeconds: number;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** Undefined: unknown, or no limit. */
  readonly openDescriptors: number | undefined;
  readonly maxDescriptors: number | undefined;
  /** Of the control thread. */
  readonly eventLoopDelaySeconds: DelaySeconds;
  readonly dataThreads: number;
  readonly dataThreadRestarts: number;
  readonly reloadsSucceeded: number;
  readonly reloadsFailed: number;
  /** Undefined: none yet. */
  readonly lastReloadSeconds: number | undefined;
  /** Or there was none. */
  readonly isLastReloadGood: boolean;
  /** Lines that the log writers dropped; those that data threads dropped are in the process totals. */
  /** Of tracing. */
  readonly spans: { readonly exported: number; readonly failed: number; readonly dropped: number };
  readonly logLinesDropped: number;
}

export interface PoolMetrics {
  readonly name: string;
  readonly isPanic: boolean;
  readonly breaker: BreakerState;
  readonly totals: PoolTotals;
  readonly backends: readonly BackendMetrics[];
}

export interface LeftOut {
  readonly pools: number;
  readonly backends: number;
}

export interface Metrics {
  readonly pools: readonly PoolMetrics[];
  /** Those that have had requests. */
  readonly routes: readonly RouteMetrics[];
  /** Undefined: the process is in none. */
  readonly cluster?: ClusterMetrics | undefined;
  /** What has no series, since there is too much of it. */
  readonly leftOut: LeftOut;
  readonly process: ProcessTotals;
  /** How late the event loop of each is. */
  readonly dataThreadDelays: readonly DelaySeconds[];
  readonly dataThreadHeaps: readonly number[];
  readonly certificates: CertificateMetrics;
  /** Of pools whose backends are found. */
  readonly searches: readonly DiscoveryMetrics[];
  /** Null: no limit is counted for all instances. */
  readonly counterEngine: CounterEngineMetrics | null;
  readonly control: ControlMetrics;
}

export function renderPrometheus(metrics: Metrics): string {
  const page = new Page();
  const backends = metrics.pools.flatMap((pool) => pool.backends);
  writeTraffic(page, metrics, backends);
  writeRoutes(page, metrics.routes);
  writeBackends(page, backends);
  writePassiveHealth(page, backends);
  writePools(page, metrics.pools);
  writeClients(page, metrics);
  writeCertificates(page, metrics.certificates);
  writeDiscovery(page, metrics.searches);
  if (metrics.cluster !== undefined) writeCluster(page, metrics.cluster);
  writeCounterEngine(page, metrics.counterEngine);
  writeControl(page, metrics);
  return page.text();
}

function writeTraffic(
  page: Page,
  { pools, process }: Metrics,
  backends: readonly BackendMetrics[],
): void {
  page.family('fairlead_requests_total', 'counter', 'Requests by backend and status.');
  for (const { pool, url, totals } of backends) {
    for (const [status, count] of totals.statuses) {
      page.sample({ pool, backend: url, code: codeLabel(status) }, count);
    }
  }
  for (const { name, totals } of pools) {
    for (const [status, count] of totals.statuses) {
      page.sample({ pool: name, backend: 'none', code: codeLabel(status) }, count);
    }
  }
  for (const [status, count] of process.statuses) {
    page.sample({ pool: 'none', backend: 'none', code: codeLabel(status) }, count);
  }
  page.family('fairlead_grpc_calls_total', 'counter', 'Calls of gRPC by backend and status.');
  for (const { pool, url, totals } of backends) writeCalls(page, pool, url, totals.calls);
  for (const { name, totals } of pools) writeCalls(page, name, 'none', totals.calls);
  writeCalls(page, 'none', 'none', process.calls);
  page.family(
    'fairlead_request_duration_seconds',
    'histogram',
    'Time from the complete head of a request to the last byte of its response.',
  );
  for (const { pool, url, totals } of backends)
    writeHistogram(page, { pool, backend: url }, totals.durations);

  page.family(
    'fairlead_errors_total',
    'counter',
    'Exchanges that ended with an error, by its code.',
  );
  process.errors.forEach((count, index) => {
    const code = ERROR_CODES[index];
    if (code !== undefined) page.sample({ code }, count);
  });
  page.family(
    'fairlead_responses_cut_total',
    'counter',
    'Requests whose client did not get all of an answer, by what ended it.',
  );
  process.cutOff.forEach((count, index) => {
    const reason = ENDINGS[index];
    if (reason !== undefined) page.sample({ reason }, count);
  });
}

/** Only statuses that occurred. */
function writeCalls(page: Page, pool: string, backend: string, calls: readonly number[]): void {
  calls.forEach((count, status) => {
    if (count > 0) page.sample({ pool, backend, grpc_status: String(status) }, count);
  });
}

function writePools(page: Page, pools: readonly PoolMetrics[]): void {
  const ofPool = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    read: (pool: PoolMetrics) => number,
  ): void => {
    page.family(name, type, help);
    for (const pool of pools) page.sample({ pool: pool.name }, read(pool));
  };
  ofPool(
    'fairlead_pool_breaker_state',
    'gauge',
    'Circuit breaker of the whole pool: 0 closed, 1 half-open, 2 open.',
    ({ breaker }) => BREAKER_VALUES[breaker],
  );
  ofPool(
    'fairlead_pool_panic',
    'gauge',
    '1 while too few backends are eligible and others are used as well.',
    ({ isPanic }) => (isPanic ? 1 : 0),
  );
  ofPool(
    'fairlead_queue_depth',
    'gauge',
    'Requests that wait for a backend with room.',
    ({ totals }) => totals.queued,
  );
  page.family(
    'fairlead_queue_wait_seconds',
    'summary',
    'How long requests waited for a backend with room.',
  );
  for (const { name, totals } of pools) {
    page.sample({ pool: name }, totals.queueSeconds, '_sum');
    page.sample({ pool: name }, totals.queuedTotal, '_count');
  }
  ofPool(
    'fairlead_hedges_total',
    'counter',
    'Second attempts that began beside the first.',
    ({ totals }) => totals.hedges,
  );
  ofPool(
    'fairlead_retries_refused_total',
    'counter',
    'Failed attempts that were not tried again because the retry budget was spent.',
    ({ totals }) => totals.retriesRefused,
  );
  ofPool(
    'fairlead_sessions_evicted_total',
    'counter',
    'Sessions forgotten before their time, for want of room.',
    ({ totals }) => totals.sessionsEvicted,
  );
  ofPool(
    'fairlead_rate_limited_requests_total',
    'counter',
    'Requests refused since their client had asked too often.',
    ({ totals }) => totals.rateLimited,
  );
  ofPool(
    'fairlead_rate_limits_evicted_total',
    'counter',
    'Clients whose rate limit was forgotten before its time, for want of room.',
    ({ totals }) => totals.ratesEvicted,
  );
  ofPool(
    'fairlead_rate_limit_engine_fallbacks_total',
    'counter',
    'Requests whose global rate limit was decided about without the server that counts it.',
    ({ totals }) => totals.ratesAlone,
  );
  ofPool(
    'fairlead_mirrored_requests_total',
    'counter',
    'Copies of requests of other pools that were sent here.',
    ({ totals }) => totals.mirrored,
  );
  page.family(
    'fairlead_mirrors_skipped_total',
    'counter',
    'Requests that were not mirrored here: their body was longer than the replay buffer, or too many copies were under way.',
  );
  for (const { name, totals } of pools) {
    page.sample({ pool: name, reason: 'body' }, totals.unmirroredBody);
    page.sample({ pool: name, reason: 'busy' }, totals.unmirroredBusy);
  }
}

function writeClients(page: Page, { process, control }: Metrics): void {
  page.single(
    'fairlead_client_connections',
    'gauge',
    'Client connections now.',
    process.clientConnections,
  );
  page.single(
    'fairlead_client_connections_total',
    'counter',
    'Client connections accepted.',
    process.acceptedConnections,
  );
  const byReason = (name: string, help: string, counts: Readonly<Record<string, number>>): void => {
    page.family(name, 'counter', help);
    for (const [reason, count] of Object.entries(counts)) page.sample({ reason }, count);
  };
  byReason(
    'fairlead_client_connections_refused_total',
    'Client connections closed at once, for want of a place or a file descriptor.',
    process.refusedConnections,
  );
  byReason(
    'fairlead_idle_clients_closed_total',
    'Idle client connections closed to make room.',
    process.idleClosed,
  );
  page.single(
    'fairlead_accept_errors_total',
    'counter',
    'Times that the system could not give us a client.',
    process.acceptsFailed,
  );
  page.single(
    'fairlead_buffered_bytes',
    'gauge',
    'What waits in memory for clients and backends that do not take it.',
    process.heldBytes,
  );
  page.single(
    'fairlead_connections_crashed_total',
    'counter',
    'Client connections closed because their handling threw an exception.',
    process.connectionsCrashed,
  );
  page.single(
    'fairlead_exceptions_total',
    'counter',
    'Exceptions in data threads that belong to no client.',
    process.exceptions,
  );
  page.single(
    'fairlead_log_lines_dropped_total',
    'counter',
    'Log lines dropped because writing them was too slow or failed.',
    process.logLinesDropped + control.logLinesDropped,
  );
  page.family('fairlead_spans_total', 'counter', 'Spans by what became of them.');
  const { exported, failed, dropped } = control.spans;
  page.sample({ result: 'exported' }, exported);
  page.sample({ result: 'failed' }, failed);
  page.sample({ result: 'dropped' }, dropped + process.spansDropped);
}

function writeControl(
  page: Page,
  { control, dataThreadDelays, dataThreadHeaps, leftOut }: Metrics,
): void {
  page.family('fairlead_reload_total', 'counter', 'Reloads of the config by result.');
  page.sample({ result: 'success' }, control.reloadsSucceeded);
  page.sample({ result: 'failure' }, control.reloadsFailed);
  if (control.lastReloadSeconds !== undefined) {
    page.single(
      'fairlead_reload_last_success_timestamp_seconds',
      'gauge',
      'When the config was last reloaded.',
      control.lastReloadSeconds,
    );
  }
  page.single(
    'fairlead_config_last_reload_successful',
    'gauge',
    'Whether the config was taken up when it was last read.',
    control.isLastReloadGood ? 1 : 0,
  );
  page.single('fairlead_data_threads', 'gauge', 'Data threads.', control.dataThreads);
  page.single(
    'fairlead_data_thread_restarts_total',
    'counter',
    'Data threads that died and were replaced.',
    control.dataThreadRestarts,
  );
  page.family(
    'fairlead_event_loop_delay_seconds',
    'summary',
    'How late the event loop of a thread was, in the worse of the last two half-minutes.',
  );
  writeDelay(page, 'control', control.eventLoopDelaySeconds);
  dataThreadDelays.forEach((delay, index) => writeDelay(page, String(index), delay));
  page.family('fairlead_heap_used_bytes', 'gauge', 'JavaScript heap in use.');
  page.sample({ thread: 'control' }, control.heapUsedBytes);
  dataThreadHeaps.forEach((bytes, index) => page.sample({ thread: String(index) }, bytes));
  page.single(
    'process_resident_memory_bytes',
    'gauge',
    'Resident memory of the whole process.',
    control.residentBytes,
  );
  const { openDescriptors, maxDescriptors } = control;
  if (openDescriptors !== undefined) {
    page.single('process_open_fds', 'gauge', 'Open file descriptors.', openDescriptors);
  }
  if (maxDescriptors !== undefined) {
    page.single('process_max_fds', 'gauge', 'File descriptors allowed.', maxDescriptors);
  }
  page.single(
    'process_cpu_seconds_total',
    'counter',
    'CPU time of the whole process.',
    control.cpuSeconds,
  );
  page.single(
    'process_start_time_seconds',
    'gauge',
    'When the process started.',
    control.startedAtSeconds,
  );
  page.family(
    'fairlead_metrics_left_out',
    'gauge',
    'Pools and backends that have no series here, since there are too many of them.',
  );
  page.sample({ kind: 'pool' }, leftOut.pools);
  page.sample({ kind: 'backend' }, leftOut.backends);
  page.family('fairlead_build_info', 'gauge', 'Version of Fairlead and of Node.');
  page.sample({ version: control.version, node: control.nodeVersion }, 1);
}

function writeDelay(page: Page, thread: string, { p50, p99, max }: DelaySeconds): void {
  page.sample({ thread, quantile: '0.5' }, p50);
  page.sample({ thread, quantile: '0.99' }, p99);
  page.sample({ thread, quantile: '1' }, max);
}
