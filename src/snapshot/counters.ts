/**
 * The contract between the planes, part three: counters in shared memory.
 *
 * In-flight requests and open connections of a backend are one cell for the whole process, changed with Atomics, so
 * that least-connections and connection limits are exact across threads. Each thread also keeps its own share of them,
 * so that the share of a thread that died can be given back. Everything that is only ever read by the control plane
 * (requests, bytes, histogram buckets) lives in one block per thread: a single writer, plain stores, summed on read.
 *
 * Totals are float64: exact up to 2^53, no BigInt, and an aligned 8-byte load is never torn on the platforms Node runs on.
 */
import {
  GATE_OPEN_WIDE,
  isGateOpenWide,
  isGateShut,
  returnPass,
  setGate,
  takePass,
} from './counter-cells.ts';
import { countDuration, DURATION_CELLS, type Durations, durationsIn } from './durations.ts';
import { addCalls, GRPC_CELLS } from './grpc-counts.ts';
import { countRetry, RETRY_CELLS } from './retry-counts.ts';
import { addStatuses, countStatus, STATUS_CELLS } from './status-counts.ts';

// Float64 cells of one thread's block.
const F_REQUESTS = 0;
const F_FAILURES = 1;
const F_BYTES_IN = 2;
const F_BYTES_OUT = 3;
const F_JUDGED = 4;
const F_FAULTS = 5;
const F_SILENCES = 6;
const F_TUNNELS_CUT = 7;
const F_REQUESTS_CUT = 8;
const F_STATUS = 9;
const F_DURATION = F_STATUS + STATUS_CELLS;
const F_CALLS = F_DURATION + DURATION_CELLS;
const F_RETRIES = F_CALLS + GRPC_CELLS;
const F_COUNT = F_RETRIES + RETRY_CELLS;

// Int32 cells of one thread's share.
const I_IN_FLIGHT = 0;
const I_OPEN = 1;
const I_IDLE = 2;
const I_TUNNELS = 3;
const I_SHARE = 4;

// The shared header: process-wide Int32 cells, and among them the latency average as a float64.
const H_IN_FLIGHT = 0;
const H_OPEN = 1;
const HEADER_LATENCY_OFFSET = 8;
const H_FAILURES_IN_A_ROW = 4;
const H_GATE = 5;
const H_ERRORS_IN_A_ROW = 6;
const HEADER_CELLS = 7;

const CACHE_LINE_BYTES = 64;
/**
 * What lies at the same place of many buffers of one size may share one small set of the processor's cache lines:
 * least-connections, which looks at all headers for each pick, took three times as long with 100 backends where buffers began at the
 * start of a page. So each buffer has its header on another one of these lines; the first line says on which.
 */
const HEADER_LINES = 7;
const HEADER_BYTES = (1 + HEADER_LINES) * CACHE_LINE_BYTES;
let nextHeaderLine = 0;

function headerOffset(buffer: SharedArrayBuffer): number {
  return new Int32Array(buffer, 0, 1)[0] as number;
}

function headerOf(buffer: SharedArrayBuffer): Int32Array {
  return new Int32Array(buffer, headerOffset(buffer), HEADER_CELLS);
}

/** Weight of a new sample in the moving average of a backend's time to its response head. */
const LATENCY_ALPHA = 0.1;

/** Bytes of a backend's counters for a process with this many data threads. */
export function createBackendCounters(threadCount: number): SharedArrayBuffer {
  const bytes = HEADER_BYTES + threadCount * (I_SHARE * 4 + F_COUNT * 8);
  const buffer = new SharedArrayBuffer(bytes);
  const offset = (1 + (nextHeaderLine++ % HEADER_LINES)) * CACHE_LINE_BYTES;
  new Int32Array(buffer, 0, 1)[0] = offset;
  setGate(headerOf(buffer), H_GATE, GATE_OPEN_WIDE);
  return buffer;
}

/** What one data thread writes about one backend. */
export class BackendCounters {
  readonly #header: Int32Array;
  readonly #latency: Float64Array;
  readonly #share: Int32Array;
  readonly #totals: Float64Array;

  constructor(buffer: SharedArrayBuffer, threadIndex: number, threadCount: number) {
    const offset = headerOffset(buffer);
    this.#header = headerOf(buffer);
    this.#latency = new Float64Array(buffer, offset + HEADER_LATENCY_OFFSET, 1);
    this.#share = new Int32Array(buffer, HEADER_BYTES + threadIndex * I_SHARE * 4, I_SHARE);
    this.#totals = new Float64Array(
      buffer,
      HEADER_BYTES + threadCount * I_SHARE * 4 + threadIndex * F_COUNT * 8,
      F_COUNT,
    );
  }

  /** Its first element: requests in flight at this backend, of all threads. */
  get inFlightCell(): Int32Array {
    return this.#header;
  }

  requestStarted(): void {
    Atomics.add(this.#header, H_IN_FLIGHT, 1);
    (this.#share[I_IN_FLIGHT] as number)++;
  }

  requestFinished(): void {
    Atomics.sub(this.#header, H_IN_FLIGHT, 1);
    (this.#share[I_IN_FLIGHT] as number)--;
  }

  /**
   * Takes one of `limit` requests in flight (0: no limit) and starts it; false when all are taken. Exact across threads.
   */
  tryStartRequest(limit: number): boolean {
    if (Atomics.add(this.#header, H_IN_FLIGHT, 1) >= limit && limit !== 0) {
      Atomics.sub(this.#header, H_IN_FLIGHT, 1);
      return false;
    }
    (this.#share[I_IN_FLIGHT] as number)++;
    return true;
  }

  /** The circuit breaker lets a request through, or does not (`NO_PASS`); half-open, it has a few passes. */
  takePass(): number {
    return takePass(this.#header, H_GATE);
  }

  /** What `takePass` has taken was not used. */
  returnPass(pass: number): void {
    returnPass(this.#header, H_GATE, pass);
  }

  /** The circuit breaker is closed. A half-open one lets only a few requests through, to see how they fare. */
  get isGateWideOpen(): boolean {
    return isGateOpenWide(this.#header, H_GATE);
  }

  /** Whether `takePass` would let a request through. */
  get isGateOpen(): boolean {
    return !isGateShut(this.#header, H_GATE);
  }

  /** Connections to this backend, of all threads. */
  get openConnections(): number {
    return Atomics.load(this.#header, H_OPEN);
  }

  /** Takes one of `limit` connections (0: no limit); false when all are taken. Exact across threads. */
  tryOpenConnection(limit: number): boolean {
    if (Atomics.add(this.#header, H_OPEN, 1) >= limit && limit !== 0) {
      Atomics.sub(this.#header, H_OPEN, 1);
      return false;
    }
    (this.#share[I_OPEN] as number)++;
    return true;
  }

  connectionClosed(): void {
    Atomics.sub(this.#header, H_OPEN, 1);
    (this.#share[I_OPEN] as number)--;
  }

  idleChanged(delta: 1 | -1): void {
    (this.#share[I_IDLE] as number) += delta;
  }

  tunnelsChanged(delta: 1 | -1): void {
    (this.#share[I_TUNNELS] as number) += delta;
  }

  /** A tunnel is about to be cut, as the end of a drain wants. Before it is not in flight any more: see `readCuts`. */
  tunnelCut(): void {
    (this.#totals[F_TUNNELS_CUT] as number)++;
  }

  /** So many requests are. */
  requestsCut(count: number): void {
    (this.#totals[F_REQUESTS_CUT] as number) += count;
  }

  /** One exchange was answered with `status` after `seconds`, by this backend or on its account. */
  requestCompleted(status: number, seconds: number, bytesIn: number, bytesOut: number): void {
    const totals = this.#totals;
    (totals[F_REQUESTS] as number)++;
    countStatus(totals, F_STATUS, status);
    countDuration(totals, F_DURATION, seconds);
    (totals[F_BYTES_IN] as number) += bytesIn;
    (totals[F_BYTES_OUT] as number) += bytesOut;
  }

  /** One of them was a call of gRPC, and ended so. */
  callEnded(grpcStatus: number): void {
    (this.#totals[F_CALLS + grpcStatus] as number)++;
  }

  /** An attempt failed and the backend was to blame. */
  attemptFailed(): void {
    (this.#totals[F_FAILURES] as number)++;
  }

  /** An attempt showed that the backend does well. */
  wentWell(): void {
    (this.#totals[F_JUDGED] as number)++;
    const header = this.#header;
    if (header[H_ERRORS_IN_A_ROW] === 0) return;
    Atomics.store(header, H_ERRORS_IN_A_ROW, 0);
    Atomics.store(header, H_FAILURES_IN_A_ROW, 0);
  }

  /** An attempt showed a fault of the backend. */
  wentBadly(): void {
    (this.#totals[F_JUDGED] as number)++;
    (this.#totals[F_FAULTS] as number)++;
  }

  /** No answer came in time: whether that is a fault is not known here. */
  stayedSilent(): void {
    (this.#totals[F_SILENCES] as number)++;
  }

  /** @returns how many faults of any kind that makes in a row, in all threads together. */
  errorInARow(): number {
    return Atomics.add(this.#header, H_ERRORS_IN_A_ROW, 1) + 1;
  }

  /** @returns how many broken connections that makes in a row, in all threads together. */
  failureInARow(): number {
    return Atomics.add(this.#header, H_FAILURES_IN_A_ROW, 1) + 1;
  }

  /** A bad answer, over a connection that held. */
  connectionHeld(): void {
    Atomics.store(this.#header, H_FAILURES_IN_A_ROW, 0);
  }

  /** An attempt failed and the exchange went on to another attempt. @param reason the code of the failure */
  attemptRetried(reason: string): void {
    countRetry(this.#totals, F_RETRIES, reason);
  }

  /** The response head came `ms` after the request was sent. Racing writers may lose a sample, never corrupt the average. */
  responseHeadAfter(ms: number): void {
    const previous = this.#latency[0] as number;
    this.#latency[0] = previous === 0 ? ms : previous + LATENCY_ALPHA * (ms - previous);
  }
}

export interface BackendTotals {
  readonly inFlight: number;
  readonly openConnections: number;
  readonly idleConnections: number;
  /** Of the requests in flight, those that have become tunnels. */
  readonly tunnels: number;
  readonly requests: number;
  readonly failures: number;
  /** By what made them necessary, in the order of `RETRY_REASONS`. */
  readonly retries: readonly number[];
  /** Attempts that showed how the backend does, and those of them that were a fault. */
  readonly judged: number;
  readonly faults: number;
  /** Any fault; and those by which a connection broke or never was. */
  readonly errorsInARow: number;
  readonly failuresInARow: number;
  /** Bytes of request bodies and heads received from clients. */
  readonly bytesIn: number;
  /** Bytes sent to clients. */
  readonly bytesOut: number;
  /** Moving average of the time to the response head, in ms; 0 before the first response. */
  readonly latencyMs: number;
  readonly durations: Durations;
  /** Requests by status; only statuses that occurred. 600 stands for everything above 599. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Calls of gRPC, by status. */
  readonly calls: readonly number[];
}

/** Control plane: the sum over all threads. */
export function readBackendCounters(buffer: SharedArrayBuffer, threadCount: number): BackendTotals {
  const header = headerOf(buffer);
  const shares = new Int32Array(buffer, HEADER_BYTES, threadCount * I_SHARE);
  const cells = new Float64Array(F_COUNT);
  const statuses = new Map<number, number>();
  const calls: number[] = [];
  const all = new Float64Array(
    buffer,
    HEADER_BYTES + threadCount * I_SHARE * 4,
    threadCount * F_COUNT,
  );
  for (let thread = 0; thread < threadCount; thread++) {
    for (let cell = 0; cell < F_COUNT; cell++) {
      (cells[cell] as number) += all[thread * F_COUNT + cell] as number;
    }
    addStatuses(statuses, all, thread * F_COUNT + F_STATUS);
    addCalls(calls, all, thread * F_COUNT + F_CALLS);
  }
  let idle = 0;
  let tunnels = 0;
  for (let thread = 0; thread < threadCount; thread++) {
    idle += shares[thread * I_SHARE + I_IDLE] as number;
    tunnels += shares[thread * I_SHARE + I_TUNNELS] as number;
  }
  return {
    inFlight: Atomics.load(header, H_IN_FLIGHT),
    openConnections: Atomics.load(header, H_OPEN),
    idleConnections: idle,
    tunnels,
    requests: cells[F_REQUESTS] as number,
    failures: cells[F_FAILURES] as number,
    retries: Array.from(cells.subarray(F_RETRIES, F_COUNT)),
    judged: cells[F_JUDGED] as number,
    faults: cells[F_FAULTS] as number,
    errorsInARow: Atomics.load(header, H_ERRORS_IN_A_ROW),
    failuresInARow: Atomics.load(header, H_FAILURES_IN_A_ROW),
    bytesIn: cells[F_BYTES_IN] as number,
    bytesOut: cells[F_BYTES_OUT] as number,
    latencyMs: new Float64Array(
      buffer,
      headerOffset(buffer) + HEADER_LATENCY_OFFSET,
      1,
    )[0] as number,
    durations: durationsIn(cells, F_DURATION),
    statuses,
    calls,
  };
}

export interface FaultTotals {
  readonly judged: number;
  readonly faults: number;
  /** Attempts that got no answer in time; they are not among the judged. */
  readonly silences: number;
}

/** Control plane: how attempts fared, over all threads. Read every second and more often: without the rest. */
export function readFaultTotals(buffer: SharedArrayBuffer, threadCount: number): FaultTotals {
  const total = totalsIn(buffer, threadCount);
  return { judged: total(F_JUDGED), faults: total(F_FAULTS), silences: total(F_SILENCES) };
}

export interface Cuts {
  readonly tunnels: number;
  readonly requests: number;
}

/**
 * Control plane: what ends of drains have cut so far. Who has read before that nothing is in flight any more finds all of it here: it
 * was counted first.
 */
export function readCuts(buffer: SharedArrayBuffer, threadCount: number): Cuts {
  const total = totalsIn(buffer, threadCount);
  return { tunnels: total(F_TUNNELS_CUT), requests: total(F_REQUESTS_CUT) };
}

/** What a cell holds in the blocks of all threads together. */
function totalsIn(buffer: SharedArrayBuffer, threadCount: number): (cell: number) => number {
  const blocks = HEADER_BYTES + threadCount * I_SHARE * 4;
  const all = new Float64Array(buffer, blocks, threadCount * F_COUNT);
  return (cell) => {
    let sum = 0;
    for (let thread = 0; thread < threadCount; thread++) {
      sum += all[thread * F_COUNT + cell] as number;
    }
    return sum;
  };
}

/** Control plane: from now on the backend gets so many requests, or `GATE_OPEN_WIDE`. */
export function setBackendGate(buffer: SharedArrayBuffer, passes: number): void {
  setGate(headerOf(buffer), H_GATE, passes);
}

/** Control plane: what was counted in a row is dealt with. */
export function forgetFaultsInARow(buffer: SharedArrayBuffer): void {
  const header = headerOf(buffer);
  Atomics.store(header, H_ERRORS_IN_A_ROW, 0);
  Atomics.store(header, H_FAILURES_IN_A_ROW, 0);
}

/** Control plane: a data thread died; its requests and connections are gone with it. */
export function giveBackBackendShare(buffer: SharedArrayBuffer, threadIndex: number): void {
  const header = headerOf(buffer);
  const share = new Int32Array(buffer, HEADER_BYTES + threadIndex * I_SHARE * 4, I_SHARE);
  Atomics.sub(header, H_IN_FLIGHT, share[I_IN_FLIGHT] as number);
  Atomics.sub(header, H_OPEN, share[I_OPEN] as number);
  share.fill(0);
}
