/** What a config would change, were it taken up in the place of the one that runs: for a dry run, and for `fairlead check --diff`. */
import { type ConfigChange, configChanges } from '../config/diff.ts';
import type { LoadResult } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { isSame } from '../config/same.ts';
import type { Settings } from '../config/settings.ts';
import { ConfigRefused, refusalOf, restartKeys } from './reload.ts';

/** Nobody reads more. */
const MOST_CHANGES = 1_000;

/** As the admin API answers it. */
export interface ConfigDifference {
  readonly changed: boolean;
  /** A thousand at most. */
  readonly changes: readonly ConfigChange[];
  readonly changes_left_out: number;
  /** Keys whose change takes effect only with a restart: a reload would be refused as a whole. */
  readonly needs_restart: readonly string[];
  /** Why a reload would be refused though the config is sound: it would leave requests without a backend. */
  readonly refused: readonly Problem[];
}

export function configDifference(
  running: Settings,
  wanted: Extract<LoadResult, { ok: true }>,
): ConfigDifference {
  const changes = configChanges(running, wanted.settings);
  const refusal = refusalOf(running, wanted);
  return {
    changed: !isSame(running, wanted.settings),
    changes: changes.slice(0, MOST_CHANGES),
    changes_left_out: Math.max(0, changes.length - MOST_CHANGES),
    needs_restart: restartKeys(running, wanted.settings),
    refused: refusal instanceof ConfigRefused ? refusal.problems : [],
  };
}
