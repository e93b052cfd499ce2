/** The circuit breakers of one pool: one per backend and one for all. Opens and shuts the gates of the data plane. */
import type { Logger } from '../../observe/logger.ts';
import { GATE_OPEN_WIDE } from '../../snapshot/counter-cells.ts';
import { setBackendGate } from '../../snapshot/counters.ts';
import { setPoolGate } from '../../snapshot/pool-counters.ts';
import { type BreakerStatus, CLOSED } from '../backend.ts';
import type { PoolRegistry } from '../pool-registry.ts';
import { type BreakerRecord, CircuitBreaker } from './circuit-breaker.ts';
import type { FaultCount } from './fault-counts.ts';

/** How often breakers look while all are closed, and while one is not. */
const CLOSED_POLL_MS = 1000;
const OPEN_POLL_MS = 100;
/** The interval that is measured consists of at least so many samples. */
const SAMPLES_PER_INTERVAL = 10;

function isClosed(breaker: CircuitBreaker): boolean {
  return breaker.status.state === 'closed';
}

export interface CircuitBreakersOptions {
  readonly registry: PoolRegistry;
  readonly log: Logger;
}

export class CircuitBreakers {
  readonly #registry: PoolRegistry;
  readonly #log: Logger;
  readonly #ofBackends = new Map<number, CircuitBreaker>();
  #ofPool = new CircuitBreaker();

  constructor(options: CircuitBreakersOptions) {
    this.#registry = options.registry;
    this.#log = options.log;
  }

  /** How long until they want to look again; undefined: there are none. */
  get pollMs(): number | undefined {
    const settings = this.#registry.settings.breaker;
    if (settings === null) return undefined;
    const areClosed = isClosed(this.#ofPool) && [...this.#ofBackends.values()].every(isClosed);
    return areClosed
      ? Math.min(CLOSED_POLL_MS, Math.max(1, settings.intervalMs / SAMPLES_PER_INTERVAL))
      : OPEN_POLL_MS;
  }

  /** Fits them to the registry: gone backends are forgotten, and without settings all gates are wide open. */
  sync(): void {
    const isOff = this.#registry.settings.breaker === null;
    for (const id of this.#ofBackends.keys()) {
      const backend = this.#registry.backend(id);
      if (backend !== undefined && !isOff) continue;
      this.#ofBackends.delete(id);
      if (backend === undefined) continue;
      setBackendGate(backend.counters, GATE_OPEN_WIDE);
      this.#registry.live.setBreaker(id, CLOSED);
    }
    if (!isOff || this.#ofPool.status === CLOSED) return;
    this.#ofPool = new CircuitBreaker();
    setPoolGate(this.#registry.counters, GATE_OPEN_WIDE);
    this.#registry.live.poolBreaker = CLOSED;
  }

  /** Of the pool. Undefined: it is closed. */
  recordOfPool(): BreakerRecord | undefined {
    return this.#ofPool.record(this.#registry.now());
  }

  record(id: number): BreakerRecord | undefined {
    return this.#ofBackends.get(id)?.record(this.#registry.now());
  }

  /** The process before this one has opened it. */
  takeUpOfPool(record: BreakerRecord): void {
    if (this.#registry.settings.breaker === null) return;
    const gate = this.#ofPool.takeUp(this.#registry.now(), record);
    setPoolGate(this.#registry.counters, gate, record.remainingMs);
    this.#registry.live.poolBreaker = this.#ofPool.status;
  }

  takeUp(id: number, record: BreakerRecord): void {
    const backend = this.#registry.backend(id);
    if (backend === undefined || this.#registry.settings.breaker === null) return;
    const breaker = new CircuitBreaker();
    this.#ofBackends.set(id, breaker);
    setBackendGate(backend.counters, breaker.takeUp(this.#registry.now(), record));
    this.#registry.live.setBreaker(id, breaker.status);
  }

  /** What was counted since the last call. */
  sample(counts: readonly FaultCount[]): void {
    const settings = this.#registry.settings.breaker;
    if (settings === null) return;
    const now = this.#registry.now();
    let judgedOfAll = 0;
    let faultsOfAll = 0;
    for (const { backend, judged, faults } of counts) {
      judgedOfAll += judged;
      faultsOfAll += faults;
      const breaker = this.#ofBackends.get(backend.id) ?? new CircuitBreaker();
      this.#ofBackends.set(backend.id, breaker);
      if (backend.health !== 'healthy' && isClosed(breaker)) {
        breaker.forget();
        continue;
      }
      const before = breaker.status;
      const gate = breaker.advance(now, judged, faults, settings);
      if (gate !== undefined) setBackendGate(backend.counters, gate);
      if (breaker.status === before) continue;
      this.#registry.live.setBreaker(backend.id, breaker.status);
      this.#say(backend.address.url, breaker.status, now, { backend: backend.address.url });
    }
    const before = this.#ofPool.status;
    const gate = this.#ofPool.advance(now, judgedOfAll, faultsOfAll, settings);
    if (gate !== undefined) {
      setPoolGate(this.#registry.counters, gate, (this.#ofPool.status.until ?? now) - now);
    }
    if (this.#ofPool.status === before) return;
    this.#registry.live.poolBreaker = this.#ofPool.status;
    this.#say('the pool', this.#ofPool.status, now, {});
  }

  #say(
    whose: string,
    { state, until, reason }: BreakerStatus,
    now: number,
    scope: { readonly backend?: string },
  ): void {
    if (state === 'closed') {
      this.#log.info('breaker.closed', `the circuit breaker of ${whose} is closed`, scope);
    } else if (state === 'half-open') {
      this.#log.info(
        'breaker.half_open',
        `the circuit breaker of ${whose} lets a few requests try`,
        scope,
      );
    } else {
      const openMs = Math.round((until ?? now) - now);
      this.#log.warn('breaker.opened', `the circuit breaker of ${whose} is open: ${reason}`, {
        ...scope,
        open_ms: openMs,
        reason,
      });
    }
  }
}
