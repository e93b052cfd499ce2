/** What data threads counted about each backend's attempts since the last look. */
import { readFaultTotals } from '../snapshot/counters.ts';
import type { Backend } from './backend.ts';
import type { Registry } from './registry.ts';

export interface FaultCount {
  readonly backend: Backend;
  /** Attempts that showed how the backend does, and those of them that were a fault. */
  readonly judged: number;
  readonly faults: number;
}

/** A backend that was not there at the last look: its counters began after it. */
const NOTHING = { judged: 0, faults: 0 };

export class FaultCounts {
  readonly #registry: Registry;
  readonly #threadCount: number;
  #seen: ReadonlyMap<number, { readonly judged: number; readonly faults: number }> = new Map();

  constructor(registry: Registry, threadCount: number) {
    this.#registry = registry;
    this.#threadCount = threadCount;
  }

  /** One for each backend. */
  since(): FaultCount[] {
    const seen = new Map<number, { readonly judged: number; readonly faults: number }>();
    const counts = this.#registry.backends().map((backend) => {
      const totals = readFaultTotals(backend.counters, this.#threadCount);
      const before = this.#seen.get(backend.id) ?? NOTHING;
      seen.set(backend.id, totals);
      return {
        backend,
        judged: totals.judged - before.judged,
        faults: totals.faults - before.faults,
      };
    });
    this.#seen = seen;
    return counts;
  }
}
