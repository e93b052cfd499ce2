/** Reads the config again and decides whether this process can go on with it. */
import type { Problem } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import type { FairleadContext } from './context.ts';

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

/** @throws ConfigRefused, RestartNeeded */
export async function loadForReload(
  context: FairleadContext,
  running: Settings,
): Promise<Settings> {
  const result = await context.reload();
  if (!result.ok) throw new ConfigRefused(result.problems);
  const keys = restartKeys(running, result.settings);
  if (keys.length > 0) throw new RestartNeeded(keys);
  return result.settings;
}

/** The keys whose values can't change under a running process: what is bound, opened or started once. */
export function restartKeys(running: Settings, wanted: Settings): string[] {
  const keys: string[] = [];
  const compare = (key: string, read: (settings: Settings) => unknown): void => {
    if (read(running) !== read(wanted)) keys.push(key);
  };
  compare('host', ({ host }) => host);
  compare('port', ({ port }) => port);
  compare('admin.host', ({ admin }) => admin.host);
  compare('admin_port', ({ admin }) => admin.port);
  compare('admin.token', ({ admin }) => admin.token);
  compare('threads', ({ threads }) => threads);
  compare('ssl.enabled', ({ tls }) => tls !== undefined);
  compare('access_log', accessLogTarget);
  compare('state_file', ({ stateFile }) => stateFile);
  return keys;
}

function accessLogTarget({ accessLog }: Settings): string | false {
  if (accessLog === false) return false;
  return accessLog.target === 'stdout' ? 'stdout' : `file ${accessLog.target.file}`;
}
