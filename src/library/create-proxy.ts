/** A proxy inside another program: made with an object, listening when told to, and gone without a trace. */

import { type LoadInput, type LoadResult, loadSettings } from '../config/load.ts';
import { documentOfData } from '../config/read/data-document.ts';
import { NOTHING_SHARED } from '../config/shared-config.ts';
import { parseDuration } from '../config/values/duration.ts';
import { callLocally } from '../control/admin/local-call.ts';
import { type ControlledFairlead, startFairlead } from '../control/fairlead.ts';
import { contextOf } from '../control/reload/loaded-config.ts';
import { RestartNeeded } from '../control/reload/reload.ts';
import type { Functions } from '../data/relay/hooks.ts';
import type { ProxyConfig } from './config.ts';
import { asLibraryError, ConfigError, ProxyError } from './errors.ts';
import { type ProxyEventName, ProxyEvents, type ProxyListener } from './events.ts';
import { type Call, ProxyPool } from './proxy-pool.ts';

/** `pick` and `request` are called in the thread of the caller, for which `threads` must be 0. */
export interface ProxyOptions extends Functions {
  /** Where the log goes that `fairlead` writes: true is standard output, a text the path of a file. Without it: nowhere. */
  readonly log?: boolean | string;
  /** What relative paths in the config are relative to. Without it: the working folder. */
  readonly cwd?: string;
  /** Where `${NAME}` in the config and the variables of `fairlead` are looked up. Without it, there are none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** By name. There always is a pool `default`, which is what stands at the top level of the config. */
export interface ProxyPools {
  readonly default: ProxyPool;
  readonly [name: string]: ProxyPool | undefined;
}

export interface ReloadResult {
  /** Paths in the config, such as `timeouts.head`. */
  readonly changed: readonly string[];
  /** Nothing is wrong, but somebody may want to know. */
  readonly notes: readonly string[];
}

export interface Proxy extends AsyncDisposable {
  /** Resolves when it accepts clients. @throws ProxyError where it can't listen: `EADDRINUSE` and the like. */
  listen(): Promise<this>;
  /** That it got where the config says 0; 0 where it does not listen on one. */
  readonly port: number;
  readonly adminPort: number;
  /** Where it is reached on this machine. Empty before it listens. */
  readonly url: string;
  readonly pools: ProxyPools;
  /** A listener is called in a turn of its own; `*` hears everything. */
  on(name: ProxyEventName | '*', listener: ProxyListener): this;
  off(name: ProxyEventName | '*', listener: ProxyListener): this;
  /**
   * Goes on with this config, or with the same and what its files hold now. Requests notice nothing.
   * @throws ConfigError, or ProxyError `ERR_RESTART_NEEDED` for what can't change while it runs; then all is as before.
   */
  reload(config?: ProxyConfig): Promise<ReloadResult>;
  /**
   * Accepts nobody any more, and resolves when all has ended. Requests in flight may finish.
   * @param options.within how long they have, such as `5s`. Without it: `timeouts.drain`.
   */
  close(options?: { readonly within?: string }): Promise<void>;
}

/** Nothing runs before `listen()`. @throws ConfigError */
export function createProxy(config: ProxyConfig, options: ProxyOptions = {}): Proxy {
  return new EmbeddedProxy(config, options);
}

type Loaded = Extract<LoadResult, { ok: true }>;

/** The config as the loader knows it. */
interface Given {
  readonly data: unknown;
  readonly hasAdmin: boolean;
}

class EmbeddedProxy implements Proxy {
  readonly #options: ProxyOptions;
  readonly #events = new ProxyEvents();
  readonly #input: LoadInput & { given: Given };
  readonly #loaded: Loaded;
  #starting: Promise<ControlledFairlead> | undefined;
  #running: ControlledFairlead | undefined;
  #isClosed = false;
  /** One at a time: what is given is read while one runs. */
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(config: ProxyConfig, options: ProxyOptions) {
    this.#options = options;
    const { env = {}, cwd = process.cwd() } = options;
    const given = givenOf(config);
    this.#input = { flags: { values: [] }, env, cwd, given, shared: NOTHING_SHARED };
    const loaded = loadSettings({ ...this.#input, certificatesInUse: [] });
    if (!loaded.ok) throw new ConfigError(loaded.problems);
    this.#loaded = loaded;
    if (loaded.settings.threads === 0) return;
    const named = (['pick', 'request'] as const).find((name) => options[name] !== undefined);
    if (named === undefined) return;
    const message = `${named}: a function can be called only in the thread of the caller`;
    throw new ConfigError([{ origin: 'file', path: '', message, hint: 'threads: 0' }]);
  }

  get port(): number {
    return this.#running?.port ?? 0;
  }

  get adminPort(): number {
    return this.#running?.adminPort ?? 0;
  }

  get url(): string {
    return this.#running?.urls[0] ?? '';
  }

  get pools(): ProxyPools {
    const names = this.#running?.poolNames() ?? this.#loaded.settings.pools.map(({ name }) => name);
    const pools = names.map((name) => [name, new ProxyPool(name, this.#call)] as const);
    return Object.fromEntries([['default', new ProxyPool('default', this.#call)], ...pools]) as {
      readonly default: ProxyPool;
    };
  }

  on(name: ProxyEventName | '*', listener: ProxyListener): this {
    this.#events.on(name, listener);
    return this;
  }

  off(name: ProxyEventName | '*', listener: ProxyListener): this {
    this.#events.off(name, listener);
    return this;
  }

  async listen(): Promise<this> {
    if (this.#isClosed) throw notRunning('it has been closed');
    this.#starting ??= this.#start();
    await this.#starting;
    return this;
  }

  async reload(config?: ProxyConfig): Promise<ReloadResult> {
    const reloading = this.#reloading.then(() => this.#reload(config));
    this.#reloading = reloading.catch(() => {});
    return reloading;
  }

  async close({ within }: { readonly within?: string } = {}): Promise<void> {
    const duration = within === undefined ? undefined : parseDuration(within);
    if (duration?.ok === false) {
      throw new ProxyError('ERR_INVALID_VALUE', `within: ${duration.reason}`, duration.hint);
    }
    this.#isClosed = true;
    // Who started it hears why it could not.
    const running = await this.#starting?.catch(() => undefined);
    await running?.shutdown('close()', duration?.ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(): Promise<ControlledFairlead> {
    const { log = false, pick, request } = this.#options;
    const { settings, notes, faults = [] } = this.#loaded;
    try {
      this.#running = await startFairlead(settings, contextOf(this.#input, this.#loaded), {
        notes,
        faults,
        hasAdmin: this.#input.given.hasAdmin,
        hear: this.#events.tell,
        ...((pick ?? request) !== undefined && { functions: this.#options }),
        logFile: typeof log === 'string' ? log : log ? undefined : null,
      });
      return this.#running;
    } catch (error) {
      this.#starting = undefined;
      throw asLibraryError(error);
    }
  }

  async #reload(config: ProxyConfig | undefined): Promise<ReloadResult> {
    const running = this.#inForce();
    const before = this.#input.given;
    const given = config === undefined ? before : givenOf(config);
    try {
      if (given.hasAdmin !== before.hasAdmin) throw new RestartNeeded(['admin']);
      this.#input.given = given;
      const { changed, notes } = await running.reload({ by: 'program' });
      return { changed, notes };
    } catch (error) {
      this.#input.given = before;
      if (!(error instanceof RestartNeeded)) throw asLibraryError(error);
      const { keys } = error;
      const message = `A change of ${keys.join(', ')} needs a new proxy; nothing was applied.`;
      throw new ProxyError('ERR_RESTART_NEEDED', message, undefined, error);
    }
  }

  #inForce(): ControlledFairlead {
    if (this.#isClosed) throw notRunning('it has been closed');
    if (this.#running === undefined) throw notRunning('listen() comes first');
    return this.#running;
  }

  readonly #call: Call = async (method, target, body) => {
    try {
      return await callLocally(this.#inForce().routes, method, target, body);
    } catch (error) {
      throw asLibraryError(error);
    }
  };
}

function notRunning(why: string): ProxyError {
  return new ProxyError('ERR_NOT_RUNNING', `The proxy does not run: ${why}.`);
}

/** A copy: what the caller does to its object later is no change of ours. What is wrong with it is said when it is loaded. */
function givenOf(config: ProxyConfig): Given {
  const copied = documentOfData(config, undefined);
  if (!copied.ok) return { data: config, hasAdmin: true };
  const { admin, ...others } = copied.document.value;
  if (admin !== false) return { data: copied.document.value, hasAdmin: true };
  // Without an admin API its port is nobody's, and can't be in anybody's way.
  return { data: { ...others, admin_port: 0 }, hasAdmin: false };
}
