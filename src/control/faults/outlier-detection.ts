/**
 * Passive health: who fails real requests is taken out for a while. The rules are those of Envoy's outlier detection.
 *
 * - Ejected for so many broken connections in a row, where it is asked for so many faults of any kind in a row, or for a
 *   share of faults among enough requests within the interval. What is a fault: docs/decisions/0012-what-ejects.md.
 * - For the base time × the ejections so far, at most the longest time. The count goes down again by one for each interval
 *   that the backend stays in use.
 * - At most so many percent of the enabled backends at once, and never the last that is left to pick.
 * - A backend that could not be connected to and has become healthy again is back at once, and its ejections are forgotten.
 * - A health check that passes ends an ejection early, if it began a second or more after it. But not one for a share of
 *   faults: the check is one of the requests that go well. And not the second one in short order: then the check does not
 *   see what requests see.
 */

import type { OutlierSettings } from '../../config/settings.ts';
import { formatDuration } from '../../config/values/duration.ts';
import type { Logger } from '../../observe/logger.ts';
import { forgetFaultsInARow } from '../../snapshot/counters.ts';
import type { FaultsInARowMessage } from '../../snapshot/messages.ts';
import { type Backend, isAlive } from '../backend.ts';
import type { PoolRegistry } from '../pool-registry.ts';
import type { FaultCount } from './fault-counts.ts';
import { FaultWindow } from './fault-window.ts';

/** The names of the settings that ejected. */
export type EjectionReason = FaultsInARowMessage['rule'] | 'failure_percent';

export type EjectionCounts = Readonly<Record<EjectionReason, number>>;

const NONE: EjectionCounts = { consecutive_failures: 0, consecutive_5xx: 0, failure_percent: 0 };

/** A check that began sooner after the ejection may have met what the requests met, at a luckier moment. */
const CHECK_WAIT_MS = 1000;
const POLL_MS = 1000;
/** The interval that is measured consists of at least so many samples. */
const SAMPLES_PER_INTERVAL = 10;

interface Track {
  readonly window: FaultWindow;
  /** What the base time is multiplied with; as of `returnedAt`. */
  times: number;
  returnedAt: number;
  readonly counts: Record<EjectionReason, number>;
}

/** An ejection as it goes from one process to the next. */
export interface EjectionRecord {
  readonly sinceMs: number;
  readonly remainingMs: number;
  readonly reason: string;
  /** What the base time was multiplied with. */
  readonly times: number;
  /** A health check that passes may end it. */
  readonly mayCheckEnd: boolean;
}

export interface OutlierDetectionOptions {
  readonly registry: PoolRegistry;
  readonly log: Logger;
}

export class OutlierDetection {
  readonly #registry: PoolRegistry;
  readonly #log: Logger;
  readonly #tracks = new Map<number, Track>();

  constructor(options: OutlierDetectionOptions) {
    this.#registry = options.registry;
    this.#log = options.log;
  }

  /** How often it wants samples; undefined: not at all. */
  get pollMs(): number | undefined {
    const { outlier } = this.#registry.settings;
    if (outlier === null || outlier.failurePercent === 0) return undefined;
    return Math.min(POLL_MS, Math.max(1, outlier.intervalMs / SAMPLES_PER_INTERVAL));
  }

  /** When the next ejection is over. */
  get nextReturnAt(): number {
    const ends = this.#registry.backends().map(({ ejection }) => ejection?.until ?? Infinity);
    return Math.min(Infinity, ...ends);
  }

  /** Of one backend so far. */
  counts(id: number): EjectionCounts {
    return this.#tracks.get(id)?.counts ?? NONE;
  }

  /** Undefined: the backend is not ejected. */
  record({ id, ejection }: Backend): EjectionRecord | undefined {
    if (ejection === undefined) return undefined;
    const now = this.#registry.now();
    const { times } = this.#track(id);
    const { since, until, reason, mayCheckEnd } = ejection;
    return { sinceMs: now - since, remainingMs: until - now, reason, times, mayCheckEnd };
  }

  /** The process before this one has ejected it. */
  takeUp(id: number, { sinceMs, remainingMs, reason, times, mayCheckEnd }: EjectionRecord): void {
    const { outlier } = this.#registry.settings;
    if (outlier === null || remainingMs <= 0) return;
    const track = this.#track(id);
    track.times = times;
    const now = this.#registry.now();
    const until = now + Math.min(remainingMs, outlier.maxEjectionMs);
    this.#registry.live.setEjection(id, { since: now - sinceMs, until, reason, mayCheckEnd });
  }

  /** Fits it to the registry: gone backends are forgotten, and without settings everybody is back. */
  sync(): void {
    for (const id of this.#tracks.keys()) {
      if (this.#registry.backend(id) === undefined) this.#tracks.delete(id);
    }
    if (this.#registry.settings.outlier !== null) return;
    for (const backend of this.#registry.backends()) {
      if (backend.ejection !== undefined) this.#return(backend, 'outlier detection is off');
    }
  }

  /** A data thread counted as many as are reported. */
  faultsInARow(id: number, rule: FaultsInARowMessage['rule'], detail: string): void {
    const backend = this.#registry.backend(id);
    const { outlier } = this.#registry.settings;
    if (backend === undefined || outlier === null) return;
    const what =
      rule === 'consecutive_5xx'
        ? `${outlier.consecutive5xx} errors`
        : `${outlier.consecutiveFailures} failures`;
    this.#eject(backend, outlier, rule, `${what} in a row, the last: ${detail}`);
    // Also where it stays in: the next ones shall be reported again.
    forgetFaultsInARow(backend.counters);
  }

  /** What was counted since the last call. */
  sample(counts: readonly FaultCount[]): void {
    const { outlier } = this.#registry.settings;
    if (outlier === null || outlier.failurePercent === 0) return;
    const now = this.#registry.now();
    for (const { backend, judged, faults } of counts) {
      const { window } = this.#track(backend.id);
      if (!isAlive(backend)) {
        // What took it out says nothing about how it will come back.
        window.clear();
        continue;
      }
      window.add(now, judged, faults, outlier.intervalMs);
      if (!window.isOver(outlier.minRequests, outlier.failurePercent)) continue;
      this.#eject(backend, outlier, 'failure_percent', window.describe());
    }
  }

  /** A health check passed that began at this time. */
  checkPassed(id: number, startedAt: number): void {
    const backend = this.#registry.backend(id);
    if (backend?.ejection?.mayCheckEnd !== true) return;
    if (startedAt < backend.ejection.since + CHECK_WAIT_MS) return;
    this.#return(backend, 'a health check passed');
  }

  /** It was down in between: what it was ejected for is over with the process that did it. */
  recovered(id: number): void {
    const backend = this.#registry.backend(id);
    const track = this.#tracks.get(id);
    if (backend === undefined || track === undefined) return;
    track.times = 0;
    if (backend.ejection !== undefined) {
      this.#return(backend, 'it could not be reached, and passes its checks again');
    }
  }

  /** Brings back those whose time is over. */
  returnDue(): void {
    const now = this.#registry.now();
    for (const backend of this.#registry.backends()) {
      if (backend.ejection !== undefined && backend.ejection.until <= now) {
        this.#return(backend, 'the ejection is over');
      }
    }
  }

  #track(id: number): Track {
    let track = this.#tracks.get(id);
    if (track === undefined) {
      track = {
        window: new FaultWindow(),
        times: 0,
        returnedAt: 0,
        counts: { ...NONE },
      };
      this.#tracks.set(id, track);
    }
    return track;
  }

  #eject(backend: Backend, settings: OutlierSettings, kind: EjectionReason, reason: string): void {
    if (!isAlive(backend) || !this.#mayEject(backend, settings)) return;
    const track = this.#track(backend.id);
    const now = this.#registry.now();
    const calmIntervals = Math.floor((now - track.returnedAt) / settings.intervalMs);
    // More would only make the way back longer.
    const mostTimes = Math.ceil(settings.maxEjectionMs / settings.baseEjectionMs);
    track.times = Math.min(mostTimes, Math.max(0, track.times - calmIntervals) + 1);
    const mayCheckEnd = kind !== 'failure_percent' && track.times === 1;
    track.counts[kind]++;
    track.window.clear();
    const ms = Math.min(settings.maxEjectionMs, settings.baseEjectionMs * track.times);
    const until = now + ms;
    this.#registry.live.setEjection(backend.id, { since: now, until, reason, mayCheckEnd });
    const { url } = backend.address;
    const howLong = `${formatDuration(ms)}${mayCheckEnd ? ', or until a check passes' : ''}`;
    this.#log.warn('backend.ejected', `${url} is ejected for ${howLong}: ${reason}`, {
      backend: url,
      id: backend.id,
      ejection_ms: ms,
      reason,
    });
  }

  #mayEject(backend: Backend, { maxEjectionPercent }: OutlierSettings): boolean {
    const backends = this.#registry.backends();
    const isLast = !backends.some(
      (other) => other !== backend && other.weight > 0 && isAlive(other),
    );
    if (isLast) return false;
    const enabled = backends.filter(({ adminState }) => adminState === 'enabled');
    const ejected = enabled.filter(({ ejection }) => ejection !== undefined);
    return (ejected.length + 1) * 100 <= maxEjectionPercent * enabled.length;
  }

  #return(backend: Backend, reason: string): void {
    const track = this.#track(backend.id);
    track.returnedAt = this.#registry.now();
    track.window.clear();
    // What failed while it was out was sent before.
    forgetFaultsInARow(backend.counters);
    this.#registry.live.setEjection(backend.id, undefined);
    const { url } = backend.address;
    this.#log.info('backend.returned', `${url} is back: ${reason}`, {
      backend: url,
      id: backend.id,
      reason,
    });
  }
}
