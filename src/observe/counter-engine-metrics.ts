/** How the server is asked that counts limits for all instances, on the metrics page. */
import type { Page } from './metrics-page.ts';

export interface CounterEngineMetrics {
  readonly isUp: boolean;
  readonly counts: {
    /** Calls by what came of them. */
    readonly granted: number;
    readonly refused: number;
    readonly found: number;
    readonly unknown: number;
    readonly timedOut: number;
    readonly failed: number;
    /** That those have taken which were answered. */
    readonly seconds: number;
    readonly timesDown: number;
  };
}

const NO_CALLS = { granted: 0, refused: 0, found: 0, unknown: 0, timedOut: 0, failed: 0 };

/** @param engine null: there is none. */
export function writeCounterEngine(page: Page, engine: CounterEngineMetrics | null): void {
  page.family(
    'fairlead_rate_limit_engine_up',
    'gauge',
    'Whether the server is asked that counts global rate limits and keeps shared sessions.',
  );
  if (engine !== null) page.sample({}, engine.isUp ? 1 : 0);
  page.family(
    'fairlead_rate_limit_engine_calls_total',
    'counter',
    'Round trips to it, by what came of them.',
  );
  const { granted, refused, found, unknown, timedOut, failed } = engine?.counts ?? NO_CALLS;
  page.sample({ result: 'granted' }, granted);
  page.sample({ result: 'refused' }, refused);
  page.sample({ result: 'session' }, found);
  page.sample({ result: 'no-session' }, unknown);
  page.sample({ result: 'timeout' }, timedOut);
  page.sample({ result: 'error' }, failed);
  page.family(
    'fairlead_rate_limit_engine_call_seconds_total',
    'counter',
    'What the answered ones have taken.',
  );
  if (engine !== null) page.sample({}, engine.counts.seconds);
  page.family(
    'fairlead_rate_limit_engine_down_total',
    'counter',
    'Times that it was given up until it answers again.',
  );
  if (engine !== null) page.sample({}, engine.counts.timesDown);
}
