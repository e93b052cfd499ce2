/**
 * One name, looked up again and again: as often as is said, or as its answers hold. An answer that fails changes nothing, and is
 * told once in a row.
 */
import type { Logger } from '../../observe/logger.ts';
import type { ResolveName } from './dns-answers.ts';

/** So many addresses of one name are used. */
const MOST_ADDRESSES = 256;
const WITHOUT_TTL_MS = 10_000;
const SHORTEST_TTL_MS = 1_000;
const LONGEST_TTL_MS = 5 * 60_000;
/** After a failure, and twice as long after each further one. */
const AGAIN_MS = 1_000;
/** Many proxies shall not ask in step. */
const JITTER = 0.1;

export interface NameLookupsOptions {
  readonly host: string;
  /** 0: as the answers hold. */
  readonly everyMs: number;
  readonly resolve: ResolveName;
  readonly log: Logger;
  /** At most `MOST_ADDRESSES`, sorted, each once, not empty. The next lookup follows when it is done. */
  readonly onAddresses: (addresses: readonly string[]) => Promise<void>;
  readonly random?: () => number;
}

export class NameLookups {
  readonly #options: NameLookupsOptions;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #failures = 0;
  #hasTooMany = false;

  constructor(options: NameLookupsOptions) {
    this.#options = options;
  }

  /** Resolves when the first lookup is over, whatever came of it. */
  async start(): Promise<void> {
    await this.#ask();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    const { host, resolve } = this.#options;
    let nextMs: number;
    try {
      const { addresses, ttlMs } = await resolve(host);
      if (addresses.length === 0) throw new Error(`${host} has no address`);
      if (this.#isStopped) return;
      await this.#take([...new Set(addresses)].toSorted());
      nextMs = this.#nextMs(ttlMs);
    } catch (error) {
      if (this.#isStopped) return;
      nextMs = this.#failed(error);
    }
    if (this.#isStopped) return;
    const { random = Math.random } = this.#options;
    const delayMs = nextMs * (1 - JITTER + 2 * JITTER * random());
    this.#timer = setTimeout(() => void this.#ask(), delayMs);
    this.#timer.unref();
  }

  async #take(addresses: readonly string[]): Promise<void> {
    const { host, log, onAddresses } = this.#options;
    if (this.#failures > 0) {
      log.info('discovery.recovered', `${host} can be looked up again`, { host });
    }
    this.#failures = 0;
    const hasTooMany = addresses.length > MOST_ADDRESSES;
    if (hasTooMany && !this.#hasTooMany) {
      const count = addresses.length;
      log.warn(
        'discovery.too_many',
        `${host} has ${count} addresses: ${MOST_ADDRESSES} of them are used`,
        { host, addresses: count },
      );
    }
    this.#hasTooMany = hasTooMany;
    await onAddresses(addresses.slice(0, MOST_ADDRESSES));
  }

  #nextMs(ttlMs: number | undefined): number {
    const { everyMs } = this.#options;
    if (everyMs > 0) return everyMs;
    if (ttlMs === undefined) return WITHOUT_TTL_MS;
    return Math.min(LONGEST_TTL_MS, Math.max(SHORTEST_TTL_MS, ttlMs));
  }

  #failed(error: unknown): number {
    const { host, log, everyMs } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#failures === 0) {
      log.warn(
        'discovery.failed',
        `${host} can't be looked up, so the last answer holds: ${reason}`,
        { host, reason },
      );
    }
    const patientMs = everyMs > 0 ? everyMs : WITHOUT_TTL_MS;
    const delayMs = Math.min(patientMs, AGAIN_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    return delayMs;
  }
}
