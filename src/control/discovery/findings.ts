/**
 * What a source says, judged: a list is put in order and bounded, one that is too short is a fault, and after a fault the last good
 * list holds. How it went is kept for the admin API and the metrics, and told in the log: once in a row, and not more than once a
 * minute, however often a source comes and goes.
 */
import type { DiscoverySettings } from '../../config/discovery-settings.ts';
import { type BackendSettings, MOST_FOUND } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import { inOrder } from './found-backends.ts';
import type { KeptList } from './kept-lists.ts';
import type { SourceUser } from './source.ts';

const TELL_EVERY_MS = 60_000;
/** In a list of what is left out. */
const MOST_SENTENCES = 10;
const LONGEST_REASON = 300;
/** So long a source may take to answer at first; a start waits for a second in all. */
const KEPT_AFTER_MS = 300;

export interface FindingsOptions {
  readonly settings: Pick<DiscoverySettings, 'minBackends'>;
  /** What is asked, for people: `app.service in DNS`. */
  readonly shown: string;
  readonly log: Logger;
  readonly now: () => number;
  /** At most `MOST_FOUND`, in order, each once. @param isKept it is of another life of this process */
  readonly apply: (list: readonly BackendSettings[], isKept: boolean) => Promise<void>;
  /** Of one list: a sentence about a backend that must be none, whoever says that it is one; undefined: it may be. */
  readonly whyNot?: () => (backend: BackendSettings) => string | undefined;
  /** What it has answered in an earlier life, for as long as it does not in this one; undefined: nobody knows. */
  readonly kept?: KeptList | undefined;
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
  /** That is of an earlier life of this process, and of this time of the wall clock; undefined: it is of this one, or there is none. */
  readonly keptAt: number | undefined;
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
    keptAt: undefined,
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
  #waiting: { readonly list: readonly BackendSettings[]; readonly isKept: boolean } | undefined;
  #applying: Promise<void> | undefined;
  /** Undefined: there is none, it is in use, or the source has answered. */
  #kept: KeptList | undefined;
  #keptTimer: NodeJS.Timeout | undefined;

  constructor(options: FindingsOptions) {
    this.#options = options;
    this.#kept = options.kept;
    this.first = new Promise((resolve) => {
      this.#isFirst = resolve;
    });
  }

  get status(): SearchStatus {
    return this.#status;
  }

  /** The source is asked from now on. */
  begin(): void {
    if (this.#kept === undefined) return;
    const why = `has not answered within ${KEPT_AFTER_MS} ms`;
    this.#keptTimer = setTimeout(() => void this.#useKept(why).then(this.#isFirst), KEPT_AFTER_MS);
    this.#keptTimer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#laterTimer);
    clearTimeout(this.#keptTimer);
    this.#isFirst();
  }

  async onList(given: readonly BackendSettings[], leftOut: readonly string[] = []): Promise<void> {
    if (this.#isStopped) return;
    const { settings } = this.#options;
    const { fit: list, sentences } = this.#judged(inOrder(given));
    const allLeftOut = [...leftOut, ...sentences];
    this.#tellLeftOut(allLeftOut);
    if (list.length < settings.minBackends) {
      this.onFault(this.#tooFew(list.length, allLeftOut));
      return;
    }
    this.#succeeded(list.length);
    await this.#apply(list.slice(0, MOST_FOUND), false);
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
    void this.#useKept('does not answer as it should').then(this.#isFirst);
  }

  /** Once, and not where the source has answered. */
  async #useKept(why: string): Promise<void> {
    const { log, shown } = this.#options;
    const kept = this.#kept;
    this.#forgetKept();
    if (kept === undefined || this.#isStopped) return;
    const { at } = kept;
    const { fit: list } = this.#judged(kept.list);
    const time = new Date(at).toISOString();
    this.#status = { ...this.#status, found: list.length, keptAt: at };
    const message = `${shown} ${why}, so what it had at ${time} is used: backends: ${list.length}`;
    log.warn('discovery.kept_used', message, { source: shown, backends: list.length, at: time });
    await this.#apply(list, true);
  }

  #judged(list: readonly BackendSettings[]): {
    readonly fit: readonly BackendSettings[];
    readonly sentences: readonly string[];
  } {
    const whyNot = this.#options.whyNot?.();
    if (whyNot === undefined) return { fit: list, sentences: [] };
    const sentences: string[] = [];
    const fit = list.filter((one) => {
      const sentence = whyNot(one);
      if (sentence !== undefined) sentences.push(sentence);
      return sentence === undefined;
    });
    return { fit, sentences };
  }

  #forgetKept(): void {
    clearTimeout(this.#keptTimer);
    this.#kept = undefined;
  }

  #apply(list: readonly BackendSettings[], isKept: boolean): Promise<void> {
    this.#waiting = { list, isKept };
    this.#applying ??= this.#applyAll();
    return this.#applying;
  }

  async #applyAll(): Promise<void> {
    for (let next = this.#waiting; next !== undefined; next = this.#waiting) {
      this.#waiting = undefined;
      if (!this.#isStopped) await this.#options.apply(next.list, next.isKept);
    }
    this.#applying = undefined;
  }

  #succeeded(found: number): void {
    const { log, shown, now } = this.#options;
    const { successes, keptAt } = this.#status;
    this.#forgetKept();
    this.#status = {
      ...this.#status,
      lastSuccess: now(),
      isFailing: false,
      successes: successes + 1,
      found: Math.min(found, MOST_FOUND),
      keptAt: undefined,
    };
    clearTimeout(this.#laterTimer);
    this.#laterTimer = undefined;
    if (this.#isFaultTold || keptAt !== undefined) {
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
