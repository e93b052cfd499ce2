/**
 * A circuit breaker as a pure state machine: closed, open, half-open (Nygard, "Release It!"; the thresholds are those of
 * resilience4j and Envoy). Fed with what was judged since the last time; answers how many requests may pass from now on.
 *
 * - closed → open: enough was judged within the interval, and enough of it was a fault.
 * - open → half-open when its time is over. What is judged meanwhile was sent before, and counts for nothing.
 * - half-open → closed when as many requests were good as were let through; → open with the first fault, for twice as long
 *   as the last time, at most ten times the configured one.
 * - Half-open with nobody asking stays so. Requests that were let through and never judged (the client left) would keep it
 *   half-open for ever: after the configured time what is missing is let through again.
 */
import type { BreakerSettings } from '../../config/settings.ts';
import { GATE_OPEN_WIDE } from '../../snapshot/counter-cells.ts';
import { type BreakerStatus, CLOSED } from '../backend.ts';
import { FaultWindow } from './fault-window.ts';

const MOST_OPEN_TIMES = 10;

/** An open breaker as it goes from one process to the next. */
export interface BreakerRecord {
  /** 0: it was half-open. */
  readonly remainingMs: number;
  /** How long it was opened for. */
  readonly openMs: number;
  readonly reason: string;
}

export class CircuitBreaker {
  readonly #window = new FaultWindow();
  #status: BreakerStatus = CLOSED;
  /** How long it was last opened for. */
  #openMs = 0;
  #good = 0;
  #newProbesAt = 0;

  get status(): BreakerStatus {
    return this.#status;
  }

  /**
   * What came since the last call.
   * @returns how many requests may pass from now on (or `GATE_OPEN_WIDE`); undefined: no change.
   */
  advance(
    now: number,
    judged: number,
    faults: number,
    settings: BreakerSettings,
  ): number | undefined {
    switch (this.#status.state) {
      case 'closed':
        this.#window.add(now, judged, faults, settings.intervalMs);
        if (!this.#window.isOver(settings.minRequests, settings.failurePercent)) return undefined;
        return this.#open(now, settings.openMs, this.#window.describe());
      case 'open':
        return now < (this.#status.until ?? 0) ? undefined : this.#halfOpen(now, settings);
      case 'half-open':
        return this.#try(now, judged, faults, settings);
      default:
        return this.#status.state satisfies never;
    }
  }

  /** Undefined: it is closed. */
  record(now: number): BreakerRecord | undefined {
    const { state, until = now, reason = '' } = this.#status;
    if (state === 'closed') return undefined;
    return { remainingMs: Math.max(0, until - now), openMs: this.#openMs, reason };
  }

  /** Open, as it was in another process; a half-open one tries anew. @returns how many requests may pass */
  takeUp(now: number, { remainingMs, openMs, reason }: BreakerRecord): number {
    const gate = this.#open(now, remainingMs, reason);
    this.#openMs = openMs;
    return gate;
  }

  /** The backend is out for another reason: what took it out says nothing about how it will come back. */
  forget(): void {
    this.#window.clear();
  }

  #open(now: number, openMs: number, reason: string): number {
    this.#window.clear();
    this.#openMs = openMs;
    this.#status = { state: 'open', until: now + openMs, reason };
    return 0;
  }

  #halfOpen(now: number, settings: BreakerSettings): number {
    this.#good = 0;
    this.#newProbesAt = now + settings.openMs;
    this.#status = { ...this.#status, state: 'half-open', until: undefined };
    return settings.halfOpenRequests;
  }

  #try(
    now: number,
    judged: number,
    faults: number,
    { openMs, halfOpenRequests }: BreakerSettings,
  ): number | undefined {
    if (faults > 0) {
      const longer = Math.min(this.#openMs * 2, openMs * MOST_OPEN_TIMES);
      return this.#open(now, longer, 'a request that tried it failed');
    }
    this.#good += judged;
    if (this.#good >= halfOpenRequests) {
      this.#status = CLOSED;
      return GATE_OPEN_WIDE;
    }
    if (now < this.#newProbesAt) return undefined;
    this.#newProbesAt = now + openMs;
    return halfOpenRequests - this.#good;
  }
}
