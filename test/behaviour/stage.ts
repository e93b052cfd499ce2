/**
 * One proxy and one raw backend for many tests: which script answers is decided by the request's path. Health checks are
 * TCP connects that say nothing, so every byte that a script sees belongs to a test.
 */
import {
  type Fairlead,
  type FairleadOptions,
  type LogLine,
  startFairlead,
} from '../support/fairlead.ts';
import { type RawBackend, rawBackend } from '../support/raw-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { type ReusedFairlead, reusedFairlead } from '../support/reused-fairlead.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';

export type Connection = RawBackend['connections'][number];
/** Answers the request whose head it gets; the connection then waits for the next head, unless the script ended it. */
export type Script = (connection: Connection, head: string) => void | Promise<void>;

/** Config in which nothing but the test sends anything, and timeouts stay out of the way. */
export const QUIET_HEALTH = {
  health_check_method: 'tcp',
  health_check_frequency: '1h',
  // A slow machine must not look like a sick backend, where a test has checks come more often.
  health_check_timeout: '10s',
} as const;

export class ScriptedBackend {
  readonly raw: RawBackend;
  readonly #scripts: Map<string, Script>;
  readonly #served: Map<string, Connection[]>;

  constructor(raw: RawBackend, scripts: Map<string, Script>, served: Map<string, Connection[]>) {
    this.raw = raw;
    this.#scripts = scripts;
    this.#served = served;
  }

  get url(): string {
    return this.raw.url;
  }

  on(path: string, script: Script): void {
    this.#scripts.set(path, script);
  }

  /** The connections that requests for `path` came on, one entry per request. */
  served(path: string): readonly Connection[] {
    return this.#served.get(path) ?? [];
  }

  /** Waits for request number `index` for `path` and returns its connection. */
  request(path: string, index = 0, ms?: number): Promise<Connection> {
    return waitFor(() => this.served(path)[index], ms, `request ${index} for ${path}`);
  }
}

/** A backend that answers 200 `ok` to every path without a script. */
export async function scriptedBackend(): Promise<ScriptedBackend> {
  const scripts = new Map<string, Script>();
  const served = new Map<string, Connection[]>();
  const raw = await rawBackend(async (connection) => {
    for (;;) {
      let head: string;
      try {
        head = await connection.readHead(600_000);
      } catch {
        // The proxy has closed an idle connection, or a health check is over.
        connection.end();
        return;
      }
      const path = head.split(' ', 2)[1] ?? '';
      const earlier = served.get(path);
      if (earlier === undefined) served.set(path, [connection]);
      else earlier.push(connection);
      const script = scripts.get(path) ?? answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      await script(connection, head);
    }
  });
  return new ScriptedBackend(raw, scripts, served);
}

export function answer(response: string | Uint8Array): Script {
  return async (connection) => connection.write(response);
}

/** A script that neither answers nor reads on until the connection ends. */
export async function silent(connection: Connection): Promise<void> {
  await connection.closed;
  connection.end();
}

export class Stage {
  readonly fairlead: ReusedFairlead;
  readonly backend: ScriptedBackend;

  constructor(fairlead: ReusedFairlead, backend: ScriptedBackend) {
    this.fairlead = fairlead;
    this.backend = backend;
  }

  on(path: string, script: Script): void {
    this.backend.on(path, script);
  }

  client(): Promise<RawClient> {
    return rawClient(this.fairlead.port);
  }

  /** The access-log line number `index` of a path. */
  logged(path: string, index = 0): Promise<LogLine> {
    return waitFor(
      () => this.fairlead.accessLines().filter((line) => line['path'] === path)[index],
      LONG_MS,
      `access-log line ${index} of ${path}`,
    );
  }

  /** What the admin API says of each backend. */
  async backends(): Promise<Record<string, unknown>[]> {
    const status = (await (await fetch(`${this.fairlead.adminUrl}/status`)).json()) as {
      backends: Record<string, unknown>[];
    };
    return status.backends;
  }

  /** What is in flight and connected, once that is nothing or the time is over. */
  leftover(ms?: number): Promise<Leftover> {
    return leftover(this.fairlead, ms);
  }
}

export async function startStage(
  config: Readonly<Record<string, unknown>> = {},
  options: ProxyOptions = {},
): Promise<Stage> {
  const backend = await scriptedBackend();
  return new Stage(await startProxy([backend.url], config, options), backend);
}

export interface ProxyOptions extends Pick<FairleadOptions, 'args' | 'env' | 'descriptors'> {
  /** Whether it may be the process that an earlier test of the file had: see reused-fairlead.ts. Default: no. */
  readonly isReused?: boolean;
}

/** Starts the proxy and waits until every backend has passed its first check. */
export async function startProxy(
  backends: readonly (string | { readonly url: string; readonly weight: number })[],
  config: Readonly<Record<string, unknown>> = {},
  { args = ['--threads', '1'], env = {}, descriptors, isReused = false }: ProxyOptions = {},
): Promise<ReusedFairlead> {
  const start = isReused ? reusedFairlead : startAlone;
  const fairlead = await start({
    args,
    env,
    ...(descriptors === undefined ? {} : { descriptors }),
    config: { ...QUIET_HEALTH, backends, ...config },
  });
  for (const backend of backends) {
    const url = typeof backend === 'string' ? backend : backend.url;
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
    );
  }
  return fairlead;
}

async function startAlone(options: FairleadOptions): Promise<ReusedFairlead> {
  return { ...(await startFairlead(options)), firstId: 0 };
}

/** Prometheus samples as a map from name and labels to the value. */
export async function metrics(fairlead: Fairlead): Promise<Map<string, number>> {
  // Also of a part (shared-fairlead.ts), whose own calls stand below a path.
  const page = await (await fetch(new URL('/metrics', fairlead.adminUrl))).text();
  const samples = page
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): [string, number] => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    });
  return new Map(samples);
}

/** By how much a counter has risen. A process that tests have one after the other goes on counting. */
export function rise(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  series: string,
): number {
  return (after.get(series) ?? 0) - (before.get(series) ?? 0);
}

export interface Leftover {
  readonly inFlight: number;
  readonly clients: number;
}

export const NOTHING: Leftover = { inFlight: 0, clients: 0 };

/** Waits until nothing is in flight at any backend and no client is connected; returns what is left otherwise. */
export async function leftover(fairlead: Fairlead, ms = LONG_MS): Promise<Leftover> {
  let left: Leftover = { inFlight: -1, clients: -1 };
  try {
    await waitFor(async () => {
      const status = (await (await fetch(`${fairlead.adminUrl}/status`)).json()) as {
        backends: { conns: number }[];
      };
      left = {
        inFlight: status.backends.reduce((sum, { conns }) => sum + conns, 0),
        clients: (await metrics(fairlead)).get('fairlead_client_connections') ?? -1,
      };
      return left.inFlight === 0 && left.clients === 0;
    }, ms);
  } catch {
    // The caller compares.
  }
  return left;
}

/** The fields of a WebSocket's handshake, and an answer that switches. */
export const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];
export const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

/** A request head without a body. */
export function get(
  path: string,
  fields: readonly string[] = [],
  method = 'GET',
  host = 'test',
): string {
  return `${[`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...fields, '', ''].join('\r\n')}`;
}
