/** A state in parts, so that what is different of one pool of a cluster costs what one pool costs. */
import type { Settings } from '../../config/settings.ts';
import { type Changes, withShared } from './kept-changes.ts';
import type { OperatorState } from './operator-state.ts';

/** What the instances of a cluster share, as this one understands it. */
export interface SharedRegistry {
  readonly settings: Settings;
  /** What operators have changed, and the ids of all backends that are not found. */
  readonly state: OperatorState;
  readonly revision: number;
}

/**
 * What is in force with what is shared now, where only these pools are different. Changes that are not kept, of whichever pool, stay.
 * @param fit to the settings of these pools.
 */
export function fitSomePools(
  { inForce, kept }: Changes,
  shared: OperatorState,
  names: ReadonlySet<string>,
  fit: (changes: Changes) => Changes,
): Changes {
  const keptPart = onlyPools(kept, names);
  const part = {
    inForce: inForce === kept ? keptPart : onlyPools(inForce, names),
    kept: keptPart,
  };
  const fitted = fit(withShared(part, onlyPools(shared, names)));
  const fittedKept = withPools(kept, fitted.kept, names);
  return {
    inForce: inForce === kept ? fittedKept : withPools(inForce, fitted.inForce, names),
    kept: fittedKept,
  };
}

/** What was shared last, beside what is shared now. */
export class LastShared {
  #state: OperatorState | undefined;
  /** What the store has had of them meanwhile may never have been seen here. */
  readonly #changedHere = new Set<string>();

  changedHere(before: OperatorState, next: OperatorState): void {
    if (this.#state === undefined) return;
    for (const name of poolsThatDiffer(before, next)) this.#changedHere.add(name);
  }

  /** The same may mean something else from now on. */
  forget(): void {
    this.#state = undefined;
  }

  /** @returns the pools that may be others with it; undefined: all. */
  take(now: OperatorState): ReadonlySet<string> | undefined {
    const last = this.#state;
    const names = last && new Set([...poolsThatDiffer(last, now), ...this.#changedHere]);
    this.#state = now;
    this.#changedHere.clear();
    return names;
  }
}

/** The pools of which it does not hold the same object, gone ones among them. */
function poolsThatDiffer(before: OperatorState, now: OperatorState): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [name, changes] of now.pools) if (before.pools.get(name) !== changes) names.add(name);
  for (const name of before.pools.keys()) if (!now.pools.has(name)) names.add(name);
  return names;
}

function onlyPools(state: OperatorState, names: ReadonlySet<string>): OperatorState {
  return { ...state, pools: new Map([...state.pools].filter(([name]) => names.has(name))) };
}

/** The state, with these pools as `part` has them; so is what is no pool's. */
function withPools(
  state: OperatorState,
  part: OperatorState,
  names: ReadonlySet<string>,
): OperatorState {
  const pools = new Map(state.pools);
  for (const name of names) {
    const changes = part.pools.get(name);
    if (changes === undefined) pools.delete(name);
    else pools.set(name, changes);
  }
  return { ...part, pools };
}
