/** The command `fairlead`: finds the command, loads its module and no other, and exits with its code. */
import { didYouMean, type Synonyms } from '../config/nearest.ts';
import { VERSION } from '../control/version.ts';
import { EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { CARE_SIGNALS, type HeldSignals, STOP_SIGNALS } from './held-signals.ts';
import { endWithNpx } from './npx.ts';
import { describeSettingFlags } from './settings-flags.ts';

type Command = (args: string[], held: HeldSignals) => Promise<number>;

/** They handle signals themselves; the others end by them, as any program does. */
const HANDLE_SIGNALS: ReadonlySet<string> = new Set(['run', 'demo']);

export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).runProxy,
  check: async () => (await import('./check.ts')).runCheck,
  'print-config': async () => (await import('./print-config.ts')).runPrintConfig,
  'hash-password': async () => (await import('./hash-password.ts')).runHashPassword,
  token: async () => (await import('./token.ts')).runToken,
  state: async () => (await import('./state.ts')).runState,
  explain: async () => (await import('./explain.ts')).runExplain,
  status: async () => (await import('./admin-status.ts')).runStatus,
  events: async () => (await import('./events.ts')).runEvents,
  top: async () => (await import('./top.ts')).runTop,
  healthcheck: async () => (await import('./admin-status.ts')).runHealthcheck,
  add: async () => (await import('./admin-backends.ts')).runAdd,
  remove: async () => (await import('./admin-drain.ts')).runRemove,
  drain: async () => (await import('./admin-drain.ts')).runDrain,
  enable: async () => (await import('./admin-backends.ts')).runEnable,
  disable: async () => (await import('./admin-backends.ts')).runDisable,
  weight: async () => (await import('./admin-backends.ts')).runWeight,
  strategy: async () => (await import('./admin-pool.ts')).runStrategy,
  reset: async () => (await import('./admin-pool.ts')).runReset,
  reload: async () => (await import('./admin-pool.ts')).runReload,
  upgrade: async () => (await import('./admin-pool.ts')).runUpgrade,
  demo: async () => (await import('./demo.ts')).runDemo,
  backend: async () => (await import('./backend.ts')).runBackend,
  cert: async () => (await import('./cert.ts')).runCert,
  try: async () => (await import('./try.ts')).runTry,
};

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

  run [URL…]                      the proxy, as without a command
  demo                            the proxy with three sample backends: prints what to open
  backend --port 8081             a sample backend
  check --config FILE             validate a config
  print-config                    the config in force, each value with where it comes from
  hash-password                   what stands for a password in a config
  token new NAME --role ROLE      a token of the admin API: viewer or operator
  state show|clear                the changes made through the admin API that are kept
  cert dev NAME…                  certificates for development, from an authority of your own
  try URL -n 100 -c 10            send requests, show their spread, status codes and latency

Of a running instance, through its admin API (of several pools: --pool NAME):
  explain URL -H 'name: value'    which backend a request would get, by which route, and why
  status                          the strategy and every backend, of all pools
  top                             every backend live, on the terminal
  events                          what happens, as it happens
  add URL --weight N              add a backend
  remove ID|URL --drain 30s       remove one, drained first
  drain ID|URL --wait             no new clients; returns when nothing is in flight
  enable|disable ID|URL           put one back; take one out
  weight ID|URL N                 its share beside the others
  strategy NAME                   change the strategy
  reload                          read the config again
  upgrade                         let the program now on the disk take over, without a gap
  reset [VALUE]                   drop what was set otherwise than the config says
  healthcheck                     exit code 0 if it is ready

Options:
${describeSettingFlags()}  --help                          this text; fairlead COMMAND --help for a command
  --version                       the version

Order: defaults < config file < environment (FAIRLEAD_PORT, TARGET_BACKEND_URLS, …) < flags.
Exit codes: 0 fine, 1 failed while running, 2 bad config or arguments, 3 address in use.
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
  const load = COMMANDS[name] as () => Promise<Command>;
  if (!HANDLE_SIGNALS.has(name)) held.giveBack([...STOP_SIGNALS, ...CARE_SIGNALS]);
  settleWithoutReader(name !== 'run');
  endWithNpx();
  if (first === 'run' && rest.some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(USAGE);
    return EXIT_FINE;
  }
  return (await load())(isCommand ? rest : [...args], held);
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
    process.stderr.write(`fairlead: ${(error as Error).stack ?? String(error)}\n`);
    process.exitCode = EXIT_FAILED;
  }
}
