/** What a config would change, were it taken up in the place of the one that runs: for a dry run, and for `fairlead check --diff`. */
import { type ConfigChange, configChanges } from '../../config/diff.ts';
import { changedPaths, configOf } from '../../config/effective/effective.ts';
import type { LoadResult } from '../../config/load.ts';
import type { Problem } from '../../config/problem.ts';
import type { Settings } from '../../config/settings.ts';
import { isSame } from '../../config/values/same.ts';
import { ConfigRefused, refusalOf, restartKeys } from './reload.ts';

type Loaded = Extract<LoadResult, { ok: true }>;

const HIDDEN = '***';

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

export function configDifference(running: Settings, wanted: Loaded): ConfigDifference {
  const changed = !isSame(running, wanted.settings);
  // Texts with references as they are written differ from what is filled in.
  const changes = changed ? changesOf(running, wanted) : [];
  const refusal = refusalOf(running, wanted.disclosed ?? wanted);
  return {
    changed,
    changes: changes.slice(0, MOST_CHANGES),
    changes_left_out: Math.max(0, changes.length - MOST_CHANGES),
    needs_restart: restartKeys(running, wanted.settings),
    refused: refusal instanceof ConfigRefused ? refused(refusal, wanted) : [],
  };
}

function changesOf(running: Settings, wanted: Loaded): readonly ConfigChange[] {
  const { disclosed, settings } = wanted;
  if (disclosed !== null) return configChanges(running, (disclosed ?? wanted).settings);
  const keys = changedPaths(configOf(running), configOf(settings)).map(topOf);
  return Array.from(new Set(keys), (path) => ({
    path,
    change: 'changed',
    before: HIDDEN,
    after: HIDDEN,
  }));
}

function refused({ problems }: ConfigRefused, { disclosed }: Loaded): readonly Problem[] {
  if (disclosed !== null) return problems;
  // Their names may come from the environment.
  const message = 'backends would be lost that are in use: is the config complete?';
  return problems.map(({ origin, path }) => ({ origin, path: topOf(path), message }));
}

function topOf(path: string): string {
  return path.split('.', 1)[0] ?? '';
}
