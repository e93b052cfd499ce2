/**
 * The backends that exist, with what is found out about them: by checks, by counts, by drains.
 *
 * Invariants: `alive` is derived, never stored; the live state of a backend (health, counters) is kept as long as its id
 * exists, whatever else changes. Of an id that is gone nothing can be found out: whoever is late with it changes nothing.
 */
import type { BackendAddress } from '../config/settings.ts';
import {
  type Backend,
  type BreakerStatus,
  CLOSED,
  type Ejection,
  type Health,
  isAlive,
  newBackend,
} from './backend.ts';

/** Of those that are gone, the last so many may come back as what they were. */
const MOST_GONE = 64;

type MutableBackend = { -readonly [Key in keyof Backend]: Backend[Key] };

/** What config and operators want of a backend. */
export interface WantedBackend
  extends Pick<Backend, 'id' | 'source' | 'weight' | 'isBackup' | 'adminState'> {
  readonly address: BackendAddress;
}

/** What was found out about a backend elsewhere. */
export type KnownHealth = Pick<
  Backend,
  'health' | 'isUnreachable' | 'isCheckFailing' | 'lastCheck' | 'lastChange' | 'lastReason' | 'hint'
> &
  Partial<Pick<Backend, 'adminState' | 'ejection' | 'breaker'>>;

export class LiveBackends {
  /** The circuit breaker of all of them together. */
  poolBreaker: BreakerStatus = CLOSED;
  readonly #threadCount: number;
  readonly #now: () => number;
  #version = 0;
  #backends: ReadonlyMap<number, MutableBackend> = new Map();
  /** In the order in which they went. */
  readonly #gone = new Map<number, Backend>();

  /** @param threadCount data threads: the shared counters have room for so many. */
  constructor(threadCount: number, now: () => number) {
    this.#threadCount = threadCount;
    this.#now = now;
  }

  /** Counts what may change who is picked. */
  get version(): number {
    return this.#version;
  }

  /** In id order. */
  all(): Backend[] {
    return [...this.#backends.values()];
  }

  get(id: number): Backend | undefined {
    return this.#backends.get(id);
  }

  /** A backend with this URL had this id, and is gone: nobody else has got it. */
  mayReturn(id: number, url: string): boolean {
    return this.#gone.get(id)?.address.url === url;
  }

  /** These exist from now on, and no others. */
  sync(wanted: readonly WantedBackend[]): void {
    this.#version++;
    const before = this.#backends;
    const inOrder = wanted.toSorted((a, b) => a.id - b.id);
    this.#backends = new Map(inOrder.map((one) => [one.id, this.#derive(one)]));
    for (const id of this.#backends.keys()) this.#gone.delete(id);
    for (const [id, backend] of before) if (!this.#backends.has(id)) this.#gone.set(id, backend);
    for (const id of this.#gone.keys()) {
      if (this.#gone.size <= MOST_GONE) break;
      this.#gone.delete(id);
    }
  }

  /** What checks have found out about another backend holds for this one, until it is checked itself. */
  takeOver(id: number, known: KnownHealth): void {
    const backend = this.#backends.get(id);
    if (backend === undefined) return;
    this.#version++;
    backend.health = known.health;
    backend.isUnreachable = known.isUnreachable;
    backend.isCheckFailing = known.isCheckFailing;
    backend.lastCheck = known.lastCheck;
    backend.lastReason = known.lastReason;
    backend.hint = known.hint;
    // Who has served all the while needs no slow start.
    if (isAlive(backend) === isAlive({ ...backend, ...known }))
      backend.lastChange = known.lastChange;
  }

  /** A check decided. True when health changed. */
  setHealth(id: number, health: Health, reason: string): boolean {
    const backend = this.#backends.get(id);
    if (backend === undefined) return false;
    this.#version++;
    backend.lastReason = reason;
    if (backend.health === health) return false;
    this.#alter(backend, () => {
      backend.health = health;
    });
    return true;
  }

  /** What would help it. True when that is news. */
  setHint(id: number, hint: string): boolean {
    const backend = this.#backends.get(id);
    if (backend === undefined || backend.hint === hint) return false;
    this.#version++;
    backend.hint = hint;
    return true;
  }

  recordCheck(id: number, isPassed: boolean): void {
    const backend = this.#backends.get(id);
    if (backend === undefined) return;
    backend.lastCheck = this.#now();
    backend.isCheckFailing = !isPassed;
  }

  /** A check or a request could not connect, or a check could. True when that is news. */
  setUnreachable(id: number, isUnreachable: boolean): boolean {
    const backend = this.#backends.get(id);
    if (backend === undefined || backend.isUnreachable === isUnreachable) return false;
    this.#version++;
    backend.isUnreachable = isUnreachable;
    return true;
  }

  /** Of a backend that drains. */
  setSessionsMoved(id: number, areMoved: boolean): void {
    const backend = this.#backends.get(id);
    if (backend?.adminState !== 'draining') return;
    this.#version++;
    backend.hasMovedSessions = areMoved;
  }

  /** Undefined: it is not ejected any more. */
  setEjection(id: number, ejection: Ejection | undefined): void {
    const backend = this.#backends.get(id);
    if (backend === undefined) return;
    this.#alter(backend, () => {
      backend.ejection = ejection;
    });
  }

  setBreaker(id: number, breaker: BreakerStatus): void {
    const backend = this.#backends.get(id);
    if (backend === undefined) return;
    this.#alter(backend, () => {
      backend.breaker = breaker;
    });
  }

  #derive(wanted: WantedBackend): MutableBackend {
    const { id, address } = wanted;
    const backend: MutableBackend =
      this.#backends.get(id) ??
      newBackend(id, address, wanted, {
        now: this.#now(),
        threadCount: this.#threadCount,
        former: this.mayReturn(id, address.url) ? this.#gone.get(id) : undefined,
      });
    this.#alter(backend, () => {
      backend.weight = wanted.weight;
      backend.isBackup = wanted.isBackup;
      backend.adminState = wanted.adminState;
      backend.source = wanted.source;
      if (backend.adminState !== 'draining') backend.hasMovedSessions = false;
    });
    return backend;
  }

  #alter(backend: MutableBackend, change: () => void): void {
    this.#version++;
    const wasAlive = isAlive(backend);
    change();
    if (isAlive(backend) !== wasAlive) backend.lastChange = this.#now();
  }
}
