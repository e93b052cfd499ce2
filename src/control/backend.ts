/** One backend as the control plane sees it. */
import type { BackendAddress } from '../config/settings.ts';
import { createBackendCounters, type FaultTotals, readFaultTotals } from '../snapshot/counters.ts';
import { type AdminState } from './operator-words.ts';
import type { BackendOrigin } from './state/operator-state.ts';

export type Health = 'unknown' | 'healthy' | 'unhealthy';

/** Taken out for a while, because real requests failed there. Times are of the registry's clock, in ms. */
export interface Ejection {
  readonly since: number;
  readonly until: number;
  /** `5 failures in a row, the last: …` */
  readonly reason: string;
  /** It is over earlier, if a health check passes. */
  readonly mayCheckEnd: boolean;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/** A circuit breaker, of a backend or of the pool. Without one configured it is closed. */
export interface BreakerStatus {
  readonly state: BreakerState;
  /** While open: when it will try again. */
  readonly until: number | undefined;
  /** Why it is not closed. */
  readonly reason: string | undefined;
}

export const CLOSED: BreakerStatus = { state: 'closed', until: undefined, reason: undefined };

/** One backend as the control plane sees it. The object is live: read it, do not keep copies of its values. */
export interface Backend {
  readonly id: number;
  readonly address: BackendAddress;
  readonly weight: number;
  /** Used only while no other backend is eligible. */
  readonly isBackup: boolean;
  readonly adminState: AdminState;
  readonly source: BackendOrigin;
  /** It drains, and its sessions have been told to go elsewhere: nothing comes any more. */
  readonly hasMovedSessions: boolean;
  readonly health: Health;
  /** The last check, or a request since then, could not even connect. */
  readonly isUnreachable: boolean;
  /** The last check did not pass. */
  readonly isCheckFailing: boolean;
  /** Undefined: it is not ejected. */
  readonly ejection: Ejection | undefined;
  readonly breaker: BreakerStatus;
  /** Clock time of the last finished check, in ms; undefined before the first. */
  readonly lastCheck: number | undefined;
  /** Clock time when `alive` last changed (at first: when the backend came). Slow start counts from here. */
  readonly lastChange: number;
  /** Why health is what it is: what was tried and what came. */
  readonly lastReason: string | undefined;
  /** What would help; empty when nothing is known. */
  readonly hint: string;
  readonly counters: SharedArrayBuffer;
  /** What its counters held when it came back; undefined: it has come once. */
  readonly pastFaults?: FaultTotals | undefined;
}

export interface NewBackendParts {
  readonly now: number;
  readonly threadCount: number;
  /** It was there before, with this id: its counters go on, in which requests of then may be under way. */
  readonly former?: Backend | undefined;
}

/** One that nothing is known about yet. */
export function newBackend(
  id: number,
  address: BackendAddress,
  { source, adminState }: Pick<Backend, 'source' | 'adminState'>,
  { now, threadCount, former }: NewBackendParts,
): Backend {
  return {
    id,
    address,
    weight: 1,
    isBackup: false,
    adminState,
    source,
    // A drain from before the process has no deadline that anybody knows.
    hasMovedSessions: adminState === 'draining',
    health: 'unknown',
    isUnreachable: false,
    isCheckFailing: false,
    ejection: undefined,
    breaker: CLOSED,
    lastCheck: undefined,
    lastChange: now,
    lastReason: undefined,
    hint: '',
    counters: former?.counters ?? createBackendCounters(threadCount),
    pastFaults: former && readFaultTotals(former.counters, threadCount),
  };
}

/** Whether it can take requests. Whether new clients go there is the pool's question: see eligibility.ts. */
export function isAlive(backend: Backend): boolean {
  return backend.adminState === 'enabled' && isFit(backend);
}

/** Nothing speaks against it but, perhaps, what operators want. */
export function isFit({ health, ejection, breaker }: Backend): boolean {
  return health === 'healthy' && ejection === undefined && breaker.state !== 'open';
}
