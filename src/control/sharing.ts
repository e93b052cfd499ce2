/** Changes that are for all instances of a cluster: written to the store, then made here as everywhere; and those that others have made. */
import type { Logger } from '../observe/logger.ts';
import { beforeAndAfter } from './audit.ts';
import type { Backend } from './backend.ts';
import { tellAddedElsewhere, tellGoneElsewhere, tellUpdated, wishesFor } from './backend-log.ts';
import type { ChangeTerms, DrainTerms } from './change-terms.ts';
import { NotShared, type SharedChanges } from './cluster-port.ts';
import type { Plan } from './plan.ts';
import { poolLog } from './pool-log.ts';
import type { Registry } from './registry.ts';

/** Of a change that others get in the way of. */
const TRIES = 5;
/** More are told in one line. */
const MOST_TOLD = 20;

export interface SharingOptions {
  readonly shared: SharedChanges;
  readonly registry: Registry;
  readonly log: Logger;
  readonly publish: () => Promise<void>;
  /** The backend is not there any more. */
  readonly onGone: (id: number) => void;
  /** Enabled, draining or disabled from now on; draining like this, where that is known. */
  readonly onState: (backend: Backend, drain: DrainTerms | undefined) => Promise<void>;
}

/** Nothing of this takes turns: whoever calls has its own. */
export class Sharing {
  readonly #options: SharingOptions;

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
      // What is kept is this already, while what is in force may be something else: a change that was not to be kept.
      if (plan.isSaved) return this.#make(plan);
      const revision = await shared.write(registry.keptState, plan.state, {
        at: precondition === undefined ? undefined : at,
        actor,
        drain,
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
    const { shared, registry, publish, onGone, onState } = this.#options;
    // What is stored is read for it: nobody else drains.
    const drainOf = (pool: string, { adminState, address }: Backend) =>
      adminState === 'draining' ? shared.drainOf(pool, address.url) : undefined;
    const versions = new Map(registry.pools().map((pool) => [pool, pool.version]));
    const before = new Map(
      registry
        .pools()
        .flatMap(({ name, live }) =>
          live
            .all()
            .map((backend) => [
              backend.id,
              { pool: name, backend, was: wishesFor(backend), drain: drainOf(name, backend) },
            ]),
        ),
    );
    const isFirst = registry.sharedRevision === undefined;
    const isOther = shared.take();
    const gone = [...before.values()].filter(({ backend: { id } }) => !registry.backend(id));
    for (const { backend } of gone) {
      before.delete(backend.id);
      onGone(backend.id);
    }
    if (isOther) await publish();
    if (registry.admitOthers()) await publish();
    const others = registry.pools().filter((pool) => versions.get(pool) !== pool.version);
    const changed = others.flatMap(({ name, live }) =>
      live.all().flatMap((backend) => {
        const was = before.get(backend.id)?.was;
        const hasOther = was && beforeAndAfter(was, wishesFor(backend)).after !== undefined;
        return hasOther ? [{ pool: name, backend, was }] : [];
      }),
    );
    const added = others.flatMap(({ name, live }) =>
      live.all().flatMap((backend) => (before.has(backend.id) ? [] : [{ pool: name, backend }])),
    );
    // What is there at the start has come from nobody.
    if (!isFirst) {
      this.#tellSome('backend.removed', gone, tellGoneElsewhere);
      this.#tellSome('backend.added', added, tellAddedElsewhere);
    }
    this.#tellSome('backend.updated', changed, (log, backend, { was }) =>
      tellUpdated(log, backend, was, { by: 'cluster' }),
    );
    // Also where all else is as it was: a drain may have begun anew.
    for (const { name, live } of registry.pools()) {
      for (const backend of live.all()) {
        const known = before.get(backend.id);
        if (known === undefined) continue;
        const drain = drainOf(name, backend);
        const isBegun = drain !== undefined && drain.begunAt !== known.drain?.begunAt;
        const hasOtherState = known.was['state'] !== backend.adminState;
        if (isBegun || hasOtherState) await onState(backend, drain);
      }
    }
  }

  #tellSome<T extends { readonly pool: string; readonly backend: Backend }>(
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
