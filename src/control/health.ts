/**
 * Active health checks: one watch per backend, each with its own timer.
 *
 * The first result decides at once. After that it takes `rise` passes in a row to become healthy and `fall` failures
 * in a row to become unhealthy, checked at the fast interval while the answer is open. Every change of health is
 * logged exactly once, here. Disabled backends are checked like all others, so that their health is known when they
 * come back. The checker decides nothing about operators' wishes; it writes health into the registry and says when.
 */
import type { HealthCheckSettings } from '../config/settings.ts';
import type { Logger } from '../observe/logger.ts';
import type { Backend } from './backend.ts';
import type { Probe, ProbeResult } from './probe.ts';
import type { Registry } from './registry.ts';

export interface HealthCheckerOptions {
  readonly registry: Registry;
  readonly log: Logger;
  readonly probe: Probe;
  /** Called after health of any backend changed, or whether it can be connected to. */
  readonly onChange: () => void;
  /** A check passed that began at this time of the registry's clock. */
  readonly onPassed?: (id: number, startedAt: number) => void;
  readonly random?: () => number;
}

/** Intervals vary by ±20 %, so that many backends and many proxies do not check in step. */
const JITTER = 0.2;

interface Watch {
  readonly backend: Backend;
  readonly abort: AbortController;
  /** `auto` starts with HTTP and may settle on TCP. */
  method: 'http' | 'tcp';
  hasAnswered: boolean;
  hasFinishedFirst: boolean;
  passes: number;
  failures: number;
  /** A data thread could not connect: find out quickly whether it is back. */
  isSuspect: boolean;
  timer: NodeJS.Timeout | undefined;
  running: Promise<void> | undefined;
}

export interface HealthCheckCounts {
  readonly passed: number;
  readonly failed: number;
}

export class HealthChecker {
  readonly #registry: Registry;
  readonly #log: Logger;
  readonly #probe: Probe;
  readonly #onChange: () => void;
  readonly #onPassed: (id: number, startedAt: number) => void;
  readonly #random: () => number;
  readonly #watches = new Map<number, Watch>();
  readonly #counts = new Map<number, { passed: number; failed: number }>();
  #settings: HealthCheckSettings;
  #isStopped = false;

  constructor(options: HealthCheckerOptions) {
    this.#registry = options.registry;
    this.#log = options.log;
    this.#probe = options.probe;
    this.#onChange = options.onChange;
    this.#onPassed = options.onPassed ?? (() => {});
    this.#random = options.random ?? Math.random;
    this.#settings = options.registry.settings.healthCheck;
  }

  /**
   * Fits the watches to the registry: new backends are checked at once, gone ones no longer, all others keep their
   * timers, unless the settings of the checks changed.
   */
  sync(): void {
    if (this.#isStopped) return;
    const settings = this.#registry.settings.healthCheck;
    const previous = this.#settings;
    this.#settings = settings;
    for (const [id, watch] of this.#watches) {
      if (this.#registry.backend(id) === undefined) this.#forget(id, watch);
      else if (!isSame(previous, settings)) this.#restart(watch, previous);
    }
    for (const backend of this.#registry.backends()) {
      if (this.#watches.has(backend.id)) continue;
      const watch = this.#watch(backend);
      this.#watches.set(backend.id, watch);
      this.#counts.set(backend.id, { passed: 0, failed: 0 });
      void this.#check(watch);
    }
  }

  /** Resolves when the check under way (or a new one) has its result; at once for an unknown id. */
  async checkNow(id: number): Promise<void> {
    const watch = this.#watches.get(id);
    if (watch !== undefined && !this.#isStopped) await this.#check(watch);
  }

  /** A data thread could not connect. Takes the backend out at once; checks bring it back. */
  connectFailed(id: number, detail: string): void {
    const watch = this.#watches.get(id);
    if (watch === undefined || this.#isStopped) return;
    const isNews = this.#registry.setUnreachable(id, true);
    if (watch.backend.health !== 'healthy') {
      if (isNews) this.#onChange();
      return;
    }
    watch.passes = 0;
    watch.failures = 0;
    watch.isSuspect = true;
    this.#decide(watch, 'unhealthy', detail);
    if (watch.running === undefined) this.#schedule(watch);
  }

  /** Checks of one backend so far, by result. */
  counts(id: number): HealthCheckCounts {
    return this.#counts.get(id) ?? { passed: 0, failed: 0 };
  }

  stop(): void {
    this.#isStopped = true;
    for (const [id, watch] of this.#watches) this.#forget(id, watch);
  }

  #watch(backend: Backend): Watch {
    return {
      backend,
      abort: new AbortController(),
      method: this.#settings.method === 'tcp' ? 'tcp' : 'http',
      hasAnswered: false,
      hasFinishedFirst: false,
      passes: 0,
      failures: 0,
      isSuspect: false,
      timer: undefined,
      running: undefined,
    };
  }

  #forget(id: number, watch: Watch): void {
    clearTimeout(watch.timer);
    watch.abort.abort();
    this.#watches.delete(id);
    this.#counts.delete(id);
  }

  /** The settings changed under a watch: health stays, what was learned by the old method does not. */
  #restart(watch: Watch, previous: HealthCheckSettings): void {
    const { method } = this.#settings;
    const mustCheck = isOtherCheck(previous, this.#settings);
    if (mustCheck) {
      watch.method = method === 'tcp' ? 'tcp' : 'http';
      watch.hasAnswered = false;
      watch.passes = 0;
      watch.failures = 0;
    }
    if (watch.running !== undefined) return;
    if (mustCheck) void this.#check(watch);
    else this.#schedule(watch);
  }

  #check(watch: Watch): Promise<void> {
    watch.running ??= this.#run(watch).finally(() => {
      watch.running = undefined;
      this.#schedule(watch);
    });
    return watch.running;
  }

  async #run(watch: Watch): Promise<void> {
    clearTimeout(watch.timer);
    const asked = this.#settings;
    const startedAt = this.#registry.now();
    const { path, timeoutMs } = asked;
    const { address } = watch.backend;
    const result = await this.#probe(
      { address, method: watch.method, path, timeoutMs },
      watch.abort.signal,
    );
    if (watch.abort.signal.aborted) return;
    // A reload came in between: this is the answer to a question that nobody asks any more.
    if (isOtherCheck(asked, this.#settings)) await this.#run(watch);
    else this.#take(watch, this.#settleAuto(watch, result), startedAt);
  }

  /**
   * `auto`: a backend whose very first answer is 404 has no such page, and one that answers 426 speaks WebSocket and
   * nothing else; from then on a connection is enough.
   */
  #settleAuto(watch: Watch, result: ProbeResult): ProbeResult {
    if (result.status === undefined || watch.hasAnswered) return result;
    watch.hasAnswered = true;
    const hasNoPages = result.status === 404 || result.status === 426;
    if (this.#settings.method !== 'auto' || !hasNoPages) return result;
    watch.method = 'tcp';
    const { url } = watch.backend.address;
    this.#log.info(
      'backend.checked_by_tcp',
      `${url} has no ${this.#settings.path}: from now on it is healthy while it takes connections`,
      { backend: url, path: this.#settings.path },
    );
    return { ...result, isPassed: true };
  }

  #take(watch: Watch, result: ProbeResult, startedAt: number): void {
    const { backend } = watch;
    const counts = this.#counts.get(backend.id);
    if (result.isPassed) {
      watch.passes++;
      watch.failures = 0;
      if (counts !== undefined) counts.passed++;
    } else {
      watch.failures++;
      watch.passes = 0;
      if (counts !== undefined) counts.failed++;
    }
    watch.isSuspect = false;
    this.#registry.recordCheck(backend.id);
    const isNews = this.#registry.setUnreachable(backend.id, !result.hasConnected);
    const { rise, fall } = this.#settings;
    if (result.isPassed) {
      const isDecided = backend.health === 'unknown' || watch.passes >= rise;
      if (isDecided) this.#decide(watch, 'healthy', result.detail);
      this.#onPassed(backend.id, startedAt);
    } else {
      const isDecided = backend.health === 'unknown' || watch.failures >= fall;
      if (isDecided) this.#decide(watch, 'unhealthy', result.detail);
    }
    if (isNews) this.#onChange();
  }

  #decide(watch: Watch, health: 'healthy' | 'unhealthy', reason: string): void {
    const { backend } = watch;
    if (!this.#registry.setHealth(backend.id, health, reason)) return;
    const fields = { backend: backend.address.url, id: backend.id, reason };
    if (health === 'healthy') {
      this.#log.info('backend.up', `${backend.address.url} is UP: ${reason}`, fields);
    } else {
      this.#log.warn('backend.down', `${backend.address.url} is DOWN: ${reason}`, fields);
    }
    this.#onChange();
  }

  #schedule(watch: Watch): void {
    clearTimeout(watch.timer);
    if (watch.abort.signal.aborted) return;
    watch.timer = setTimeout(() => void this.#check(watch), this.#delay(watch));
  }

  #delay(watch: Watch): number {
    const { intervalMs, fastIntervalMs } = this.#settings;
    if (isOpen(watch)) return this.#jitter(Math.min(fastIntervalMs, intervalMs));
    if (watch.hasFinishedFirst) return this.#jitter(intervalMs);
    // All backends of a config are checked at the same moment at first; this spreads them over the interval.
    watch.hasFinishedFirst = true;
    return Math.max(Math.min(fastIntervalMs, intervalMs), this.#random() * intervalMs);
  }

  #jitter(ms: number): number {
    return ms * (1 - JITTER + 2 * JITTER * this.#random());
  }
}

/** The next result may well change the state. */
function isOpen(watch: Watch): boolean {
  const { health } = watch.backend;
  if (watch.isSuspect || health === 'unknown') return true;
  return health === 'healthy' ? watch.failures > 0 : watch.passes > 0;
}

/** What the one finds out says nothing about the other. */
function isOtherCheck(a: HealthCheckSettings, b: HealthCheckSettings): boolean {
  return a.method !== b.method || a.path !== b.path;
}

function isSame(a: HealthCheckSettings, b: HealthCheckSettings): boolean {
  return (
    !isOtherCheck(a, b) &&
    a.intervalMs === b.intervalMs &&
    a.fastIntervalMs === b.fastIntervalMs &&
    a.timeoutMs === b.timeoutMs &&
    a.rise === b.rise &&
    a.fall === b.fall
  );
}
