/** What data threads counted about each backend's attempts since the last look. */
import { type FaultTotals, readFaultTotals } from '../../snapshot/counters.ts';
import type { Backend } from '../backend.ts';
import type { PoolRegistry } from '../pool-registry.ts';

export interface FaultCount {
  readonly backend: Backend;
  /** Attempts that showed how the backend does, and those of them that were a fault. */
  readonly judged: number;
  readonly faults: number;
}

/** A backend that was not there at the last look: its counters began after it. */
const NOTHING: FaultTotals = { judged: 0, faults: 0, silences: 0 };

/**
 * How many of the answers that did not come in time are faults. A backend may rightly be silent, with a long poll; so they
 * are none by themselves, but beside another sign: its check fails, its circuit breaker is not closed, or all else that
 * came of it failed, and then no more of them than of that.
 */
function countedSilences(backend: Backend, { judged, faults, silences }: FaultTotals): number {
  if (backend.isCheckFailing || backend.breaker.state !== 'closed') return silences;
  return judged === faults ? Math.min(silences, faults) : 0;
}

export class FaultCounts {
  readonly #registry: PoolRegistry;
  readonly #threadCount: number;
  #seen: ReadonlyMap<number, FaultTotals> = new Map();

  constructor(registry: PoolRegistry, threadCount: number) {
    this.#registry = registry;
    this.#threadCount = threadCount;
  }

  /** One for each backend. */
  since(): FaultCount[] {
    const seen = new Map<number, FaultTotals>();
    const counts = this.#registry.backends().map((backend) => {
      const totals = readFaultTotals(backend.counters, this.#threadCount);
      const before = this.#seen.get(backend.id) ?? backend.pastFaults ?? NOTHING;
      seen.set(backend.id, totals);
      const news = {
        judged: totals.judged - before.judged,
        faults: totals.faults - before.faults,
        silences: totals.silences - before.silences,
      };
      const counted = countedSilences(backend, news);
      return { backend, judged: news.judged + counted, faults: news.faults + counted };
    });
    this.#seen = seen;
    return counts;
  }
}
