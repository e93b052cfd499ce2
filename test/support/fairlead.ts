/**
 * Fairlead as its users run it: the compiled command in a process of its own. It is always ended after the test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterFile, afterTest } from './after-test.ts';
import { freePort } from './free-port.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { waitFor, within } from './wait-for.ts';

export const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** The same, each module in a file of its own. */
export const COMMAND_IN_MODULES = fileURLToPath(
  new URL('../../build/cli/main.js', import.meta.url),
);
const START_MS = 30_000;
const EXIT_ADDRESS_IN_USE = 3;

export interface FairleadOptions {
  /** Backends and flags, as typed after `fairlead`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Written to fairlead.config.json in the working folder and given as `--config`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Default: an empty folder of its own. */
  readonly cwd?: string;
  /**
   * Whether it reloads by itself when the file has changed. Default: no, since most tests write it and say `reload` then, and a
   * machine that is busy in between must not make that two reloads.
   */
  readonly isWatched?: boolean;
  /** `ulimit -n`. */
  readonly descriptors?: number;
  /** Whether the tests behind the one that starts it use it as well: it is ended after the last of the file. */
  readonly isShared?: boolean;
  /**
   * Who chooses the ports. `harness` (default): free ports, passed as flags. `test`: the test has put them into
   * arguments, environment or file, and gives them here.
   */
  readonly ports?: 'harness' | { readonly port: number; readonly adminPort: number };
}

/** One JSON line of the log. */
export interface LogLine {
  readonly event?: string;
  readonly level?: string | number;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

export interface Fairlead {
  readonly port: number;
  readonly adminPort: number;
  /** `http://127.0.0.1:port`, without a slash. */
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  readonly cwd: string;
  /** Every line of the log so far: lines with an `event`. */
  logs(): LogLine[];
  /** Every line of the access log so far that went to standard output: lines with a `status` and no `event`. */
  accessLines(): LogLine[];
  waitForLog(predicate: (line: LogLine) => boolean, ms?: number): Promise<LogLine>;
  /** Everything on standard output and standard error so far. */
  output(): string;
  /** Sends the signal and waits for the end: the exit code, or null if a signal ended it. */
  stop(signal?: NodeJS.Signals, ms?: number): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
  readonly exited: Promise<number | null>;
}

export interface FinishedRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly env: FairleadOptions['env'];
  readonly cwd: string;
  readonly descriptors?: number | undefined;
  readonly whenOver?: typeof afterTest;
}

class Run {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stdout = '';
  stderr = '';
  readonly #lines: LogLine[] = [];
  /** Where in `stdout` the lines begin that have not been looked at. */
  #readTo = 0;

  constructor(args: readonly string[], options: RunOptions) {
    const command = [process.execPath, programFor(options.env), ...args];
    const limited =
      options.descriptors === undefined
        ? command
        : ['sh', '-c', `ulimit -n ${options.descriptors}; exec "$0" "$@"`, ...command];
    const [program = '', ...rest] = limited;
    this.child = spawn(program, rest, {
      cwd: options.cwd,
      env: { ...cleanEnvironment(), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve, reject) => {
      this.child.on('close', (code) => resolve(code));
      this.child.on('error', reject);
    });
    // Should this process end before its tests have cleaned up, the child ends with it.
    const killNow = (): void => {
      this.child.kill('SIGKILL');
      this.#killSuccessors();
    };
    process.on('exit', killNow);
    this.child.on('close', () => process.off('exit', killNow));
    (options.whenOver ?? afterTest)(() => this.kill());
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    this.#killSuccessors();
    await this.exited;
  }

  /** They write to the same pipes, which are closed when the last of them has ended. */
  #killSuccessors(): void {
    for (const { event, successor } of this.lines()) {
      if (event !== 'upgrade.begun' || typeof successor !== 'number') continue;
      try {
        process.kill(successor, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
  }

  /** Those that are JSON, so far. Tests ask again and again: each is parsed once. */
  lines(): readonly LogLine[] {
    const end = this.stdout.lastIndexOf('\n') + 1;
    for (const line of this.stdout.slice(this.#readTo, end).split('\n')) {
      const read = parsed(line);
      if (read !== null) this.#lines.push(read);
    }
    this.#readTo = end;
    return this.#lines;
  }

  output(): string {
    return `${this.stdout}${this.stderr}`;
  }
}

/** What is preloaded from support/patches/ changes single modules. */
export function programFor(env: FairleadOptions['env'] = {}): string {
  return env['NODE_OPTIONS']?.includes('/support/patches/') ? COMMAND_IN_MODULES : COMMAND;
}

/** What the machine or an earlier run has set for Fairlead must not reach the one under test. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const strange =
    /^(FAIRLEAD_|NODE_OPTIONS$|VITEST|TARGET_BACKEND_URLS$|HEALTH_CHECK_|PROXY_LISTEN_|BACKEND_LISTEN_)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !strange.test(name)));
}

function parsed(line: string): LogLine | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return null;
  }
}

/** Runs a command that ends by itself (`check`, a refused start), for at most `ms`. */
export async function runFairlead(
  args: readonly string[],
  options: Pick<FairleadOptions, 'env' | 'cwd'> & { readonly ms?: number } = {},
): Promise<FinishedRun> {
  const run = new Run(args, { env: options.env, cwd: options.cwd ?? temporaryFolder() });
  const code = await within(
    run.exited,
    options.ms ?? START_MS,
    `the end of fairlead ${args.join(' ')}`,
  );
  return { code, stdout: run.stdout, stderr: run.stderr };
}

/**
 * Starts the proxy and waits until it listens. Ports that the harness chose and somebody else took meanwhile are
 * replaced by others, up to five times.
 */
export async function startFairlead(options: FairleadOptions = {}): Promise<Fairlead> {
  const whenOver = options.isShared === true ? afterFile : afterTest;
  const cwd = options.cwd ?? temporaryFolder('test', whenOver);
  const args = [...(options.args ?? [])];
  if (options.config !== undefined) {
    const file = join(cwd, 'fairlead.config.json');
    await writeFile(file, JSON.stringify(options.config, null, 2));
    args.push('--config', file);
  }
  for (let tries = 1; ; tries++) {
    const isOurChoice = options.ports === undefined || options.ports === 'harness';
    const ports = isOurChoice
      ? { port: await freePort(), adminPort: await freePort() }
      : (options.ports as { port: number; adminPort: number });
    const flags = isOurChoice
      ? ['--port', String(ports.port), '--admin-port', String(ports.adminPort)]
      : [];
    const { descriptors } = options;
    const env = { ...(options.isWatched !== true && { FAIRLEAD_WATCH: 'false' }), ...options.env };
    const run = new Run([...args, ...flags], { env, cwd, descriptors, whenOver });
    const outcome = await outcomeOf(run);
    if (outcome === 'listening') return running(run, ports, cwd);
    if (outcome === EXIT_ADDRESS_IN_USE && isOurChoice && tries < 5) continue;
    throw new Error(`Fairlead did not start (${outcome}):\n${run.output()}`);
  }
}

async function outcomeOf(
  run: Run,
): Promise<'listening' | 'no "listening" in time' | number | null> {
  const listening = waitFor(
    () => run.child.exitCode !== null || run.lines().some((line) => line.event === 'listening'),
    START_MS,
    'the log line "listening"',
  );
  try {
    await listening;
  } catch {
    return 'no "listening" in time';
  }
  return run.child.exitCode === null ? 'listening' : run.exited;
}

function running(run: Run, ports: { port: number; adminPort: number }, cwd: string): Fairlead {
  const logs = (): LogLine[] => run.lines().filter((line) => line.event !== undefined);
  return {
    ...ports,
    url: `http://127.0.0.1:${ports.port}`,
    adminUrl: `http://127.0.0.1:${ports.adminPort}`,
    pid: run.child.pid as number,
    cwd,
    logs,
    accessLines: () =>
      run.lines().filter((line) => line.event === undefined && line['status'] !== undefined),
    waitForLog: async (predicate, ms) => {
      try {
        return await waitFor(() => logs().find(predicate), ms);
      } catch (error) {
        throw new Error(`The log has no such line:\n${run.output()}`, { cause: error });
      }
    },
    output: () => run.output(),
    stop: (signal = 'SIGTERM', ms = 10_000) => {
      run.child.kill(signal);
      return within(run.exited, ms, `the end after ${signal}:\n${run.output()}`);
    },
    kill: () => run.kill(),
    exited: run.exited,
  };
}
