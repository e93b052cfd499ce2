/** The counters of the whole process, as the control plane reads and sets them. */
import { readStatuses } from './counter-cells.ts';
import type { DelaySeconds } from './loop-delay.ts';
import {
  P_CLIENTS,
  P_HEADER_BYTES,
  P_HELD,
  P_LEAVING,
  PF_ACCEPTED,
  PF_ACCEPTS_FAILED,
  PF_CALLS,
  PF_CONNECTIONS_CRASHED,
  PF_COUNT,
  PF_CUT,
  PF_DELAY_AT,
  PF_DELAY_MAX,
  PF_DELAY_P50,
  PF_DELAY_P99,
  PF_ERROR,
  PF_EXCEPTIONS,
  PF_HEAP_USED,
  PF_IDLE_CLOSED,
  PF_LOG_LINES_DROPPED,
  PF_REFUSED,
  PF_SPANS_DROPPED,
  PF_STATUS,
  PS_BEATS,
  PS_CLIENTS,
  PS_HELD,
  PS_LEAVING,
  processHeader,
  processShare,
  processShareBytes,
  type Refusal,
  type Scarce,
  totalsOf,
} from './process-cells.ts';

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
  /** Spans that the control plane did not take in time. */
  readonly spansDropped: number;
  /** Client connections that an exception has cost, and exceptions that belong to none. */
  readonly connectionsCrashed: number;
  readonly exceptions: number;
  /** Requests that never became exchanges, by the status that they got. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Those of them that were calls of gRPC, by its status. */
  readonly calls: readonly number[];
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
    spansDropped: cells[PF_SPANS_DROPPED] as number,
    statuses: readStatuses(cells, PF_STATUS),
    errors: Array.from(cells.subarray(PF_ERROR, PF_CUT)),
    cutOff: Array.from(cells.subarray(PF_CUT, PF_CALLS)),
    calls: Array.from(cells.subarray(PF_CALLS, PF_COUNT)),
  };
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

/** Control plane: bytes of the JavaScript heap in use, of each data thread; 0 until it has said so. */
export function readHeaps(buffer: SharedArrayBuffer, threadCount: number): number[] {
  return Array.from(
    { length: threadCount },
    (_, threadIndex) => totalsOf(buffer, threadIndex, threadCount)[PF_HEAP_USED] as number,
  );
}

/** Control plane: changes as long as the thread is alive; 0 until it is born. */
export function readBeats(buffer: SharedArrayBuffer, threadIndex: number): number {
  return Atomics.load(processShare(buffer, threadIndex), PS_BEATS);
}

/** Control plane: a data thread died; its client connections and what they held are gone with it. */
export function giveBackProcessShare(buffer: SharedArrayBuffer, threadIndex: number): void {
  const share = processShare(buffer, threadIndex);
  const header = processHeader(buffer);
  Atomics.sub(header, P_CLIENTS, share[PS_CLIENTS] as number);
  Atomics.sub(header, P_HELD, share[PS_HELD] as number);
  Atomics.sub(header, P_LEAVING, share[PS_LEAVING] as number);
  share.fill(0);
}
