/**
 * The backends that are found for the pools, by whichever source. An answer changes a pool in two steps: who comes is there first, and
 * checked; then those that are gone from the answer drain. So a service that moves as a whole leaves nobody without a backend.
 */
import { isDeepStrictEqual } from 'node:util';
import { describeOwnAddress, OwnMachine } from '../../config/compile/own-address.ts';
import type { DiscoverySettings, SourceKind } from '../../config/discovery-settings.ts';
import type { BackendSettings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Drains } from '../drains.ts';
import type { Operator } from '../operator.ts';
import { poolLog } from '../pool-log.ts';
import type { Registry } from '../registry.ts';
import { Findings, type SearchStatus } from './findings.ts';
import { changeTo, type FoundBackend } from './found-backends.ts';
import type { KeptLists } from './kept-lists.ts';
import type { DiscoverySource } from './source.ts';
import { type CreateSource, shownSource } from './sources.ts';

export interface DiscoveryOptions {
  readonly registry: Registry;
  readonly operator: Pick<Operator, 'found'>;
  readonly drains: Drains;
  readonly log: Logger;
  readonly createSource: CreateSource;
  readonly kept: KeptLists;
  /** Checks a backend; resolves with the result there. */
  readonly checkNow: (id: number) => Promise<void>;
}

/** Of one pool. */
interface Search {
  readonly settings: DiscoverySettings;
  readonly findings: Findings;
  readonly source: DiscoverySource;
  /** Looks whether those on their way out are done. */
  poll: NodeJS.Timeout | undefined;
}

/** How the search for the backends of a pool goes. */
export interface PoolSearch {
  readonly kind: SourceKind;
  /** What is asked, for people. */
  readonly shown: string;
  readonly status: SearchStatus;
}

/** Who goes waits so long at most for the first checks of who comes. */
const FIRST_CHECKS_MS = 5_000;
const DRAIN_POLL_MS = 100;

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #searches = new Map<string, Search>();
  #isStopped = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** Fits the searches to the settings of the pools. Resolves when the first answers of the new ones are in force. */
  async sync(): Promise<void> {
    if (this.#isStopped) return;
    const begun: Promise<void>[] = [];
    const wanted = new Map(
      this.#options.registry.pools().map(({ name, settings }) => [name, settings.discovery]),
    );
    for (const [name, { settings }] of this.#searches) {
      const next = wanted.get(name) ?? null;
      if (isDeepStrictEqual(next, settings)) continue;
      this.#end(name);
      if (next === null) this.#options.kept.forget(name);
    }
    for (const [name, settings] of wanted) {
      if (settings === null || settings === undefined || this.#searches.has(name)) continue;
      begun.push(this.#begin(name, settings));
    }
    await Promise.all(begun);
  }

  /** Resolves when the last good lists are on the disk, as far as they may be. */
  stop(): Promise<void> {
    this.#isStopped = true;
    for (const name of this.#searches.keys()) this.#end(name);
    return this.#options.kept.flush();
  }

  /** The last good lists, for the process that takes over. */
  lists(): string {
    return this.#options.kept.text();
  }

  /** Undefined: its backends are listed. */
  search(pool: string): PoolSearch | undefined {
    const search = this.#searches.get(pool);
    if (search === undefined) return undefined;
    const { settings, findings } = search;
    return { kind: settings.source.kind, shown: shownSource(settings), status: findings.status };
  }

  async #begin(pool: string, settings: DiscoverySettings): Promise<void> {
    const { registry, createSource, kept } = this.#options;
    const findings = new Findings({
      settings,
      shown: shownSource(settings),
      log: this.#logOf(pool),
      now: () => registry.now(),
      apply: (list, isKept) => {
        if (!isKept) kept.keep(pool, settings, list);
        return this.#take(pool, list, isKept);
      },
      // A name that leads to our own admin API would open it to everybody.
      whyNot: () => {
        const machine = new OwnMachine();
        return (one) => describeOwnAddress(one, registry.settings, machine);
      },
      kept: kept.of(pool, settings),
    });
    const source = createSource(settings, findings);
    this.#searches.set(pool, { settings, findings, source, poll: undefined });
    source.start();
    findings.begin();
    await findings.first;
  }

  #end(pool: string): void {
    const search = this.#searches.get(pool);
    search?.findings.stop();
    search?.source.stop();
    clearInterval(search?.poll);
    this.#searches.delete(pool);
  }

  async #take(pool: string, list: readonly BackendSettings[], isKept: boolean): Promise<void> {
    const search = this.#searches.get(pool);
    const change = changeTo(list, this.#found(pool));
    if (change.came.length > 0 || change.areOther) {
      await this.#set(pool, () => changeTo(list, this.#found(pool)).all);
      for (const url of change.came) this.#comes(pool, url);
      const checked = this.#checked(pool, change.came);
      // An answer of the source does not wait for what may be there no more.
      if (!isKept) await checked;
    }
    if (change.went.length === 0 || this.#searches.get(pool) !== search) return;
    const gone = new Set(change.went);
    await this.#set(pool, () =>
      this.#found(pool).map((one) => (gone.has(one.url) ? { ...one, isGoing: true } : one)),
    );
    for (const url of gone) this.#goes(pool, url);
    this.#watchDrains(pool);
  }

  #found(pool: string): readonly FoundBackend[] {
    return this.#options.registry.pool(pool)?.found ?? [];
  }

  /** @param next asked when it is its turn */
  async #set(pool: string, next: () => readonly FoundBackend[]): Promise<void> {
    const { registry, operator } = this.#options;
    if (this.#isStopped) return;
    try {
      await operator.found(() => registry.setFound(pool, next()));
    } catch (error) {
      const message = 'what was found could not be put in force everywhere';
      const log = this.#logOf(pool);
      log.error('discovery.not_applied', message, { error });
    }
  }

  #comes(pool: string, url: string): void {
    const { registry, drains } = this.#options;
    const backend = registry.pool(pool)?.findByUrl(url);
    // An operator has removed it.
    if (backend === undefined) return;
    const { id } = backend;
    const fields = { backend: url, id };
    const log = this.#logOf(pool);
    if (drains.has(id)) {
      if (backend.adminState !== 'draining') drains.cancel(id);
      log.info('backend.found', `${url} is back before its drain was over`, fields);
    } else {
      log.info('backend.found', `${url} was found as backend ${id}`, fields);
    }
  }

  async #checked(pool: string, urls: readonly string[]): Promise<void> {
    const { registry, checkNow } = this.#options;
    const checks = urls.flatMap((url) => {
      const id = registry.pool(pool)?.findByUrl(url)?.id;
      return id === undefined ? [] : [checkNow(id)];
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FIRST_CHECKS_MS);
      timer.unref();
    });
    await Promise.race([Promise.all(checks), late]);
    clearTimeout(timer);
  }

  #goes(pool: string, url: string): void {
    const { registry, drains } = this.#options;
    const backend = registry.pool(pool)?.findByUrl(url);
    if (backend?.adminState !== 'draining') return;
    const { id } = backend;
    const { drainMs } = registry.settings;
    if (!drains.has(id)) void drains.start(id, drainMs);
    const log = this.#logOf(pool);
    log.info('backend.draining', `${url} is draining: it is not to be found any more`, {
      backend: url,
      id,
      drain_ms: drainMs,
    });
  }

  #watchDrains(pool: string): void {
    const search = this.#searches.get(pool);
    if (search === undefined || search.poll !== undefined) return;
    const deadlines = new Map<string, number>();
    let isBusy = false;
    search.poll = setInterval(() => {
      if (isBusy) return;
      isBusy = true;
      void this.#dropDrained(pool, deadlines)
        .then((isOver) => {
          if (!isOver) return undefined;
          clearInterval(search.poll);
          search.poll = undefined;
          return undefined;
        })
        .finally(() => {
          isBusy = false;
        });
    }, DRAIN_POLL_MS);
    search.poll.unref();
  }

  /** @param deadlines by URL @returns whether none is left. */
  async #dropDrained(pool: string, deadlines: Map<string, number>): Promise<boolean> {
    const { registry, drains } = this.#options;
    const going = this.#found(pool).filter(({ isGoing }) => isGoing);
    const now = performance.now();
    const urls = new Set(going.map(({ url }) => url));
    for (const url of deadlines.keys()) if (!urls.has(url)) deadlines.delete(url);
    const done = going.filter(({ url }) => {
      const deadline = deadlines.get(url) ?? now + registry.settings.drainMs;
      deadlines.set(url, deadline);
      const backend = registry.pool(pool)?.findByUrl(url);
      return backend === undefined || now >= deadline || drains.isDrained(backend);
    });
    if (done.length === 0) return going.length === 0;
    const gone = new Set(done.map(({ url }) => url));
    const ids = done.map(({ url }) => registry.pool(pool)?.findByUrl(url)?.id);
    await this.#set(pool, () =>
      this.#found(pool).filter(({ url, isGoing }) => !(isGoing && gone.has(url))),
    );
    for (const id of ids)
      if (id !== undefined && registry.backend(id) === undefined) drains.forget(id);
    const log = this.#logOf(pool);
    for (const url of gone) {
      deadlines.delete(url);
      log.info('backend.removed', `${url} is not to be found any more, and removed`, {
        backend: url,
        by: 'discovery',
      });
    }
    return going.length === done.length;
  }

  #logOf(pool: string): Logger {
    return poolLog(this.#options.log, pool);
  }
}
