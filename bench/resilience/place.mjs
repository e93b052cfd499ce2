/**
 * The place of one experiment: a folder, one Fairlead in front of backends that do as they are told, and the end of all
 * of them. It needs nothing but Node, so that the test suite can run the same experiments.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../stage.mjs';

const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const BACKEND = fileURLToPath(new URL('backend.mjs', import.meta.url));
const HOST = '127.0.0.1';
/** Long enough on a machine that is busy with ten other things: nobody waits for it but where something is broken. */
const PATIENCE_MS = 30_000;
/** Of the times in /proc. */
const TICKS_PER_SECOND = 100;
const START_TRIES = 5;
const EXIT_ADDRESS_IN_USE = 3;

/**
 * Polls until `probe` gives something true.
 * @template T
 * @param {() => T | Promise<T>} probe
 * @param {string} what for the error
 * @returns {Promise<T>}
 */
export async function until(probe, what, ms = PATIENCE_MS) {
  const deadline = performance.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}

export class Place {
  #folder = mkdtempSync(join(tmpdir(), 'fairlead-resilience-'));
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #children = new Set();
  #node;

  /** @param {string} [node] the Node that runs Fairlead */
  constructor(node = process.execPath) {
    this.#node = node;
  }

  path(name) {
    return join(this.#folder, name);
  }

  /**
   * One process that listens on `ports`: see backend.mjs for what it can be told. The heads of all its requests are
   * kept in a file, which outlives the process.
   * @param {number | readonly number[]} ports how many, or which: those of a backend that comes back
   * @param {object} [behaviour] of all of them at first
   */
  async backends(ports, behaviour = {}) {
    const wanted = typeof ports === 'number' ? await freePorts(ports) : ports;
    const idsFile = this.path(`ids-${wanted.join('-')}`);
    const child = this.#spawn(process.execPath, [BACKEND, idsFile, ...wanted.map(String)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const backends = new Backends(child, wanted, idsFile);
    await backends.ask({ behaviour });
    return backends;
  }

  /**
   * Starts Fairlead and waits until it takes requests and every backend is alive. No experiment is about the first
   * check of a backend. Ports that somebody else took meanwhile are replaced by others.
   * @param {readonly number[]} backends ports
   * @param {object} config beside what all experiments have in common
   * @param {{ isH2c?: boolean, tls?: { cert_file: string, key_file: string }, preload?: string }} options `isH2c`: clients may speak
   *   HTTP/2 in the clear; `tls`: there is a second listener, for TLS; `preload`: a module for it and its threads
   */
  async fairlead(backends, config = {}, options = {}) {
    for (let tries = 1; ; tries++) {
      const fairlead = await this.beginFairlead(backends, config, options);
      if (await fairlead.isReady(backends.length)) return fairlead;
      if (tries === START_TRIES) throw new Error(`no port of ${tries} pairs was free`);
    }
  }

  /** The same, without that it waits for anything. */
  async beginFairlead(backends, config = {}, { isH2c = false, tls, preload } = {}) {
    const [port, adminPort, tlsPort] = await freePorts(3);
    const accessLog = this.path(`${port}.access.log`);
    const file = this.path(`${port}.json`);
    const secure =
      tls === undefined ? [] : [{ port: tlsPort, host: HOST, tls: { certificates: [tls] } }];
    const settings = {
      ...(isH2c
        ? { listeners: [{ port, host: HOST, h2c: true }, ...secure] }
        : { port, host: HOST }),
      admin_port: adminPort,
      threads: 1,
      access_log: accessLog,
      state_file: false,
      health_check_method: 'tcp',
      health_check_frequency: '200ms',
      ...(backends.length > 0 && {
        backends: backends.map((backend) => `http://${HOST}:${backend}`),
      }),
      ...config,
    };
    writeFileSync(file, JSON.stringify(settings));
    const imported = preload === undefined ? [] : ['--import', preload];
    const child = this.#spawn(this.#node, [...imported, COMMAND, '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Fairlead(child, { port, tlsPort, adminPort, accessLog, file, settings });
  }

  /**
   * Runs another program of this folder to its end, in a process of its own. @returns what it prints, which is JSON
   * @param {string} name without its ending
   * @param {readonly string[]} commandArguments
   */
  async program(name, commandArguments) {
    const path = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
    const child = this.#spawn(process.execPath, [path, ...commandArguments], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    const [status] = await once(child, 'close');
    if (status !== 0) throw new Error(`${name} ended with ${status}`);
    return JSON.parse(output);
  }

  /**
   * Starts another program of this folder, which answers messages.
   * @param {string} name without its ending
   * @param {readonly string[]} commandArguments
   */
  companion(name, commandArguments) {
    const path = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
    return new Companion(this.#spawn(process.execPath, [path, ...commandArguments], { stdio }));
  }

  /** At once, and whatever still runs. */
  clear() {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  #spawn(command, commandArguments, options) {
    // Nothing else of the caller's: variables configure Fairlead.
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, LANG: 'C' };
    const child = spawn(command, commandArguments, { cwd: this.#folder, env, ...options });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }
}

/** A process that answers messages, by their number. */
class Companion {
  #child;
  #asked = 0;

  constructor(child) {
    this.#child = child;
  }

  async kill() {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  ask(message) {
    const number = ++this.#asked;
    return new Promise((resolve, reject) => {
      const settle = (act) => (value) => {
        this.#child.off('message', onMessage);
        this.#child.off('exit', onExit);
        act(value);
      };
      const onMessage = (answer) => {
        if (answer.number === number) settle(resolve)(answer);
      };
      const onExit = settle(() => reject(new Error('the backend process has ended')));
      this.#child.on('message', onMessage);
      this.#child.on('exit', onExit);
      if (this.#child.connected) this.#child.send({ ...message, number });
      else onExit();
    });
  }
}

class Backends extends Companion {
  /** @type {readonly number[]} */
  ports;
  #idsFile;

  constructor(child, ports, idsFile) {
    super(child);
    this.ports = ports;
    this.#idsFile = idsFile;
  }

  /** Changes what the backend at `port` does; what it has begun to answer is not changed. */
  set(port, behaviour) {
    return this.ask({ port, behaviour });
  }

  /** @returns {Promise<Record<string, number>>} requests so far by port */
  async requests() {
    return (await this.ask({})).requests;
  }

  /** Ids (`x-id`) of the requests whose heads arrived here, in their order; the process may be dead. */
  ids() {
    return readFileSync(this.#idsFile, 'latin1').split('\n').slice(0, -1);
  }
}

class Fairlead {
  port;
  /** Nobody listens there but with `tls`. */
  tlsPort;
  adminPort;
  /** What its config file holds. */
  settings;
  #child;
  #accessLog;
  #file;
  #output = '';

  constructor(child, { port, tlsPort, adminPort, accessLog, file, settings }) {
    this.#child = child;
    this.port = port;
    this.tlsPort = tlsPort;
    this.adminPort = adminPort;
    this.settings = settings;
    this.#accessLog = accessLog;
    this.#file = file;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.#output += text;
      });
    }
  }

  /** Data threads that run: one where the system or Node can't have more. */
  get threads() {
    const [, count] = /"event":"listening"[^\n]*"threads":(\d+)/.exec(this.#output) ?? [];
    return Number(count);
  }

  /** Waits until all backends are alive. @returns false when it has ended because a port was taken */
  async isReady(backends) {
    await until(async () => {
      if (this.#child.exitCode === EXIT_ADDRESS_IN_USE) return true;
      if (this.#child.exitCode !== null) {
        throw new Error(`Fairlead did not start:\n${this.#output}`);
      }
      const status = await this.status().catch(() => null);
      return status?.active_backends === backends && /"event":"listening"/.test(this.#output);
    }, 'a Fairlead whose backends are all alive');
    return this.#child.exitCode === null;
  }

  async status() {
    return this.admin('/status');
  }

  /** A call of the admin API; throws unless it is answered 2xx. */
  async admin(path, init = {}) {
    const answer = await fetch(`http://127.0.0.1:${this.adminPort}${path}`, init);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${init.method ?? 'GET'} ${path}: ${answer.status} ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : text;
  }

  /** @param {NodeJS.Signals} name */
  signal(name) {
    this.#child.kill(name);
  }

  /** Its log so far, without the access log. */
  get output() {
    return this.#output;
  }

  /** With SIGKILL. */
  async crash() {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  get residentMiB() {
    const [, kib] = /^VmRSS:\s+(\d+)/m.exec(
      readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'),
    );
    return Number(kib) / 1024;
  }

  /** Of the processor, so far. */
  get cpuSeconds() {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).map(Number);
    return (user + system) / TICKS_PER_SECOND;
  }

  /** Writes its config file, in one step, and has it read. */
  async reload(changes) {
    writeFileSync(`${this.#file}.new`, JSON.stringify({ ...this.settings, ...changes }));
    renameSync(`${this.#file}.new`, this.#file);
    return this.admin('/reload', { method: 'POST' });
  }

  /** Ends it in order and reads its access log, a line per exchange. */
  async stopAndReadLog() {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
    return readFileSync(this.#accessLog, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }
}
