/**
 * A proxy in front of backends that answer with their own names, for tests of who gets which request. The names are `A`,
 * `B`, `C`, …; the ids are 0, 1, 2, ….
 */
import type { RequestListener } from 'node:http';
import type { Fairlead } from '../support/fairlead.ts';
import { type HttpBackend, httpBackend } from '../support/http-backend.ts';
import { type RawClient, type RawResponse, rawClient } from '../support/raw-client.ts';
import { type Part, type PartOptions, startPart, wholeOf } from '../support/shared-fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, metrics, QUIET_HEALTH } from './stage.ts';

/** Answers requests as its test says; health checks over HTTP (`/health`) pass unless the test says otherwise. */
export class NamedBackend {
  readonly name: string;
  /** Anything but `/health`. */
  answer: RequestListener;
  isHealthy = true;
  /** Requests so far, health checks left out. */
  requests = 0;
  #http: HttpBackend | undefined;
  #port = 0;

  constructor(name: string) {
    this.name = name;
    this.answer = this.good;
  }

  get good(): RequestListener {
    return (request, response) => {
      request.resume();
      response.end(this.name);
    };
  }

  /** At the same port as before. */
  async start(): Promise<void> {
    this.#http = await httpBackend(
      (request, response) => {
        if (request.url === '/health') {
          response.writeHead(this.isHealthy ? 200 : 500).end();
          return;
        }
        this.requests++;
        this.answer(request, response);
      },
      { port: this.#port },
    );
    this.#port = this.#http.port;
  }

  async stop(): Promise<void> {
    await this.http.close();
  }

  get http(): HttpBackend {
    if (this.#http === undefined) throw new Error('not started');
    return this.#http;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
}

export async function namedBackends(count: number): Promise<NamedBackend[]> {
  const names = [...'ABCDEFGH'].slice(0, count);
  const backends = names.map((name) => new NamedBackend(name));
  for (const backend of backends) await backend.start();
  return backends;
}

/** Answers with a status, and nothing else. */
export function status(code: number): RequestListener {
  return (request, response) => {
    request.resume();
    response.writeHead(code).end();
  };
}

/** Breaks the connection. */
export const reset: RequestListener = (request) => {
  request.socket.resetAndDestroy();
};

/** What the admin API says of a backend, as far as tests ask. */
export interface View {
  readonly id: number;
  readonly alive: boolean;
  readonly eligible: boolean;
  readonly effective_weight: number;
  readonly breaker: string;
  readonly why: string;
  readonly ejected_until: string | null;
  readonly last_change: string;
}

export interface Ask {
  readonly path?: string;
  readonly fields?: readonly string[];
  readonly method?: string;
  /** Behind the head, as it stands. */
  readonly body?: string;
  readonly tls?: boolean;
}

export class NamedPool {
  readonly fairlead: Part;
  readonly backends: readonly NamedBackend[];
  #client: RawClient | undefined;

  constructor(fairlead: Fairlead | Part, backends: readonly NamedBackend[]) {
    this.fairlead = 'pool' in fairlead ? fairlead : wholeOf(fairlead);
    this.backends = backends;
  }

  /** The head of a request for this pool. */
  get(path: string, fields?: readonly string[], method?: string): string {
    return get(path, fields, method, this.fairlead.host);
  }

  backend(index: number): NamedBackend {
    const backend = this.backends[index];
    if (backend === undefined) throw new Error(`there is no backend ${index}`);
    return backend;
  }

  /** One request on a connection of its own. */
  async ask({
    path = '/',
    fields = [],
    method = 'GET',
    body = '',
    tls = false,
  }: Ask = {}): Promise<RawResponse> {
    const client = await rawClient(this.fairlead.port, { tls });
    try {
      await client.write(`${this.get(path, fields, method)}${body}`);
      return await client.readResponse({ hasBody: method !== 'HEAD' });
    } finally {
      client.socket.destroy();
    }
  }

  /** Requests one after the other on one connection: what they were answered with, in order. */
  async names(count: number, fields: readonly string[] = []): Promise<string[]> {
    const names: string[] = [];
    for (let round = 0; round < count; round++) {
      if (this.#client === undefined || this.#client.isEnded) {
        this.#client = await rawClient(this.fairlead.port);
      }
      await this.#client.write(this.get('/', fields));
      const { status: code, body } = await this.#client.readResponse();
      names.push(code === 200 ? String(body) : String(code));
    }
    return names;
  }

  /** With ids that begin at 0. */
  async views(): Promise<View[]> {
    const views = (await this.#read('/backends')) as View[];
    return views.map((view) => ({ ...view, id: view.id - this.fairlead.firstId }));
  }

  /** What the admin API says of one backend, once it is so. */
  viewWhere(index: number, isSo: (view: View) => boolean, ms?: number): Promise<View> {
    return waitFor(
      async () => (await this.views()).find((view) => view.id === index && isSo(view)),
      ms,
    );
  }

  async status(): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#read('/status')) as Readonly<Record<string, unknown>>;
  }

  /** A call of the admin API, with ids that begin at 0. */
  async call(method: string, path: string, body?: unknown) {
    const own = path.replace(/(?<=^\/backends\/)\d+/, (id) =>
      String(Number(id) + this.fairlead.firstId),
    );
    const response = await fetch(`${this.fairlead.adminUrl}${own}`, {
      method,
      ...(body === undefined
        ? {}
        : {
            body: typeof body === 'string' ? body : JSON.stringify(body),
            headers: { 'content-type': 'application/json' },
          }),
    });
    return {
      status: response.status,
      json: (await response.json()) as Readonly<Record<string, unknown>>,
    };
  }

  /** @param series as it is of the pool `default` */
  metric(series: string): Promise<number | undefined> {
    const own = series.replace('pool="default"', `pool="${this.fairlead.pool}"`);
    return metrics(this.fairlead).then((samples) => samples.get(own));
  }

  async #read(path: string): Promise<unknown> {
    return (await fetch(`${this.fairlead.adminUrl}${path}`)).json();
  }
}

/** A backend as a config has it: weight and backup are the test's. */
export interface Entry {
  readonly weight?: number;
  readonly backup?: boolean;
}

/** Starts so many backends and a proxy in front of them, and waits until all of them have passed their first check. */
export async function startPool(
  entries: number | readonly Entry[],
  config: Readonly<Record<string, unknown>> = {},
  options: PartOptions = {},
): Promise<NamedPool> {
  const list = typeof entries === 'number' ? Array.from({ length: entries }, () => ({})) : entries;
  const backends = await namedBackends(list.length);
  return startPoolOf(
    backends,
    { backends: backends.map(({ url }, index) => ({ url, ...list[index] })), ...config },
    options,
  );
}

/** The same with backends that run already. */
export async function startPoolOf(
  backends: readonly NamedBackend[],
  config: Readonly<Record<string, unknown>>,
  { args = ['--threads', '1'], ...options }: PartOptions = {},
): Promise<NamedPool> {
  const part = await startPart(
    { ...QUIET_HEALTH, backends: backends.map(({ url }) => url), ...config },
    { args, ...options },
  );
  const pool = new NamedPool(part, backends);
  await waitFor(async () => (await pool.views()).every(({ alive }) => alive));
  return pool;
}
