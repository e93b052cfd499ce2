/** How the searches for the backends of pools go, on the metrics page. */
import type { Page } from './metrics-page.ts';

/** Of one pool. */
export interface DiscoveryMetrics {
  readonly pool: string;
  readonly source: string;
  readonly isFailing: boolean;
  readonly found: number;
  /** That answer is of an earlier life of the process. */
  readonly isKept: boolean;
  readonly successes: number;
  readonly faults: number;
  /** Undefined: none yet. */
  readonly lastSuccessSeconds: number | undefined;
}

export function writeDiscovery(page: Page, searches: readonly DiscoveryMetrics[]): void {
  page.family(
    'fairlead_discovery_answers_total',
    'counter',
    'Answers of the source that a pool finds its backends by: good ones, and faults.',
  );
  for (const { pool, source, successes, faults } of searches) {
    page.sample({ pool, source, result: 'success' }, successes);
    page.sample({ pool, source, result: 'failure' }, faults);
  }
  page.family(
    'fairlead_discovery_failing',
    'gauge',
    'Whether the last answer was a fault, so that the one before holds.',
  );
  for (const { pool, source, isFailing } of searches) {
    page.sample({ pool, source }, isFailing ? 1 : 0);
  }
  page.family(
    'fairlead_discovery_kept',
    'gauge',
    'Whether what is in use was kept from before the start, as the source has not answered since.',
  );
  for (const { pool, source, isKept } of searches) {
    page.sample({ pool, source }, isKept ? 1 : 0);
  }
  page.family('fairlead_discovery_backends', 'gauge', 'Backends in the last good answer.');
  for (const { pool, source, found } of searches) page.sample({ pool, source }, found);
  page.family(
    'fairlead_discovery_last_success_timestamp_seconds',
    'gauge',
    'When the last good answer came.',
  );
  for (const { pool, source, lastSuccessSeconds } of searches) {
    if (lastSuccessSeconds !== undefined) page.sample({ pool, source }, lastSuccessSeconds);
  }
}
