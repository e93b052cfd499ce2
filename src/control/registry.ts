/**
 * The one owner of truth: the settings in force, what operators have changed, and the pools that follow from both.
 *
 * Invariants: ids of backends are small integers given in order over all pools, and no id is ever another backend's; so are those of
 * pools. No I/O, no timers; the clock is injected. Changes are planned, saved by the caller, then committed: see `Plan`.
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { DEFAULT_POOL, type PoolSettings, type Settings } from '../config/settings.ts';
import { isSame } from '../config/values/same.ts';
import type { HttpChallenges, TlsChallenge } from '../snapshot/challenges.ts';
import type { RouteMatch } from '../snapshot/route.ts';
import type { ListenerSnapshot, Snapshot } from '../snapshot/snapshot.ts';
import { settingsAsBefore } from './as-before.ts';
import type { Backend } from './backend.ts';
import { type BuiltSnapshot, buildSnapshot, type SnapshotParts } from './build-snapshot.ts';
import { type Issued, NO_STAPLES, NONE_ISSUED, type Staples } from './certificates/tls-snapshot.ts';
import type { Versioned } from './change-terms.ts';
import type { FoundBackend } from './discovery/found-backends.ts';
import { InheritedSockets } from './listeners/inherited-sockets.ts';
import { ListenerIds } from './listeners/listener-ids.ts';
import type { Plan } from './plan.ts';
import { type PoolHost, PoolRegistry } from './pool-registry.ts';
import { PoolsBefore } from './renumbering.ts';
import { RouteCounts } from './route-counts.ts';
import { needsSessionSecret } from './session-token.ts';
import {
  type Changes,
  changesAsBefore,
  fitChanges,
  isKept,
  makeChange,
  withSessionSecret,
  withShared,
} from './state/kept-changes.ts';
import { changesOf, NO_OPERATOR_STATE, type OperatorState } from './state/operator-state.ts';
import {
  isChosen,
  type Override,
  type OverrideChoice,
  withoutOverrides,
} from './state/overrides.ts';
import {
  isRestingChosen,
  type RestingChange,
  restingChanges,
  withoutResting,
} from './state/resting-changes.ts';
import { fitSomePools, LastShared, type SharedRegistry } from './state/some-pools.ts';

export interface RegistryOptions {
  readonly settings: Settings;
  /** Data threads: the shared counters have room for so many. */
  readonly threadCount: number;
  readonly operatorState?: OperatorState;
  /** What listeners may be taken from. */
  readonly inherited?: InheritedSockets;
  readonly now?: () => number;
}

/** What certificate authorities ask for at the moment. */
export interface Challenges {
  readonly http: HttpChallenges;
  readonly tls: readonly TlsChallenge[];
}

const NONE_FOUND: readonly FoundBackend[] = [];
const NO_CHALLENGES: Challenges = { http: new Map(), tls: [] };

export class Registry implements PoolHost, Versioned {
  /** Of this process, and of no other: see `Snapshot.instanceName`. */
  readonly instanceName = `fairlead-${randomBytes(6).toString('hex')}`;
  readonly threadCount: number;
  readonly routeCounts: RouteCounts;
  /** They come and go without an operator. */
  staples: Staples = NO_STAPLES;
  /** Instances that are alive, by who counts them, or the last number that was known; null: nobody counts, and the config says it. */
  instancesAlive: number | null = null;
  issued: Issued = NONE_ISSUED;
  challenges: Challenges = NO_CHALLENGES;
  readonly #now: () => number;
  #settings: Settings;
  #state: OperatorState;
  /** What of it outlives a restart: see kept-changes.ts. */
  #kept: OperatorState;
  #generation = 1;
  #sharedRevision: number | undefined;
  readonly #lastShared = new LastShared();
  /** By the name of the pool. */
  #found: ReadonlyMap<string, readonly FoundBackend[]> = new Map();
  /** Counts changes of what routes match. */
  #matching = 1;
  /** By name, in the order of the config. */
  #pools: ReadonlyMap<string, PoolRegistry> = new Map();
  /** By the id of a backend; undefined: to be made again. */
  #poolsOfBackends: ReadonlyMap<number, PoolRegistry> | undefined;
  #nextPoolId = 0;
  /** No backend is kept out: see `admitOthers`. */
  #isWhole = true;
  #renumbered: PoolsBefore | undefined;
  #built: BuiltSnapshot | undefined;
  readonly #listenerIds: ListenerIds;

  constructor(options: RegistryOptions) {
    this.#now = options.now ?? Date.now;
    this.#listenerIds = new ListenerIds(options.inherited ?? new InheritedSockets([]));
    this.threadCount = options.threadCount;
    this.routeCounts = new RouteCounts(options.threadCount);
    this.#settings = options.settings;
    const state = options.operatorState ?? NO_OPERATOR_STATE;
    ({ inForce: this.#state, kept: this.#kept } = this.#fit({ inForce: state, kept: state }));
    this.#rebuild();
  }

  now(): number {
    return this.#now();
  }

  /** Counts changes that came from an operator; health flips do not count. */
  get generation(): number {
    return this.#generation;
  }

  get sharedRevision(): number | undefined {
    return this.#sharedRevision;
  }

  get settings(): Settings {
    return this.#settings;
  }

  get operatorState(): OperatorState {
    return this.#state;
  }

  /** What the state file is to hold. */
  get keptState(): OperatorState {
    return this.#kept;
  }

  isStrategyKept(pool: string): boolean {
    return changesOf(this.#kept, pool).strategy === changesOf(this.#state, pool).strategy;
  }

  isKept(pool: string, url: string): boolean {
    return isKept({ inForce: this.#state, kept: this.#kept }, pool, url);
  }

  /** In the order of the config: `default` is the first. */
  pools(): PoolRegistry[] {
    return [...this.#pools.values()];
  }

  pool(name: string): PoolRegistry | undefined {
    return this.#pools.get(name);
  }

  get defaultPool(): PoolRegistry {
    return this.#pools.get(DEFAULT_POOL) as PoolRegistry;
  }

  /** The pool that this backend is in. */
  poolOf(backendId: number): PoolRegistry | undefined {
    this.#poolsOfBackends ??= new Map(
      this.pools().flatMap((pool) => pool.backends().map(({ id }) => [id, pool] as const)),
    );
    return this.#poolsOfBackends.get(backendId);
  }

  /** Of all pools. */
  backends(): Backend[] {
    return this.pools().flatMap((pool) => pool.backends());
  }

  backend(id: number): Backend | undefined {
    return this.poolOf(id)?.backend(id);
  }

  /** Everything the data plane needs, as it is now. What has not changed is the same object as in the one before. */
  snapshot(): Snapshot {
    const parts: SnapshotParts = {
      instanceName: this.instanceName,
      generation: this.#generation,
      matching: this.#matching,
      settings: this.#settings,
      listeners: this.listenersOf(this.#settings),
      pools: this.pools().map((pool) => pool.snapshot()),
      routeCounts: this.routeCounts,
      instances: this.instances,
      challenges: this.challenges.http,
    };
    this.#built = buildSnapshot(parts, this.#built);
    return this.#built.snapshot;
  }

  /** That share limits, this one among them. */
  get instances(): number {
    return this.instancesAlive ?? this.#settings.instances;
  }

  /** As they would be with these settings. */
  listenersOf({ listeners }: Settings): ListenerSnapshot[] {
    const { staples, issued, challenges } = this;
    return this.#listenerIds.snapshotsOf(listeners, {
      staples,
      issued,
      challenges: challenges.tls,
    });
  }

  /**
   * Those that were asked for with other settings are not to be.
   * @param areSocketsSpared what was handed to the process for them is open yet.
   */
  forgetOtherListeners(areSocketsSpared: boolean): void {
    this.#listenerIds.keepOnly(this.#settings.listeners, areSocketsSpared);
  }

  /** What operators have set otherwise than the config. */
  overrides(): Override[] {
    return this.pools().flatMap((pool) => pool.overrides());
  }

  /** What operators have changed about what the config does not have for now. */
  resting(): RestingChange[] {
    return restingChanges(
      this.#state,
      (pool) => this.#pools.has(pool),
      (pool, url) => this.#found.get(pool)?.some((one) => one.url === url) === true,
    );
  }

  /** Those values are the config's again; changes that rest are gone. Gives what was dropped. */
  planReset(choice: OverrideChoice): Plan<(Override | RestingChange)[]> {
    const dropped = this.overrides().filter((one) => isChosen(one, choice));
    const resting = this.resting().filter((one) => isRestingChosen(one, choice));
    return this.plan(
      (state) => withoutResting(withoutOverrides(state, dropped), resting),
      () => [...dropped, ...resting],
    );
  }

  /**
   * Runs on these settings from now on. Pools whose name stays, and backends whose URL stays in their pool, keep their id and all
   * live state; what is new in its pool is as healthy as its URL was known to be. Changes of operators are laid over the new
   * settings. False when the settings are the same: then nothing happened.
   */
  applyConfig(settings: Settings): boolean {
    if (!this.#takeSettings(settings)) return false;
    this.#forgetFound();
    this.#refit();
    this.#generation++;
    const was = new PoolsBefore(this.pools());
    this.#rebuild();
    was.handover().finish(this.pools());
    return true;
  }

  /**
   * In a cluster: what all instances share is this from now on. What was changed here alone stays changed, as far as it is about what
   * is still there. False when nothing is different.
   */
  applyShared({ settings, state, revision }: SharedRegistry): boolean {
    this.#sharedRevision = revision;
    const before: Changes = { inForce: this.#state, kept: this.#kept };
    const shared = { ...state, sessionSecret: state.sessionSecret ?? before.kept.sessionSecret };
    const isOther = this.#takeSettings(settings);
    if (isOther) this.#forgetFound();
    const names = this.#lastShared.take(state);
    const isPart = names !== undefined && !isOther;
    const fitted = isPart
      ? fitSomePools(before, shared, names, (changes) => this.#fit(changes, names))
      : this.#fit(withShared(before, shared));
    const { inForce, kept } = changesAsBefore(before, fitted);
    this.#state = inForce;
    this.#kept = kept;
    if (!isOther && inForce === before.inForce && kept === before.kept) return false;
    this.#generation++;
    const was = new PoolsBefore(this.pools());
    this.#rebuild(was.isFree);
    if (was.isAnyNew(this.pools())) was.handover().finish(this.pools());
    this.#renumbered = this.#isWhole ? undefined : was;
    return true;
  }

  /** Those whose id was another's come, once that one has left everywhere. False: there are none. */
  admitOthers(): boolean {
    if (this.#isWhole) return false;
    this.#generation++;
    this.#rebuild();
    this.#renumbered?.handover().finish(this.pools());
    return true;
  }

  /** A change that was made here has this revision in the store. */
  wroteShared(revision: number): void {
    this.#sharedRevision = revision;
  }

  /** False: they say what those in force say. */
  #takeSettings(wanted: Settings): boolean {
    const before = this.#settings;
    const settings = settingsAsBefore(before, wanted);
    if (settings === before) return false;
    if (!isSame(matchesOf(settings), matchesOf(before))) this.#matching++;
    this.#settings = settings;
    return true;
  }

  /** In the place of what was found for this pool before. False when it is the same: then nothing happened. */
  setFound(pool: string, found: readonly FoundBackend[]): boolean {
    const known = this.#pools.get(pool);
    if (known === undefined || known.settings.discovery === null) return false;
    if (isDeepStrictEqual(found, known.found)) return false;
    this.#found = new Map(this.#found).set(pool, found);
    this.#refit();
    this.#generation++;
    this.#rebuild();
    return true;
  }

  plan<T>(change: (state: OperatorState) => OperatorState, result: () => T): Plan<T> {
    const base = { inForce: this.#state, kept: this.#kept };
    const next = makeChange(base, change);
    const { inForce, kept } = changesAsBefore(base, next);
    const isEmpty = inForce === base.inForce;
    const isSaved = kept === base.kept;
    return {
      state: next.kept,
      isSaved,
      isEmpty,
      commit: (isToBeKept = true) => {
        if (this.#state !== base.inForce || this.#kept !== base.kept) {
          throw new Error('the registry changed since this was planned');
        }
        if (isToBeKept && !isSaved) {
          this.#lastShared.changedHere(base.kept, next.kept);
          this.#kept = next.kept;
        }
        if (!isEmpty) {
          this.#state = next.inForce;
          this.#generation++;
          this.#rebuild();
        }
        return result();
      },
    };
  }

  /** Of pools that look nothing up any more: when they do again, it is not true any more. */
  #forgetFound(): void {
    const searching = this.#settings.pools.filter(({ discovery }) => discovery !== null);
    const names = new Set(searching.map(({ name }) => name));
    this.#found = new Map([...this.#found].filter(([name]) => names.has(name)));
  }

  #refit(): void {
    this.#lastShared.forget();
    const before: Changes = { inForce: this.#state, kept: this.#kept };
    ({ inForce: this.#state, kept: this.#kept } = changesAsBefore(before, this.#fit(before)));
  }

  /** @param only undefined: all pools. */
  #fit(changes: Changes, only?: ReadonlySet<string>): Changes {
    const pools = this.#settings.pools.filter(({ name }) => only?.has(name) !== false);
    const fitted = fitChanges(
      changes,
      pools.map((pool) => ({
        name: pool.name,
        urls: [...new Set([...pool.backends, ...this.#foundFor(pool)].map(({ url }) => url))],
      })),
    );
    return this.#settings.pools.some(needsSessionSecret) ? withSessionSecret(fitted) : fitted;
  }

  /** What was found before stays in use until another name is looked up. */
  #foundFor({ name }: PoolSettings): readonly FoundBackend[] {
    return this.#found.get(name) ?? NONE_FOUND;
  }

  #rebuild(isFree?: (id: number) => boolean): void {
    this.#listenerIds.keepOnly(this.#settings.listeners);
    this.#poolsOfBackends = undefined;
    this.#isWhole = true;
    this.#pools = new Map(
      this.#settings.pools.map((settings) => [settings.name, this.#rebuilt(settings, isFree)]),
    );
  }

  #rebuilt(settings: PoolSettings, isFree?: (id: number) => boolean): PoolRegistry {
    const known = this.#pools.get(settings.name);
    const pool = known ?? new PoolRegistry(this.#nextPoolId++, settings, this);
    if (!pool.rebuild(settings, this.#foundFor(settings), isFree)) this.#isWhole = false;
    return pool;
  }
}

function matchesOf({ routes }: Settings): readonly RouteMatch[] {
  return routes.map(({ match }) => match);
}
