/**
 * The contract between the planes, part three, continued: the counters of the whole process, as a data thread writes and reads
 * them.
 */
import { statusCell } from './counter-cells.ts';
import { ENDINGS, type Ending } from './endings.ts';
import type { DelaySeconds } from './loop-delay.ts';
import {
  P_CLIENTS,
  P_HELD,
  P_LEAVING,
  P_TOLD,
  PF_ACCEPTED,
  PF_ACCEPTS_FAILED,
  PF_CALLS,
  PF_CONNECTIONS_CRASHED,
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
  PS_IDLE,
  PS_LEAVING,
  processHeader,
  processShare,
  REFUSALS,
  type Refusal,
  SCARCE,
  type Scarce,
  totalsOf,
} from './process-cells.ts';

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

  heapIs(usedBytes: number): void {
    this.#totals[PF_HEAP_USED] = usedBytes;
  }

  /** For how long nobody has said how late this event loop is: the thread before this one has died. 0: there was none. */
  silentSeconds(nowMs: number): number {
    const writtenMs = this.#totals[PF_DELAY_AT] as number;
    return writtenMs === 0 ? 0 : (nowMs - writtenMs) / 1e3;
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

  /** Those of this thread. */
  get ownClients(): number {
    return this.#share[PS_CLIENTS] as number;
  }

  /** So many clients of this thread are idle. */
  setIdleClients(count: number): void {
    this.#share[PS_IDLE] = count;
  }

  /** What the other threads said of theirs, a tick ago at most. */
  get idleClientsElsewhere(): number {
    return this.#others.reduce((sum, share) => sum + (share[PS_IDLE] as number), 0);
  }

  /**
   * Claims this thread's share of the clients that are more than `limit`: it is to send away so many of its own, and no
   * other thread does it for them. What it had claimed before is given back.
   */
  claimLeavers(limit: number): number {
    const share = this.#share;
    this.settleLeavers(share[PS_LEAVING] as number);
    const idle = share[PS_IDLE] as number;
    if (idle === 0) return 0;
    for (;;) {
      // In this order: whoever leaves in between was claimed by somebody, so too few are claimed at worst.
      const claimed = Atomics.load(this.#header, P_LEAVING);
      const over = this.clients - claimed - limit;
      if (over <= 0) return 0;
      const all = idle + this.idleClientsElsewhere;
      const count = Math.min(idle, Math.ceil((over * idle) / all));
      const seen = Atomics.compareExchange(this.#header, P_LEAVING, claimed, claimed + count);
      if (seen !== claimed) continue;
      share[PS_LEAVING] = count;
      return count;
    }
  }

  /** Of those that were claimed, so many are gone, or stay after all. */
  settleLeavers(count: number): void {
    if (count === 0) return;
    (this.#share[PS_LEAVING] as number) -= count;
    Atomics.sub(this.#header, P_LEAVING, count);
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

  /** A request that never became an exchange was answered. */
  answeredAlone(status: number): void {
    (this.#totals[PF_STATUS + statusCell(status)] as number)++;
  }

  /** It was a call of gRPC, and ended so. */
  callEnded(grpcStatus: number): void {
    (this.#totals[PF_CALLS + grpcStatus] as number)++;
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

  spansDropped(count: number): void {
    (this.#totals[PF_SPANS_DROPPED] as number) += count;
  }
}
