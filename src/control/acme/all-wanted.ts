/** Beside the certificates that the config wants, those on demand: what was fetched and is good still, and what is to be. */
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import { CERTIFICATES, type FailureRecord } from './acme-records.ts';
import type { OnDemand } from './on-demand.ts';
import { dueAtMs, type Wanted, wantedOf } from './wanted.ts';

/** Of an order on demand, in a row: from then on, it is tried again only when somebody connects. */
const MOST_FAILURES = 3;

export interface Stored {
  readonly keys: Iterable<string>;
  /** Undefined: it can't be used. */
  readonly certificateAt: (key: string) => Certificate | undefined;
  readonly failureOf: (wanted: Wanted) => FailureRecord | undefined;
  readonly nowMs: number;
}

/** @param listed those of the config. `onDemand` gets to know what comes of it. */
export function allWanted(
  listed: readonly Wanted[],
  onDemand: OnDemand,
  stored: Stored,
): readonly Wanted[] {
  if (onDemand.groups.length === 0) return listed;
  const known = new Set(listed.map(({ key }) => key));
  const isNew = ({ key }: Wanted): boolean => !known.has(key);
  const served = Array.from(stored.keys).flatMap((key) =>
    key.startsWith(CERTIFICATES) ? wantedAt(key, onDemand, stored).filter(isNew) : [],
  );
  for (const one of onDemand.pending) {
    const failure = stored.failureOf(one);
    // With other settings, or once it is time, the record of before says nothing.
    const untilMs = dueAtMs(one, undefined, failure, stored.nowMs);
    const isOften = (failure?.failures ?? 0) >= MOST_FAILURES;
    if (isOften && untilMs > stored.nowMs) onDemand.giveUp(one, untilMs);
  }
  for (const { key } of served) known.add(key);
  const all = [...listed, ...served, ...onDemand.pending.filter(isNew)];
  onDemand.isWanted(all, served);
  return all;
}

function wantedAt(key: string, { groups }: OnDemand, stored: Stored): Wanted[] {
  const { facts } = stored.certificateAt(key) ?? {};
  const [name] = facts?.names ?? [];
  if (facts === undefined || name === undefined || facts.notAfterMs < stored.nowMs) return [];
  const all = groups.map((settings) => wantedOf(settings, name));
  return all.filter(({ id }) => key === CERTIFICATES + id).slice(0, 1);
}

/** Whether the same certificates are served for the same. */
export function hasSame(
  one: ReadonlyMap<Wanted, Certificate>,
  other: ReadonlyMap<Wanted, Certificate>,
): boolean {
  const before = new Map(Array.from(other, ([{ key }, { facts }]) => [key, facts.fingerprint]));
  return (
    one.size === before.size &&
    [...one].every(([{ key }, { facts }]) => before.get(key) === facts.fingerprint)
  );
}
