/** Which certificates are wanted, and when something is to be done for one. Pure. */
import { type AcmeSettings, issueKey } from '../../config/acme-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { digestOf, type FailureRecord, issueIdOf } from './acme-records.ts';

/** Whatever a clock says that was wrong once. */
const LONGEST_WAIT_MS = 8 * 24 * 3_600_000;

export interface Wanted {
  readonly name: string;
  readonly settings: AcmeSettings;
  /** See `issueKey`. */
  readonly key: string;
  /** See `issueIdOf`. */
  readonly id: string;
}

/** Each once, though several listeners may want it. */
export function wantedBy({ listeners }: Settings): Wanted[] {
  const all = listeners.flatMap(({ tls }) => {
    const settings = tls?.acme ?? null;
    return settings === null ? [] : settings.names.map((name) => wantedOf(settings, name));
  });
  return [...new Map(all.map((one) => [one.key, one])).values()];
}

export function wantedOf(settings: AcmeSettings, name: string): Wanted {
  return { name, settings, key: issueKey(settings, name), id: issueIdOf(settings, name) };
}

/** What has not failed comes first: it holds up nothing that may go well. Of the others, what has been due for longest. */
export function inTurn(
  due: readonly {
    readonly wanted: Wanted;
    readonly failure: FailureRecord | undefined;
    readonly dueAtMs: number;
  }[],
): Wanted[] {
  return due
    .toSorted((a, b) => Number(hasFailed(a)) - Number(hasFailed(b)) || a.dueAtMs - b.dueAtMs)
    .map(({ wanted }) => wanted);
}

/** Under the settings of now. */
function hasFailed({
  wanted: { settings },
  failure,
}: {
  readonly wanted: Wanted;
  readonly failure: FailureRecord | undefined;
}): boolean {
  return failure?.settings === digestOf(settings);
}

/**
 * @param renewAtMs of the certificate that there is; undefined: there is none.
 * @param failure the last one, since when nothing was good.
 */
export function dueAtMs(
  { settings }: Wanted,
  renewAtMs: number | undefined,
  failure: FailureRecord | undefined,
  nowMs: number,
): number {
  const wantedAtMs = renewAtMs ?? 0;
  if (failure === undefined || failure.settings !== digestOf(settings)) return wantedAtMs;
  return Math.max(wantedAtMs, Math.min(failure.retryAtMs, nowMs + LONGEST_WAIT_MS));
}
