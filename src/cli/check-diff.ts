/** `fairlead check --diff`: what a config would change, of the running instance or beside another file. */

import type { ConfigChange } from '../config/diff.ts';
import { type LoadInput, type LoadResult, loadSettings } from '../config/load.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import { readConfigFile } from '../config/read/config-file.ts';
import { type ConfigDifference, configDifference } from '../control/reload/config-difference.ts';
import { AdminClient, AdminError } from './admin/admin-client.ts';
import { type AdminFlags, adminTarget } from './admin/admin-command.ts';
import { complain, EXIT_USAGE } from './exit.ts';
import { UsageError } from './tool-flags.ts';

type Loaded = Extract<LoadResult, { readonly ok: true }>;

export interface Compared {
  /** The file, or the address of the running instance. */
  readonly beside: string;
  readonly difference: ConfigDifference;
}

/** Beside the file of `other`, read with the same flags and variables. @returns the exit code where that is no config. */
export function compareWithFile(
  input: LoadInput,
  wanted: Loaded,
  other: string,
): number | Compared {
  const before = loadSettings({ ...input, flags: { ...input.flags, config: other } });
  if (!before.ok) {
    complain(before.problems);
    return EXIT_USAGE;
  }
  // Where it lies is no change, nor what follows from that.
  const { configFile, stateFile } = before.settings;
  const isDefault = (wanted.origins.get('state_file')?.origin ?? 'default') === 'default';
  const settings = { ...wanted.settings, configFile, ...(isDefault && { stateFile }) };
  const { origins, notes } = wanted;
  const difference = configDifference(before.settings, { ok: true, settings, origins, notes });
  return { beside: other, difference };
}

/** What runs is asked what a reload of this file would change: with its own flags and variables. @returns the exit code where it does not answer. */
export async function compareWithRunning(
  input: LoadInput,
  flags: AdminFlags,
): Promise<number | Compared> {
  const { config, values } = input.flags;
  const hasBackends = values.some(({ path }) => path[0] === 'backends');
  const choice = { ...(config !== undefined && { config }), hasBackends };
  const read = readConfigFile(choice, input.env, input.cwd);
  if (!read.ok || read.file === undefined) {
    throw new UsageError('there is no config file to compare with what runs (--config FILE)');
  }
  const { shown, text } = read.file;
  const target = adminTarget(
    { ...flags, ...(typeof config === 'string' && { config }) },
    input.env,
    input.cwd,
  );
  const type = shown.toLowerCase().endsWith('.json') ? 'application/json' : 'application/yaml';
  try {
    const answer = await new AdminClient(target).callWithText('/config:validate', text, type);
    return { beside: target.url, difference: answer as ConfigDifference };
  } catch (error) {
    if (!(error instanceof AdminError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return error.exitCode;
  }
}

export function showComparison({ beside, difference }: Compared): void {
  process.stdout.write(`${describe(difference, beside).join('\n')}\n`);
  for (const problem of difference.refused as readonly Problem[]) {
    process.stderr.write(`note: a reload would be refused: ${formatProblem(problem)}\n`);
  }
}

function describe(difference: ConfigDifference, beside: string): string[] {
  const { changed, changes, changes_left_out: more, needs_restart: keys } = difference;
  if (!changed) return [`no change beside ${beside}`];
  return [
    `changes beside ${beside}:`,
    ...changes.map((change) => `  ${line(change)}`),
    ...(changes.length === 0 ? ['  in what is not shown: a secret, or what a file holds'] : []),
    ...(more > 0 ? [`  and ${more} more`] : []),
    ...(keys.length > 0 ? [`a restart is needed: ${keys.join(', ')}`] : []),
  ];
}

function line({ path, change, before, after }: ConfigChange): string {
  if (change === 'added') return `+ ${path}${valueOf(path, after)}`;
  if (change === 'removed') return `- ${path}${valueOf(path, before)}`;
  if (change === 'moved') return `~ ${path}: in another order`;
  return `~ ${path}: ${short(before)} → ${short(after)}`;
}

/** An item of a list is known by what stands in its brackets, and a pool by its name. */
function valueOf(path: string, value: unknown): string {
  return path.endsWith(']') || /^pools\.[^.]+$/.test(path) ? '' : `: ${short(value)}`;
}

const LONGEST = 100;

function short(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
