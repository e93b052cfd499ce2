/**
 * Backends on their way out of use: since when, until when, and how far they are. The data threads end the tunnels, requests
 * end by themselves; here is only what the admin API tells of it, and what the threads are told.
 */
import type { Logger } from '../observe/logger.ts';
import { readBackendCounters } from '../snapshot/counters.ts';
import type { DrainBackendMessage, KeepBackendMessage } from '../snapshot/messages.ts';
import type { Backend } from './backend.ts';

export interface DrainsOptions {
  readonly log: Logger;
  readonly threadCount: number;
  /** Tells every data thread. */
  readonly tell: (message: DrainBackendMessage | KeepBackendMessage) => void;
  readonly now?: () => number;
}

interface Drain {
  readonly since: number;
  readonly deadline: number;
  /** Tunnels that the deadline has cut so far, in all threads together. */
  cut: number;
}

/** The field names are an interface: see docs. */
export interface DrainView {
  readonly draining: {
    /** Null where the drain began before the process did: nothing from then is left. */
    readonly since: string | null;
    readonly deadline: string | null;
    /** Tunnels among them. */
    readonly in_flight: number;
    readonly tunnels: number;
    readonly cut: number;
  };
  /** Nothing is in flight there. */
  readonly drained: boolean;
}

export class Drains {
  readonly #log: Logger;
  readonly #threadCount: number;
  readonly #tell: DrainsOptions['tell'];
  readonly #now: () => number;
  readonly #drains = new Map<number, Drain>();

  constructor(options: DrainsOptions) {
    this.#log = options.log;
    this.#threadCount = options.threadCount;
    this.#tell = options.tell;
    this.#now = options.now ?? Date.now;
  }

  has(id: number): boolean {
    return this.#drains.has(id);
  }

  /** Begins anew for a backend that drains already. */
  start(id: number, durationMs: number): void {
    const since = this.#now();
    this.#drains.set(id, { since, deadline: since + durationMs, cut: 0 });
    this.#tell({ kind: 'drain-backend', backendId: id, deadlineMs: durationMs });
  }

  cancel(id: number): void {
    if (this.#drains.delete(id)) this.#tell({ kind: 'keep-backend', backendId: id });
  }

  /** The backend is gone; what the threads were told of its tunnels goes on. */
  forget(id: number): void {
    this.#drains.delete(id);
  }

  tunnelsCut(id: number, count: number): void {
    const drain = this.#drains.get(id);
    if (drain !== undefined) drain.cut += count;
    this.#log.warn(
      'backend.tunnels_cut',
      `${count} tunnels to backend ${id} were cut at the deadline of its drain`,
      { id, count },
    );
  }

  /** Undefined for a backend that is not draining. */
  view({ id, adminState, counters }: Backend): DrainView | undefined {
    if (adminState !== 'draining') return undefined;
    const { inFlight, tunnels } = readBackendCounters(counters, this.#threadCount);
    const drain = this.#drains.get(id);
    return {
      draining: {
        since: drain === undefined ? null : new Date(drain.since).toISOString(),
        deadline: drain === undefined ? null : new Date(drain.deadline).toISOString(),
        in_flight: inFlight,
        tunnels,
        cut: drain?.cut ?? 0,
      },
      drained: inFlight === 0,
    };
  }
}
