/**
 * What is kept of operators' changes, beside what is in force: changes may be made that a restart forgets.
 *
 * A change that is to be kept is made to both values, one that is not to the first alone. So no later save writes what was not
 * to be kept, and what is kept later is kept whatever is in force. As long as there was none, both are the same value.
 */
import { isDeepStrictEqual } from 'node:util';
import { fitToConfig, type OperatorEntry, type OperatorState } from './operator-state.ts';

export interface Changes {
  readonly inForce: OperatorState;
  readonly kept: OperatorState;
}

export function makeChange(
  { inForce, kept }: Changes,
  change: (state: OperatorState) => OperatorState,
): Changes {
  const next = change(inForce);
  return { inForce: next, kept: kept === inForce ? next : change(kept) };
}

/**
 * Both, fitted to the URLs that the config lists now. They have the same ids, as far as they have the same backends, so that
 * a restart changes none; and no id stands for two URLs, whichever of the two is looked at.
 */
export function fitChanges({ inForce, kept }: Changes, configUrls: readonly string[]): Changes {
  const fitted = fitToConfig(inForce, configUrls);
  if (kept === inForce) return { inForce: fitted, kept: fitted };
  const fittedKept = fitToConfig({ ...kept, nextId: fitted.nextId }, configUrls);
  const { nextId } = fittedKept;
  const entries = new Map<string, OperatorEntry>();
  for (const entry of fittedKept.entries.values()) {
    const sharedId = entry.id === undefined ? undefined : fitted.entries.get(entry.url)?.id;
    entries.set(entry.url, { ...entry, id: sharedId ?? entry.id });
  }
  return { inForce: { ...fitted, nextId }, kept: { ...fittedKept, entries } };
}

/** Whether a restart leaves this backend as it is: also its being there, or not. */
export function isKept({ inForce, kept }: Changes, url: string): boolean {
  const now = inForce.entries.get(url);
  const then = kept.entries.get(url);
  if (now === then) return true;
  if (now === undefined || then === undefined) return false;
  return isDeepStrictEqual({ ...now, id: 0 }, { ...then, id: 0 });
}
