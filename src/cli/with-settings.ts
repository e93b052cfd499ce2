/** What the commands share that look at a config without running it. */
import { type LoadInput, type LoadResult, loadSettings } from '../config/load.ts';
import { complain, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { type OwnFlags, parseSettingFlags } from './settings-flags.ts';

type Loaded = Extract<LoadResult, { readonly ok: true }>;

interface Given {
  readonly input: LoadInput;
  /** Of the command's own flags. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Reads flags, environment and file as `fairlead` would, and gives `body` the outcome. `--help` prints `usage`; a config
 * that is wrong is said on standard error.
 * @param own the command's own switches.
 * @param ownFlags its own flags with values.
 * @returns the exit code. Throws `UsageError`.
 */
export async function withSettings(
  args: readonly string[],
  usage: string,
  own: readonly string[],
  body: (loaded: Loaded, switches: ReadonlySet<string>, given: Given) => number | Promise<number>,
  ownFlags: OwnFlags = {},
): Promise<number> {
  const { flags, switches, own: values } = parseSettingFlags(args, ['help', ...own], ownFlags);
  if (switches.has('help')) {
    process.stdout.write(usage);
    return EXIT_FINE;
  }
  const input = { flags, env: process.env, cwd: process.cwd() };
  const result = loadSettings(input);
  if (result.ok) return await body(result, switches, { input, values });
  complain(result.problems);
  return EXIT_USAGE;
}
