/** The pools of a configuration, and what is wrong between them. */

import type { MergedConfig } from '../merge.ts';
import { formatPlace, type Problem } from '../problem.ts';
import { formatPath } from '../read/layer.ts';
import {
  type BackendAddress,
  DEFAULT_POOL,
  type PoolSettings,
  type Settings,
} from '../settings.ts';
import type { FolderOf } from './compile-backend-tls.ts';
import { compilePool } from './compile-pool.ts';
import { KEYS_OF_DEFAULT } from './keys-of-default.ts';
import { describeOwnAddress, OwnMachine } from './own-address.ts';
import { poolViews } from './pool-view.ts';

export function compilePools(
  merged: MergedConfig,
  listening: Pick<Settings, 'listeners' | 'admin'>,
  folderOf: FolderOf,
  problems: Problem[],
  notes: string[],
): Settings['pools'] {
  problems.push(...describedTwice(merged));
  const describeOwn = ownDescriber(merged, listening);
  const [first, ...others] = poolViews(merged).map((view) =>
    compilePool(view, { describeOwn, folderOf }, problems, notes),
  ) as [PoolSettings, ...PoolSettings[]];
  notes.push(...notesOnCookies([first, ...others]));
  return [first, ...others];
}

/** The pool `default` stands at the top level or in `pools`. */
function describedTwice({ isGiven, placeOf }: MergedConfig): Problem[] {
  const whole = ['pools', DEFAULT_POOL];
  if (!isGiven(whole)) return [];
  const where = formatPlace(placeOf(whole, 'key'));
  return KEYS_OF_DEFAULT.filter(isGiven).map((path) => ({
    ...placeOf(path, 'key'),
    path: formatPath(path),
    message: `is of the pool default, which stands in pools.default (${where}): write it there`,
  }));
}

function ownDescriber({ isSound }: MergedConfig, listening: Pick<Settings, 'listeners' | 'admin'>) {
  if (!['host', 'port', 'listeners', 'admin', 'admin_port'].every(isSound)) return () => undefined;
  const machine = new OwnMachine();
  return (backend: BackendAddress) => describeOwnAddress(backend, listening, machine);
}

/** A client keeps one cookie of a name for a host: the pools would take turns in writing it. */
function notesOnCookies(pools: readonly PoolSettings[]): string[] {
  const notes: string[] = [];
  const firstWith = new Map<string, string>();
  for (const { name, sticky } of pools) {
    if (!sticky?.cookie) continue;
    const { domain, path } = sticky.cookie;
    const key = JSON.stringify([sticky.key.name, domain, path]);
    const first = firstWith.get(key);
    if (first === undefined) firstWith.set(key, name);
    else {
      notes.push(
        `the pools ${first} and ${name} both set the cookie ${sticky.key.name}: a client that both serve under one host loses its session again and again`,
      );
    }
  }
  return notes;
}
