/** What the commands share that look at a config without running it. */
import { type LoadInput, type LoadResult, loadSettings } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { type CommandSpec, helpOf } from './command-spec.ts';
import { complain, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { parseSettingFlags } from './settings-flags.ts';

export type Loaded = Extract<LoadResult, { readonly ok: true }>;

interface Given {
  readonly input: LoadInput;
  /** Of the command's own flags. */
  readonly values: ReadonlyMap<string, string>;
}

export type WithSettings = (
  loaded: Loaded,
  switches: ReadonlySet<string>,
  given: Given,
) => number | Promise<number>;

/**
 * Reads flags, environment and file as `fairlead` would, and gives `body` the outcome. `--help` says what it does; a config
 * that is wrong is said on standard error, unless `refuse` says it.
 * @returns the exit code. Throws `UsageError`.
 */
export async function withSettings(
  args: readonly string[],
  spec: CommandSpec,
  body: WithSettings,
  refuse?: (problems: readonly Problem[], switches: ReadonlySet<string>) => number,
): Promise<number> {
  const { flags, switches, own: values } = parseSettingFlags(args, spec.flags);
  if (switches.has('help')) {
    process.stdout.write(helpOf(spec));
    return EXIT_FINE;
  }
  const input = { flags, env: process.env, cwd: process.cwd() };
  const result = loadSettings(input);
  if (result.ok) return await body(result, switches, { input, values });
  if (refuse !== undefined) return refuse(result.problems, switches);
  complain(result.problems);
  return EXIT_USAGE;
}
