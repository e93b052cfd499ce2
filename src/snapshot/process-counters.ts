/**
 * The contract between the planes, part three, continued: the counters of the whole process, in shared memory. Made as those
 * of a backend are: see counters.ts.
 */
import { ERROR_CODES } from '../errors.ts';
import {
  GATE_OPEN_WIDE,
  readStatuses,
  returnPass,
  STATUSES,
  setGate,
  statusCell,
  takePass,
} from './counter-cells.ts';
import { ENDINGS, type Ending } from './endings.ts';
import type { DelaySeconds } from './loop-delay.ts';
import { processClockOffsetMs } from './process-clock.ts';

// The buffer: shared Int32 cells, then Int32 gauges of each thread, then a float64 block of each thread.
const P_ROUND_ROBIN = 0;
const P_CLIENTS = 1;
const P_QUEUED = 2;
const P_GATE = 3;
/** Second of the process clock in which a shut gate is looked at again. */
const P_GATE_OPENS_AT = 4;
/** Of those that wait, the ones that nobody overtakes. */
const P_IN_LINE = 5;
/** KiB that wait in memory. */
const P_HELD = 6;
/** When the log was last told of each thing that it is told of now and then. */
const P_TOLD = 7;
const TOPICS = 5;
const P_HEADER_CELLS = P_TOLD + TOPICS;
const P_HEADER_BYTES = 64;
// Int32 gauges of one thread.
const PS_CLIENTS = 0;
const PS_QUEUED = 1;
const PS_IN_LINE = 2;
/** One at the thread's birth and one for each tick; 0 before. */
const PS_BEATS = 3;
const PS_HELD = 4;
/** Clients that would make room for others. */
const PS_IDLE = 5;
/** An even number: what follows is aligned to 8 bytes. */
const PS_COUNT = 6;
const PF_ACCEPTED = 0;
const PF_LOG_LINES_DROPPED = 1;
const PF_QUEUED = 2;
const PF_QUEUE_SECONDS = 3;
const PF_HEDGES = 4;
const PF_RETRIES_REFUSED = 5;
const PF_SESSIONS_EVICTED = 6;
const PF_RATES_EVICTED = 7;
const PF_CONNECTIONS_CRASHED = 8;
const PF_EXCEPTIONS = 9;
// Of the event loop, and when that was written, on the process clock: 0 before.
const PF_DELAY_P50 = 10;
const PF_DELAY_P99 = 11;
const PF_DELAY_MAX = 12;
const PF_DELAY_AT = 13;
/** By `REFUSALS`, and by `SCARCE`. */
const PF_REFUSED = 14;
const PF_IDLE_CLOSED = 17;
const PF_ACCEPTS_FAILED = 19;
const PF_STATUS = 20;
const PF_ERROR = PF_STATUS + STATUSES;
const PF_CUT = PF_ERROR + ERROR_CODES.length;
const PF_COUNT = PF_CUT + ENDINGS.length;

/** What there is too little of where clients that are idle make room; also the label of the metric. */
const SCARCE = ['limit', 'descriptors'] as const;
export type Scarce = (typeof SCARCE)[number];
/** Why clients are closed at once, likewise. `client`: the limit on those of one network. */
const REFUSALS = [...SCARCE, 'client'] as const;
export type Refusal = (typeof REFUSALS)[number];

function processShareBytes(threadCount: number): number {
  return threadCount * PS_COUNT * 4;
}

export function createProcessCounters(threadCount: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(
    P_HEADER_BYTES + processShareBytes(threadCount) + threadCount * PF_COUNT * 8,
  );
  setGate(processHeader(buffer), P_GATE, GATE_OPEN_WIDE);
  return buffer;
}

function processHeader(buffer: SharedArrayBuffer): Int32Array {
  return new Int32Array(buffer, 0, P_HEADER_CELLS);
}

function processShare(buffer: SharedArrayBuffer, threadIndex: number): Int32Array {
  return new Int32Array(buffer, P_HEADER_BYTES + threadIndex * PS_COUNT * 4, PS_COUNT);
}

function totalsOf(
  buffer: SharedArrayBuffer,
  threadIndex: number,
  threadCount: number,
): Float64Array {
  const blocks = P_HEADER_BYTES + processShareBytes(threadCount);
  return new Float64Array(buffer, blocks + threadIndex * PF_COUNT * 8, PF_COUNT);
}

/** What one data thread writes about itself and about exchanges that never reached a backend. */
export class ProcessCounters {
  readonly #header: Int32Array;
  readonly #share: Int32Array;
  readonly #totals: Float64Array;
  /** The shares of the other threads. */
  readonly #others: readonly Int32Array[];

  constructor(buffer: SharedArrayBuffer, threadIndex: number, threadCount: number) {
    this.#header = processHeader(buffer);
    this.#share = processShare(buffer, threadIndex);
    this.#others = Array.from({ length: threadCount }, (_, index) =>
      processShare(buffer, index),
    ).filter((_, index) => index !== threadIndex);
    this.#totals = totalsOf(buffer, threadIndex, threadCount);
  }

  /** The thread is alive. */
  beat(): void {
    Atomics.add(this.#share, PS_BEATS, 1);
  }

  /** How late the event loop is. @param nowMs on the process clock */
  loopIsLate({ p50, p99, max }: DelaySeconds, nowMs: number): void {
    const totals = this.#totals;
    totals[PF_DELAY_P50] = p50;
    totals[PF_DELAY_P99] = p99;
    totals[PF_DELAY_MAX] = max;
    totals[PF_DELAY_AT] = nowMs;
  }

  /** For how long nobody has said how late this event loop is: the thread before this one has died. 0: there was none. */
  silentSeconds(nowMs: number): number {
    const writtenMs = this.#totals[PF_DELAY_AT] as number;
    return writtenMs === 0 ? 0 : (nowMs - writtenMs) / 1e3;
  }

  /** The next ticket of the round robin that all threads share, as an unsigned 32-bit number. */
  nextTurn(): number {
    return Atomics.add(this.#header, P_ROUND_ROBIN, 1) >>> 0;
  }

  /** Takes one of `limit` client connections (0: no limit); false when all are taken. */
  tryAcceptClient(limit: number): boolean {
    if (Atomics.add(this.#header, P_CLIENTS, 1) >= limit && limit !== 0) {
      Atomics.sub(this.#header, P_CLIENTS, 1);
      return false;
    }
    this.#noteAccepted();
    return true;
  }

  /** Takes a client connection whatever the limit is. */
  acceptClient(): void {
    Atomics.add(this.#header, P_CLIENTS, 1);
    this.#noteAccepted();
  }

  #noteAccepted(): void {
    (this.#share[PS_CLIENTS] as number)++;
    (this.#totals[PF_ACCEPTED] as number)++;
  }

  /** Client connections of all threads. */
  get clients(): number {
    return Atomics.load(this.#header, P_CLIENTS);
  }

  /** So many clients of this thread are idle. */
  setIdleClients(count: number): void {
    this.#share[PS_IDLE] = count;
  }

  /** What the other threads said of theirs, a tick ago at most. */
  get idleClientsElsewhere(): number {
    return this.#others.reduce((sum, share) => sum + (share[PS_IDLE] as number), 0);
  }

  clientRefused(refusal: Refusal): void {
    (this.#totals[PF_REFUSED + REFUSALS.indexOf(refusal)] as number)++;
  }

  /** It has made room for another one. */
  idleClientClosed(scarce: Scarce): void {
    (this.#totals[PF_IDLE_CLOSED + SCARCE.indexOf(scarce)] as number)++;
  }

  acceptFailed(): void {
    (this.#totals[PF_ACCEPTS_FAILED] as number)++;
  }

  /** Whether the log may be told of this topic again. @param second of the process clock */
  mayTell(topic: number, second: number, everySeconds: number): boolean {
    const last = Atomics.load(this.#header, P_TOLD + topic);
    if (last !== 0 && second - last < everySeconds) return false;
    // Another thread may have been quicker.
    return (
      Atomics.compareExchange(this.#header, P_TOLD + topic, last, Math.max(1, second)) === last
    );
  }

  clientClosed(): void {
    Atomics.sub(this.#header, P_CLIENTS, 1);
    (this.#share[PS_CLIENTS] as number)--;
  }

  /** So many bytes wait in this thread's memory now. @returns how many do in all threads together, by the KiB */
  holds(bytes: number): number {
    const share = this.#share;
    const change = Math.ceil(bytes / 1024) - (share[PS_HELD] as number);
    if (change === 0) return Atomics.load(this.#header, P_HELD) * 1024;
    (share[PS_HELD] as number) += change;
    return (Atomics.add(this.#header, P_HELD, change) + change) * 1024;
  }

  /** The pool's circuit breaker lets a request through, or does not (`NO_PASS`); half-open, it has a few passes. */
  takePass(): number {
    return takePass(this.#header, P_GATE);
  }

  /** What `takePass` has taken was not used. */
  returnPass(pass: number): void {
    returnPass(this.#header, P_GATE, pass);
  }

  /** Whole seconds until the shut gate lets requests try, rounded up, at least 1. @param nowMs on the process clock */
  gateOpensInSeconds(nowMs: number): number {
    const opensAt = Atomics.load(this.#header, P_GATE_OPENS_AT);
    return Math.max(1, opensAt - Math.floor(nowMs / 1_000));
  }

  /** Requests that wait for a backend with room, of all threads. */
  get queued(): number {
    return Atomics.load(this.#header, P_QUEUED);
  }

  get inLine(): number {
    return Atomics.load(this.#header, P_IN_LINE);
  }

  /** Takes one of `limit` places in the queue; false when all are taken. */
  tryEnqueue(limit: number, isInLine: boolean): boolean {
    if (Atomics.add(this.#header, P_QUEUED, 1) >= limit) {
      Atomics.sub(this.#header, P_QUEUED, 1);
      return false;
    }
    (this.#share[PS_QUEUED] as number)++;
    if (isInLine) {
      Atomics.add(this.#header, P_IN_LINE, 1);
      (this.#share[PS_IN_LINE] as number)++;
    }
    return true;
  }

  /** A request left the queue, for whatever reason, after so long. */
  dequeued(seconds: number, wasInLine: boolean): void {
    Atomics.sub(this.#header, P_QUEUED, 1);
    (this.#share[PS_QUEUED] as number)--;
    if (wasInLine) {
      Atomics.sub(this.#header, P_IN_LINE, 1);
      (this.#share[PS_IN_LINE] as number)--;
    }
    (this.#totals[PF_QUEUED] as number)++;
    (this.#totals[PF_QUEUE_SECONDS] as number) += seconds;
  }

  /** A second attempt began beside the first. */
  hedged(): void {
    (this.#totals[PF_HEDGES] as number)++;
  }

  /** An attempt failed that the rules would have tried again, but the budget was spent. */
  retryRefused(): void {
    (this.#totals[PF_RETRIES_REFUSED] as number)++;
  }

  /** A session was forgotten before its time, for want of room. */
  sessionEvicted(): void {
    (this.#totals[PF_SESSIONS_EVICTED] as number)++;
  }

  /** What a client had used of its rate limit was forgotten before its time, for want of room. */
  rateEvicted(): void {
    (this.#totals[PF_RATES_EVICTED] as number)++;
  }

  /** An exchange ended without a backend. */
  answeredAlone(status: number): void {
    (this.#totals[PF_STATUS + statusCell(status)] as number)++;
  }

  /** An exchange ended with this error (index in `ERROR_CODES`). */
  failed(errorIndex: number): void {
    (this.#totals[PF_ERROR + errorIndex] as number)++;
  }

  /** A client did not get all of its answer. */
  cutOff(ending: Ending): void {
    (this.#totals[PF_CUT + ENDINGS.indexOf(ending)] as number)++;
  }

  /** A client's connection was closed because its handling threw. */
  connectionCrashed(): void {
    (this.#totals[PF_CONNECTIONS_CRASHED] as number)++;
  }

  /** An exception that belongs to no client. */
  exceptionCaught(): void {
    (this.#totals[PF_EXCEPTIONS] as number)++;
  }

  logLinesDropped(count: number): void {
    (this.#totals[PF_LOG_LINES_DROPPED] as number) += count;
  }
}

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
  share.fill(0);
}
