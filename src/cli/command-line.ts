/** The command `fairlead`: finds the command, loads its module and no other, and exits with its code. */
import { didYouMean, type Synonyms } from '../config/values/nearest.ts';
import { VERSION } from '../control/version.ts';
import { EXIT_CODES, type ListedCommand, ORDER } from './command-spec.ts';
import { COMMANDS, listCommands } from './commands.ts';
import { EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { endWithNpx } from './npx.ts';
import { describeSettingFlags } from './settings-flags.ts';
import { CARE_SIGNALS, type HeldSignals, STOP_SIGNALS } from './terminal/held-signals.ts';

/** They handle signals themselves; the others end by them, as any program does. */
const HANDLE_SIGNALS: ReadonlySet<string> = new Set(['run', 'demo']);

/** What other programs call it. */
const COMMAND_SYNONYMS: Synonyms = new Map([
  ['start', ['run']],
  ['serve', ['run']],
  ['up', ['run']],
  ['proxy', ['run']],
  ['validate', ['check']],
  ['test', ['check', 'try']],
  ['config', ['print-config', 'check']],
  ['list', ['status']],
  ['ls', ['status']],
  ['ps', ['status']],
  ['info', ['status']],
  ['rm', ['remove']],
  ['delete', ['remove']],
  ['undrain', ['enable']],
  ['watch', ['top', 'events']],
  ['follow', ['events']],
  ['logs', ['events']],
  ['why', ['explain']],
  ['trace', ['explain']],
  ['tail', ['events']],
  ['restart', ['reload', 'upgrade']],
  ['bench', ['try']],
  ['ping', ['healthcheck']],
  ['health', ['healthcheck']],
  ['htpasswd', ['hash-password']],
  ['passwd', ['hash-password']],
  ['tokens', ['token']],
]);

const USAGE = `Usage: fairlead [URL…] [options]     run the proxy; URLs are the backends (http://:3001 means localhost:3001)
       fairlead COMMAND [options]

${listCommands(false)}

Of a running instance, through its admin API (of several pools: --pool NAME):
${listCommands(true)}

Options:
${describeSettingFlags()}  --help                          this text; fairlead COMMAND --help for a command
  --version                       the version

Examples:
  fairlead http://:3001 http://:3002      two backends: clients at :8080, the admin API and the dashboard at localhost:9000
  fairlead init && fairlead               writes a config with comments, and runs on it
  fairlead status --watch                 how the running instance is, again every second
  fairlead drain http://:3001 --wait      takes a backend out of use without hurting a client
  fairlead explain http://localhost:8080/ where a request would go, and why

Order: ${ORDER}
Exit codes: ${EXIT_CODES}
`;

async function main(args: readonly string[], held: HeldSignals): Promise<number> {
  const [first = '', ...rest] = args;
  // Before `--`, which ends the flags, they may stand anywhere.
  const flags = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  const isCommand = Object.hasOwn(COMMANDS, first);
  if (!isCommand && (first === 'help' || flags.includes('--help') || flags.includes('-h'))) {
    process.stdout.write(USAGE);
    return EXIT_FINE;
  }
  if (!isCommand && (flags.includes('--version') || flags.includes('-v'))) {
    process.stdout.write(`${VERSION}\n`);
    return EXIT_FINE;
  }
  // A word without any sign of a URL can only have been meant as a command.
  if (!isCommand && /^[a-z][a-z-]*$/i.test(first)) {
    const { hint } = didYouMean(first, Object.keys(COMMANDS), COMMAND_SYNONYMS);
    const more = hint ?? 'fairlead --help lists them';
    process.stderr.write(`fairlead: unknown command "${first}" (${more})\n`);
    return EXIT_USAGE;
  }
  const name = isCommand ? first : 'run';
  const { load } = COMMANDS[name] as ListedCommand;
  if (!HANDLE_SIGNALS.has(name)) held.giveBack([...STOP_SIGNALS, ...CARE_SIGNALS]);
  settleWithoutReader(name !== 'run');
  endWithNpx();
  if (first === 'run' && rest.some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(USAGE);
    return EXIT_FINE;
  }
  const { run } = await load();
  return run(isCommand ? rest : [...args], held);
}

/**
 * `fairlead print-config | head` is no failure, and certainly no stack on the terminal. A proxy whose log nobody reads
 * any more goes on serving.
 */
function settleWithoutReader(isOver: boolean): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (isOver) process.exit(EXIT_FINE);
    });
  }
}

export async function runCommandLine(args: readonly string[], held: HeldSignals): Promise<void> {
  try {
    const code = await main(args, held);
    // Whatever else may still be open, the command has ended; what it wrote is out, or goes out before the exit.
    process.exitCode = code;
    if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit();
  } catch (error) {
    const { code, message, stack } = error as NodeJS.ErrnoException;
    // Modules are loaded when they are needed: there may be no descriptor left for them.
    const isShort = code === 'EMFILE' || code === 'ENFILE';
    const said = isShort ? `${message} (ulimit -n or LimitNOFILE allows more)` : stack;
    process.stderr.write(`fairlead: ${said ?? String(error)}\n`);
    process.exitCode = EXIT_FAILED;
  }
}
