/** The names that a strategy goes by in a config, on the command line and in the admin API. */
import { STRATEGY_NAMES, type StrategyName } from '../../snapshot/snapshot.ts';

/** Other names that people type, and what they mean. Round robin is always weighted. */
export const STRATEGY_ALIASES = {
  'least-conn': 'least-connections',
  'weighted-round-robin': 'round-robin',
} as const satisfies Record<string, StrategyName>;

export type StrategyAlias = keyof typeof STRATEGY_ALIASES;

function isStrategyName(name: string): name is StrategyName {
  return (STRATEGY_NAMES as readonly string[]).includes(name);
}

/** Undefined when no strategy is called so. */
export function canonicalStrategy(name: string): StrategyName | undefined {
  if (isStrategyName(name)) return name;
  return Object.hasOwn(STRATEGY_ALIASES, name)
    ? STRATEGY_ALIASES[name as StrategyAlias]
    : undefined;
}
