/**
 * One proxy for the tests of a file, in which each has a pool of its own: a start costs more than half a second of processor time, a
 * reload that adds a pool next to none. What a test gets is a Fairlead as if it were alone: its log, its address, its part of the
 * admin API. Pools of tests that are over are taken out with the next reload.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterFile, afterTest } from './after-test.ts';
import { type Fairlead, type FairleadOptions, type LogLine, startFairlead } from './fairlead.ts';
import { reusedFairlead } from './reused-fairlead.ts';

type Config = Readonly<Record<string, unknown>>;

/** A pool, of a proxy of its own or of one that others use as well. */
export interface Part extends Fairlead {
  /** Its name in the log, in metrics and in the admin API. `adminUrl` is that of its own calls. */
  readonly pool: string;
  /** The host that its requests have to ask for. */
  readonly host: string;
  /** The id of its first backend; the others of the config follow. */
  readonly firstId: number;
}

/** Keys of a pool, which mean the same at the top level for the pool `default`. */
const OF_POOLS = new Set([
  'backends',
  'circuit_breaker',
  'discover',
  'hash',
  'host_header',
  'lenient_responses',
  'max_connections',
  'max_requests',
  'outlier_detection',
  'panic_threshold_percent',
  'protocol',
  'queue',
  'rate_limit',
  'retries',
  'send_proxy_protocol',
  'slow_start',
  'sticky',
  'strategy',
]);
const TIMEOUTS_OF_POOLS = new Set([
  'backend_keep_alive',
  'backend_max_age',
  'backend_ping',
  'connect',
  'idle',
  'response',
  'total',
  'tunnel',
]);
/** Keys of the whole that tests may share. */
const OF_ALL = new Set(['ssl', 'trusted_proxies']);
const HEALTH = 'health_check_';

/** A config that stands at the top level, as a pool and what is around it; null if it can't be one. */
function apart(config: Config): { readonly pool: Config; readonly around: Config } | null {
  const pool: Record<string, unknown> = {};
  const health: Record<string, unknown> = {};
  const around: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith(HEALTH)) health[key.slice(HEALTH.length)] = value;
    else if (OF_POOLS.has(key)) pool[key] = value;
    else if (OF_ALL.has(key)) around[key] = value;
    else if (key === 'timeouts' && hasOnly(value as Config, TIMEOUTS_OF_POOLS)) pool[key] = value;
    else return null;
  }
  return { pool: { ...pool, health_check: health }, around };
}

function hasOnly(mapping: Config, keys: ReadonlySet<string>): boolean {
  return Object.keys(mapping).every((key) => keys.has(key));
}

function notAlone(): Promise<never> {
  return Promise.reject(new Error('other tests use this proxy as well: isAlone'));
}

class SharedFairlead {
  readonly #fairlead: Fairlead;
  readonly #around: Config;
  readonly #pools = new Map<string, { readonly host: string; readonly pool: Config }>();
  #count = 0;
  #lastReload: Promise<unknown> = Promise.resolve();

  private constructor(fairlead: Fairlead, around: Config) {
    this.#fairlead = fairlead;
    this.#around = around;
  }

  static async start(around: Config, args: readonly string[]): Promise<SharedFairlead> {
    const config = { ...around, pools: {}, routes: [] };
    return new SharedFairlead(await startFairlead({ args, config, isShared: true }), around);
  }

  async add(pool: Config): Promise<Part> {
    const number = ++this.#count;
    const name = `pool-${number}`;
    // An address of this machine, so that URLs can say it.
    const host = `127.1.${number >> 8}.${number & 255}`;
    this.#pools.set(name, { host, pool });
    afterTest(() => void this.#pools.delete(name));
    // One after the other: each writes the file.
    const reloaded = this.#lastReload.then(() => this.#reload());
    this.#lastReload = reloaded.catch(() => {});
    await reloaded;
    return this.#part(name, host);
  }

  async #reload(): Promise<void> {
    const pools = [...this.#pools];
    const config = {
      ...this.#around,
      pools: Object.fromEntries(pools.map(([name, { pool }]) => [name, pool])),
      routes: pools.map(([name, { host }]) => ({ host, pool: name })),
    };
    await writeFile(join(this.#fairlead.cwd, 'fairlead.config.json'), JSON.stringify(config));
    const answer = await fetch(`${this.#fairlead.adminUrl}/reload`, { method: 'POST' });
    if (!answer.ok) throw new Error(`The pool was refused: ${await answer.text()}`);
    await answer.text();
  }

  async #part(name: string, host: string): Promise<Part> {
    const whole = this.#fairlead;
    const adminUrl = `${whole.adminUrl}/pools/${name}`;
    const ids = ((await (await fetch(`${adminUrl}/backends`)).json()) as { id: number }[]).map(
      ({ id }) => id,
    );
    const isOurs = ({ pool }: LogLine): boolean => pool === name;
    return {
      ...whole,
      pool: name,
      host,
      firstId: Math.min(...ids),
      url: `http://${host}:${whole.port}`,
      adminUrl,
      logs: () => whole.logs().filter(isOurs),
      accessLines: () => whole.accessLines().filter(isOurs),
      waitForLog: (predicate, ms) =>
        whole.waitForLog((line) => isOurs(line) && predicate(line), ms),
      stop: notAlone,
      kill: notAlone,
    };
  }
}

/** A proxy of its own, with the pool `default`. */
export function wholeOf(fairlead: Fairlead): Part {
  return { ...fairlead, pool: 'default', host: 'test', firstId: 0 };
}

/** By what is around the pools, and the arguments. */
const running = new Map<string, Promise<SharedFairlead>>();

async function sharedFairlead(around: Config, args: readonly string[]): Promise<SharedFairlead> {
  const key = JSON.stringify([around, args]);
  let shared = running.get(key);
  if (shared === undefined) {
    shared = SharedFairlead.start(around, args);
    running.set(key, shared);
    afterFile(() => void running.delete(key));
  }
  return shared;
}

export interface PartOptions extends Pick<FairleadOptions, 'args' | 'cwd' | 'env'> {
  /** In a proxy of its own: for whom the process itself, its file, its counters or the pool `default` matter. */
  readonly isAlone?: boolean;
  /** As the pool `default` of a process that the tests of the file have one after the other: see reused-fairlead.ts. */
  readonly isReused?: boolean;
}

/**
 * A pool with this config, which is written as if it were all there is: in the proxy that the file shares, if it may be, else in one
 * that the tests of the file have one after the other (reused-fairlead.ts), or in one of its own.
 */
export async function startPart(
  config: Config,
  { isAlone = false, isReused = false, ...options }: PartOptions = {},
): Promise<Part> {
  const parts = apart(config);
  if (isReused) {
    const { args, env } = options;
    const fairlead = await reusedFairlead({ ...(args && { args }), ...(env && { env }), config });
    return { ...wholeOf(fairlead), firstId: fairlead.firstId };
  }
  const hasOwnPlace = options.cwd !== undefined || Object.keys(options.env ?? {}).length > 0;
  if (isAlone || parts === null || hasOwnPlace) {
    return wholeOf(await startFairlead({ ...options, config }));
  }
  return (await sharedFairlead(parts.around, options.args ?? [])).add(parts.pool);
}
