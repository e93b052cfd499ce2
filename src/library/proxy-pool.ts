/** One pool of a running proxy, to look at and to change. */
import { parseBackendUrl } from '../config/values/backend-url.ts';
import type { BackendView } from '../control/backend-view.ts';
import type { DrainView } from '../control/drains.ts';
import { type SessionsWhileDraining } from '../control/operator-words.ts';
import type { Config } from './config.ts';
import { ProxyError } from './errors.ts';

/** A backend as the admin API shows it. */
export type ProxyBackend = BackendView & Partial<DrainView>;

/** Its URL, as it is written in the config or was added, or its id. */
export type BackendName = string | URL | number;

export interface AddOptions {
  /** 0 to 256; 1 if not given. */
  readonly weight?: number;
  /** Gets requests only when no other is left. */
  readonly backup?: boolean;
}

export interface DrainOptions {
  /** How long requests in flight have, such as `30s`. Without it: `timeouts.drain`. */
  readonly within?: string;
  /** `move`: clients with a session are sent elsewhere at once. */
  readonly sessions?: SessionsWhileDraining;
  /** Requests that are left at the end are cut. */
  readonly cut?: boolean;
}

export interface RemoveOptions extends DrainOptions {
  /** It drains first. Without it, it gets nothing from now on, and what is in flight there may finish. */
  readonly drain?: boolean;
}

export type Call = (method: string, target: string, body?: object) => Promise<unknown>;

/** A change resolves when every request from then on goes by it. */
export class ProxyPool {
  readonly name: string;
  readonly #call: Call;
  readonly #path: string;

  constructor(name: string, call: Call) {
    this.name = name;
    this.#call = call;
    this.#path = `/pools/${encodeURIComponent(name)}`;
  }

  async backends(): Promise<ProxyBackend[]> {
    return (await this.#call('GET', `${this.#path}/backends`)) as ProxyBackend[];
  }

  /** Resolves when it has been checked for the first time, or after a second. */
  async add(url: string | URL, options: AddOptions = {}): Promise<ProxyBackend> {
    const body = { url: String(url), ...options };
    return (await this.#call('POST', `${this.#path}/backends`, body)) as ProxyBackend;
  }

  /** Gets no new clients from now on; `drained` of `backends()` says when nothing is in flight there any more. */
  drain(backend: BackendName, options: DrainOptions = {}): Promise<ProxyBackend> {
    return this.#on('PATCH', backend, query(options, options.within), { state: 'draining' });
  }

  remove(backend: BackendName, options: RemoveOptions = {}): Promise<ProxyBackend> {
    const drains = options.drain === true || options.within !== undefined;
    return this.#on('DELETE', backend, query(options, drains ? (options.within ?? '') : undefined));
  }

  /** Gets nothing until it is enabled again. */
  disable(backend: BackendName): Promise<ProxyBackend> {
    return this.#on('PATCH', backend, '', { state: 'disabled' });
  }

  /** Whether it was drained or disabled. */
  enable(backend: BackendName): Promise<ProxyBackend> {
    return this.#on('PATCH', backend, '', { state: 'enabled' });
  }

  update(backend: BackendName, change: AddOptions): Promise<ProxyBackend> {
    return this.#on('PATCH', backend, '', change);
  }

  async setStrategy(strategy: NonNullable<Config['strategy']>): Promise<void> {
    await this.#call('PUT', `${this.#path}/strategy`, { strategy });
  }

  async #on(
    method: string,
    backend: BackendName,
    search: string,
    body?: object,
  ): Promise<ProxyBackend> {
    const id = typeof backend === 'number' ? backend : await this.#idOf(String(backend));
    return (await this.#call(
      method,
      `${this.#path}/backends/${id}${search}`,
      body,
    )) as ProxyBackend;
  }

  async #idOf(url: string): Promise<number> {
    const parsed = parseBackendUrl(url);
    const wanted = parsed.ok ? parsed.address.url : url;
    const found = (await this.backends()).find((one) => one.url === wanted);
    if (found !== undefined) return found.id;
    throw new ProxyError('ERR_UNKNOWN_BACKEND', `There is no backend ${url} in pool ${this.name}.`);
  }
}

/** @param within undefined: nothing is said of a drain. */
function query({ sessions, cut }: DrainOptions, within: string | undefined): string {
  const parameters = new URLSearchParams();
  if (within !== undefined) parameters.set('drain', within);
  if (sessions !== undefined) parameters.set('sessions', sessions);
  if (cut !== undefined) parameters.set('cut', String(cut));
  return parameters.size === 0 ? '' : `?${parameters}`;
}
