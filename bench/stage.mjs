/**
 * The place of a run: a temporary folder, and the processes that were started. Whatever way the bench ends, both are
 * gone afterwards.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Load, clients and backends run here. */
export const LOAD_CORE = '1';

/**
 * The cores of the proxy under test: the first one, and for more data threads those that the load does not need. On a
 * machine of two cores they share the first.
 */
export function proxyCores(threads) {
  const cores = cpus().map((_, core) => String(core));
  return cores.filter((core) => core !== LOAD_CORE).slice(0, threads);
}

/** Before a command: it has its core as soon as it wants it, whoever else is there (SCHED_FIFO, sched(7)). */
export const FIRST_IN_LINE = ['chrt', '--fifo', '1'];

/** Whether programs may be the first in line: it needs CAP_SYS_NICE. */
export function mayBeFirst() {
  const [command, ...commandArguments] = FIRST_IN_LINE;
  return spawnSync(command, [...commandArguments, 'true']).status === 0;
}

/** The same of a process that runs, with all its threads, until it is `off`. */
export function setFirst(pid, isFirst) {
  const policy = isFirst
    ? ['--fifo', '--all-tasks', '--pid', '1']
    : ['--other', '--all-tasks', '--pid', '0'];
  spawnSync('chrt', [...policy, String(pid)]);
}

/** @param {string} program */
export function isInstalled(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export class Stage {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #children = new Set();
  /** Where the standard error of each proxy goes. */
  #complaints = new WeakMap();
  #started = 0;

  path(name) {
    return join(this.folder, name);
  }

  write(name, text) {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /**
   * Starts a program of the proxy's side.
   * @param {{ cores?: number, isUnbound?: boolean, env?: NodeJS.ProcessEnv, output?: string }} options `isUnbound`: it
   *   may run on all cores, beside the load; `output`: the file that standard output goes to
   */
  startProxy(
    command,
    commandArguments,
    { cores = 1, isUnbound = false, env = {}, output = '/dev/null' } = {},
  ) {
    const complaints = this.path(`complaints-${++this.#started}`);
    const files = [openSync(output, 'a'), openSync(complaints, 'a')];
    const stdio = ['ignore', ...files];
    const own = isUnbound ? `0-${cpus().length - 1}` : proxyCores(cores).join(',');
    const child = this.#spawn(own, command, commandArguments, env, stdio);
    for (const file of files) closeSync(file);
    this.#complaints.set(child, complaints);
    return child;
  }

  /** The last line that a proxy wrote to standard error. */
  lastComplaint(child) {
    return readFileSync(this.#complaints.get(child), 'utf8').trim().split('\n').at(-1);
  }

  /** Starts a program of the load's side. Its standard input and output are pipes. */
  startLoad(command, commandArguments) {
    const stdio = ['pipe', 'pipe', 'inherit'];
    return this.#spawn(LOAD_CORE, command, commandArguments, {}, stdio);
  }

  /**
   * Runs a program of the load's side to its end, which is forced after `limitSeconds`.
   * @returns {Promise<{ status: number | null, output: string }>}
   */
  async run(command, commandArguments, { cwd, env = {}, limitSeconds = 300 } = {}) {
    const stdio = ['ignore', 'pipe', 'pipe'];
    const child = this.#spawn(LOAD_CORE, command, commandArguments, env, stdio, cwd);
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    const limit = setTimeout(() => child.kill('SIGKILL'), limitSeconds * 1000);
    const [status] = await once(child, 'close').finally(() => clearTimeout(limit));
    return { status, output: Buffer.concat(chunks).toString() };
  }

  async stop(child) {
    if (!this.#children.has(child)) return;
    const ended = once(child, 'exit');
    child.kill();
    const isOver = await Promise.race([ended.then(() => true), sleep(1000, false)]);
    if (isOver) return;
    child.kill('SIGKILL');
    await ended;
  }

  /** At once, for whatever reason the run is over. */
  clear() {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  #spawn(cores, command, commandArguments, env, stdio, cwd = this.folder) {
    const child = spawn('taskset', ['-c', cores, command, ...commandArguments], {
      stdio,
      cwd,
      // Nothing else of the caller's: variables configure some of the proxies.
      env: { PATH: process.env.PATH, HOME: process.env.HOME, LANG: 'C', ...env },
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    child.once('error', () => this.#children.delete(child));
    return child;
  }
}

/** Ports that nothing listens on now. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => server.listening || once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
