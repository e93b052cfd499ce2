/**
 * Active health checks: one watch per backend, each with its own timer.
 *
 * The first result decides at once. After that it takes `rise` passes in a row to become healthy and `fall` failures
 * in a row to become unhealthy; when each check is made stands in check-schedule.ts. A check that failed for want of
 * something on our side decides nothing. Every change of health is logged exactly once, here. Disabled backends are checked
 * like all others, so that their health is known when they come back. The checker decides nothing about operators' wishes;
 * it writes health into the registry and says when.
 */
import type { HealthCheckSettings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Backend } from '../backend.ts';
import type { PoolRegistry } from '../pool-registry.ts';
import { CheckGate } from './check-gate.ts';
import { type CheckMethod, firstMethod, isOtherCheck, isSameCheck } from './check-request.ts';
import { nextCheckMs } from './check-schedule.ts';
import { CheckShortages } from './check-shortages.ts';
import { hintFor } from './health-hints.ts';
import type { Probe, ProbeResult } from './probe.ts';

export interface HealthCheckerOptions {
  readonly registry: PoolRegistry;
  readonly log: Logger;
  readonly probe: Probe;
  /** Called after health of any backend changed, or whether it can be connected to. */
  readonly onChange: () => void;
  /** A check passed that began at this time of the registry's clock. */
  readonly onPassed?: (id: number, startedAt: number) => void;
  /** A backend that could not be connected to is healthy again: it was restarted, most likely. */
  readonly onRecovered?: (id: number) => void;
  readonly random?: () => number;
  /** Shared with the checks of other pools; one of its own if left out. */
  readonly gate?: CheckGate;
}

/** RFC 9110 says these of pages, not of servers: "no such page here, or not for you". 426: a WebSocket server. */
const NO_PAGE: ReadonlySet<number> = new Set([401, 403, 404, 405, 426]);

/** While the process drains, all backends together. */
const DRAIN_INTERVAL_MS = 1000;

interface Watch {
  readonly backend: Backend;
  readonly abort: AbortController;
  /** `auto` starts with HTTP and may settle on TCP. */
  method: CheckMethod;
  /** The next check is one of many that begin at once. */
  isFirst: boolean;
  passes: number;
  failures: number;
  /** A data thread could not connect, or a check came to no verdict: find out quickly. */
  isSuspect: boolean;
  /** It could not be connected to since it was last healthy. */
  wasAway: boolean;
  /** Since when it has not been healthy, by the registry's clock; undefined: it is. */
  downSince: number | undefined;
  timer: NodeJS.Timeout | undefined;
  running: Promise<void> | undefined;
}

export interface HealthCheckCounts {
  readonly passed: number;
  readonly failed: number;
  /** They say nothing about the backend. */
  readonly inconclusive: number;
}

const NO_CHECKS: HealthCheckCounts = { passed: 0, failed: 0, inconclusive: 0 };

export class HealthChecker {
  readonly #registry: PoolRegistry;
  readonly #log: Logger;
  readonly #probe: Probe;
  readonly #onChange: () => void;
  readonly #onPassed: (id: number, startedAt: number) => void;
  readonly #onRecovered: (id: number) => void;
  readonly #random: () => number;
  readonly #watches = new Map<number, Watch>();
  readonly #counts = new Map<number, { -readonly [Key in keyof HealthCheckCounts]: number }>();
  readonly #gate: CheckGate;
  readonly #shortages: CheckShortages;
  #settings: HealthCheckSettings;
  #isStopped = false;
  /** The process drains: one timer in place of those of the watches. */
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(options: HealthCheckerOptions) {
    this.#registry = options.registry;
    this.#log = options.log;
    this.#probe = options.probe;
    this.#onChange = options.onChange;
    this.#onPassed = options.onPassed ?? (() => {});
    this.#onRecovered = options.onRecovered ?? (() => {});
    this.#random = options.random ?? Math.random;
    this.#gate = options.gate ?? new CheckGate();
    this.#shortages = new CheckShortages(options.log);
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
      else if (!isSameCheck(previous, settings)) this.#restart(watch, previous);
    }
    for (const backend of this.#registry.backends()) {
      if (this.#watches.has(backend.id)) continue;
      const watch = this.#watch(backend);
      this.#watches.set(backend.id, watch);
      this.#counts.set(backend.id, { ...NO_CHECKS });
      void this.#check(watch);
    }
  }

  /** Resolves when the check under way (or a new one) has its result; at once for an unknown id. */
  async checkNow(id: number): Promise<void> {
    const watch = this.#watches.get(id);
    if (watch !== undefined && !this.#isStopped) await this.#check(watch);
  }

  /** The same for all that are there now. */
  async checkAll(): Promise<void> {
    await Promise.all(Array.from(this.#watches.keys(), (id) => this.checkNow(id)));
  }

  /** A data thread could not connect. Takes the backend out at once; checks bring it back. */
  connectFailed(id: number, detail: string): void {
    const watch = this.#watches.get(id);
    if (watch === undefined || this.#isStopped) return;
    const isNews = this.#registry.live.setUnreachable(id, true);
    watch.wasAway = true;
    if (watch.backend.health !== 'healthy') {
      if (isNews) this.#onChange();
      return;
    }
    watch.passes = 0;
    watch.failures = 0;
    watch.isSuspect = true;
    this.#decide(watch, 'unhealthy', detail, '');
    if (watch.running === undefined) this.#schedule(watch);
  }

  /** A request got no answer in time. That may be its nature: a check tells more, if there was none just now. */
  answerMissing(id: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined || this.#isStopped || this.#drainTimer !== undefined) return;
    if (watch.running !== undefined || watch.backend.health !== 'healthy') return;
    if (this.#registry.now() - lastCheckOf(watch) < this.#settings.downIntervalMs) return;
    void this.#check(watch);
  }

  /** Checks of one backend so far, by result. */
  counts(id: number): HealthCheckCounts {
    return this.#counts.get(id) ?? NO_CHECKS;
  }

  /**
   * The process drains. From now on a check is of use only to requests that may yet go to another backend: one a second, of
   * whoever was not checked for longest, while there are any.
   */
  drain(mayRetry: () => boolean): void {
    if (this.#isStopped || this.#drainTimer !== undefined) return;
    for (const watch of this.#watches.values()) clearTimeout(watch.timer);
    this.#drainTimer = setInterval(() => {
      if (!mayRetry()) return;
      const watch = this.#longestUnchecked();
      if (watch !== undefined) void this.#check(watch);
    }, DRAIN_INTERVAL_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#drainTimer);
    for (const [id, watch] of this.#watches) this.#forget(id, watch);
  }

  #watch(backend: Backend): Watch {
    return {
      backend,
      abort: new AbortController(),
      method: firstMethod(this.#settings.method),
      isFirst: true,
      passes: 0,
      failures: 0,
      isSuspect: false,
      wasAway: backend.isUnreachable,
      downSince: backend.health === 'healthy' ? undefined : this.#registry.now(),
      timer: undefined,
      running: undefined,
    };
  }

  #forget(id: number, watch: Watch): void {
    clearTimeout(watch.timer);
    watch.abort.abort();
    this.#shortages.over(id);
    this.#watches.delete(id);
    this.#counts.delete(id);
  }

  /** The settings changed under a watch: health stays, what was learned by the old method does not. */
  #restart(watch: Watch, previous: HealthCheckSettings): void {
    const mustCheck = isOtherCheck(previous, this.#settings);
    if (mustCheck) {
      watch.method = firstMethod(this.#settings.method);
      watch.isFirst = true;
      watch.passes = 0;
      watch.failures = 0;
    }
    if (watch.running !== undefined) return;
    if (mustCheck) void this.#check(watch);
    else this.#schedule(watch);
  }

  #check(watch: Watch): Promise<void> {
    watch.running ??= this.#begin(watch).finally(() => {
      watch.running = undefined;
      this.#schedule(watch);
      watch.isFirst = false;
    });
    return watch.running;
  }

  #begin(watch: Watch): Promise<void> {
    clearTimeout(watch.timer);
    return watch.isFirst ? this.#gate.pass(() => this.#run(watch)) : this.#run(watch);
  }

  async #run(watch: Watch): Promise<void> {
    if (watch.abort.signal.aborted) return;
    const asked = this.#settings;
    const startedAt = this.#registry.now();
    const { address } = watch.backend;
    const result = await this.#probe(
      { ...asked, address, method: watch.method },
      watch.abort.signal,
    );
    if (watch.abort.signal.aborted) return;
    // A reload came in between: this is the answer to a question that nobody asks any more.
    if (isOtherCheck(asked, this.#settings)) await this.#run(watch);
    else this.#take(watch, this.#settleAuto(watch, result), startedAt);
  }

  /**
   * `auto`: a backend that has no such page, or none for us, is healthy while it takes connections. Other answers settle
   * nothing: what boots may say 503 first, and what had the page may lose it with its next version.
   */
  #settleAuto(watch: Watch, result: ProbeResult): ProbeResult {
    const { status } = result;
    if (this.#settings.method !== 'auto' || watch.method === 'tcp') return result;
    if (result.isPassed || result.code !== undefined) return result;
    if (status === undefined || !NO_PAGE.has(status)) return result;
    watch.method = 'tcp';
    const { url } = watch.backend.address;
    const { path } = this.#settings;
    this.#log.info(
      'backend.checked_by_tcp',
      `${url} answers ${status} to ${path}: from now on it is healthy while it takes connections`,
      { backend: url, path, status },
    );
    return { ...result, isPassed: true };
  }

  #take(watch: Watch, result: ProbeResult, startedAt: number): void {
    const { backend } = watch;
    const counts = this.#counts.get(backend.id);
    const hint = result.isPassed ? '' : hintFor(result, backend, this.#settings);
    if (result.isInconclusive) {
      if (counts !== undefined) counts.inconclusive++;
      watch.isSuspect = true;
      this.#shortages.met(backend, result.code ?? '', result.detail);
      // While nothing is known, why it is not is all that can be said.
      if (backend.health === 'unknown') {
        this.#registry.live.setHealth(backend.id, 'unknown', result.detail);
        if (this.#registry.live.setHint(backend.id, hint)) this.#onChange();
      }
      return;
    }
    this.#shortages.over(backend.id);
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
    this.#registry.live.recordCheck(backend.id, result.isPassed);
    const isNews = this.#registry.live.setUnreachable(backend.id, !result.hasConnected);
    if (!result.hasConnected) watch.wasAway = true;
    const { rise, fall } = this.#settings;
    if (result.isPassed) {
      const isDecided = backend.health === 'unknown' || watch.passes >= rise;
      if (isDecided) this.#decide(watch, 'healthy', result.detail, hint);
      this.#onPassed(backend.id, startedAt);
    } else {
      const isDecided = backend.health === 'unknown' || watch.failures >= fall;
      if (isDecided) this.#decide(watch, 'unhealthy', result.detail, hint);
    }
    if (isNews) this.#onChange();
  }

  #decide(watch: Watch, health: 'healthy' | 'unhealthy', reason: string, hint: string): void {
    const { backend } = watch;
    const isNewHint = this.#registry.live.setHint(backend.id, hint);
    if (!this.#registry.live.setHealth(backend.id, health, reason)) {
      if (isNewHint) this.#onChange();
      return;
    }
    watch.downSince = health === 'healthy' ? undefined : this.#registry.now();
    const fields = {
      backend: backend.address.url,
      id: backend.id,
      reason,
      ...(hint !== '' && { hint }),
    };
    if (health === 'healthy') {
      if (watch.wasAway) this.#onRecovered(backend.id);
      watch.wasAway = false;
      this.#log.info('backend.up', `${backend.address.url} is UP: ${reason}`, fields);
    } else {
      const advice = hint === '' ? '' : ` (${hint})`;
      this.#log.warn('backend.down', `${backend.address.url} is DOWN: ${reason}${advice}`, fields);
    }
    this.#onChange();
  }

  #schedule(watch: Watch): void {
    clearTimeout(watch.timer);
    if (watch.abort.signal.aborted || this.#drainTimer !== undefined) return;
    const { backend, downSince, isSuspect, passes, failures, isFirst } = watch;
    const downMs = downSince === undefined ? 0 : this.#registry.now() - downSince;
    const { health } = backend;
    const state = { health, isSuspect, passes, failures, downMs, isFirst };
    const delayMs = nextCheckMs(state, this.#settings, this.#random());
    watch.timer = setTimeout(() => void this.#check(watch), delayMs);
  }

  #longestUnchecked(): Watch | undefined {
    let found: Watch | undefined;
    for (const watch of this.#watches.values()) {
      if (watch.running !== undefined) continue;
      if (found === undefined || lastCheckOf(watch) < lastCheckOf(found)) found = watch;
    }
    return found;
  }
}

function lastCheckOf({ backend }: Watch): number {
  return backend.lastCheck ?? Number.NEGATIVE_INFINITY;
}
