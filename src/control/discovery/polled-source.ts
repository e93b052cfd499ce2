/** A source that is asked again and again: as often as is said, or as its answers hold. For names, of which nobody tells when they move. */
import type { BackendSettings } from '../../config/settings.ts';
import { Backoff, jittered } from './backoff.ts';
import type { DiscoverySource, SourceUser } from './source.ts';

const WITHOUT_TTL_MS = 10_000;
const SHORTEST_TTL_MS = 1_000;
const LONGEST_TTL_MS = 5 * 60_000;

export interface Answer {
  readonly list: readonly BackendSettings[];
  readonly leftOut?: readonly string[];
  /** How long it holds; undefined: nobody said. */
  readonly ttlMs: number | undefined;
}

export interface PolledSourceOptions {
  /** Rejects where there is no answer. */
  readonly ask: () => Promise<Answer>;
  readonly user: SourceUser;
  /** 0: as the answers hold. */
  readonly everyMs: number;
  readonly random?: () => number;
}

export class PolledSource implements DiscoverySource {
  readonly #options: PolledSourceOptions;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: PolledSourceOptions) {
    const { everyMs, random = Math.random } = options;
    this.#options = options;
    this.#random = random;
    this.#backoff = new Backoff(everyMs > 0 ? everyMs : WITHOUT_TTL_MS, random);
  }

  start(): void {
    void this.#ask();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    const { ask, user } = this.#options;
    let delayMs: number;
    try {
      const { list, leftOut, ttlMs } = await ask();
      if (this.#isStopped) return;
      await user.onList(list, leftOut);
      this.#backoff.succeeded();
      delayMs = jittered(this.#nextMs(ttlMs), this.#random);
    } catch (error) {
      if (this.#isStopped) return;
      user.onFault(error instanceof Error ? error.message : String(error));
      delayMs = this.#backoff.failed();
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#ask(), delayMs);
    this.#timer.unref();
  }

  #nextMs(ttlMs: number | undefined): number {
    const { everyMs } = this.#options;
    if (everyMs > 0) return everyMs;
    if (ttlMs === undefined) return WITHOUT_TTL_MS;
    return Math.min(LONGEST_TTL_MS, Math.max(SHORTEST_TTL_MS, ttlMs));
  }
}
