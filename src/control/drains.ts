/**
 * Backends on their way out of use: since when, until when, and how far they are. The data threads end the tunnels, requests
 * end by themselves; here is only what the admin API tells of it, and what the threads are told.
 */
import { DEFAULT_POOL } from '../config/settings.ts';
import type { Logger } from '../observe/logger.ts';
import { type Cuts, readBackendCounters, readCuts } from '../snapshot/counters.ts';
import type {
  CutBackendMessage,
  DrainBackendMessage,
  KeepBackendMessage,
} from '../snapshot/messages.ts';
import { type Backend, isFit } from './backend.ts';
import type { SessionsWhileDraining } from './operator-words.ts';
import { poolLog } from './pool-log.ts';

/** In the place of why it gets no new clients. */
const DRAINED = 'drained: nothing is in flight there, and nothing comes any more';

const NO_CUTS: Cuts = { tunnels: 0, requests: 0 };

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface DrainsOptions {
  readonly log: Logger;
  readonly threadCount: number;
  /** Tells every data thread. */
  readonly tell: (message: DrainBackendMessage | KeepBackendMessage | CutBackendMessage) => void;
  /** Sessions go elsewhere from now on, or stay; resolves when every data thread knows. */
  readonly moveSessions: (id: number, areMoved: boolean) => Promise<void>;
  /** The name of the pool of a backend, which may be gone by now. */
  readonly poolOf: (id: number) => string | undefined;
  /** What the threads count of it; undefined: it is not there. */
  readonly countersOf: (id: number) => SharedArrayBuffer | undefined;
  /** Its pool has sessions at all. */
  readonly hasSessions: (id: number) => boolean;
  readonly now?: () => number;
}

interface Drain {
  readonly since: number;
  readonly deadline: number;
  readonly counters: SharedArrayBuffer | undefined;
  /** What had been cut when it began: earlier drains may have. */
  readonly pastCuts: Cuts;
  readonly sessions: SessionsWhileDraining;
  /** The deadline cuts requests too. */
  readonly cutsRequests: boolean;
  /** No data thread sends anything here any more. */
  isOver: boolean;
  /** Until the deadline. */
  timer: NodeJS.Timeout | undefined;
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
    /** Tunnels, and requests, that the deadline has cut. */
    readonly cut: number;
    readonly cut_requests: number;
    /** `move`: its sessions have left, or leave at once. `keep`: at the deadline. */
    readonly sessions: SessionsWhileDraining;
  };
  /** Nothing is in flight there, and nothing comes any more. */
  readonly drained: boolean;
}

export class Drains {
  readonly #log: Logger;
  readonly #threadCount: number;
  readonly #tell: DrainsOptions['tell'];
  readonly #moveSessions: DrainsOptions['moveSessions'];
  readonly #poolOf: (id: number) => string | undefined;
  readonly #countersOf: DrainsOptions['countersOf'];
  readonly #hasSessions: (id: number) => boolean;
  readonly #now: () => number;
  readonly #drains = new Map<number, Drain>();
  /** Of backends that are gone: what is in flight there is cut all the same. */
  readonly #outliving = new Map<number, NodeJS.Timeout>();

  constructor(options: DrainsOptions) {
    this.#log = options.log;
    this.#threadCount = options.threadCount;
    this.#tell = options.tell;
    this.#moveSessions = options.moveSessions;
    this.#poolOf = options.poolOf;
    this.#countersOf = options.countersOf;
    this.#hasSessions = options.hasSessions;
    this.#now = options.now ?? Date.now;
  }

  /** What is another thing as soon as the drain of this backend is begun anew, or over. */
  underWay(id: number): unknown {
    return this.#drains.get(id);
  }

  has(id: number): boolean {
    return this.#drains.has(id);
  }

  /**
   * Begins anew for a backend that drains already.
   * @returns resolves when the data threads know what becomes of its sessions.
   */
  start(
    id: number,
    durationMs: number,
    sessions: SessionsWhileDraining = 'keep',
    cutsRequests = false,
  ): Promise<void> {
    this.forget(id);
    const since = this.#now();
    const counters = this.#countersOf(id);
    const drain: Drain = {
      since,
      deadline: since + durationMs,
      counters,
      pastCuts: this.#cuts(counters),
      sessions,
      cutsRequests,
      isOver: false,
      timer: undefined,
    };
    this.#drains.set(id, drain);
    const inForce = sessions === 'move' ? this.#finish(id, drain) : this.#moveSessions(id, false);
    const ms = Math.min(durationMs, LONGEST_TIMER_MS);
    drain.timer = setTimeout(() => void this.#end(id, drain), ms);
    drain.timer.unref();
    this.#tell({ kind: 'drain-backend', backendId: id, deadlineMs: durationMs });
    return inForce;
  }

  /** Nothing has to leave it. Of one that comes back nothing may be known here: the threads still go by what they were told before. */
  cancel(id: number): void {
    this.forget(id);
    this.#tell({ kind: 'keep-backend', backendId: id });
  }

  /** The backend is gone; what the threads were told of its tunnels goes on. */
  forget(id: number): void {
    clearTimeout(this.#drains.get(id)?.timer);
    clearTimeout(this.#outliving.get(id));
    this.#drains.delete(id);
    this.#outliving.delete(id);
  }

  /**
   * The config does not list the backend any more, and so its drain is over. What is in flight there keeps the time that it was
   * given, and no more if the deadline was to cut it.
   * @returns whether it was draining
   */
  endWithBackend(id: number): boolean {
    const drain = this.#drains.get(id);
    if (drain === undefined) return false;
    const { timer, cutsRequests } = drain;
    this.#drains.delete(id);
    if (!cutsRequests) clearTimeout(timer);
    else if (timer !== undefined) this.#outliving.set(id, timer);
    return true;
  }

  /** What is in flight there is not waited for any longer. It may have been removed. */
  cutOff(id: number): void {
    this.#tell({ kind: 'cut-backend', backendId: id });
  }

  /** For the log. What the API shows is counted by the threads: this may come after the news that nothing is in flight any more. */
  requestsCut(id: number, count: number): void {
    const log = this.#logOf(id);
    log.warn(
      'backend.requests_cut',
      `the end of a drain or a removal has cut ${count} in flight at backend ${id}, as asked`,
      { id, count },
    );
  }

  /** As above. */
  tunnelsCut(id: number, count: number): void {
    const log = this.#logOf(id);
    log.warn(
      'backend.tunnels_cut',
      `the deadline of its drain has cut ${count} of the tunnels to backend ${id}`,
      { id, count },
    );
  }

  /** Nothing is in flight at a backend that drains, and nothing comes any more. */
  isDrained(backend: Backend): boolean {
    const drain = this.#drains.get(backend.id);
    const mayGetMore =
      this.#hasSessions(backend.id) && !(drain?.isOver ?? backend.hasMovedSessions);
    return !mayGetMore && readBackendCounters(backend.counters, this.#threadCount).inFlight === 0;
  }

  /** A view of a backend, with what there is to say of its drain. */
  shown<View extends { readonly why: string }>(view: View, backend: Backend): View {
    const drain = this.view(backend);
    const isDone = drain?.drained === true && isFit(backend);
    return { ...view, ...drain, ...(isDone && { why: DRAINED }) };
  }

  /** Undefined for a backend that is not draining. */
  view(backend: Backend): DrainView | undefined {
    const { id, adminState, counters } = backend;
    if (adminState !== 'draining') return undefined;
    const drain = this.#drains.get(id);
    // What was cut is read last: a drain that is over must not hide any of it.
    const drained = this.isDrained(backend);
    const { inFlight, tunnels } = readBackendCounters(counters, this.#threadCount);
    const now = this.#cuts(drain?.counters);
    const past = drain?.pastCuts ?? NO_CUTS;
    return {
      draining: {
        since: drain === undefined ? null : new Date(drain.since).toISOString(),
        deadline: drain === undefined ? null : new Date(drain.deadline).toISOString(),
        in_flight: inFlight,
        tunnels,
        cut: now.tunnels - past.tunnels,
        cut_requests: now.requests - past.requests,
        sessions: backend.hasMovedSessions ? 'move' : (drain?.sessions ?? 'keep'),
      },
      drained,
    };
  }

  #cuts(counters: SharedArrayBuffer | undefined): Cuts {
    return counters === undefined ? NO_CUTS : readCuts(counters, this.#threadCount);
  }

  #logOf(id: number): Logger {
    return poolLog(this.#log, this.#poolOf(id) ?? DEFAULT_POOL);
  }

  async #end(id: number, drain: Drain): Promise<void> {
    drain.timer = undefined;
    if (this.#drains.get(id) !== drain) {
      this.#outliving.delete(id);
      this.cutOff(id);
      return;
    }
    // Nothing comes any more before what is there is cut.
    await this.#finish(id, drain);
    if (drain.cutsRequests && this.#drains.get(id) === drain) this.cutOff(id);
  }

  async #finish(id: number, drain: Drain): Promise<void> {
    await this.#moveSessions(id, true);
    drain.isOver = true;
  }
}
