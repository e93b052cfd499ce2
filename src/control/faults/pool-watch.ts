/**
 * Keeps what the data plane picks from as it should be: looks at what requests showed, lets ejections and slow starts run
 * out, and publishes eligibility when it has become another one. One timer, to whatever comes first.
 */
import { isSame } from '../../config/values/same.ts';
import type { Logger } from '../../observe/logger.ts';
import type { FaultsInARowMessage } from '../../snapshot/messages.ts';
import type { Eligibility } from '../../snapshot/snapshot.ts';
import type { Backend } from '../backend.ts';
import type { Decision } from '../eligibility.ts';
import type { PoolRegistry } from '../pool-registry.ts';
import type { BreakerRecord } from './circuit-breaker.ts';
import { CircuitBreakers } from './circuit-breakers.ts';
import { FaultCounts } from './fault-counts.ts';
import { type EjectionCounts, type EjectionRecord, OutlierDetection } from './outlier-detection.ts';

/** What requests have brought upon a backend, as it goes from one process to the next. */
export interface FaultRecord {
  readonly ejection?: EjectionRecord | undefined;
  readonly breaker?: BreakerRecord | undefined;
}

export interface PoolWatchOptions {
  readonly registry: PoolRegistry;
  readonly log: Logger;
  readonly threadCount: number;
  /** Tells the data threads. */
  readonly publish: (eligibility: Eligibility) => void;
}

/** The longest that a timer of Node waits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class PoolWatch {
  readonly #registry: PoolRegistry;
  readonly #log: Logger;
  readonly #publish: (eligibility: Eligibility) => void;
  readonly #outliers: OutlierDetection;
  readonly #breakers: CircuitBreakers;
  readonly #counts: FaultCounts;
  #published: Eligibility;
  #nextSampleAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** The data threads run on the registry's snapshot of this moment, or are about to. */
  constructor(options: PoolWatchOptions) {
    const { registry, log } = options;
    this.#registry = registry;
    this.#log = log;
    this.#publish = options.publish;
    this.#outliers = new OutlierDetection({ registry, log });
    this.#breakers = new CircuitBreakers({ registry, log });
    this.#counts = new FaultCounts(registry, options.threadCount);
    this.#published = registry.eligibility();
    this.sync(this.#published);
  }

  /** An operator changed something, and the data threads were told of this eligibility with it. */
  sync(published: Eligibility): void {
    if (this.#isStopped) return;
    this.#note(published);
    this.#outliers.sync();
    this.#breakers.sync();
    // What was counted while nobody wanted to know is past.
    if (this.#nextSampleAt === Number.POSITIVE_INFINITY) this.#counts.since();
    this.refresh();
  }

  /** Something about a backend changed: publishes what comes of it. */
  refresh(): void {
    if (this.#isStopped) return;
    const decision = this.#registry.decision();
    if (!isSame(decision.eligibility, this.#published)) {
      this.#note(decision.eligibility);
      this.#publish(decision.eligibility);
    }
    this.#schedule(decision);
  }

  /** As a data thread reported. */
  faultsInARow({ backendId, rule, detail }: FaultsInARowMessage): void {
    if (this.#isStopped) return;
    this.#outliers.faultsInARow(backendId, rule, detail);
    this.refresh();
  }

  /** A health check passed that began at this time. */
  checkPassed(id: number, startedAt: number): void {
    if (this.#isStopped || this.#registry.backend(id)?.ejection === undefined) return;
    this.#outliers.checkPassed(id, startedAt);
    this.refresh();
  }

  /** It could not be connected to, and is healthy again. */
  recovered(id: number): void {
    if (this.#isStopped) return;
    this.#outliers.recovered(id);
    this.refresh();
  }

  /** Ejections of one backend so far. */
  ejections(id: number): EjectionCounts {
    return this.#outliers.counts(id);
  }

  record(backend: Backend): FaultRecord {
    return {
      ejection: this.#outliers.record(backend),
      breaker: this.#breakers.record(backend.id),
    };
  }

  /** Of the breaker of the pool. */
  recordOfPool(): BreakerRecord | undefined {
    return this.#breakers.recordOfPool();
  }

  /** So it was in the process before this one. Shown by what comes next, `sync` or `refresh`. */
  takeUp(id: number, { ejection, breaker }: FaultRecord): void {
    if (ejection !== undefined) this.#outliers.takeUp(id, ejection);
    if (breaker !== undefined) this.#breakers.takeUp(id, breaker);
  }

  takeUpOfPool(breaker: BreakerRecord): void {
    this.#breakers.takeUpOfPool(breaker);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #wake(): void {
    if (this.#registry.now() >= this.#nextSampleAt) {
      this.#nextSampleAt = Number.POSITIVE_INFINITY;
      const counts = this.#counts.since();
      this.#outliers.sample(counts);
      this.#breakers.sample(counts);
    }
    this.#outliers.returnDue();
    this.refresh();
  }

  #schedule({ nextStepAt = Number.POSITIVE_INFINITY }: Decision): void {
    clearTimeout(this.#timer);
    const now = this.#registry.now();
    const never = Number.POSITIVE_INFINITY;
    const pollMs = Math.min(this.#outliers.pollMs ?? never, this.#breakers.pollMs ?? never);
    // A change in between must not put the sample off.
    this.#nextSampleAt = pollMs === never ? never : Math.min(this.#nextSampleAt, now + pollMs);
    const next = Math.min(this.#nextSampleAt, this.#outliers.nextReturnAt, nextStepAt);
    if (next === never) return;
    const waitMs = Math.min(LONGEST_TIMER_MS, Math.max(1, Math.ceil(next - now)));
    this.#timer = setTimeout(() => this.#wake(), waitMs);
  }

  #note(eligibility: Eligibility): void {
    const wasPanic = this.#published.isPanic;
    this.#published = eligibility;
    if (eligibility.isPanic === wasPanic) return;
    const { primaries, eligiblePrimaries } = this.#registry.decision();
    const fields = { eligible: eligiblePrimaries, backends: primaries };
    const count = `${eligiblePrimaries} of ${primaries} backends ${eligiblePrimaries === 1 ? 'is' : 'are'} eligible`;
    if (eligibility.isPanic) {
      this.#log.error('pool.panic', `panic: ${count}, so others are used as well`, fields);
    } else {
      this.#log.info('pool.panic_over', `the panic is over: ${count}`, fields);
    }
  }
}
