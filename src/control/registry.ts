/**
 * The one owner of truth about backends: which exist, what operators want of them, and what the checks say.
 *
 * Invariants: ids are small integers given in order and never reused; `alive` is derived, never stored; the live state
 * of a backend (health, counters) is kept as long as its id exists, whatever else changes. No I/O, no timers; the
 * clock is injected. Changes are planned, saved by the caller, then committed: see `Plan`.
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { BackendAddress, BackendSettings, Settings } from '../config/settings.ts';
import { createBackendCounters } from '../snapshot/counters.ts';
import type { Eligibility, Snapshot, StrategyName } from '../snapshot/snapshot.ts';
import {
  type Backend,
  type BreakerStatus,
  CLOSED,
  type Ejection,
  type Health,
  isAlive,
} from './backend.ts';
import { buildSnapshot } from './build-snapshot.ts';
import { type Decision, decideEligibility } from './eligibility.ts';
import {
  type AdminState,
  type BackendSource,
  fitToConfig,
  NO_OPERATOR_STATE,
  type OperatorEntry,
  type OperatorState,
  removedEntry,
  withEntry,
} from './operator-state.ts';
import { makeSessionSecret, needsSessionSecret } from './session-token.ts';

type MutableBackend = { -readonly [Key in keyof Backend]: Backend[Key] };

/** A change that the registry can't make. */
export class ChangeRefused extends Error {
  readonly reason: 'duplicate' | 'unknown-backend';

  constructor(reason: ChangeRefused['reason'], message: string) {
    super(message);
    this.name = 'ChangeRefused';
    this.reason = reason;
  }
}

/**
 * A change that is checked but not made. Save `state`, then `commit`; drop the plan to drop the change.
 * One plan at a time: committing after another plan was committed throws.
 */
export interface Plan<T> {
  readonly state: OperatorState;
  /** True where the plan changes nothing, so that there is nothing to save. */
  readonly isEmpty: boolean;
  commit(): T;
}

/** What operators may set of a backend. */
export interface BackendUpdate {
  readonly state?: AdminState;
  readonly weight?: number;
  readonly isBackup?: boolean;
}

export interface RegistryOptions {
  readonly settings: Settings;
  /** Data threads: the shared counters have room for so many. */
  readonly threadCount: number;
  readonly operatorState?: OperatorState;
  readonly now?: () => number;
}

export class Registry {
  /** Of this process, and of no other: see `Snapshot.instanceName`. */
  readonly instanceName = `fairlead-${randomBytes(6).toString('hex')}`;
  readonly #threadCount: number;
  readonly #now: () => number;
  #settings: Settings;
  #state: OperatorState;
  #backends: ReadonlyMap<number, MutableBackend> = new Map();
  #generation = 1;
  /** The circuit breaker of all of them together. */
  poolBreaker: BreakerStatus = CLOSED;

  constructor(options: RegistryOptions) {
    this.#threadCount = options.threadCount;
    this.#now = options.now ?? Date.now;
    this.#settings = options.settings;
    this.#state = this.#fit(options.operatorState ?? NO_OPERATOR_STATE, options.settings);
    this.#rebuild();
  }

  /** The clock of every time that is kept here, in ms. */
  now(): number {
    return this.#now();
  }

  /** Counts changes that came from an operator; health flips do not count. */
  get generation(): number {
    return this.#generation;
  }

  get settings(): Settings {
    return this.#settings;
  }

  get strategy(): StrategyName {
    return this.#state.strategy ?? this.#settings.strategy;
  }

  get strategySource(): BackendSource {
    return this.#state.strategy === undefined ? 'config' : 'api';
  }

  get operatorState(): OperatorState {
    return this.#state;
  }

  /** In id order. */
  backends(): Backend[] {
    return [...this.#backends.values()];
  }

  backend(id: number): Backend | undefined {
    return this.#backends.get(id);
  }

  findByUrl(url: string): Backend | undefined {
    const id = this.#state.entries.get(url)?.id;
    return id === undefined ? undefined : this.#backends.get(id);
  }

  /** A removal is under way that has not been called off: see `planLeave`. */
  isLeaving(id: number): boolean {
    const backend = this.#backends.get(id);
    return backend !== undefined && this.#entry(backend.address.url).isLeaving;
  }

  /** Which backends requests may go to, as it is now. */
  eligibility(): Eligibility {
    return this.decision().eligibility;
  }

  /** The same, with what it came from. */
  decision(): Decision {
    return decideEligibility(this.backends(), this.#settings, this.#now());
  }

  /** Everything the data plane needs, as it is now. */
  snapshot(): Snapshot {
    return buildSnapshot({
      instanceName: this.instanceName,
      generation: this.#generation,
      settings: this.#settings,
      strategy: this.strategy,
      backends: this.backends(),
      eligibility: this.eligibility(),
      sessionSecret: this.#settings.sticky?.secret ?? this.#state.sessionSecret,
    });
  }

  /** @throws ChangeRefused `duplicate` when the (normalised) URL is there already. */
  planAdd(address: BackendAddress, weight: number, isBackup = false): Plan<Backend> {
    const { url } = address;
    const existing = this.findByUrl(url);
    if (existing !== undefined) {
      throw new ChangeRefused('duplicate', `${url} is backend ${existing.id} already.`);
    }
    const id = this.#state.nextId;
    const entry: OperatorEntry = {
      url,
      id,
      source: 'api',
      address,
      weight,
      isBackup,
      state: undefined,
      isRemoved: false,
      isLeaving: false,
    };
    const next = withEntry({ ...this.#state, nextId: id + 1 }, url, entry);
    return this.#plan(next, () => this.#expect(id));
  }

  /** @throws ChangeRefused `unknown-backend` */
  planRemove(id: number): Plan<Backend> {
    const { url } = this.#expect(id).address;
    const isInConfig = this.#configBackend(url) !== undefined;
    const next = withEntry(this.#state, url, isInConfig ? removedEntry(url) : undefined);
    const removed = this.#expect(id);
    return this.#plan(next, () => removed);
  }

  /** Draining until the caller plans the removal; a restart in between removes it. @throws ChangeRefused */
  planLeave(id: number): Plan<Backend> {
    return this.#planEntry(id, { state: 'draining', isLeaving: true });
  }

  /**
   * Sets what is given. Setting the state also calls off a removal under way. Values that the config has anyway
   * are not kept as overrides, so that later edits of the config show.
   * @throws ChangeRefused `unknown-backend`
   */
  planUpdate(id: number, update: BackendUpdate): Plan<Backend> {
    const { url } = this.#expect(id).address;
    const configured = this.#entry(url).source === 'config' ? this.#configBackend(url) : undefined;
    const change: { -readonly [Key in keyof OperatorEntry]?: OperatorEntry[Key] } = {};
    if (update.state !== undefined) {
      change.state = update.state === 'enabled' ? undefined : update.state;
      change.isLeaving = false;
    }
    if (update.weight !== undefined) {
      change.weight = configured?.weight === update.weight ? undefined : update.weight;
    }
    if (update.isBackup !== undefined) {
      change.isBackup = configured?.isBackup === update.isBackup ? undefined : update.isBackup;
    }
    return this.#planEntry(id, change);
  }

  planStrategy(strategy: StrategyName): Plan<StrategyName> {
    const isAsConfigured = strategy === this.#settings.strategy;
    const next = { ...this.#state, strategy: isAsConfigured ? undefined : strategy };
    return this.#plan(next, () => this.strategy);
  }

  /**
   * Runs on these settings from now on. Backends whose URL stays keep their id and all live state; changes of
   * operators are laid over the new settings. False when the settings are the same: then nothing happened.
   */
  applyConfig(settings: Settings): boolean {
    if (isDeepStrictEqual(settings, this.#settings)) return false;
    this.#settings = settings;
    this.#state = this.#fit(this.#state, settings);
    this.#generation++;
    this.#rebuild();
    return true;
  }

  /** A check decided. True when health changed. */
  setHealth(id: number, health: Health, reason: string): boolean {
    const backend = this.#backends.get(id);
    if (backend === undefined) return false;
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
    backend.isUnreachable = isUnreachable;
    return true;
  }

  /** Of a backend that drains. */
  setSessionsMoved(id: number, areMoved: boolean): void {
    const backend = this.#backends.get(id);
    if (backend?.adminState === 'draining') backend.hasMovedSessions = areMoved;
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

  #alter(backend: MutableBackend, change: () => void): void {
    const wasAlive = isAlive(backend);
    change();
    if (isAlive(backend) !== wasAlive) backend.lastChange = this.#now();
  }

  #expect(id: number): MutableBackend {
    const backend = this.#backends.get(id);
    if (backend === undefined) {
      throw new ChangeRefused('unknown-backend', `There is no backend ${id}.`);
    }
    return backend;
  }

  #entry(url: string): OperatorEntry {
    const entry = this.#state.entries.get(url);
    if (entry === undefined) throw new Error(`backend without an entry: ${url}`);
    return entry;
  }

  #configBackend(url: string): BackendSettings | undefined {
    return this.#settings.backends.find((backend) => backend.url === url);
  }

  #fit(state: OperatorState, settings: Settings): OperatorState {
    const fitted = fitToConfig(
      state,
      settings.backends.map((backend) => backend.url),
    );
    if (!needsSessionSecret(settings) || fitted.sessionSecret !== undefined) return fitted;
    return { ...fitted, sessionSecret: makeSessionSecret() };
  }

  #planEntry(id: number, change: Partial<OperatorEntry>): Plan<Backend> {
    const { url } = this.#expect(id).address;
    const next = withEntry(this.#state, url, { ...this.#entry(url), ...change });
    return this.#plan(next, () => this.#expect(id));
  }

  #plan<T>(next: OperatorState, result: () => T): Plan<T> {
    const base = this.#state;
    const isEmpty = isDeepStrictEqual(next, base);
    return {
      state: next,
      isEmpty,
      commit: () => {
        if (this.#state !== base) throw new Error('the registry changed since this was planned');
        if (!isEmpty) {
          this.#state = next;
          this.#generation++;
          this.#rebuild();
        }
        return result();
      },
    };
  }

  /** Derives the backends from settings and operator state; live state is carried over by id. */
  #rebuild(): void {
    const backends: MutableBackend[] = [];
    for (const entry of this.#state.entries.values()) {
      if (entry.id === undefined) continue;
      const configured = this.#configBackend(entry.url);
      const address = entry.address ?? configured;
      if (address === undefined) throw new Error(`backend without an address: ${entry.url}`);
      backends.push(this.#derive(entry, entry.id, address, configured));
    }
    backends.sort((a, b) => a.id - b.id);
    this.#backends = new Map(backends.map((backend) => [backend.id, backend]));
  }

  #derive(
    entry: OperatorEntry,
    id: number,
    address: BackendAddress,
    configured: BackendSettings | undefined,
  ): MutableBackend {
    const backend = this.#backends.get(id) ?? {
      id,
      address,
      weight: 1,
      isBackup: false,
      adminState: 'enabled',
      source: entry.source,
      // A drain from before the process has no deadline that anybody knows.
      hasMovedSessions: entry.state === 'draining',
      health: 'unknown',
      isUnreachable: false,
      isCheckFailing: false,
      ejection: undefined,
      breaker: CLOSED,
      lastCheck: undefined,
      lastChange: this.#now(),
      lastReason: undefined,
      hint: '',
      counters: createBackendCounters(this.#threadCount),
    };
    this.#alter(backend, () => {
      backend.weight = entry.weight ?? configured?.weight ?? 1;
      backend.isBackup = entry.isBackup ?? configured?.isBackup ?? false;
      backend.adminState = entry.state ?? 'enabled';
      backend.source = entry.source;
      if (backend.adminState !== 'draining') backend.hasMovedSessions = false;
    });
    return backend;
  }
}
