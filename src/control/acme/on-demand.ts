/**
 * Certificates for names that no config has: who decides about them is asked first, at a URL that the config names.
 *
 * A client may ask for any name it likes, so everything here is bounded: questions at once and per second, names that wait for theirs,
 * refusals that are remembered, orders in an hour, and names in all. What is over a bound is forgotten, and asked for anew by the next client.
 */
import http from 'node:http';
import https from 'node:https';
import { type AcmeSettings, issueKey, onDemandGroup } from '../../config/acme-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { isSame } from '../../config/values/same.ts';
import type { Logger } from '../../observe/logger.ts';
import { AcmeProblem } from './acme-problem.ts';
import { type Wanted, wantedOf } from './wanted.ts';

const HOUR_MS = 3_600_000;
const MOST_ASKS = 8;
/** So that eight at a time are eighty in a second at most. */
const SHORTEST_ASK_MS = 100;
const MOST_WAITING = 200;
const MOST_REFUSED = 10_000;
const REFUSED_MS = 5 * 60_000;
/** Nobody has answered: it may be a restart. */
const FAILED_MS = 10_000;
const TELL_EVERY_MS = 60_000;

export interface AskCounts {
  allowed: number;
  refused: number;
  failed: number;
  dropped: number;
}

export interface OnDemandOptions {
  readonly log: Logger;
  readonly counts: AskCounts;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** What is wanted has become more. */
  readonly onAllowed: () => void;
  /** @returns the status of the answer. @throws Error */
  readonly askUrl?: (url: string, timeoutMs: number, signal: AbortSignal) => Promise<number>;
}

export class OnDemand {
  readonly #options: OnDemandOptions;
  #groups = new Map<string, AcmeSettings>();
  /** By `issueKey`: all that is wanted anyway. */
  #known: ReadonlySet<string> = new Set();
  /** Allowed, and not there yet. */
  readonly #pending = new Map<string, Wanted>();
  /** How many of the names that are known are ours. */
  #served = 0;
  readonly #waiting = new Map<string, Wanted>();
  readonly #refusedUntil = new Map<string, number>();
  #asking = 0;
  readonly #orders: number[] = [];
  #toldAtMs = -Infinity;

  constructor(options: OnDemandOptions) {
    this.#options = options;
  }

  get pending(): readonly Wanted[] {
    return [...this.#pending.values()];
  }

  /** Those that certificates are fetched for on demand. */
  get groups(): readonly AcmeSettings[] {
    return [...this.#groups.values()];
  }

  sync({ listeners }: Settings): void {
    const before = this.groups;
    const all = listeners.flatMap(({ tls }) => {
      const group = tls?.acme && onDemandGroup(tls.acme);
      return group ? [[group, tls?.acme as AcmeSettings] as const] : [];
    });
    this.#groups = new Map(all);
    // What was in the way may be gone.
    if (!isSame(before, this.groups)) this.#refusedUntil.clear();
    for (const names of [this.#pending, this.#waiting]) {
      for (const [key, one] of names) {
        const now = this.#asOfNow(one);
        if (now === undefined) names.delete(key);
        else names.set(key, now);
      }
    }
  }

  /** Under the settings of now; undefined: nothing is fetched for its group any more. */
  #asOfNow({ settings, name }: Wanted): Wanted | undefined {
    const now = this.#groups.get(onDemandGroup(settings) ?? '');
    return now && wantedOf(now, name);
  }

  /** @param wanted all of it. @param served those of them that are there, and in no config. */
  isWanted(wanted: readonly Wanted[], served: readonly Wanted[]): void {
    this.#known = new Set(wanted.map(({ key }) => key));
    this.#served = served.length;
    for (const { key } of served) this.#pending.delete(key);
  }

  /** Nothing comes of it: a client may ask anew once this time is over, and not before, as it would be ordered for at once. */
  giveUp({ key }: Wanted, untilMs: number): void {
    this.#pending.delete(key);
    this.#refuse(key, untilMs - this.#options.nowMs());
  }

  /** Clients of this group of listeners have asked for these names. */
  asked(group: string, names: readonly string[]): void {
    const settings = this.#groups.get(group);
    if (settings === undefined) return;
    const nowMs = this.#options.nowMs();
    for (const name of names) {
      const key = issueKey(settings, name);
      if (this.#known.has(key) || this.#pending.has(key) || this.#waiting.has(key)) continue;
      if ((this.#refusedUntil.get(key) ?? 0) > nowMs) continue;
      if (this.#waiting.size >= MOST_WAITING) this.#options.counts.dropped++;
      else this.#waiting.set(key, wantedOf(settings, name));
    }
    this.#askNext();
  }

  /** Of one that is to be renewed: whether it still may. @throws Error */
  async stillAllowed(wanted: Wanted): Promise<void> {
    const { settings, name, key } = wanted;
    if (settings.names.includes(name) || settings.onDemand === null) return;
    if (this.#pending.has(key)) return;
    const status = await this.#ask(wanted);
    if (status !== 200) {
      const { origin } = new URL(settings.onDemand.askUrl);
      const message = `${origin} does not allow it any more: ${status}`;
      throw new AcmeProblem(message, '');
    }
  }

  #askNext(): void {
    for (const [key, wanted] of this.#waiting) {
      if (this.#asking >= MOST_ASKS || this.#options.signal.aborted) return;
      this.#asking++;
      void this.#decide(key, wanted).finally(() => {
        this.#asking--;
        this.#askNext();
      });
      // Meanwhile nobody else asks.
      this.#waiting.delete(key);
      this.#refuse(key, wanted.settings.onDemand?.timeoutMs ?? 0);
    }
  }

  async #decide(key: string, wanted: Wanted): Promise<void> {
    const { counts, log, pause, signal } = this.#options;
    const isOver = pause(SHORTEST_ASK_MS);
    try {
      const status = await this.#ask(wanted);
      if (status === 200) this.#allow(key, wanted);
      else {
        counts.refused++;
        this.#refuse(key, REFUSED_MS);
      }
    } catch (error) {
      if (signal.aborted) return;
      counts.failed++;
      this.#refuse(key, FAILED_MS);
      const reason = error instanceof Error ? error.message : String(error);
      const message = `who decides can't be asked: ${reason}`;
      if (this.#mayTell()) log.warn('certificate.ask_failed', message, { name: wanted.name });
    }
    await isOver;
  }

  #allow(key: string, asked: Wanted): void {
    const { counts, log, nowMs, onAllowed } = this.#options;
    // The settings may have become others since it was asked.
    const wanted = this.#asOfNow(asked);
    if (wanted === undefined) return;
    const { settings, name } = wanted;
    const { mostNames, mostOrdersPerHour } = settings.onDemand ?? {
      mostNames: 0,
      mostOrdersPerHour: 0,
    };
    while ((this.#orders[0] ?? Infinity) <= nowMs() - HOUR_MS) this.#orders.shift();
    const isFull = this.#served + this.#pending.size >= mostNames;
    if (isFull || this.#orders.length >= mostOrdersPerHour) {
      counts.dropped++;
      this.#refuse(key, TELL_EVERY_MS);
      const limit = isFull
        ? `max_names (${mostNames})`
        : `max_orders_per_hour (${mostOrdersPerHour})`;
      const message = `none for ${name}: ${limit} is reached`;
      if (this.#mayTell()) log.warn('certificate.on_demand_limited', message, { name });
      return;
    }
    counts.allowed++;
    this.#refusedUntil.delete(key);
    this.#orders.push(nowMs());
    this.#pending.set(key, wanted);
    log.info('certificate.allowed', `a certificate for ${name} is ordered: it is allowed`, {
      name,
    });
    onAllowed();
  }

  #ask({ settings, name }: Wanted): Promise<number> {
    const { askUrl = statusOf, signal } = this.#options;
    const { askUrl: text, timeoutMs } = settings.onDemand ?? { askUrl: '', timeoutMs: 0 };
    const url = new URL(text);
    url.searchParams.set('domain', name);
    return askUrl(url.href, timeoutMs, signal);
  }

  #refuse(key: string, ms: number): void {
    this.#refusedUntil.delete(key);
    this.#refusedUntil.set(key, this.#options.nowMs() + ms);
    const [oldest] = this.#refusedUntil.keys();
    if (this.#refusedUntil.size > MOST_REFUSED && oldest !== undefined) {
      this.#refusedUntil.delete(oldest);
    }
  }

  /** Once a minute, whatever it is. */
  #mayTell(): boolean {
    const nowMs = this.#options.nowMs();
    if (nowMs < this.#toldAtMs + TELL_EVERY_MS) return false;
    this.#toldAtMs = nowMs;
    return true;
  }
}

/** Its body is not waited for; a redirect is no yes. */
function statusOf(url: string, timeoutMs: number, signal: AbortSignal): Promise<number> {
  const { request } = url.startsWith('https:') ? https : http;
  // What stands behind it may be a secret.
  const { origin } = new URL(url);
  return new Promise((resolve, reject) => {
    const late = AbortSignal.timeout(timeoutMs);
    const asked = request(url, { agent: false, signal: AbortSignal.any([signal, late]) });
    asked.on('response', (response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    asked.on('error', (error) =>
      reject(late.aborted ? new Error(`${origin}: no answer within ${timeoutMs / 1000} s`) : error),
    );
    asked.end();
  });
}
