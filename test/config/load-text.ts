/** Loads a text as the config file `c.yaml` (or another name), and says the problems as a user would read them. */

import { type LoadResult, validateConfigText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import type { NamedValue } from '../../src/config/read/layer.ts';
import type { ListenerSettings, PoolSettings, Settings } from '../../src/config/settings.ts';

export interface Around {
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly NamedValue[];
  readonly cwd?: string;
}

export function loadText(text: string, around: Around = {}): LoadResult {
  const { name = 'c.yaml', env = {}, flags = [], cwd = '/nowhere' } = around;
  return validateConfigText(text, name, { flags: { values: flags }, env, cwd });
}

/** Throws when there are problems. */
export function settingsOf(text: string, around: Around = {}): FlatSettings {
  const result = loadText(text, around);
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return flat(result.settings);
}

export function problemsOf(text: string, around: Around = {}): string[] {
  const result = loadText(text, around);
  return result.ok ? [] : result.problems.map(formatProblem);
}

export type FlatSettings = Omit<Settings, 'timeouts'> &
  Omit<PoolSettings, 'name' | 'timeouts'> & {
    /** Of the first listener. */
    readonly host: string | undefined;
    readonly port: number | undefined;
    readonly tls: ListenerSettings['tls'];
    readonly timeouts: Settings['timeouts'] & PoolSettings['timeouts'];
  };

/** Settings of the short form: those of the process, and of the pool `default`. */
export function flat(settings: Settings): FlatSettings {
  const [pool] = settings.pools;
  const [{ address, tls }] = settings.listeners;
  const { host, port } = address.kind === 'tcp' ? address : { host: undefined, port: undefined };
  return {
    ...pool,
    ...settings,
    host,
    port,
    tls,
    timeouts: { ...pool.timeouts, ...settings.timeouts },
  };
}
