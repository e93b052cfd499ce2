/**
 * What a source says, judged: a list is put in order and bounded, one that is too short is a fault, and after a fault the last good
 * list holds. How it went is kept for the admin API and the metrics, and told in the log: once in a row, and not more than once a
 * minute, however often a source comes and goes.
 */
import type { DiscoverySettings } from '../../config/discovery-settings.ts';
import { type BackendSettings, MOST_FOUND } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import { inOrder } from './found-backends.ts';
import type { SourceUser } from './source.ts';

const TELL_EVERY_MS = 60_000;
/** In a list of what is left out. */
const MOST_SENTENCES = 10;
const LONGEST_REASON = 300;

export interface FindingsOptions {
  readonly settings: Pick<DiscoverySettings, 'minBackends'>;
  /** What is asked, for people: `app.service in DNS`. */
  readonly shown: string;
  readonly log: Logger;
  readonly now: () => number;
  /** At most `MOST_FOUND`, in order, each once. */
  readonly apply: (list: readonly BackendSettings[]) => Promise<void>;
}

/** Of a search; times are of `now`, in ms. */
export interface SearchStatus {
  readonly lastSuccess: number | undefined;
  readonly lastFault: number | undefined;
  /** Of the last fault; empty: there was none. */
  readonly reason: string;
  /** The last answer was none. */
  readonly isFailing: boolean;
  readonly successes: number;
  readonly faults: number;
  /** So many backends are in the last good list. */
  readonly found: number;
  readonly leftOut: readonly string[];
}

export class Findings implements SourceUser {
  /** Resolves when the first answer is in force, or the first fault has come. */
  readonly first: Promise<void>;
  readonly #options: FindingsOptions;
  #isFirst: () => void = () => {};
  #status: SearchStatus = {
    lastSuccess: undefined,
    lastFault: undefined,
    reason: '',
    isFailing: false,
    successes: 0,
    faults: 0,
    found: 0,
    leftOut: [],
  };
  #isStopped = false;
  /** The log has said that it fails, and not yet that it does not. */
  #isFaultTold = false;
  #faultToldAt = Number.NEGATIVE_INFINITY;
  #laterTimer: NodeJS.Timeout | undefined;
  #hasTooMany = false;
  #leftOutTold = '';
  #leftOutToldAt = Number.NEGATIVE_INFINITY;
  /** The latest list that waits for the one that is being put in force. */
  #waiting: readonly BackendSettings[] | undefined;
  #applying: Promise<void> | undefined;

  constructor(options: FindingsOptions) {
    this.#options = options;
    this.first = new Promise((resolve) => {
      this.#isFirst = resolve;
    });
  }

  get status(): SearchStatus {
    return this.#status;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#laterTimer);
    this.#isFirst();
  }

  async onList(given: readonly BackendSettings[], leftOut: readonly string[] = []): Promise<void> {
    if (this.#isStopped) return;
    const { settings } = this.#options;
    const list = inOrder(given);
    this.#tellLeftOut(leftOut);
    if (list.length < settings.minBackends) {
      this.onFault(this.#tooFew(list.length, leftOut));
      return;
    }
    this.#succeeded(list.length);
    this.#waiting = list.slice(0, MOST_FOUND);
    this.#applying ??= this.#applyAll();
    await this.#applying;
    this.#isFirst();
  }

  onFault(reason: string): void {
    if (this.#isStopped) return;
    const { now } = this.#options;
    this.#status = {
      ...this.#status,
      lastFault: now(),
      reason: shortened(reason),
      isFailing: true,
      faults: this.#status.faults + 1,
    };
    this.#tellFault();
    this.#isFirst();
  }

  async #applyAll(): Promise<void> {
    for (let list = this.#waiting; list !== undefined; list = this.#waiting) {
      this.#waiting = undefined;
      if (!this.#isStopped) await this.#options.apply(list);
    }
    this.#applying = undefined;
  }

  #succeeded(found: number): void {
    const { log, shown, now } = this.#options;
    const { successes } = this.#status;
    this.#status = {
      ...this.#status,
      lastSuccess: now(),
      isFailing: false,
      successes: successes + 1,
      found: Math.min(found, MOST_FOUND),
    };
    clearTimeout(this.#laterTimer);
    this.#laterTimer = undefined;
    if (this.#isFaultTold) {
      log.info('discovery.recovered', `${shown} answers again`, { source: shown });
    }
    this.#isFaultTold = false;
    const hasTooMany = found > MOST_FOUND;
    if (hasTooMany && !this.#hasTooMany) {
      const message = `${shown} has ${found} backends: ${MOST_FOUND} of them are used`;
      log.warn('discovery.too_many', message, { source: shown, backends: found });
    }
    this.#hasTooMany = hasTooMany;
  }

  /** One that is over before its minute has come is in the counts only. */
  #tellFault(): void {
    if (this.#isFaultTold || this.#laterTimer !== undefined) return;
    const sinceMs = performance.now() - this.#faultToldAt;
    if (sinceMs >= TELL_EVERY_MS) {
      this.#tellFaultNow();
      return;
    }
    this.#laterTimer = setTimeout(() => this.#tellFaultNow(), TELL_EVERY_MS - sinceMs);
    this.#laterTimer.unref();
  }

  #tellFaultNow(): void {
    const { log, shown } = this.#options;
    const { reason, faults } = this.#status;
    this.#laterTimer = undefined;
    this.#isFaultTold = true;
    this.#faultToldAt = performance.now();
    const message = `${shown} does not answer as it should, so the last answer holds: ${reason}`;
    log.warn('discovery.failed', message, { source: shown, reason, faults });
  }

  #tellLeftOut(leftOut: readonly string[]): void {
    const { log, shown } = this.#options;
    const sentences = leftOut.map(shortened).toSorted().slice(0, MOST_SENTENCES);
    this.#status = { ...this.#status, leftOut: sentences };
    const text = sentences.join('; ');
    if (text === '' || text === this.#leftOutTold) return;
    // Meanwhile the admin API has it; what stays is told with the next list.
    if (performance.now() - this.#leftOutToldAt < TELL_EVERY_MS) return;
    this.#leftOutTold = text;
    this.#leftOutToldAt = performance.now();
    const more = leftOut.length - sentences.length;
    const message = `${shown}: ${text}${more > 0 ? `; and ${more} more` : ''}`;
    log.warn('discovery.left_out', message, { source: shown, count: leftOut.length });
  }

  #tooFew(count: number, leftOut: readonly string[]): string {
    const { minBackends } = this.#options.settings;
    const why = leftOut[0] === undefined ? '' : ` (${leftOut[0]})`;
    if (count === 0) return `it has no backend${why}`;
    return `it has ${count} of the ${minBackends} backends that min_backends asks for${why}`;
  }
}

/** It may be from anybody: one line, and not longer than is read. */
function shortened(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON)}…` : line;
}
