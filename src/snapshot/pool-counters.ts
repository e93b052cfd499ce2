/**
 * The contract between the planes, part three, continued: the counters of one pool, in shared memory. What limits and
 * balances a pool (its ticket, its gate, its queue) is one cell for all data threads; what is only read is counted by each thread.
 */
import { GATE_OPEN_WIDE, isGateShut, returnPass, setGate, takePass } from './counter-cells.ts';
import { addCalls, GRPC_CELLS } from './grpc-counts.ts';
import { processClockOffsetMs } from './process-clock.ts';
import { addStatuses, countStatus, STATUS_CELLS } from './status-counts.ts';

// The buffer: shared Int32 cells, then Int32 gauges of each thread, then a float64 block of each thread.
const ROUND_ROBIN = 0;
const QUEUED = 1;
/** Of those that wait, the ones that nobody overtakes. */
const IN_LINE = 2;
const GATE = 3;
/** Second of the process clock in which a shut gate is looked at again. */
const GATE_OPENS_AT = 4;
const HEADER_CELLS = 5;
const HEADER_BYTES = 64;
// Int32 gauges of one thread: an even number of them, so that what follows is aligned to 8 bytes.
const S_QUEUED = 0;
const S_IN_LINE = 1;
const S_COUNT = 2;
// Totals of one thread.
const T_QUEUED = 0;
const T_QUEUE_SECONDS = 1;
const T_HEDGES = 2;
const T_RETRIES_REFUSED = 3;
const T_SESSIONS_EVICTED = 4;
const T_RATES_EVICTED = 5;
const T_MIRRORED = 6;
const T_UNMIRRORED_BODY = 7;
const T_UNMIRRORED_BUSY = 8;
const T_RATE_LIMITED = 9;
const T_RATES_ALONE = 10;
const T_STATUS = 11;
const T_CALLS = T_STATUS + STATUS_CELLS;
const T_COUNT = T_CALLS + GRPC_CELLS;

export function createPoolCounters(threadCount: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(HEADER_BYTES + threadCount * (S_COUNT * 4 + T_COUNT * 8));
  setGate(headerOf(buffer), GATE, GATE_OPEN_WIDE);
  return buffer;
}

function headerOf(buffer: SharedArrayBuffer): Int32Array {
  return new Int32Array(buffer, 0, HEADER_CELLS);
}

function shareOf(buffer: SharedArrayBuffer, threadIndex: number): Int32Array {
  return new Int32Array(buffer, HEADER_BYTES + threadIndex * S_COUNT * 4, S_COUNT);
}

function totalsOf(
  buffer: SharedArrayBuffer,
  threadIndex: number,
  threadCount: number,
): Float64Array {
  const offset = HEADER_BYTES + threadCount * S_COUNT * 4 + threadIndex * T_COUNT * 8;
  return new Float64Array(buffer, offset, T_COUNT);
}

/** As a data thread writes and reads them. */
export class PoolCounters {
  readonly #header: Int32Array;
  readonly #share: Int32Array;
  readonly #totals: Float64Array;

  constructor(buffer: SharedArrayBuffer, threadIndex: number, threadCount: number) {
    this.#header = headerOf(buffer);
    this.#share = shareOf(buffer, threadIndex);
    this.#totals = totalsOf(buffer, threadIndex, threadCount);
  }

  /** The next ticket of the round robin that all threads share, as an unsigned 32-bit number. */
  nextTurn(): number {
    return Atomics.add(this.#header, ROUND_ROBIN, 1) >>> 0;
  }

  /** The ticket that `nextTurn` would give. */
  comingTurn(): number {
    return Atomics.load(this.#header, ROUND_ROBIN) >>> 0;
  }

  /** Whether `takePass` would let a request through. */
  get isGateOpen(): boolean {
    return !isGateShut(this.#header, GATE);
  }

  /** The pool's circuit breaker lets a request through, or does not (`NO_PASS`); half-open, it has a few passes. */
  takePass(): number {
    return takePass(this.#header, GATE);
  }

  /** What `takePass` has taken was not used. */
  returnPass(pass: number): void {
    returnPass(this.#header, GATE, pass);
  }

  /** Whole seconds until the shut gate lets requests try, rounded up, at least 1. @param nowMs on the process clock */
  gateOpensInSeconds(nowMs: number): number {
    const opensAt = Atomics.load(this.#header, GATE_OPENS_AT);
    return Math.max(1, opensAt - Math.floor(nowMs / 1_000));
  }

  /** Requests that wait for a backend with room, of all threads, and that nobody overtakes. */
  get inLine(): number {
    return Atomics.load(this.#header, IN_LINE);
  }

  /** Takes one of `limit` places in the queue; false when all are taken. */
  tryEnqueue(limit: number, isInLine: boolean): boolean {
    if (Atomics.add(this.#header, QUEUED, 1) >= limit) {
      Atomics.sub(this.#header, QUEUED, 1);
      return false;
    }
    (this.#share[S_QUEUED] as number)++;
    if (isInLine) {
      Atomics.add(this.#header, IN_LINE, 1);
      (this.#share[S_IN_LINE] as number)++;
    }
    return true;
  }

  /** A request left the queue, for whatever reason, after so long. */
  dequeued(seconds: number, wasInLine: boolean): void {
    Atomics.sub(this.#header, QUEUED, 1);
    (this.#share[S_QUEUED] as number)--;
    if (wasInLine) {
      Atomics.sub(this.#header, IN_LINE, 1);
      (this.#share[S_IN_LINE] as number)--;
    }
    (this.#totals[T_QUEUED] as number)++;
    (this.#totals[T_QUEUE_SECONDS] as number) += seconds;
  }

  /** A second attempt began beside the first. */
  hedged(): void {
    (this.#totals[T_HEDGES] as number)++;
  }

  /** An attempt failed that the rules would have tried again, but the budget was spent. */
  retryRefused(): void {
    (this.#totals[T_RETRIES_REFUSED] as number)++;
  }

  /** A session was forgotten before its time, for want of room. */
  sessionEvicted(): void {
    (this.#totals[T_SESSIONS_EVICTED] as number)++;
  }

  /** What a client had used of its rate limit was forgotten before its time, for want of room. */
  rateEvicted(): void {
    (this.#totals[T_RATES_EVICTED] as number)++;
  }

  /** A request was refused, for its client had asked too often. */
  rateLimited(): void {
    (this.#totals[T_RATE_LIMITED] as number)++;
  }

  /** Whether a request was over its global limit was decided without the engine that counts for all instances. */
  rateDecidedAlone(): void {
    (this.#totals[T_RATES_ALONE] as number)++;
  }

  /** The copy of a request of another pool has come. */
  mirrored(): void {
    (this.#totals[T_MIRRORED] as number)++;
  }

  /** One has not: its body was too long, or too many were under way. */
  mirrorSkipped(reason: 'body' | 'busy'): void {
    (this.#totals[reason === 'body' ? T_UNMIRRORED_BODY : T_UNMIRRORED_BUSY] as number)++;
  }

  /** An exchange ended without a backend. */
  answeredAlone(status: number): void {
    countStatus(this.#totals, T_STATUS, status);
  }

  /** It was a call of gRPC, and ended so. */
  callEnded(grpcStatus: number): void {
    (this.#totals[T_CALLS + grpcStatus] as number)++;
  }
}

/** As the control plane reads them. */
export interface PoolTotals {
  /** Requests that wait for a backend with room now; those that have waited so far, and how long altogether. */
  readonly queued: number;
  readonly queuedTotal: number;
  readonly queueSeconds: number;
  readonly hedges: number;
  readonly retriesRefused: number;
  readonly sessionsEvicted: number;
  readonly ratesEvicted: number;
  /** Requests that were refused for the rate limit. */
  readonly rateLimited: number;
  /** Requests whose global limit was decided about without the engine that counts for all instances. */
  readonly ratesAlone: number;
  /** Requests mirrored to it, and those that were not, because of their bodies, and because there were too many. */
  readonly mirrored: number;
  readonly unmirroredBody: number;
  readonly unmirroredBusy: number;
  /** Exchanges that no backend took part in, by status. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Those of them that were calls of gRPC, by its status. */
  readonly calls: readonly number[];
}

export function readPoolCounters(buffer: SharedArrayBuffer, threadCount: number): PoolTotals {
  const sums = new Float64Array(T_COUNT);
  const statuses = new Map<number, number>();
  const calls: number[] = [];
  for (let thread = 0; thread < threadCount; thread++) {
    const totals = totalsOf(buffer, thread, threadCount);
    for (let cell = 0; cell < T_STATUS; cell++) (sums[cell] as number) += totals[cell] as number;
    addStatuses(statuses, totals, T_STATUS);
    addCalls(calls, totals, T_CALLS);
  }
  return {
    queued: Atomics.load(headerOf(buffer), QUEUED),
    queuedTotal: sums[T_QUEUED] as number,
    queueSeconds: sums[T_QUEUE_SECONDS] as number,
    hedges: sums[T_HEDGES] as number,
    retriesRefused: sums[T_RETRIES_REFUSED] as number,
    sessionsEvicted: sums[T_SESSIONS_EVICTED] as number,
    ratesEvicted: sums[T_RATES_EVICTED] as number,
    rateLimited: sums[T_RATE_LIMITED] as number,
    ratesAlone: sums[T_RATES_ALONE] as number,
    mirrored: sums[T_MIRRORED] as number,
    unmirroredBody: sums[T_UNMIRRORED_BODY] as number,
    unmirroredBusy: sums[T_UNMIRRORED_BUSY] as number,
    statuses,
    calls,
  };
}

/**
 * Control plane: from now on the pool gets so many requests, or `GATE_OPEN_WIDE`.
 *
 * @param opensInMs how long a shut gate stays shut
 */
export function setPoolGate(buffer: SharedArrayBuffer, passes: number, opensInMs = 0): void {
  const header = headerOf(buffer);
  const opensAtMs = performance.now() + processClockOffsetMs() + opensInMs;
  Atomics.store(header, GATE_OPENS_AT, Math.ceil(opensAtMs / 1_000));
  setGate(header, GATE, passes);
}

/** Control plane: a data thread died; what waited in it is gone with it. */
export function giveBackPoolShare(buffer: SharedArrayBuffer, threadIndex: number): void {
  const share = shareOf(buffer, threadIndex);
  const header = headerOf(buffer);
  Atomics.sub(header, QUEUED, share[S_QUEUED] as number);
  Atomics.sub(header, IN_LINE, share[S_IN_LINE] as number);
  share.fill(0);
}
