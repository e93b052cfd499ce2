/**
 * When a backend is checked next. Pure.
 *
 * What is up is checked at the regular interval. What is down, new, suspect or changing is checked at the down interval,
 * whatever the regular one is: a backend that listens again shall be in use within a second and a half. Passes that are
 * still missing are asked for at a quarter of it. What stays down for a minute is checked less often, but still every 5 s.
 */
import type { HealthCheckSettings } from '../../config/settings.ts';
import type { Health } from '../backend.ts';

/** Of regular checks: many backends and many proxies shall not check in step. */
const JITTER = 0.2;
/** Of the others: the way back into use must not take longer than said above. */
const DOWN_JITTER = 0.1;
const CONFIRMATIONS_PER_INTERVAL = 4;
const PATIENT_AFTER_MS = 60_000;
const PATIENT_INTERVAL_MS = 5_000;

export interface CheckState {
  readonly health: Health;
  /** A request could not connect, or the last check came to no verdict: find out. */
  readonly isSuspect: boolean;
  /** Passes and failures in a row. */
  readonly passes: number;
  readonly failures: number;
  /** How long it has not been healthy; 0 while it is. */
  readonly downMs: number;
  /** No check was finished yet, or everything was checked at once just now. */
  readonly isFirst: boolean;
}

export type CheckTimes = Pick<HealthCheckSettings, 'intervalMs' | 'downIntervalMs'>;

/** @param random in [0, 1) */
export function nextCheckMs(state: CheckState, times: CheckTimes, random: number): number {
  const { intervalMs, downIntervalMs } = times;
  const isUp = state.health === 'healthy' && !state.isSuspect;
  if (isUp && state.failures === 0) {
    if (!state.isFirst) return spread(intervalMs, JITTER, random);
    // All backends of a config are checked at about the same moment at first; this spreads them over the interval.
    return Math.max(Math.min(downIntervalMs, intervalMs), random * intervalMs);
  }
  if (isUp) return spread(Math.min(downIntervalMs, intervalMs), DOWN_JITTER, random);
  if (state.passes > 0) {
    return spread(downIntervalMs / CONFIRMATIONS_PER_INTERVAL, DOWN_JITTER, random);
  }
  const isPatient = state.downMs >= PATIENT_AFTER_MS;
  const patientMs = Math.max(downIntervalMs, Math.min(intervalMs, PATIENT_INTERVAL_MS));
  return spread(isPatient ? patientMs : downIntervalMs, DOWN_JITTER, random);
}

function spread(ms: number, jitter: number, random: number): number {
  return ms * (1 - jitter + 2 * jitter * random);
}
