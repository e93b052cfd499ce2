/**
 * The one owner of truth about backends: which exist and what operators want of them; what the checks say of them is in
 * its `live`.
 *
 * Invariants: ids are small integers given in order and never reused. No I/O, no timers; the clock is injected. Changes
 * are planned, saved by the caller, then committed: see `Plan`.
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { BackendAddress, BackendSettings, Settings } from '../config/settings.ts';
import { createPoolCounters } from '../snapshot/pool-counters.ts';
import type { Eligibility, Snapshot, StrategyName } from '../snapshot/snapshot.ts';
import type { Backend } from './backend.ts';
import { buildSnapshot } from './build-snapshot.ts';
import { type Decision, decideEligibility } from './eligibility.ts';
import { type Changes, fitChanges, isKept, makeChange } from './kept-changes.ts';
import { LiveBackends, type WantedBackend } from './live-backends.ts';
import {
  type BackendSource,
  NO_OPERATOR_STATE,
  type OperatorEntry,
  type OperatorState,
  removedEntry,
  withEntry,
} from './operator-state.ts';
import {
  isChosen,
  type Override,
  type OverrideChoice,
  overridesOf,
  withoutOverrides,
} from './overrides.ts';
import { type BackendUpdate, ChangeRefused, changeOf, type Plan } from './plan.ts';
import { makeSessionSecret, needsSessionSecret } from './session-token.ts';

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
  /** The backends that exist, and what is known of them by checks and counts. */
  readonly live: LiveBackends;
  /** The counters of the pool: see pool-counters.ts. */
  readonly poolCounters: SharedArrayBuffer;
  readonly #now: () => number;
  #settings: Settings;
  #state: OperatorState;
  /** What of it outlives a restart: see kept-changes.ts. */
  #kept: OperatorState;
  #generation = 1;

  constructor(options: RegistryOptions) {
    this.#now = options.now ?? Date.now;
    this.live = new LiveBackends(options.threadCount, this.#now);
    this.poolCounters = createPoolCounters(options.threadCount);
    this.#settings = options.settings;
    const state = options.operatorState ?? NO_OPERATOR_STATE;
    ({ inForce: this.#state, kept: this.#kept } = this.#fit({ inForce: state, kept: state }));
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

  /** What the state file is to hold. */
  get keptState(): OperatorState {
    return this.#kept;
  }

  /** Whether the strategy is the same after a restart. */
  get isStrategyKept(): boolean {
    return this.#kept.strategy === this.#state.strategy;
  }

  /** Whether a restart leaves the backend of this URL as it is. */
  isKept(url: string): boolean {
    return isKept({ inForce: this.#state, kept: this.#kept }, url);
  }

  /** In id order. */
  backends(): Backend[] {
    return this.live.all();
  }

  backend(id: number): Backend | undefined {
    return this.live.get(id);
  }

  findByUrl(url: string): Backend | undefined {
    const id = this.#state.entries.get(url)?.id;
    return id === undefined ? undefined : this.live.get(id);
  }

  /** A removal is under way that has not been called off: see `planLeave`. */
  isLeaving(id: number): boolean {
    const backend = this.live.get(id);
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
      poolCounters: this.poolCounters,
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
    return this.#plan(
      (state) => withEntry({ ...state, nextId: id + 1 }, url, entry),
      () => this.#expect(id),
    );
  }

  /** @throws ChangeRefused `unknown-backend` */
  planRemove(id: number): Plan<Backend> {
    const { url } = this.#expect(id).address;
    const mark = this.#configBackend(url) === undefined ? undefined : removedEntry(url);
    const removed = this.#expect(id);
    return this.#plan(
      (state) => withEntry(state, url, mark),
      () => removed,
    );
  }

  /** Draining until the caller plans the removal; a restart in between removes it. @throws ChangeRefused */
  planLeave(id: number): Plan<Backend> {
    return this.#planEntry(id, { state: 'draining', isLeaving: true });
  }

  /**
   * Sets what is given. Setting the state also calls off a removal under way.
   * @throws ChangeRefused `unknown-backend`
   */
  planUpdate(id: number, update: BackendUpdate): Plan<Backend> {
    const { url } = this.#expect(id).address;
    const configured = this.#entry(url).source === 'config' ? this.#configBackend(url) : undefined;
    return this.#planEntry(id, changeOf(update, configured));
  }

  planStrategy(strategy: StrategyName): Plan<StrategyName> {
    const wanted = strategy === this.#settings.strategy ? undefined : strategy;
    return this.#plan(
      (state) => ({ ...state, strategy: wanted }),
      () => this.strategy,
    );
  }

  /** What operators have set otherwise than the config. */
  overrides(): Override[] {
    return overridesOf(this.#state, this.#settings);
  }

  /** Those values are the config's again. Gives what was dropped. */
  planReset(choice: OverrideChoice): Plan<Override[]> {
    const dropped = this.overrides().filter((one) => isChosen(one, choice));
    return this.#plan(
      (state) => withoutOverrides(state, dropped),
      () => dropped,
    );
  }

  /**
   * Runs on these settings from now on. Backends whose URL stays keep their id and all live state; changes of
   * operators are laid over the new settings. False when the settings are the same: then nothing happened.
   */
  applyConfig(settings: Settings): boolean {
    if (isDeepStrictEqual(settings, this.#settings)) return false;
    this.#settings = settings;
    ({ inForce: this.#state, kept: this.#kept } = this.#fit({
      inForce: this.#state,
      kept: this.#kept,
    }));
    this.#generation++;
    this.#rebuild();
    return true;
  }

  #expect(id: number): Backend {
    const backend = this.live.get(id);
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

  #fit(changes: Changes): Changes {
    const fitted = fitChanges(
      changes,
      this.#settings.backends.map(({ url }) => url),
    );
    const { sessionSecret } = fitted.inForce;
    if (!needsSessionSecret(this.#settings) || sessionSecret !== undefined) return fitted;
    const secret = makeSessionSecret();
    return makeChange(fitted, (state) => ({ ...state, sessionSecret: secret }));
  }

  #planEntry(id: number, change: Partial<OperatorEntry>): Plan<Backend> {
    const { url } = this.#expect(id).address;
    return this.#plan(
      (state) => {
        const entry = state.entries.get(url);
        // Of what is gone after a restart, no change can be kept.
        if (entry === undefined || entry.isRemoved) return state;
        return withEntry(state, url, { ...entry, ...change });
      },
      () => this.#expect(id),
    );
  }

  #plan<T>(change: (state: OperatorState) => OperatorState, result: () => T): Plan<T> {
    const base = { inForce: this.#state, kept: this.#kept };
    const next = makeChange(base, change);
    const isEmpty = isDeepStrictEqual(next.inForce, base.inForce);
    const isSaved = isDeepStrictEqual(next.kept, base.kept);
    return {
      state: next.kept,
      isSaved,
      isEmpty,
      commit: (isToBeKept = true) => {
        if (this.#state !== base.inForce || this.#kept !== base.kept) {
          throw new Error('the registry changed since this was planned');
        }
        if (isToBeKept && !isSaved) this.#kept = next.kept;
        if (!isEmpty) {
          this.#state = next.inForce;
          this.#generation++;
          this.#rebuild();
        }
        return result();
      },
    };
  }

  /** Derives the backends from settings and operator state. */
  #rebuild(): void {
    const wanted: WantedBackend[] = [];
    for (const entry of this.#state.entries.values()) {
      if (entry.id === undefined) continue;
      const configured = this.#configBackend(entry.url);
      const address = entry.address ?? configured;
      if (address === undefined) throw new Error(`backend without an address: ${entry.url}`);
      wanted.push({
        id: entry.id,
        address,
        source: entry.source,
        weight: entry.weight ?? configured?.weight ?? 1,
        isBackup: entry.isBackup ?? configured?.isBackup ?? false,
        adminState: entry.state ?? 'enabled',
      });
    }
    this.live.sync(wanted);
  }
}
