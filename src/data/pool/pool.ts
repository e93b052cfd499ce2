/**
 * What a data thread keeps of one pool from one snapshot to the next: its queue, its retry budget, its counters. What a snapshot
 * says of it is its `view`.
 */
import { PoolCounters } from '../../snapshot/pool-counters.ts';
import type { PoolSnapshot } from '../../snapshot/snapshot.ts';
import type { Deadlines } from '../deadlines.ts';
import type { PoolView } from './pool-view.ts';
import { RequestQueue } from './request-queue.ts';
import { RetryBudget } from './retry-budget.ts';

/** What a pool uses of the thread that it lives in. */
export interface PoolThread {
  readonly threadIndex: number;
  readonly threadCount: number;
  readonly deadlines: Deadlines;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class Pool {
  /** Stable for the life of the pool; never reused within a process. */
  readonly id: number;
  readonly counters: PoolCounters;
  readonly queue: RequestQueue;
  readonly retryBudget: RetryBudget;
  /** Mirrored requests under way here: see relay/mirrors.ts. */
  copies = 0;
  #view: PoolView | null = null;

  constructor({ id, counters }: PoolSnapshot, thread: PoolThread) {
    const { threadIndex, threadCount, deadlines, random } = thread;
    this.id = id;
    this.counters = new PoolCounters(counters, threadIndex, threadCount);
    this.queue = new RequestQueue(this.counters, deadlines, random);
    this.retryBudget = new RetryBudget(threadCount, () => performance.now());
  }

  /** As it is now; of a pool that has left the snapshot, its last one: whoever waits there is served yet. */
  get view(): PoolView {
    if (this.#view === null) throw new Error('a pool is used before its snapshot');
    return this.#view;
  }

  /** The one assignment by which a snapshot takes effect for this pool. */
  swapView(view: PoolView): void {
    this.#view = view;
  }
}
