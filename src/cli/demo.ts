/** `fairlead demo`: the proxy with three sample backends, and what to try with them. */
import { fileURLToPath } from 'node:url';
import { effectiveConfig } from '../config/effective.ts';
import { type LoadInput, loadSettings, validateConfigText } from '../config/load.ts';
import { jsonSchema } from '../config/schema.ts';
import { type RunningFairlead, startFairlead } from '../control/fairlead.ts';
import { type DemoBackend, DemoBackends } from './demo-backends.ts';
import { complain, EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { parseFlags, UsageError, wholeNumber, withUsageErrors } from './tool-flags.ts';

const USAGE = `Usage: fairlead demo [--port 8080] [--admin-port 9000]

Runs the proxy with three sample backends, on ports 8081, 8082 and 8083 or the next free ones. Ctrl-C ends it all.
`;

const FIRST_BACKEND_PORT = 8081;
/** npm passes a Ctrl-C on to a process that the terminal has told already: within this time, two signals are one. */
const SAME_SIGNAL_MS = 300;
const NAMES = ['backend-1', 'backend-2', 'backend-3'] as const;

interface Ports {
  readonly proxy: number;
  readonly admin: number;
}

export function runDemo(args: readonly string[]): Promise<number> {
  return withUsageErrors('demo', async () => {
    const { values, positionals } = parseFlags(args, {
      port: { type: 'string', short: 'p' },
      'admin-port': { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    });
    if (values.help === true) {
      process.stdout.write(USAGE);
      return EXIT_FINE;
    }
    if (positionals.length > 0) throw new UsageError(`Unexpected argument "${positionals[0]}"`);
    const proxy = wholeNumber('--port', values.port ?? '8080', 1, 65_535);
    const admin = wholeNumber('--admin-port', values['admin-port'] ?? '9000', 1, 65_535);
    if (proxy === admin) throw new UsageError('--admin-port must differ from --port');
    return demonstrate({ proxy, admin });
  });
}

async function demonstrate(ports: Ports): Promise<number> {
  const stop = new StopSignal();
  const processes = new DemoBackends(fileURLToPath(new URL('main.js', import.meta.url)));
  try {
    const backends = await startBackends(processes, ports);
    if (stop.isRequested) return EXIT_FINE;
    return await serve(inputFor(ports, backends), stop, guide(ports, backends));
  } catch (error) {
    const { exitCode, message } = error as Error & { readonly exitCode?: number };
    process.stderr.write(`fairlead demo: ${message}\n`);
    return exitCode ?? EXIT_FAILED;
  } finally {
    await processes.close();
    stop.release();
  }
}

/**
 * SIGINT and SIGTERM from the very start of the demo to its very end, so that no moment is left in which one would
 * end this process before its backends. The first stops the proxy, a second one cuts it off.
 */
class StopSignal {
  #running: RunningFairlead | undefined;
  #firstAt: number | undefined;

  constructor() {
    process.on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal);
  }

  get isRequested(): boolean {
    return this.#firstAt !== undefined;
  }

  /** From now on signals go to this proxy, and one that came before does at once. */
  governs(running: RunningFairlead): void {
    this.#running = running;
    if (this.isRequested) void running.shutdown('a signal at the start');
  }

  release(): void {
    process.off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (this.#firstAt === undefined) {
      this.#firstAt = performance.now();
      void this.#running?.shutdown(signal);
    } else if (performance.now() - this.#firstAt > SAME_SIGNAL_MS) {
      this.#running?.kill();
    }
  };
}

/** Runs the proxy until it ends; throws when it can't start. */
async function serve(input: LoadInput, stop: StopSignal, text: string): Promise<number> {
  const loaded = loadSettings(input);
  if (!loaded.ok) {
    complain(loaded.problems);
    return EXIT_USAGE;
  }
  const running = await startFairlead(loaded.settings, {
    reload: () => loadSettings(input),
    validate: (posted) => validateConfigText(posted, 'posted.yaml', input),
    effectiveConfig: () => effectiveConfig(loaded.settings, loaded.origins),
    jsonSchema,
  });
  process.stdout.write(text);
  stop.governs(running);
  return running.exited;
}

async function startBackends(processes: DemoBackends, ports: Ports): Promise<DemoBackend[]> {
  const taken = new Set([ports.proxy, ports.admin]);
  const backends: DemoBackend[] = [];
  for (const [index, name] of NAMES.entries()) {
    const wanted = FIRST_BACKEND_PORT + index;
    const after = backends.at(-1)?.port ?? 0;
    const backend = await processes.start(name, Math.max(wanted, after + 1), taken);
    if (backend.port !== wanted) {
      process.stdout.write(`Port ${wanted} is taken: ${name} listens on ${backend.port}.\n`);
    }
    backends.push(backend);
  }
  return backends;
}

/** The config of the demo is this and nothing else: no variable and no file of the folder it is started in. */
function inputFor(ports: Ports, backends: readonly DemoBackend[]): LoadInput {
  const values = {
    port: ports.proxy,
    admin_port: ports.admin,
    // Short, so that what the reader does to a backend shows soon.
    health_check_frequency: '2s',
    backends: backends.map(({ port }) => `http://localhost:${port}`),
  };
  return {
    flags: {
      values: Object.entries(values).map(([key, value]) => ({ name: 'demo', path: [key], value })),
    },
    env: {},
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  };
}

function guide(ports: Ports, backends: readonly DemoBackend[]): string {
  const proxy = `localhost:${ports.proxy}`;
  const admin = `localhost:${ports.admin}`;
  const rows = backends.map(
    ({ name, port, pid }) => `  ${name}  http://localhost:${port}  process ${pid}\n`,
  );
  const [first, second] = backends as [DemoBackend, DemoBackend];
  return `
The proxy  http://${proxy}/
The admin  http://${admin}/
${rows.join('')}
To try in another terminal:

  curl ${proxy}/
      who answers? Again and again: they take turns
  curl ${admin}/status
      the backends and how they are
  npx fairlead try http://${proxy}/ -n 1000 -c 20
      their shares, and how fast they answer
  kill ${first.pid}
      ends ${first.name}: the others take its share
  curl -X PUT localhost:${second.port}/health -d '{"healthy": false}'
      makes ${second.name} fail its health checks, until {"healthy": true}
  curl -X POST ${admin}/strategy -H 'Content-Type: application/json' -d '{"strategy":"least-connections"}'
      changes the strategy
  curl ${admin}/metrics
      what a Prometheus reads

Ctrl-C ends it all.

`;
}
