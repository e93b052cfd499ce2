/**
 * The backends that are found for the pools by name. An answer changes a pool in two steps: who comes is there first, and checked;
 * then those that are gone from the answer drain. So a name that moves as a whole leaves nobody without a backend.
 */
import { isDeepStrictEqual } from 'node:util';
import type { DiscoverySettings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Drains } from '../drains.ts';
import type { Operator } from '../operator.ts';
import { poolLog } from '../pool-log.ts';
import type { Registry } from '../registry.ts';
import type { ResolveName } from './dns-answers.ts';
import { backendAt, changeTo, type FoundBackend } from './found-backends.ts';
import { NameLookups } from './name-lookups.ts';

export interface DiscoveryOptions {
  readonly registry: Registry;
  readonly operator: Pick<Operator, 'found'>;
  readonly drains: Drains;
  readonly log: Logger;
  readonly resolve: ResolveName;
  /** Checks a backend; resolves with the result there. */
  readonly checkNow: (id: number) => Promise<void>;
}

/** Of one pool. */
interface Search {
  readonly settings: DiscoverySettings;
  readonly lookups: NameLookups;
  /** Looks whether those on their way out are done. */
  poll: NodeJS.Timeout | undefined;
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

  /** Fits the searches to the settings of the pools. Resolves when the first lookups of the new ones are over. */
  async sync(): Promise<void> {
    if (this.#isStopped) return;
    const begun: Promise<void>[] = [];
    const wanted = new Map(
      this.#options.registry.pools().map(({ name, settings }) => [name, settings.discovery]),
    );
    for (const [name, { settings }] of this.#searches) {
      if (!isDeepStrictEqual(wanted.get(name), settings)) this.#end(name);
    }
    for (const [name, settings] of wanted) {
      if (settings === null || settings === undefined || this.#searches.has(name)) continue;
      const lookups = this.#lookups(name, settings);
      this.#searches.set(name, { settings, lookups, poll: undefined });
      begun.push(lookups.start());
    }
    await Promise.all(begun);
  }

  stop(): void {
    this.#isStopped = true;
    for (const name of this.#searches.keys()) this.#end(name);
  }

  #lookups(pool: string, { dns, everyMs }: DiscoverySettings): NameLookups {
    const { resolve } = this.#options;
    return new NameLookups({
      host: dns.host,
      everyMs,
      resolve,
      log: this.#logOf(pool),
      onAddresses: (addresses) =>
        this.#take(
          pool,
          addresses.map((address) => backendAt(address, dns)),
        ),
    });
  }

  #end(pool: string): void {
    const search = this.#searches.get(pool);
    search?.lookups.stop();
    clearInterval(search?.poll);
    this.#searches.delete(pool);
  }

  async #take(pool: string, found: readonly FoundBackend[]): Promise<void> {
    const search = this.#searches.get(pool);
    const change = changeTo(found, this.#found(pool));
    if (change.came.length > 0) {
      await this.#set(pool, () => changeTo(found, this.#found(pool)).all);
      for (const url of change.came) this.#comes(pool, url);
      await this.#checked(pool, change.came);
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
      const message = 'what was found by name could not be put in force everywhere';
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
    log.info('backend.draining', `${url} is draining: its name does not lead there any more`, {
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
      log.info('backend.removed', `${url} is gone from its name, and removed`, {
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
