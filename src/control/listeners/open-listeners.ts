/** What a reload listens on beyond what is open: opened before anything changes, or the reload is refused. */

import { overlap } from '../../config/compile/listener-overlap.ts';
import type { ValueSource } from '../../config/effective/effective.ts';
import { placeOfSource } from '../../config/effective/value-place.ts';
import type { LoadResult } from '../../config/load.ts';
import { nameOfListener } from '../../config/values/listener-name.ts';
import type { Registry } from '../registry.ts';
import { ConfigRefused } from '../reload/reload.ts';
import type { DataThreads } from '../threads/data-threads.ts';
import { ListenError } from './listening.ts';

type Loaded = Extract<LoadResult, { ok: true }>;

/** Nor by the watch: what is in the way says nothing when it goes, and the file is the same as before. */
const NOT_TRIED_AGAIN =
  'it is not tried again by itself: once that is mended, "fairlead reload", POST /reload or SIGHUP';

/** @throws ConfigRefused; then all is as before. */
export async function openListeners(
  threads: DataThreads,
  registry: Registry,
  loaded: Loaded,
): Promise<void> {
  try {
    await threads.openMore(registry.listenersOf(loaded.settings));
  } catch (error) {
    registry.forgetOtherListeners(error instanceof ListenError && error.areSocketsSpared);
    throw error instanceof ListenError ? refusal(error, loaded, registry) : error;
  }
}

function refusal(error: ListenError, loaded: Loaded, running: Registry): ConfigRefused {
  const { listeners } = loaded.settings;
  const { name } = error.listener;
  const path = listeners.find(({ address }) => nameOfListener(address) === name)?.path ?? 'port';
  const reason = ownInTheWay(error, running) ?? error.reason;
  const place = placeOfSource(sourceOf(path, loaded));
  const said = `can't listen on ${name}: ${reason}`;
  return new ConfigRefused([{ ...place, path, message: said, hint: NOT_TRIED_AGAIN }]);
}

/** Threads that share a port among them can have both for a moment; one alone can't. */
function ownInTheWay({ code, listener }: ListenError, running: Registry): string | undefined {
  const { settings, threadCount } = running;
  if (code !== 'EADDRINUSE' || threadCount > 1) return undefined;
  const own = settings.listeners.find((one) => overlap(one.address, listener.address));
  if (own === undefined) return undefined;
  const name = nameOfListener(own.address);
  return `${name} has the address, and one data thread can't have both at a time: restart, or take that one out by a reload of its own`;
}

/** Of a mapping in a list only the values have one. */
function sourceOf(path: string, { origins }: Loaded): ValueSource | undefined {
  return ['', '.port', '.unix'].map((key) => origins.get(path + key)).find(Boolean);
}
