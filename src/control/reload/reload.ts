/** Reads the config again and decides whether this process can go on with it. */
import { poolsOf } from '../../config/effective/effective-route-action.ts';
import type { LoadResult } from '../../config/load.ts';
import type { Problem } from '../../config/problem.ts';
import { DEFAULT_POOL, type PoolSettings, type Settings } from '../../config/settings.ts';
import { certificatesOf } from '../certificates/read-again.ts';
import type { FairleadContext } from '../context.ts';

type Loaded = Extract<LoadResult, { ok: true }>;

/** The new config has problems: the old one goes on. */
export class ConfigRefused extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('The config has problems; nothing was changed.');
    this.name = 'ConfigRefused';
    this.problems = problems;
  }
}

/** The new config is fine, but not for this process. */
export class RestartNeeded extends Error {
  /** Config vocabulary: `port`, `admin_port`. */
  readonly keys: readonly string[];

  constructor(keys: readonly string[]) {
    super(`A change of ${keys.join(', ')} takes effect only with a restart; nothing was applied.`);
    this.name = 'RestartNeeded';
    this.keys = keys;
  }
}

export interface ReloadOutcome {
  readonly hasChanged: boolean;
  /** Paths in the config. A new certificate under the old name, or a new secret, is a change without one. */
  readonly changed: readonly string[];
  /** Nothing is wrong, but somebody may want to know: all that there is to say of the config, not only what is new. */
  readonly notes: readonly string[];
}

export function describeReload({
  hasChanged,
  changed,
}: Pick<ReloadOutcome, 'hasChanged' | 'changed'>): string {
  if (changed.length > 0) return `reloaded: ${changed.join(', ')}`;
  return hasChanged ? 'reloaded' : 'reloaded: no change';
}

/** @throws ConfigRefused, RestartNeeded */
export async function loadForReload(context: FairleadContext, running: Settings): Promise<Loaded> {
  const result = await context.reload(certificatesOf(running));
  if (!result.ok) throw new ConfigRefused(result.problems);
  const refusal = refusalOf(running, result);
  if (refusal !== undefined) throw refusal;
  return result;
}

/** Why this process does not go on with a config that is fine by itself; undefined: it does. */
export function refusalOf(running: Settings, wanted: Loaded): Error | undefined {
  const lost = lostBackends(running, wanted);
  if (lost !== undefined) return new ConfigRefused([lost]);
  const keys = restartKeys(running, wanted.settings);
  return keys.length > 0 ? new RestartNeeded(keys) : undefined;
}

/**
 * A file that was cut off before its backends or its routes, or is gone, looks like one that wants no request served: that must be
 * said, by an empty list where requests go.
 */
function lostBackends(running: Settings, wanted: Loaded): Problem | undefined {
  const { settings } = wanted;
  const inUse = countBackends(reachedPools(running));
  const reached = reachedPools(settings);
  if (inUse === 0) return undefined;
  if (countBackends(reached) > 0) return lostByOnePool(running, wanted, reached);
  const areOutOfReach = countBackends(settings.pools) > 0;
  // One empty list says it for all, but not for those that are out of reach.
  const empty = areOutOfReach ? reached : settings.pools;
  if (empty.some(({ name }) => hasWrittenList(wanted, name))) return undefined;
  const lost = areOutOfReach ? 'no route leads to a backend any more' : 'no backends any more';
  return lossOf(settings, areOutOfReach ? 'routes' : 'backends', lost, inUse);
}

/** Others have theirs. */
function lostByOnePool(
  running: Settings,
  wanted: Loaded,
  reached: readonly PoolSettings[],
): Problem | undefined {
  const before = new Map(reachedPools(running).map((pool) => [pool.name, countBackends([pool])]));
  for (const pool of reached) {
    const inUse = before.get(pool.name) ?? 0;
    if (inUse === 0 || countBackends([pool]) > 0 || hasWrittenList(wanted, pool.name)) continue;
    const [path = ''] = listsOf(pool.name);
    return lossOf(wanted.settings, path, `the pool ${pool.name} has no backends any more`, inUse);
  }
  return undefined;
}

function lossOf({ configFile }: Settings, path: string, lost: string, inUse: number): Problem {
  return {
    ...(configFile === undefined ? { origin: 'default' } : { origin: 'file', file: configFile }),
    path,
    message: `${lost}, and ${inUse} in use: is the config complete?`,
    hint: 'write "backends: []" if none are wanted',
  };
}

/** Where the lists are written is worked out when it is asked for, which takes its time. */
function hasWrittenList({ origins }: Loaded, pool: string): boolean {
  return listsOf(pool).some((list) => (origins.get(list)?.origin ?? 'default') !== 'default');
}

/** Where a config may have the backends of a pool. */
function listsOf(pool: string): string[] {
  const own = `pools.${pool}.backends`;
  return pool === DEFAULT_POOL ? ['backends', own] : [own];
}

/** Those that requests get to. */
function reachedPools({ pools, routes }: Settings): PoolSettings[] {
  const reached = new Set(routes.flatMap(poolsOf));
  return pools.filter(({ name }) => reached.has(name));
}

function countBackends(pools: readonly PoolSettings[]): number {
  return pools.reduce(
    (sum, { backends, discovery }) => sum + backends.length + (discovery === null ? 0 : 1),
    0,
  );
}

/** The keys whose values can't change under a running process: what is bound, opened or started once. */
export function restartKeys(running: Settings, wanted: Settings): string[] {
  const keys: string[] = [];
  const compare = (key: string, read: (settings: Settings) => unknown): void => {
    if (read(running) !== read(wanted)) keys.push(key);
  };
  compare('admin.host', ({ admin }) => (admin.isOff ? false : admin.host));
  compare('admin.unix', ({ admin }) => admin.unix?.path);
  compare('admin.tls', ({ admin: { tls } }) =>
    tls === undefined ? 0 : tls.clientCertificates === null ? 1 : 2,
  );
  compare('admin.mode', ({ admin }) => admin.unix?.mode);
  compare('admin_port', ({ admin }) => (admin.isOff || admin.unix !== null ? 0 : admin.port));
  compare('threads', ({ threads }) => threads);
  compare('cluster', ({ cluster }) => JSON.stringify(cluster));
  compare('state_file', ({ stateFile }) => stateFile);
  return keys;
}
