/** `fairlead check`: everything that is wrong with a config, or one line that says that it is fine. */
import { loadSettings } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import { complain, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { describeSettingFlags, parseSettingFlags } from './settings-flags.ts';
import { withUsageErrors } from './tool-flags.ts';

const USAGE = `Usage: fairlead check [URL…] [--config FILE] [options]

Says everything that is wrong with a config, with file:line:column; exit code 2 if there is anything. Environment and
flags count as they would for \`fairlead\` with the same arguments.

${describeSettingFlags()}`;

export function runCheck(args: readonly string[]): Promise<number> {
  return withUsageErrors('check', () => {
    const { flags, switches } = parseSettingFlags(args, ['help']);
    if (switches.has('help')) {
      process.stdout.write(USAGE);
      return EXIT_FINE;
    }
    const result = loadSettings({ flags, env: process.env, cwd: process.cwd() });
    if (!result.ok) {
      complain(result.problems);
      return EXIT_USAGE;
    }
    for (const note of result.notes) process.stderr.write(`note: ${note}\n`);
    process.stdout.write(`ok: ${summary(result.settings)}\n`);
    return EXIT_FINE;
  });
}

function summary({ backends, strategy, port, admin, tls, configFile }: Settings): string {
  return [
    `${backends.length} ${backends.length === 1 ? 'backend' : 'backends'}`,
    strategy,
    `port ${port}${tls === undefined ? '' : ' (TLS)'}`,
    `admin port ${admin.port}`,
    configFile === undefined ? 'no config file' : `config file ${configFile}`,
  ].join(', ');
}
