/** `fairlead demo`: the proxy with three sample backends, and what to try with them. */
import { fileURLToPath } from 'node:url';
import { type LoadInput, loadSettings } from '../config/load.ts';
import { startFairlead } from '../control/fairlead.ts';
import { contextOf } from '../control/reload/loaded-config.ts';
import { StopSignals } from '../control/stop-signals.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { type DemoBackend, DemoBackends } from './demo/demo-backends.ts';
import { type DemoPorts, demoAddresses, demoGuide } from './demo/demo-guide.ts';
import { complain, EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { CARE_SIGNALS, type HeldSignals, STOP_SIGNALS } from './terminal/held-signals.ts';
import { parseFlags, UsageError, wholeNumber, withUsageErrors } from './tool-flags.ts';

export const DEMO = {
  name: 'demo',
  usage: '[--port 8080] [--admin-port 9000] [--backend-port 8081]',
  about:
    'Runs the proxy with three sample backends, on ports 8081, 8082 and 8083 or the next free ones. Ctrl-C ends it all.',
  flags: {
    port: { type: 'string', short: 'p', value: 'PORT', help: 'where clients connect (8080)' },
    'admin-port': { type: 'string', value: 'PORT', help: 'where the admin API listens (9000)' },
    'backend-port': {
      type: 'string',
      value: 'PORT',
      help: 'where the first of the three listens (8081)',
    },
    json: {
      type: 'boolean',
      help: 'no guide: where all listen as a line of JSON, { event, url, admin_url, backends }',
    },
    ...HELP_FLAG,
  },
  examples: ['fairlead demo', 'fairlead demo --port 9080 --admin-port 9100'],
} as const satisfies CommandSpec;

/** Where the command is. */
const FOLDER = new URL('../cli/', import.meta.url);

const NAMES = ['backend-1', 'backend-2', 'backend-3'] as const;

export function runDemo(args: readonly string[], held: HeldSignals): Promise<number> {
  return withUsageErrors('demo', async () => {
    const { values, positionals } = parseFlags(args, DEMO.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(DEMO));
      return EXIT_FINE;
    }
    if (positionals.length > 0) throw new UsageError(`Unexpected argument "${positionals[0]}"`);
    const proxy = wholeNumber('--port', values.port ?? '8080', 1, 65_535);
    const admin = wholeNumber('--admin-port', values['admin-port'] ?? '9000', 1, 65_535);
    const firstBackend = wholeNumber('--backend-port', values['backend-port'] ?? '8081', 1, 65_533);
    if (proxy === admin) throw new UsageError('--admin-port must differ from --port');
    return demonstrate({ proxy, admin }, firstBackend, values.json === true, held);
  });
}

async function demonstrate(
  ports: DemoPorts,
  firstBackend: number,
  isForMachines: boolean,
  held: HeldSignals,
): Promise<number> {
  const stop = new StopSignals();
  held.handOn(STOP_SIGNALS);
  held.giveBack(CARE_SIGNALS);
  const processes = new DemoBackends(fileURLToPath(new URL('main.js', FOLDER)));
  try {
    const backends = await startBackends(processes, ports, firstBackend, isForMachines);
    if (stop.isRequested) return EXIT_FINE;
    const text = isForMachines ? demoAddresses(ports, backends) : demoGuide(ports, backends);
    return await serve(inputFor(ports, backends), stop, text);
  } catch (error) {
    const { exitCode, message } = error as Error & { readonly exitCode?: number };
    process.stderr.write(`fairlead demo: ${message}\n`);
    return exitCode ?? EXIT_FAILED;
  } finally {
    await processes.close();
    stop.release();
  }
}

/** Runs the proxy until it ends; throws when it can't start. */
async function serve(input: LoadInput, stop: StopSignals, text: string): Promise<number> {
  const loaded = loadSettings(input);
  if (!loaded.ok) {
    complain(loaded.problems);
    return EXIT_USAGE;
  }
  const running = await startFairlead(loaded.settings, contextOf(input, loaded));
  process.stdout.write(text);
  stop.govern(running);
  return running.exited;
}

async function startBackends(
  processes: DemoBackends,
  ports: DemoPorts,
  firstPort: number,
  isForMachines: boolean,
): Promise<DemoBackend[]> {
  const taken = new Set([ports.proxy, ports.admin]);
  const backends: DemoBackend[] = [];
  for (const [index, name] of NAMES.entries()) {
    const wanted = firstPort + index;
    const after = backends.at(-1)?.port ?? 0;
    const backend = await processes.start(name, Math.max(wanted, after + 1), taken);
    if (backend.port !== wanted && !isForMachines) {
      process.stdout.write(`Port ${wanted} is taken: ${name} listens on ${backend.port}.\n`);
    }
    backends.push(backend);
  }
  return backends;
}

/** The config of the demo is this and nothing else: no variable and no file of the folder it is started in. */
function inputFor(ports: DemoPorts, backends: readonly DemoBackend[]): LoadInput {
  const values = {
    port: ports.proxy,
    admin_port: ports.admin,
    // Short, so that what the reader does to a backend shows soon.
    health_check_frequency: '2s',
    // A line for each of the requests that the reader sends would carry the guide away.
    access_log: false,
    backends: backends.map(({ port }) => `http://localhost:${port}`),
  };
  return {
    flags: {
      values: Object.entries(values).map(([key, value]) => ({ name: 'demo', path: [key], value })),
    },
    env: {},
    cwd: fileURLToPath(FOLDER),
  };
}
