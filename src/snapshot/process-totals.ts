/** The counters of the whole process, as the control plane reads and sets them. */
import { readStatuses, setGate } from './counter-cells.ts';
import type { DelaySeconds } from './loop-delay.ts';
import {
  P_CLIENTS,
  P_GATE,
  P_GATE_OPENS_AT,
  P_HEADER_BYTES,
  P_HELD,
  P_IN_LINE,
  P_LEAVING,
  P_QUEUED,
  PF_ACCEPTED,
  PF_ACCEPTS_FAILED,
  PF_CONNECTIONS_CRASHED,
  PF_COUNT,
  PF_CUT,
  PF_DELAY_AT,
  PF_DELAY_MAX,
  PF_DELAY_P50,
  PF_DELAY_P99,
  PF_ERROR,
  PF_EXCEPTIONS,
  PF_HEDGES,
  PF_IDLE_CLOSED,
  PF_LOG_LINES_DROPPED,
  PF_QUEUE_SECONDS,
  PF_QUEUED,
  PF_RATES_EVICTED,
  PF_REFUSED,
  PF_RETRIES_REFUSED,
  PF_SESSIONS_EVICTED,
  PF_STATUS,
  PS_BEATS,
  PS_CLIENTS,
  PS_HELD,
  PS_IN_LINE,
  PS_LEAVING,
  PS_QUEUED,
  processHeader,
  processShare,
  processShareBytes,
  type Refusal,
  type Scarce,
  totalsOf,
} from './process-cells.ts';
import { processClockOffsetMs } from './process-clock.ts';

export interface ProcessTotals {
  readonly clientConnections: number;
  readonly acceptedConnections: number;
  /** What waits in memory for clients and backends that do not take it. */
  readonly heldBytes: number;
  /** Those that were closed at once, and idle ones that were closed for them, by reason. */
  readonly refusedConnections: Readonly<Record<Refusal, number>>;
  readonly idleClosed: Readonly<Record<Scarce, number>>;
  /** Clients that the system could not give us, as far as Node says so. */
  readonly acceptsFailed: number;
  readonly logLinesDropped: number;
  /** Requests that wait for a backend with room now; those that have waited so far, and how long altogether. */
  readonly queued: number;
  readonly queuedTotal: number;
  readonly queueSeconds: number;
  readonly hedges: number;
  readonly retriesRefused: number;
  readonly sessionsEvicted: number;
  readonly ratesEvicted: number;
  /** Client connections that an exception has cost, and exceptions that belong to none. */
  readonly connectionsCrashed: number;
  readonly exceptions: number;
  /** Exchanges that no backend took part in, by status. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Exchanges by error, in the order of `ERROR_CODES`. */
  readonly errors: readonly number[];
  /** Exchanges whose client did not get all of its answer, in the order of `ENDINGS`. */
  readonly cutOff: readonly number[];
}

export function readProcessCounters(buffer: SharedArrayBuffer, threadCount: number): ProcessTotals {
  const cells = new Float64Array(PF_COUNT);
  const all = new Float64Array(
    buffer,
    P_HEADER_BYTES + processShareBytes(threadCount),
    threadCount * PF_COUNT,
  );
  for (let thread = 0; thread < threadCount; thread++) {
    for (let cell = 0; cell < PF_COUNT; cell++) {
      (cells[cell] as number) += all[thread * PF_COUNT + cell] as number;
    }
  }
  return {
    clientConnections: Atomics.load(processHeader(buffer), P_CLIENTS),
    heldBytes: Atomics.load(processHeader(buffer), P_HELD) * 1024,
    queued: Atomics.load(processHeader(buffer), P_QUEUED),
    queuedTotal: cells[PF_QUEUED] as number,
    queueSeconds: cells[PF_QUEUE_SECONDS] as number,
    hedges: cells[PF_HEDGES] as number,
    retriesRefused: cells[PF_RETRIES_REFUSED] as number,
    sessionsEvicted: cells[PF_SESSIONS_EVICTED] as number,
    ratesEvicted: cells[PF_RATES_EVICTED] as number,
    connectionsCrashed: cells[PF_CONNECTIONS_CRASHED] as number,
    exceptions: cells[PF_EXCEPTIONS] as number,
    acceptedConnections: cells[PF_ACCEPTED] as number,
    refusedConnections: {
      limit: cells[PF_REFUSED] as number,
      descriptors: cells[PF_REFUSED + 1] as number,
      client: cells[PF_REFUSED + 2] as number,
    },
    idleClosed: {
      limit: cells[PF_IDLE_CLOSED] as number,
      descriptors: cells[PF_IDLE_CLOSED + 1] as number,
    },
    acceptsFailed: cells[PF_ACCEPTS_FAILED] as number,
    logLinesDropped: cells[PF_LOG_LINES_DROPPED] as number,
    statuses: readStatuses(cells, PF_STATUS),
    errors: Array.from(cells.subarray(PF_ERROR, PF_CUT)),
    cutOff: Array.from(cells.subarray(PF_CUT, PF_COUNT)),
  };
}

/**
 * Control plane: from now on the pool gets so many requests, or `GATE_OPEN_WIDE`.
 *
 * @param opensInMs how long a shut gate stays shut
 */
export function setPoolGate(buffer: SharedArrayBuffer, passes: number, opensInMs = 0): void {
  const header = processHeader(buffer);
  const opensAtMs = performance.now() + processClockOffsetMs() + opensInMs;
  Atomics.store(header, P_GATE_OPENS_AT, Math.ceil(opensAtMs / 1_000));
  setGate(header, P_GATE, passes);
}

/** A tick and what it may be late by on any machine. */
const USUAL_SILENCE_SECONDS = 0.25;

/** Control plane: of each data thread; one that does not get to write it is late as well. @param nowMs on the process clock */
export function readLoopDelays(
  buffer: SharedArrayBuffer,
  threadCount: number,
  nowMs: number,
): DelaySeconds[] {
  return Array.from({ length: threadCount }, (_, threadIndex) => {
    const cells = totalsOf(buffer, threadIndex, threadCount);
    const writtenMs = cells[PF_DELAY_AT] as number;
    const silent = writtenMs === 0 ? 0 : (nowMs - writtenMs) / 1e3;
    return {
      p50: cells[PF_DELAY_P50] as number,
      p99: cells[PF_DELAY_P99] as number,
      max: Math.max(cells[PF_DELAY_MAX] as number, silent > USUAL_SILENCE_SECONDS ? silent : 0),
    };
  });
}

/** Control plane: changes as long as the thread is alive; 0 until it is born. */
export function readBeats(buffer: SharedArrayBuffer, threadIndex: number): number {
  return Atomics.load(processShare(buffer, threadIndex), PS_BEATS);
}

/** Control plane: a data thread died; its client connections and what waited are gone with it. */
export function giveBackProcessShare(buffer: SharedArrayBuffer, threadIndex: number): void {
  const share = processShare(buffer, threadIndex);
  const header = processHeader(buffer);
  Atomics.sub(header, P_CLIENTS, share[PS_CLIENTS] as number);
  Atomics.sub(header, P_QUEUED, share[PS_QUEUED] as number);
  Atomics.sub(header, P_IN_LINE, share[PS_IN_LINE] as number);
  Atomics.sub(header, P_HELD, share[PS_HELD] as number);
  Atomics.sub(header, P_LEAVING, share[PS_LEAVING] as number);
  share.fill(0);
}
