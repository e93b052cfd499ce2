/** Says in words why a backend gets new clients, or why it does not. */
import type { Backend } from './backend.ts';
import { type Decision, TENTHS } from './eligibility.ts';

export interface Load {
  readonly inFlight: number;
  /** 0: no limit. */
  readonly maxRequests: number;
  /** 0: no limit. */
  readonly maxConnections: number;
}

/** For one of the backends that the decision is about. */
export function explainEligibility(
  backend: Backend,
  decision: Decision,
  load: Load,
  now: number,
): string {
  const obstacle = obstacleOf(backend, decision, now);
  const isPicked = decision.tenths.has(backend.id);
  if (obstacle !== undefined && !isPicked) return obstacle;
  const words =
    obstacle === undefined
      ? strengthOf(backend, decision, now)
      : `${obstacle}; used all the same: ${needOf(decision)}`;
  return words + fullnessOf(load);
}

/** Of a backend that gets requests, but no more for the moment. */
function fullnessOf({ inFlight, maxRequests, maxConnections }: Load): string {
  if (maxRequests > 0 && inFlight >= maxRequests) {
    return `; full: ${inFlight} of ${maxRequests} requests in flight`;
  }
  if (maxConnections > 0 && inFlight >= maxConnections) {
    return `; full: ${inFlight} of ${maxConnections} connections in use`;
  }
  return '';
}

function obstacleOf(backend: Backend, decision: Decision, now: number): string | undefined {
  const { adminState, health, lastReason, ejection, breaker, weight, isBackup } = backend;
  if (adminState === 'disabled') return 'disabled by an operator';
  const failing = ailmentOf();
  if (adminState === 'draining') {
    if (failing !== undefined) return `draining; ${failing}`;
    return backend.hasMovedSessions
      ? 'draining: its sessions have moved'
      : 'draining: only the sessions that it has';
  }
  if (failing !== undefined) return failing;
  if (weight === 0) return 'weight 0: no new clients, only the sessions that it has';
  const count = decision.eligiblePrimaries;
  if (isBackup && count > 0) {
    return `a backup: ${count} ${count === 1 ? 'primary is' : 'primaries are'} eligible`;
  }
  return undefined;

  function ailmentOf(): string | undefined {
    if (health === 'unknown') return 'not checked yet';
    if (health === 'unhealthy') return `unhealthy${checkedOf(backend, now)}: ${lastReason}`;
    if (ejection !== undefined) {
      const { until, reason, mayCheckEnd } = ejection;
      const orSooner = mayCheckEnd ? ', or until a check passes' : '';
      return `ejected for ${secondsIn(until - now)} more${orSooner}: ${reason}`;
    }
    if (breaker.state !== 'open') return undefined;
    return `circuit breaker open for ${secondsIn((breaker.until ?? now) - now)} more: ${breaker.reason}`;
  }
}

function strengthOf(backend: Backend, decision: Decision, now: number): string {
  const words = [`healthy${checkedOf(backend, now)}`];
  if (backend.isBackup) words.push('a backup in use: no primary is eligible');
  if (backend.breaker.state === 'half-open') {
    words.push(`circuit breaker half-open, a few requests try it: ${backend.breaker.reason}`);
  }
  const tenths = decision.tenths.get(backend.id) ?? TENTHS;
  if (tenths < TENTHS) {
    words.push(`slow start: counts for ${(tenths * 100) / TENTHS} % of its weight`);
  }
  return words.join('; ');
}

function needOf({ eligibility, eligiblePrimaries, primaries }: Decision): string {
  return eligibility.isPanic
    ? `panic, ${eligiblePrimaries} of ${primaries} backends ${eligiblePrimaries === 1 ? 'is' : 'are'} eligible`
    : 'nobody else is left';
}

function checkedOf({ lastCheck }: Backend, now: number): string {
  return lastCheck === undefined
    ? ''
    : `, last check ${Math.round((now - lastCheck) / 1000)} s ago`;
}

function secondsIn(ms: number): string {
  return `${Math.max(0, Math.ceil(ms / 1000))} s`;
}
