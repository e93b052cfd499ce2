/** Changes that are for all instances of a cluster: written to the store, then made here as everywhere; and those that others have made. */
import { isSame } from '../config/values/same.ts';
import type { Logger } from '../observe/logger.ts';
import { beforeAndAfter, type Values } from './audit.ts';
import type { Backend } from './backend.ts';
import { tellAddedElsewhere, tellGoneElsewhere, tellUpdated, wishesFor } from './backend-log.ts';
import type { BackendDrain, ChangeTerms, DrainTerms } from './change-terms.ts';
import { NotShared, type SharedChanges } from './cluster-port.ts';
import type { Plan } from './plan.ts';
import { poolLog } from './pool-log.ts';
import type { PoolRegistry } from './pool-registry.ts';
import type { Registry } from './registry.ts';
import { otherIds } from './renumbering.ts';
import { changesOf, type OperatorState } from './state/operator-state.ts';

/** Of a change that others get in the way of. */
const TRIES = 5;
const NO_OTHERS: ReadonlyMap<number, number | undefined> = new Map();
/** More are told in one line. */
const MOST_TOLD = 20;

/** What was wanted of the backends of a pool. */
interface SeenPool {
  readonly version: number;
  readonly backends: readonly { readonly backend: Backend; readonly wishes: Values }[];
  readonly draining: readonly Backend[];
}

type Before = ReadonlyMap<PoolRegistry, SeenPool>;

/** Whom a line of the log is about. */
interface Told {
  readonly pool: string;
  readonly backend: Backend;
}

export interface SharingOptions {
  readonly shared: SharedChanges;
  readonly registry: Registry;
  readonly log: Logger;
  readonly publish: () => Promise<void>;
  /** Backends that have other ids from now on; undefined: they are gone. */
  readonly onRenumbered?: ((ids: ReadonlyMap<number, number | undefined>) => void) | undefined;
  /** The backend is not there any more. */
  readonly onGone: (id: number) => void;
  /** Enabled, draining or disabled from now on; draining like this, where that is known. */
  readonly onState: (backend: Backend, drain: DrainTerms | undefined) => Promise<void>;
}

/** Nothing of this takes turns: whoever calls has its own. */
export class Sharing {
  readonly #options: SharingOptions;
  readonly #seenPools = new WeakMap<PoolRegistry, SeenPool>();

  constructor(options: SharingOptions) {
    this.#options = options;
  }

  /** Of the next backend that is added. */
  get nextId(): number {
    return this.#options.shared.nextId;
  }

  /** Who has lost a race looks again. @throws NotShared, and what the plan and the precondition throw */
  async change<T>(
    makePlan: () => Plan<T>,
    { precondition, guard, actor, drain }: ChangeTerms,
  ): Promise<T> {
    const { shared, registry } = this.#options;
    for (let tries = 1; tries <= TRIES; tries++) {
      precondition?.(registry);
      guard?.();
      const plan = makePlan();
      const { sharedRevision: at = 0 } = registry;
      const begun = drain?.();
      // What is kept is this already, while what is in force may be something else: a change that was not to be kept.
      if (plan.isSaved && !(begun && isKeptOf(plan.state, begun))) return this.#make(plan);
      const revision = await shared.write(registry.keptState, plan.state, {
        at: precondition === undefined ? undefined : at,
        actor,
        drain: begun,
      });
      if (revision === undefined) {
        await this.take();
        continue;
      }
      return this.#make(plan, revision);
    }
    throw new NotShared('busy', `Others change the same: given up after ${TRIES} tries.`);
  }

  /** @param revision that it has in the store, if it was written for this. */
  async #make<T>(plan: Plan<T>, revision?: number): Promise<T> {
    const { registry, publish } = this.#options;
    const result = plan.commit();
    if (revision !== undefined) registry.wroteShared(revision);
    if (!plan.isEmpty) await publish();
    return result;
  }

  /** What is run on here. @throws NotEverywhere */
  appliedByAll(): Promise<void> {
    const { shared, registry } = this.#options;
    return shared.appliedByAll(registry.sharedRevision ?? 0);
  }

  /** Runs on what the store is known to hold. */
  async take(): Promise<void> {
    const { shared, registry, onGone } = this.#options;
    const isFirst = registry.sharedRevision === undefined;
    const before: Before = new Map(registry.pools().map((pool) => [pool, this.#seen(pool)]));
    const drainsBefore = this.#drains();
    const isOther = shared.take();
    const gone = this.#goneSince(before);
    for (const { backend } of gone) onGone(backend.id);
    await this.#publish(isOther, before, gone.length > 0);
    const { added, updated } = this.#differencesTo(before);
    // What is there at the start has come from nobody.
    if (!isFirst) {
      this.#tellSome('backend.removed', gone, tellGoneElsewhere);
      this.#tellSome('backend.added', added, tellAddedElsewhere);
    }
    this.#tellSome('backend.updated', updated, (log, backend, { was }) =>
      tellUpdated(log, backend, was, { by: 'cluster' }),
    );
    const inOtherState = updated.filter(({ backend, was }) => was['state'] !== backend.adminState);
    // One that comes back may have gone while it drained.
    const inNewState = [...inOtherState, ...(isFirst ? [] : added)].map(({ backend }) => backend);
    await this.#begin(new Set(inNewState), drainsBefore, isFirst ? added : []);
  }

  #goneSince(before: Before): Told[] {
    const pools = new Set(this.#options.registry.pools());
    return [...before].flatMap(([pool, was]) => {
      if (was.version === pool.version && pools.has(pool)) return [];
      const isGone = ({ id }: Backend) => !pools.has(pool) || pool.backend(id) === undefined;
      return was.backends
        .filter(({ backend }) => isGone(backend))
        .map(({ backend }) => ({ pool: pool.name, backend }));
    });
  }

  /** One right after the other: nobody is missing for longer than data threads need for what they are told. */
  async #publish(isOther: boolean, before: Before, isAnyGone: boolean): Promise<void> {
    const { registry, publish, onRenumbered } = this.#options;
    const published = [isOther ? publish() : undefined];
    const isAnyAdmitted = registry.admitOthers();
    const others = isAnyGone || isAnyAdmitted ? otherIds(before, registry.pools()) : NO_OTHERS;
    // Of those that have only gone, sessions wait for them to come back.
    const isRenumbered = [...others.values()].some((id) => id !== undefined);
    if (isAnyAdmitted || isRenumbered) onRenumbered?.(others);
    if (isAnyAdmitted) published.push(publish());
    await Promise.all(published);
  }

  #differencesTo(before: Before): {
    readonly added: Told[];
    readonly updated: (Told & { readonly was: Values })[];
  } {
    const added: Told[] = [];
    const updated: (Told & { readonly was: Values })[] = [];
    for (const pool of this.#options.registry.pools()) {
      const was = before.get(pool);
      if (was?.version === pool.version) continue;
      const known = new Map(was?.backends.map(({ backend, wishes }) => [backend, wishes]));
      for (const backend of pool.backends()) {
        const one = { pool: pool.name, backend };
        const wished = known.get(backend);
        if (wished === undefined) added.push(one);
        else if (beforeAndAfter(wished, wishesFor(backend)).after !== undefined) {
          updated.push({ ...one, was: wished });
        }
      }
    }
    return { added, updated };
  }

  /** Also where all else is as it was: a drain may have begun anew. */
  async #begin(
    inNewState: ReadonlySet<Backend>,
    drainsBefore: ReadonlyMap<Backend, DrainTerms>,
    leftAsTheyAre: readonly Told[],
  ): Promise<void> {
    const drains = this.#drains();
    for (const { backend } of leftAsTheyAre) drains.delete(backend);
    const begun = [...new Set([...inNewState, ...drains.keys()])].map((backend) => {
      const drain = drains.get(backend);
      // Two instances may have begun one at the same time, by their clocks.
      const isBegun = drain !== undefined && !isSame(drainsBefore.get(backend), drain);
      return isBegun || inNewState.has(backend) ? this.#options.onState(backend, drain) : undefined;
    });
    // Together: a data thread that is slow to know is waited for once.
    await Promise.all(begun);
  }

  /** What is wanted of the backends of a pool, as it is now. */
  #seen(pool: PoolRegistry): SeenPool {
    const { version } = pool;
    const known = this.#seenPools.get(pool);
    if (known?.version === version) return known;
    const all = pool.backends();
    const backends = all.map((backend) => ({ backend, wishes: wishesFor(backend) }));
    const draining = all.filter(({ adminState }) => adminState === 'draining');
    const seen = { version, backends, draining };
    this.#seenPools.set(pool, seen);
    return seen;
  }

  /** Of those that drain, and are known to have begun elsewhere: what is stored is read for it. */
  #drains(): Map<Backend, DrainTerms> {
    const { shared, registry } = this.#options;
    const drains = new Map<Backend, DrainTerms>();
    for (const pool of registry.pools()) {
      for (const backend of this.#seen(pool).draining) {
        const drain = shared.drainOf(pool.name, backend.address.url);
        if (drain !== undefined) drains.set(backend, drain);
      }
    }
    return drains;
  }

  #tellSome<T extends Told>(
    event: 'backend.added' | 'backend.removed' | 'backend.updated',
    all: readonly T[],
    tell: (log: Logger, backend: Backend, one: T) => void,
  ): void {
    const { log } = this.#options;
    for (const one of all.slice(0, MOST_TOLD)) tell(poolLog(log, one.pool), one.backend, one);
    const count = all.length - MOST_TOLD;
    if (count <= 0) return;
    const message = `${count} more backends were ${event.slice('backend.'.length)} by other instances`;
    log.info(event, message, { count, by: 'cluster' });
  }
}

/** One that this instance alone has, or has not, has no place in the store. */
function isKeptOf(state: OperatorState, { pool, url }: BackendDrain): boolean {
  return changesOf(state, pool).entries.get(url)?.isRemoved === false;
}
