/**
 * The limits that all instances count together, and the sessions that all of them know: data threads ask, and this asks the engine that the
 * settings name. Where the engine does not answer, data threads are told, decide alone, and ask again when it does
 * (docs/decisions/0050-global-rate-limits.md, 0057-shared-sessions.md).
 */
import { REDIS_PACKAGE } from '../../config/compile/compile-redis.ts';
import type { RedisSettings } from '../../config/redis-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { isSame } from '../../config/values/same.ts';
import type { Logger } from '../../observe/logger.ts';
import type { CounterEngineMessage, RateAskMessage } from '../../snapshot/counter-engine.ts';
import type { SessionAnswerMessage, SessionAskMessage } from '../../snapshot/shared-sessions.ts';
import type { Claim, CounterStore, Take, Taken } from './counter-store.ts';
import { EngineBreaker } from './engine-breaker.ts';
import { RateCalls, type Reply } from './rate-calls.ts';
import { CallTimeout, type RedisModule, RedisStore, type RedisStoreEvents } from './redis-store.ts';

/** As soon as one instance counts with the engine again, all should: see `LAST_RETRY_MS` of redis-store.ts. */
const PROBE_EVERY_MS = 200;
/** An engine that comes and goes is told of once in so long. */
const TELL_EVERY_MS = 30_000;

/** More are not asked for at once: this thread has other work. */
const MOST_CLAIMS = 512;

const PROBE: Take = {
  owner: 'probe',
  key: '',
  limit: { key: { by: 'ip', name: '' }, rate: 1000, perMs: 1000, burst: 1000 },
  want: 1,
  debtMs: 0,
};

/** Since the start. */
export interface CounterEngineCounts {
  granted: number;
  refused: number;
  /** Sessions that somebody has, by then, and that nobody has. */
  found: number;
  unknown: number;
  timedOut: number;
  failed: number;
  /** How long calls that were answered have taken, altogether. */
  seconds: number;
  timesDown: number;
}

export interface CounterEngineView {
  /** Without what is secret. */
  readonly url: string;
  readonly isUp: boolean;
  /** Why not, or why last. */
  readonly lastError: string | null;
  /** By the wall clock. */
  readonly lastErrorAt: Date | null;
  readonly counts: Readonly<CounterEngineCounts>;
}

export interface CounterEngineOptions {
  readonly log: Logger;
  readonly instances: () => number;
  readonly tellThreads: (message: CounterEngineMessage) => void;
  readonly createStore?: (
    settings: RedisSettings,
    events: RedisStoreEvents,
  ) => Promise<CounterStore>;
}

export class CounterEngine {
  readonly #options: CounterEngineOptions;
  readonly #breaker = new EngineBreaker();
  readonly #calls: RateCalls;
  readonly #counts: CounterEngineCounts = {
    granted: 0,
    refused: 0,
    found: 0,
    unknown: 0,
    timedOut: 0,
    failed: 0,
    seconds: 0,
    timesDown: 0,
  };
  #settings: RedisSettings | null = null;
  #store: CounterStore | null = null;
  #probe: NodeJS.Timeout | undefined;
  #lastError: string | null = null;
  #lastErrorAt: Date | null = null;
  #downSinceMs = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  #isTold = false;
  /** Under way. */
  #claims = 0;

  constructor(options: CounterEngineOptions) {
    this.#options = options;
    this.#calls = new RateCalls({
      take: (asked) => (this.#breaker.isOpen ? null : this.#take(asked)),
      instances: options.instances,
    });
  }

  /** Null: none is configured. */
  get view(): CounterEngineView | null {
    if (this.#settings === null) return null;
    const isUp = !this.#breaker.isOpen && this.#store !== null;
    const { url } = this.#settings;
    const [lastError, lastErrorAt] = [this.#lastError, this.#lastErrorAt];
    return { url, isUp, lastError, lastErrorAt, counts: this.#counts };
  }

  ask(message: RateAskMessage, reply: Reply): void {
    this.#calls.ask(message, reply);
  }

  /** Answered as soon as the engine has answered, or has not. */
  askForSession(message: SessionAskMessage, reply: (answer: SessionAnswerMessage) => void): void {
    const { id, owner, key, value, instead, ttlMs, firstTtlMs } = message;
    const answer = (outcome: SessionAnswerMessage['outcome'], whose = ''): void =>
      reply({ kind: 'session-answer', id, outcome, value: whose });
    if (this.#breaker.isOpen) {
      answer('down');
    } else if (this.#claims >= MOST_CLAIMS) {
      answer('failed');
    } else {
      void this.#claim({ owner, key, value, instead, ttlMs, firstTtlMs }).then(
        (whose) => void answer('answered', whose),
        () => void answer('failed'),
      );
    }
  }

  async #claim(asked: Claim): Promise<string> {
    this.#claims++;
    try {
      const whose = await this.#call((store) => store.claim(asked));
      if (whose === '') this.#counts.unknown++;
      else this.#counts.found++;
      return whose;
    } finally {
      this.#claims--;
    }
  }

  /** The settings may have become others. The package is loaded only where they ask for it. */
  sync({ redis }: Settings): void {
    if (isSame(redis, this.#settings)) return;
    this.stop();
    this.#settings = redis;
    if (redis !== null) void this.#open(redis);
  }

  stop(): void {
    clearTimeout(this.#probe);
    this.#store?.close();
    this.#store = null;
    this.#settings = null;
    this.#lastError = null;
    this.#lastErrorAt = null;
    const wasDown = this.#breaker.isOpen;
    this.#breaker.close();
    if (!wasDown) return;
    this.#options.tellThreads({ kind: 'counter-engine', isDown: false });
  }

  async #open(settings: RedisSettings): Promise<void> {
    const { log, createStore = createRedisStore } = this.#options;
    const isCurrent = (): boolean => this.#settings === settings;
    try {
      const store = await createStore(settings, {
        onReady: () => {
          if (isCurrent() && this.#breaker.isOpen) void this.#lookWhether();
        },
        onError: (reason) => {
          if (isCurrent()) this.#noteError(reason);
        },
      });
      if (isCurrent()) this.#store = store;
      else store.close();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error(
        'counter_engine.failed',
        `no global limits and sessions: ${REDIS_PACKAGE} can't be loaded: ${reason}`,
      );
    }
  }

  async #take(asked: Take): Promise<Taken> {
    const taken = await this.#call((store) => store.take(asked));
    if (taken.granted > 0) this.#counts.granted++;
    else this.#counts.refused++;
    return taken;
  }

  async #call<T>(ask: (store: CounterStore) => Promise<T>): Promise<T> {
    const counts = this.#counts;
    const startedAt = performance.now();
    const store = this.#store;
    try {
      if (store === null) throw new Error('there is no connection yet');
      const answer = await ask(store);
      counts.seconds += (performance.now() - startedAt) / 1000;
      if (this.#isInUse(store)) this.#breaker.succeeded();
      return answer;
    } catch (error) {
      if (!this.#isInUse(store)) throw error;
      if (error instanceof CallTimeout) counts.timedOut++;
      else counts.failed++;
      this.#noteError(error instanceof Error ? error.message : String(error));
      if (this.#breaker.failed()) this.#wentDown();
      throw error;
    }
  }

  /** False: another engine is configured by now, or none; what this one does says nothing of that. */
  #isInUse(store: CounterStore | null): boolean {
    return this.#store === store && this.#settings !== null;
  }

  #noteError(reason: string): void {
    this.#lastError = reason;
    this.#lastErrorAt = new Date();
  }

  #wentDown(): void {
    const { log, tellThreads } = this.#options;
    this.#counts.timesDown++;
    const nowMs = performance.now();
    this.#downSinceMs = nowMs;
    tellThreads({ kind: 'counter-engine', isDown: true });
    this.#lookLater();
    this.#isTold = nowMs - this.#toldMs >= TELL_EVERY_MS;
    if (!this.#isTold) return;
    this.#toldMs = nowMs;
    log.warn(
      'counter_engine.down',
      `global limits and sessions are decided about without ${this.#settings?.url}: ${this.#lastError}`,
    );
  }

  #lookLater(): void {
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => void this.#lookWhether(), PROBE_EVERY_MS);
    this.#probe.unref();
  }

  /** One call, to find out whether the engine answers again. */
  async #lookWhether(): Promise<void> {
    clearTimeout(this.#probe);
    const store = this.#store;
    try {
      await this.#take(PROBE);
    } catch {
      if (this.#isInUse(store) && this.#breaker.isOpen) this.#lookLater();
      return;
    }
    if (!this.#isInUse(store) || !this.#breaker.isOpen) return;
    this.#breaker.close();
    this.#options.tellThreads({ kind: 'counter-engine', isDown: false });
    if (!this.#isTold) return;
    const seconds = ((performance.now() - this.#downSinceMs) / 1000).toFixed(1);
    this.#options.log.info(
      'counter_engine.up',
      `global limits are counted again, and sessions shared, after ${seconds} s`,
    );
  }
}

const createRedisStore: NonNullable<CounterEngineOptions['createStore']> = async (
  settings,
  events,
) => new RedisStore((await import(REDIS_PACKAGE)) as RedisModule, settings, events);
