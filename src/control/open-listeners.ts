/** What a reload listens on beyond what is open: opened before anything changes, or the reload is refused. */
import type { ValueSource } from '../config/effective.ts';
import { nameOfListener } from '../config/listener-name.ts';
import type { LoadResult } from '../config/load.ts';
import type { Place } from '../config/problem.ts';
import type { DataThreads } from './data-threads.ts';
import { ListenError } from './listening.ts';
import type { Registry } from './registry.ts';
import { ConfigRefused } from './reload.ts';

type Loaded = Extract<LoadResult, { ok: true }>;

/** @throws ConfigRefused; then all is as before. */
export async function openListeners(
  threads: DataThreads,
  registry: Registry,
  loaded: Loaded,
): Promise<void> {
  try {
    await threads.openMore(registry.listenersOf(loaded.settings));
  } catch (error) {
    registry.forgetOtherListeners();
    throw error instanceof ListenError ? refusal(error, loaded) : error;
  }
}

function refusal({ code, message, listener }: ListenError, loaded: Loaded): ConfigRefused {
  const { listeners } = loaded.settings;
  const { name } = listener;
  const path = listeners.find(({ address }) => nameOfListener(address) === name)?.path ?? 'port';
  const reason = code === 'EADDRINUSE' ? 'the address is in use' : message;
  const place = placeOf(sourceOf(path, loaded));
  return new ConfigRefused([{ ...place, path, message: `can't listen on ${name}: ${reason}` }]);
}

/** Of a mapping in a list only the values have one. */
function sourceOf(path: string, { origins }: Loaded): ValueSource | undefined {
  return ['', '.port', '.unix'].map((key) => origins.get(path + key)).find(Boolean);
}

function placeOf(source: ValueSource | undefined): Place {
  if (source === undefined || source.origin === 'default') return { origin: 'default' };
  const { origin, detail } = source;
  if (origin !== 'file') return { origin, name: detail };
  const [, file = detail, line] = /^(.*):(\d+)$/.exec(detail) ?? [];
  return { origin, file, ...(line !== undefined && { line: Number(line) }) };
}
