/** What the commands share that look at a config without running it. */
import { type LoadResult, loadSettings } from '../config/load.ts';
import { complain, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { parseSettingFlags } from './settings-flags.ts';

type Loaded = Extract<LoadResult, { readonly ok: true }>;

/**
 * Reads flags, environment and file as `fairlead` would, and gives `body` the outcome. `--help` prints `usage`; a config
 * that is wrong is said on standard error.
 * @param own the command's own switches.
 * @returns the exit code. Throws `UsageError`.
 */
export async function withSettings(
  args: readonly string[],
  usage: string,
  own: readonly string[],
  body: (loaded: Loaded, switches: ReadonlySet<string>) => number | Promise<number>,
): Promise<number> {
  const { flags, switches } = parseSettingFlags(args, ['help', ...own]);
  if (switches.has('help')) {
    process.stdout.write(usage);
    return EXIT_FINE;
  }
  const result = loadSettings({ flags, env: process.env, cwd: process.cwd() });
  if (result.ok) return await body(result, switches);
  complain(result.problems);
  return EXIT_USAGE;
}
