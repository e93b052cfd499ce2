/**
 * Values that the config gives and an operator has set otherwise: the operator's win, whatever is edited in the file. So they
 * are told at every start and reload, and can be dropped. Which backends there are, and whether they are in use, is not a
 * value of the config that could be given back: that is changed by the calls that changed it.
 */
import { DEFAULT_POOL, type PoolSettings } from '../../config/settings.ts';
import { type Overridable } from '../operator-words.ts';
import { inPool, type OperatorState, type PoolChanges, withEntry } from './operator-state.ts';

/** The field names are an interface: see docs. */
export interface Override {
  readonly pool: string;
  readonly value: Overridable;
  /** The URL of the backend whose value it is; null for the pool's. */
  readonly backend: string | null;
  /** What is in force. */
  readonly api: string | number | boolean;
  /** What the config says. */
  readonly config: string | number | boolean;
}

/** Which of them; what is left out chooses all. */
export interface OverrideChoice {
  readonly pool?: string | undefined;
  readonly value?: Overridable | undefined;
  readonly backend?: string | undefined;
}

/** Of one pool. */
export function overridesOf(changes: PoolChanges, settings: PoolSettings): Override[] {
  const { name: pool } = settings;
  const found: Override[] = [];
  const compare = (
    value: Overridable,
    backend: string | null,
    api: Override['api'] | undefined,
    config: Override['config'],
  ): void => {
    if (api !== undefined && api !== config) found.push({ pool, value, backend, api, config });
  };
  compare('strategy', null, changes.strategy, settings.strategy);
  for (const { url, weight, isBackup } of settings.backends) {
    const entry = changes.entries.get(url);
    if (entry === undefined || entry.isRemoved) continue;
    compare('weight', url, entry.weight, weight);
    compare('backup', url, entry.isBackup, isBackup);
  }
  return found;
}

export function isChosen({ pool, value, backend }: Override, choice: OverrideChoice): boolean {
  if (choice.pool !== undefined && choice.pool !== pool) return false;
  if (choice.value !== undefined && choice.value !== value) return false;
  return choice.backend === undefined || choice.backend === backend;
}

export function withoutOverrides(
  state: OperatorState,
  overrides: readonly Override[],
): OperatorState {
  return overrides.reduce(
    (rest, override) => inPool(rest, override.pool, (changes) => without(changes, override)),
    state,
  );
}

function without(changes: PoolChanges, { value, backend }: Override): PoolChanges {
  if (backend === null) return { ...changes, strategy: undefined };
  const entry = changes.entries.get(backend);
  if (entry === undefined) return changes;
  const dropped = value === 'weight' ? { weight: undefined } : { isBackup: undefined };
  // One that was added, and that the config lists by now, is the config's from here on.
  const next = { ...entry, source: 'config', address: undefined, ...dropped } as const;
  return withEntry(changes, backend, next);
}

/** `strategy is random-two (the config says ip-hash)` */
export function describeOverride(override: Override): string {
  return `${nameOverride(override)} is ${override.api} (the config says ${override.config})`;
}

/** `weight of http://localhost:3001 in pool web` */
export function nameOverride({ pool, value, backend }: Override): string {
  const of = backend === null ? '' : ` of ${backend}`;
  const where = pool === DEFAULT_POOL ? '' : ` in pool ${pool}`;
  return `${value}${of}${where}`;
}
