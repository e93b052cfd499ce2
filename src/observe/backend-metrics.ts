/** The families of the Prometheus text that have a sample for each backend. */
import type { BackendTotals } from '../snapshot/counters.ts';
import { DURATION_BUCKETS_SECONDS, type Durations } from '../snapshot/durations.ts';
import { RETRY_REASONS } from '../snapshot/retry-counts.ts';
import type { Labels, Page } from './metrics-page.ts';

export type BreakerState = 'closed' | 'half-open' | 'open';

export interface BackendMetrics {
  readonly pool: string;
  readonly url: string;
  readonly isUp: boolean;
  readonly isEligible: boolean;
  readonly isEjected: boolean;
  /** Ejections so far, by the setting that ejected. */
  readonly ejections: Readonly<Record<string, number>>;
  readonly breaker: BreakerState;
  readonly totals: BackendTotals;
  readonly checksPassed: number;
  readonly checksFailed: number;
  readonly checksInconclusive: number;
}

export function writeHistogram(page: Page, labels: Labels, durations: Durations): void {
  let cumulative = 0;
  durations.buckets.forEach((count, index) => {
    cumulative += count;
    const bound = DURATION_BUCKETS_SECONDS[index];
    page.sample(
      { ...labels, le: bound === undefined ? '+Inf' : String(bound) },
      cumulative,
      '_bucket',
    );
  });
  page.sample(labels, durations.sumSeconds, '_sum');
  page.sample(labels, cumulative, '_count');
}

export function writeBackends(page: Page, backends: readonly BackendMetrics[]): void {
  const perBackend = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    read: (backend: BackendMetrics) => number,
  ): void => {
    page.family(name, type, help);
    for (const backend of backends) {
      page.sample({ pool: backend.pool, backend: backend.url }, read(backend));
    }
  };
  perBackend(
    'fairlead_backend_up',
    'gauge',
    '1 if the backend can take requests: enabled, healthy, not ejected, circuit breaker not open.',
    ({ isUp }) => (isUp ? 1 : 0),
  );
  perBackend(
    'fairlead_backend_eligible',
    'gauge',
    '1 if new clients go to the backend.',
    ({ isEligible }) => (isEligible ? 1 : 0),
  );
  perBackend(
    'fairlead_backend_requests_in_flight',
    'gauge',
    'Requests at the backend now.',
    ({ totals }) => totals.inFlight,
  );
  page.family(
    'fairlead_backend_connections',
    'gauge',
    'Connections to the backend: in use or connecting, and idle.',
  );
  for (const { pool, url, totals } of backends) {
    page.sample(
      { pool, backend: url, state: 'active' },
      Math.max(0, totals.openConnections - totals.idleConnections),
    );
    page.sample({ pool, backend: url, state: 'idle' }, totals.idleConnections);
  }
  perBackend(
    'fairlead_backend_failures_total',
    'counter',
    'Attempts that failed through the fault of the backend.',
    ({ totals }) => totals.failures,
  );
  page.family(
    'fairlead_retries_total',
    'counter',
    'Attempts at the backend that failed and were followed by another attempt, by the error that they failed with.',
  );
  for (const { pool, url, totals } of backends) {
    totals.retries.forEach((count, index) => {
      page.sample({ pool, backend: url, reason: RETRY_REASONS[index] ?? 'other' }, count);
    });
  }
  perBackend(
    'fairlead_backend_received_bytes_total',
    'counter',
    'Bytes received from clients in requests for the backend.',
    ({ totals }) => totals.bytesIn,
  );
  perBackend(
    'fairlead_backend_sent_bytes_total',
    'counter',
    'Bytes sent to clients in responses of the backend.',
    ({ totals }) => totals.bytesOut,
  );
  page.family('fairlead_health_checks_total', 'counter', 'Health checks by result.');
  for (const { pool, url, checksPassed, checksFailed, checksInconclusive } of backends) {
    page.sample({ pool, backend: url, result: 'pass' }, checksPassed);
    page.sample({ pool, backend: url, result: 'fail' }, checksFailed);
    page.sample({ pool, backend: url, result: 'inconclusive' }, checksInconclusive);
  }
}

/** As numbers, so that an alert can say `> 0`. */
export const BREAKER_VALUES: Readonly<Record<BreakerState, number>> = {
  closed: 0,
  'half-open': 1,
  open: 2,
};

export function writePassiveHealth(page: Page, backends: readonly BackendMetrics[]): void {
  page.family('fairlead_ejections_total', 'counter', 'Ejections by reason.');
  for (const { pool, url, ejections } of backends) {
    for (const [reason, count] of Object.entries(ejections)) {
      page.sample({ pool, backend: url, reason }, count);
    }
  }
  page.family('fairlead_backend_ejected', 'gauge', '1 while the backend is ejected.');
  for (const { pool, url, isEjected } of backends) {
    page.sample({ pool, backend: url }, isEjected ? 1 : 0);
  }
  page.family(
    'fairlead_breaker_state',
    'gauge',
    'Circuit breaker of the backend: 0 closed, 1 half-open, 2 open.',
  );
  for (const { pool, url, breaker } of backends) {
    page.sample({ pool, backend: url }, BREAKER_VALUES[breaker]);
  }
}

/** 600 stands for everything above 599. */
export function codeLabel(status: number): string {
  return status === 600 ? 'other' : String(status);
}
