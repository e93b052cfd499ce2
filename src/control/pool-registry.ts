/**
 * The one owner of truth about the backends of one pool: which exist and what operators want of them; what the checks say of
 * them is in its `live`. What is changed is kept by the registry, for all pools together: a plan of one pool is a plan of all.
 */
import type { BackendAddress, BackendSettings, PoolSettings } from '../config/settings.ts';
import { createPoolCounters } from '../snapshot/pool-counters.ts';
import type { Eligibility, PoolSnapshot, StrategyName } from '../snapshot/snapshot.ts';
import { asBefore } from './as-before.ts';
import type { Backend } from './backend.ts';
import { type BuiltPool, buildPoolSnapshot, type PoolSnapshotParts } from './build-snapshot.ts';
import type { FoundBackend } from './discovery/found-backends.ts';
import { type Decision, decideEligibility } from './eligibility.ts';
import { LiveBackends, type WantedBackend } from './live-backends.ts';
import { type AdminState } from './operator-words.ts';
import { type BackendUpdate, ChangeRefused, changeOf, type NewBackend, type Plan } from './plan.ts';
import { LOCAL_IDS } from './state/kept-changes.ts';
import {
  type BackendOrigin,
  type BackendSource,
  changesOf,
  configEntry,
  inPool,
  type OperatorEntry,
  type OperatorState,
  type PoolChanges,
  removedEntry,
  withEntry,
} from './state/operator-state.ts';
import { type Override, overridesOf } from './state/overrides.ts';

const NO_SECRETS: readonly string[] = [];

/** What a pool needs of the registry that it is in. */
export interface PoolHost {
  readonly threadCount: number;
  now(): number;
  /** What operators have changed, as it is in force. */
  readonly operatorState: OperatorState;
  /** Whether a restart leaves the backend of this URL as it is. */
  isKept(pool: string, url: string): boolean;
  isStrategyKept(pool: string): boolean;
  plan<T>(change: (state: OperatorState) => OperatorState, result: () => T): Plan<T>;
}

export class PoolRegistry {
  /** Stable for the life of the pool; never reused within a process. */
  readonly id: number;
  readonly name: string;
  /** The backends that exist, and what is known of them by checks and counts. */
  readonly live: LiveBackends;
  /** The shared counters of the pool: see pool-counters.ts. */
  readonly counters: SharedArrayBuffer;
  readonly #host: PoolHost;
  #settings: PoolSettings;
  #found: readonly FoundBackend[] = [];
  #derivedFrom: PoolChanges | undefined;
  #version = 0;
  #decided: { readonly decision: Decision; readonly by: readonly unknown[] } | undefined;
  #built: { readonly pool: BuiltPool; readonly by: readonly unknown[] } | undefined;

  /** Knows no backend before `rebuild`. */
  constructor(id: number, settings: PoolSettings, host: PoolHost) {
    this.id = id;
    this.name = settings.name;
    this.live = new LiveBackends(host.threadCount, () => host.now());
    this.counters = createPoolCounters(host.threadCount);
    this.#host = host;
    this.#settings = settings;
  }

  /** Another one when settings, what was found, or what operators want have become others. */
  get version(): number {
    return this.#version;
  }

  /** The clock of every time that is kept here, in ms. */
  now(): number {
    return this.#host.now();
  }

  get settings(): PoolSettings {
    return this.#settings;
  }

  /** As far as the settings have a source. */
  get found(): readonly FoundBackend[] {
    return this.#found;
  }

  get strategy(): StrategyName {
    return this.#changes.strategy ?? this.#settings.strategy;
  }

  get strategySource(): BackendSource {
    return this.#changes.strategy === undefined ? 'config' : 'api';
  }

  /** Whether the strategy is the same after a restart. */
  get isStrategyKept(): boolean {
    return this.#host.isStrategyKept(this.name);
  }

  /** Whether a restart leaves the backend of this URL as it is. */
  isKept(url: string): boolean {
    return this.#host.isKept(this.name, url);
  }

  /** In id order. */
  backends(): Backend[] {
    return this.live.all();
  }

  backend(id: number): Backend | undefined {
    return this.live.get(id);
  }

  findByUrl(url: string): Backend | undefined {
    const id = this.#changes.entries.get(url)?.id;
    return id === undefined ? undefined : this.live.get(id);
  }

  /** What operators have changed about the backend of this URL. */
  entry(url: string): OperatorEntry {
    const entry = this.#changes.entries.get(url);
    if (entry === undefined) throw new Error(`backend without an entry: ${url}`);
    return entry;
  }

  /** A removal is under way that has not been called off: see `planLeave`. */
  isLeaving(id: number): boolean {
    const backend = this.live.get(id);
    return backend !== undefined && this.entry(backend.address.url).isLeaving;
  }

  /** Which backends requests may go to, as it is now. */
  eligibility(): Eligibility {
    return this.decision().eligibility;
  }

  /** The same, with what it came from. An eligibility that says the same is the same object. */
  decision(): Decision {
    const before = this.#decided;
    const by = [this.#version, this.live.version];
    // Who is in a slow start counts for more with time alone.
    const isUpToDate = before?.decision.nextStepAt === undefined && isEach(before?.by, by);
    if (before !== undefined && isUpToDate) return before.decision;
    const decided = decideEligibility(this.backends(), this.#settings, this.now());
    const eligibility = asBefore(before?.decision.eligibility, decided.eligibility);
    const decision = { ...decided, eligibility };
    this.#decided = { decision, by };
    return decision;
  }

  /** What operators have set otherwise than the config. */
  overrides(): Override[] {
    return overridesOf(this.#changes, this.#settings);
  }

  /** The same object as long as nothing of it changes. */
  snapshot(): PoolSnapshot {
    const { sticky } = this.#settings;
    const { operatorState } = this.#host;
    const eligibility = this.eligibility();
    const sessionSecret = sticky?.secret ?? operatorState.sessionSecret;
    const otherSecrets = sticky?.secret === undefined ? operatorState.otherSecrets : NO_SECRETS;
    const by = [this.#version, eligibility, sessionSecret, otherSecrets];
    if (this.#built !== undefined && isEach(this.#built.by, by)) return this.#built.pool.snapshot;
    const parts: PoolSnapshotParts = {
      id: this.id,
      counters: this.counters,
      settings: this.#settings,
      strategy: this.strategy,
      backends: this.backends(),
      eligibility,
      sessionSecret,
      otherSecrets,
    };
    const pool = buildPoolSnapshot(parts, this.#built?.pool);
    this.#built = { pool, by };
    return pool.snapshot;
  }

  /** @param nextId in a cluster, the store gives it. @throws ChangeRefused `duplicate`, `id-not-free` */
  planNew(
    address: BackendAddress,
    { weight, isBackup, state, id }: NewBackend,
    nextId: number | undefined,
  ): Plan<Backend> {
    const { url } = address;
    this.#expectNone(url);
    if (id === undefined) return this.planAdd(address, weight, isBackup, nextId, state);
    if (!this.live.mayReturn(id, url)) {
      throw new ChangeRefused(
        'id-not-free',
        `The id ${id} is not that of a backend ${url} that was removed here a while ago.`,
      );
    }
    // A cluster's store has removed it from what the config lists, but not from what is found.
    const isFound = id >= LOCAL_IDS;
    const configured = nextId === undefined || isFound ? this.#configBackend(url) : undefined;
    if (configured === undefined && isFound && nextId !== undefined) {
      throw new ChangeRefused('id-not-free', `${url} is not found any more.`);
    }
    if (configured === undefined) return this.planAdd(address, weight, isBackup, id, state);
    const entry = { ...configEntry(url, id), ...changeOf({ weight, isBackup, state }, configured) };
    return this.#plan(
      (changes) => withEntry(changes, url, entry),
      () => this.#expect(id),
    );
  }

  /** @throws ChangeRefused `duplicate` when the (normalised) URL is there already. @param id in a cluster, the store gives it. */
  planAdd(
    address: BackendAddress,
    weight: number,
    isBackup = false,
    id = this.#host.operatorState.nextId,
    adminState: AdminState = 'enabled',
  ): Plan<Backend> {
    const { url } = address;
    this.#expectNone(url);
    const entry: OperatorEntry = {
      url,
      id,
      source: 'api',
      address,
      weight,
      isBackup,
      state: adminState === 'enabled' ? undefined : adminState,
      isRemoved: false,
      isLeaving: false,
      wasFound: false,
    };
    return this.#host.plan(
      (state) =>
        inPool({ ...state, nextId: Math.max(state.nextId, id + 1) }, this.name, (changes) =>
          withEntry(changes, url, entry),
        ),
      () => this.#expect(id),
    );
  }

  /** @throws ChangeRefused `unknown-backend` */
  planRemove(id: number): Plan<Backend> {
    const removed = this.#expect(id);
    const { url } = removed.address;
    const isListed = this.#configBackend(url) !== undefined;
    const mark = isListed ? removedEntry(url, this.#isFound(url)) : undefined;
    return this.#plan(
      (changes) => withEntry(changes, url, mark),
      () => removed,
    );
  }

  /** Draining until the caller plans the removal; a restart in between removes it. @throws ChangeRefused */
  planLeave(id: number): Plan<Backend> {
    const { url } = this.#expect(id).address;
    return this.#planEntry(id, {
      state: 'draining',
      isLeaving: true,
      wasFound: this.#isFound(url),
    });
  }

  /**
   * Sets what is given. Setting the state also calls off a removal under way.
   * @throws ChangeRefused `unknown-backend`
   */
  planUpdate(id: number, update: BackendUpdate): Plan<Backend> {
    const { url } = this.#expect(id).address;
    const configured = this.entry(url).source === 'config' ? this.#configBackend(url) : undefined;
    return this.#planEntry(id, changeOf(update, configured));
  }

  planStrategy(strategy: StrategyName): Plan<StrategyName> {
    const wanted = strategy === this.#settings.strategy ? undefined : strategy;
    return this.#plan(
      (changes) => ({ ...changes, strategy: wanted }),
      () => this.strategy,
    );
  }

  /**
   * Derives the backends from settings, what was found, and operator state, which have become others.
   * @param isFree whether nobody has an id: who has another backend's is left out, until it is asked for anew.
   * @returns whether none was left out.
   */
  rebuild(
    settings: PoolSettings,
    found: readonly FoundBackend[] = [],
    isFree: (id: number) => boolean = () => true,
  ): boolean {
    const changes = this.#changes;
    const isAsBefore =
      settings === this.#settings && found === this.#found && changes === this.#derivedFrom;
    if (isAsBefore) return true;
    this.#settings = settings;
    this.#found = found;
    this.#derivedFrom = changes;
    this.#version++;
    const wanted: WantedBackend[] = [];
    for (const entry of changes.entries.values()) {
      if (entry.id === undefined) continue;
      const configured = this.#configBackend(entry.url);
      const address = entry.address ?? configured;
      if (address === undefined) throw new Error(`backend without an address: ${entry.url}`);
      wanted.push({
        id: entry.id,
        address,
        source: entry.source === 'config' ? this.#originOf(entry.url) : entry.source,
        weight: entry.weight ?? configured?.weight ?? 1,
        isBackup: entry.isBackup ?? configured?.isBackup ?? false,
        adminState: entry.state ?? (this.#isGoing(entry) ? 'draining' : 'enabled'),
      });
    }
    const free = wanted.filter(
      ({ id, address }) => this.live.get(id)?.address.url === address.url || isFree(id),
    );
    this.live.sync(free);
    const isWhole = free.length === wanted.length;
    if (!isWhole) this.#derivedFrom = undefined;
    return isWhole;
  }

  get #changes(): PoolChanges {
    return changesOf(this.#host.operatorState, this.name);
  }

  #expect(id: number): Backend {
    const backend = this.live.get(id);
    if (backend === undefined) {
      throw new ChangeRefused('unknown-backend', `There is no backend ${id}.`);
    }
    return backend;
  }

  #expectNone(url: string): void {
    const existing = this.findByUrl(url);
    if (existing === undefined) return;
    throw new ChangeRefused('duplicate', `${url} is backend ${existing.id} already.`);
  }

  #configBackend(url: string): BackendSettings | undefined {
    const isIt = (backend: BackendSettings): boolean => backend.url === url;
    return this.#settings.backends.find(isIt) ?? this.#found.find(isIt);
  }

  #originOf(url: string): BackendOrigin {
    return this.#settings.backends.some((backend) => backend.url === url) ? 'config' : 'discovery';
  }

  /** And it is there for no other reason. */
  #isFound(url: string): boolean {
    const isIt = (one: BackendAddress): boolean => one.url === url;
    return this.#found.some(isIt) && !this.#settings.backends.some(isIt);
  }

  /** Its name does not lead there any more, and nothing else says that it should be there. */
  #isGoing({ url, source }: OperatorEntry): boolean {
    if (source === 'api' || this.#settings.backends.some((backend) => backend.url === url))
      return false;
    return this.#found.some((one) => one.url === url && one.isGoing);
  }

  #planEntry(id: number, change: Partial<OperatorEntry>): Plan<Backend> {
    const { url } = this.#expect(id).address;
    return this.#plan(
      (changes) => {
        const entry = changes.entries.get(url);
        // Of what is gone after a restart, no change can be kept.
        if (entry === undefined || entry.isRemoved) return changes;
        return withEntry(changes, url, { ...entry, ...change });
      },
      () => this.#expect(id),
    );
  }

  #plan<T>(change: (changes: PoolChanges) => PoolChanges, result: () => T): Plan<T> {
    return this.#host.plan((state) => inPool(state, this.name, change), result);
  }
}

function isEach(before: readonly unknown[] | undefined, now: readonly unknown[]): boolean {
  return now.every((one, place) => before !== undefined && Object.is(one, before[place]));
}
