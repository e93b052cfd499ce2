/**
 * The one door for changes by operators: the admin API and reloads come through here, one at a time.
 *
 * A change is planned, saved, committed, published, in this order. If saving fails, nothing happened. One that is not to be
 * kept is not saved, now or later: it is made whatever the disk says.
 */
import { type BackendAddress, DEFAULT_POOL, type Settings } from '../config/settings.ts';
import type { Logger } from '../observe/logger.ts';
import type { StrategyName } from '../snapshot/snapshot.ts';
import { type Actor, beforeAndAfter, type Values } from './audit.ts';
import type { Backend } from './backend.ts';
import {
  tellAdded,
  tellDrained,
  tellGoneByReload,
  tellLeaving,
  tellRemoved,
  tellUpdated,
  wishesFor,
} from './backend-log.ts';
import {
  type BackendDrain,
  type ChangeOfOne,
  type ChangeTerms,
  type DrainTerms,
  drainTerms,
  KEPT,
  type Precondition,
  type Terms,
} from './change-terms.ts';
import type { SharedChanges } from './cluster-port.ts';
import type { Drains } from './drains.ts';
import { LeavingBackends } from './leaving-backends.ts';
import { type AdminState, type SessionsWhileDraining } from './operator-words.ts';
import {
  type BackendUpdate,
  ChangeRefused,
  type NewBackend,
  type Plan,
  SaveFailed,
} from './plan.ts';
import { poolLog } from './pool-log.ts';
import type { PoolRegistry } from './pool-registry.ts';
import type { Registry } from './registry.ts';
import { RemovalsAfterDrains } from './removals-after-drains.ts';
import { Sharing, type SharingOptions } from './sharing.ts';
import type { Override, OverrideChoice } from './state/overrides.ts';
import type { RestingChange } from './state/resting-changes.ts';
import type { StateStore } from './state/state-file.ts';
import { Turns } from './turns.ts';
import { HandedOver } from './upgrade/handover.ts';

export interface OperatorOptions {
  readonly registry: Registry;
  readonly store: StateStore;
  readonly log: Logger;
  readonly drains: Drains;
  /** Makes the planes see the registry as it is now; resolves when they do. */
  readonly publish: () => Promise<void>;
  /** Undefined: this process is in no cluster. */
  readonly shared?: SharedChanges | undefined;
  readonly onRenumbered?: SharingOptions['onRenumbered'];
}

export class Operator {
  readonly #registry: Registry;
  readonly #store: StateStore;
  readonly #log: Logger;
  readonly #drains: Drains;
  readonly #publish: () => Promise<void>;
  readonly #sharing: Sharing | undefined;
  readonly #leaving = new LeavingBackends();
  readonly #removals: RemovalsAfterDrains;
  readonly #turns = new Turns();

  constructor(options: OperatorOptions) {
    this.#registry = options.registry;
    this.#store = options.store;
    this.#log = options.log;
    this.#drains = options.drains;
    this.#publish = options.publish;
    this.#removals = new RemovalsAfterDrains({ ...options, leaving: this.#leaving });
    const { shared } = options;
    this.#sharing =
      shared &&
      new Sharing({
        ...options,
        shared,
        onGone: (id) => void this.#went(id),
        onState: async ({ id, adminState }, drain) => {
          this.#leaving.stop(id);
          await this.#drainAs(id, adminState, drain);
        },
      });
  }

  async add(
    pool: string,
    address: BackendAddress,
    wanted: NewBackend,
    terms: Terms = KEPT,
  ): Promise<Backend> {
    const plan = (): Plan<Backend> => this.#pool(pool).planNew(address, wanted, this.#idFor(terms));
    let inForce: Promise<void> | undefined;
    const backend = await this.#change(plan, terms, (added) => {
      tellAdded(poolLog(this.#log, pool), added, this.#fate(terms));
      inForce = this.#drainAs(added.id, wanted.state);
    });
    await inForce;
    return backend;
  }

  /** In-flight requests finish in the data plane, unless they are cut. @throws ChangeRefused, SaveFailed */
  async remove(id: number, terms: ChangeTerms = KEPT, cutsRequests = false): Promise<Backend> {
    const plan = (pool: PoolRegistry) => pool.planRemove(id);
    return this.#changeOne(id, plan, terms, ({ backend, log, was }) => {
      this.#leaving.stop(id);
      this.#drains.forget(id);
      if (cutsRequests) this.#drains.cutOff(id);
      tellRemoved(log, backend, was, this.#fate(terms));
    });
  }

  /** No new clients from now on; removed when nothing is in flight and nothing comes any more, or after `drainMs`. */
  async leave(
    id: number,
    drainMs: number,
    terms: Terms = KEPT,
    sessions?: SessionsWhileDraining,
    cutsRequests = false,
  ): Promise<Backend> {
    const drain = () => drainTerms(drainMs, sessions, cutsRequests);
    const plan = (pool: PoolRegistry) => pool.planLeave(id);
    let inForce: Promise<void> | undefined;
    const begin = (made: ChangeOfOne): void => {
      tellLeaving(made.log, made.backend, made.was, { drain_ms: drainMs, ...this.#fate(terms) });
      this.#leaving.stop(id);
      inForce = this.#drains.start(id, drainMs, sessions, cutsRequests);
      this.#removals.whenOver(made, drainMs, (guard) =>
        this.remove(id, { ...terms, precondition: undefined, guard }, cutsRequests),
      );
    };
    const backend = await this.#changeOne(id, plan, terms, begin, drain);
    await inForce;
    return backend;
  }

  /** @param drainMs how long a drain may take; undefined: `timeouts.drain`, or as long as a drain under way has left. */
  async update(
    id: number,
    update: BackendUpdate,
    terms: Terms = KEPT,
    drainMs?: number,
    sessions?: SessionsWhileDraining,
    cutsRequests?: boolean,
  ): Promise<Backend> {
    const plan = (pool: PoolRegistry): Plan<Backend> => pool.planUpdate(id, update);
    const isAsked = drainMs !== undefined || sessions !== undefined || cutsRequests === true;
    // One that is under way goes on as it is where nothing else is asked for, here and so everywhere.
    const begins = ({ adminState }: Backend) =>
      isAsked || adminState !== 'draining' || !this.#drains.has(id);
    const drainFrom = (before: Backend) =>
      update.state === 'draining' && begins(before)
        ? drainTerms(drainMs ?? this.#registry.settings.drainMs, sessions, cutsRequests)
        : undefined;
    let inForce: Promise<void> | undefined;
    const begin = ({ backend, log, was, drain }: ChangeOfOne): void => {
      // Before anything that comes of it is told.
      tellUpdated(log, backend, was, this.#fate(terms));
      if (update.state === undefined) return;
      this.#leaving.stop(id);
      inForce = this.#drainAs(id, update.state, drain);
      if (update.state !== 'draining') return;
      // Unless something else becomes of it before.
      const isDrained = () => this.#drains.isDrained(backend);
      this.#leaving.when(id, isDrained, () => tellDrained(log, backend));
    };
    const backend = await this.#changeOne(id, plan, terms, begin, drainFrom);
    await inForce;
    return backend;
  }

  /** In a cluster: what another instance has begun, or this one before it was started, or could not write. */
  async finishRemoval(pool: string, url: string): Promise<void> {
    const id = this.#registry.pool(pool)?.findByUrl(url)?.id;
    if (id === undefined || this.#leaving.has(id)) return;
    await this.remove(id, { ...KEPT, guard: this.#removals.leavesStill(id) });
  }

  async setStrategy(
    pool: string,
    strategy: StrategyName,
    terms: Terms = KEPT,
  ): Promise<StrategyName> {
    let was = strategy;
    const plan = (): Plan<StrategyName> => {
      const its = this.#pool(pool);
      was = its.strategy;
      return its.planStrategy(strategy);
    };
    const whose = pool === DEFAULT_POOL ? '' : ` of pool ${pool}`;
    return this.#change(plan, terms, (result) =>
      poolLog(this.#log, pool).info('strategy.changed', `the strategy${whose} is ${result}`, {
        strategy: result,
        ...beforeAndAfter({ strategy: was }, { strategy: result }),
        ...this.#fate(terms),
      }),
    );
  }

  /** What was set otherwise than the config is as the config says again. Gives what was dropped. */
  async reset(choice: OverrideChoice, terms: Terms = KEPT): Promise<(Override | RestingChange)[]> {
    const message = 'values are as the config says again';
    return this.#change(
      () => this.#registry.planReset(choice),
      terms,
      (dropped) => {
        if (dropped.length === 0) return;
        this.#log.info('config.reset', message, { dropped, ...this.#fate(terms) });
      },
    );
  }

  /** What is found by name has changed: no change of an operator, but made in turn with theirs. */
  async found(change: () => boolean): Promise<void> {
    await this.inTurn(async () => {
      if (change()) await this.#publish();
    });
  }

  /**
   * Runs on what `load` gives; what it throws is passed on, and nothing changed then.
   * Resolves with whether anything is different now.
   */
  async reload(load: () => Promise<Settings>, precondition?: Precondition): Promise<boolean> {
    return this.inTurn(async () => {
      precondition?.(this.#registry);
      const settings = await load();
      const before = this.#registry.pools().map(({ name, live }) => [name, live.all()] as const);
      const hasChanged = this.#registry.applyConfig(settings);
      if (!hasChanged) return false;
      for (const [pool, backends] of before) {
        for (const backend of backends) {
          if (this.#registry.backend(backend.id) !== undefined || !this.#went(backend.id)) continue;
          tellGoneByReload(poolLog(this.#log, pool), backend);
        }
      }
      await this.#publish();
      await this.#keepFitted();
      return true;
    });
  }

  /**
   * A reload changes what is kept as well: removals are over, ids are given. That holds whatever the disk says; what could not be
   * saved is saved with the next change, or at the end.
   */
  async #keepFitted(): Promise<void> {
    const { keptState } = this.#registry;
    if (!this.#store.isBehind(keptState)) return;
    await this.#store.save(keptState).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn(
        'state_file.behind',
        `the state file does not know of the last reload (${reason}): a restart may bring back what it has ended`,
        { error },
      );
    });
  }

  /** It was taken away, by no operator here. @returns whether it was draining. */
  #went(id: number): boolean {
    this.#leaving.stop(id);
    return this.#drains.endWithBackend(id);
  }

  /** Leaves backends that are on their way out as they are: they are gone after a restart. */
  async stop(): Promise<void> {
    this.#leaving.close();
    await this.#turns.over();
    await this.#keepFitted();
    await this.#store.flush();
  }

  /** @param drainFrom how the backend drains from then on, where that begins with the change. */
  #changeOne(
    id: number,
    makePlan: (pool: PoolRegistry) => Plan<Backend>,
    terms: ChangeTerms,
    then: (made: ChangeOfOne) => void,
    drainFrom?: (before: Backend) => DrainTerms | undefined,
  ): Promise<Backend> {
    let log = this.#log;
    let was: Values = {};
    let drain: BackendDrain | undefined;
    const planned = (): Plan<Backend> => {
      const pool = this.#poolOf(id);
      log = poolLog(log, pool.name);
      const before = pool.backend(id);
      if (before !== undefined) was = wishesFor(before);
      const begun = before && drainFrom?.(before);
      drain = begun && { ...begun, pool: pool.name, url: before.address.url };
      return makePlan(pool);
    };
    const all = { ...terms, drain: () => drain };
    return this.#change(planned, all, (backend) => then({ backend, log, was, drain }));
  }

  /** @param then what begins or ends with the change: in its turn, so that of two changes it is the later that is in force. */
  #change<T>(makePlan: () => Plan<T>, terms: ChangeTerms, then: (result: T) => void): Promise<T> {
    const sharing = terms.isToBeKept ? this.#sharing : undefined;
    return this.inTurn(async () => {
      const result = await (sharing?.change(makePlan, terms) ?? this.#changeHere(makePlan, terms));
      then(result);
      return result;
    });
  }

  async #changeHere<T>(makePlan: () => Plan<T>, terms: ChangeTerms): Promise<T> {
    const { precondition, guard, isToBeKept } = terms;
    precondition?.(this.#registry);
    guard?.();
    const plan = makePlan();
    const isKept = isToBeKept && this.#store.isOurs;
    if (isKept && !plan.isSaved) {
      await this.#store.save(plan.state).catch((error: unknown) => {
        throw new SaveFailed(error);
      });
    }
    const result = plan.commit(isKept);
    if (!plan.isEmpty) await this.#publish();
    return result;
  }

  /** In a cluster: resolves when all instances run on a change that was made here, if it waits for that. @throws NotEverywhere */
  async everywhere({ isToBeKept, waitsForAll }: Terms): Promise<void> {
    if (isToBeKept && waitsForAll) await this.#sharing?.appliedByAll();
  }

  /** In a cluster: what all instances share has changed. */
  async sharedChanged(): Promise<void> {
    await this.inTurn(async () => this.#sharing?.take()).catch((error: unknown) => {
      // What comes now is the new process's.
      if (!(error instanceof HandedOver)) throw error;
    });
  }

  /** In a cluster it is the same at all instances. */
  #idFor({ isToBeKept }: Terms): number | undefined {
    return isToBeKept ? this.#sharing?.nextId : undefined;
  }

  /** What its log line says more about a change. */
  #fate({ isToBeKept, actor }: Terms): { readonly kept?: false; readonly actor?: Actor } {
    const isKept = isToBeKept && this.#store.isOurs;
    return { ...(!isKept && { kept: false }), ...(actor !== undefined && { actor }) };
  }

  /** Another process has our place: what waits for its turn is refused, and nothing is changed here any more. */
  handOver(): void {
    this.#turns.handOver();
    this.#leaving.close();
  }

  /** After what is under way, and before what comes later. @throws HandedOver */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(work);
  }

  /** @param begun undefined: a drain under way goes on. */
  async #drainAs(id: number, state: AdminState, begun?: DrainTerms): Promise<void> {
    if (state !== 'draining') {
      // One whose name does not lead there any more goes on leaving, enabled or not.
      if (this.#registry.backend(id)?.adminState !== 'draining') this.#drains.cancel(id);
    } else if (begun !== undefined || !this.#drains.has(id)) {
      const { ms, sessions, cutsRequests } = begun ?? drainTerms(this.#registry.settings.drainMs);
      await this.#drains.start(id, ms, sessions, cutsRequests);
    }
  }

  /** @throws ChangeRefused `unknown-pool`: a reload may have taken it away. */
  #pool(name: string): PoolRegistry {
    const pool = this.#registry.pool(name);
    if (pool !== undefined) return pool;
    throw new ChangeRefused('unknown-pool', `There is no pool ${name}.`);
  }

  /** @throws ChangeRefused `unknown-backend` */
  #poolOf(id: number): PoolRegistry {
    const pool = this.#registry.poolOf(id);
    if (pool !== undefined) return pool;
    throw new ChangeRefused('unknown-backend', `There is no backend ${id}.`);
  }
}
