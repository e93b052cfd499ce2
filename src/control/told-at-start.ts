/** What the log says of a start: where the config is from, where Fairlead listens, what it has. */
import { hasRoute } from '../config/effective/effective-route.ts';
import { DEFAULT_POOL, type Settings } from '../config/settings.ts';
import { urlOfListener } from '../config/values/listener-name.ts';
import type { Logger } from '../observe/logger.ts';
import type { ListenerSnapshot } from '../snapshot/snapshot.ts';
import { fewDescriptors, maxDescriptors, openDescriptors } from './open-files.ts';
import type { Registry } from './registry.ts';
import { tellNotes, tellOverrides } from './reload/reloads.ts';
import { countChanges } from './state/operator-state.ts';
import { VERSION } from './version.ts';

/** Where it listens. */
export interface Addresses {
  readonly listeners: readonly ListenerSnapshot[];
  /** 0: nowhere. */
  readonly adminPort: number;
}

/** Before all else: whatever goes wrong later may be the wrong file. */
export function tellConfig(log: Logger, { configFile }: Settings, notes: readonly string[]): void {
  if (configFile === undefined) log.info('config.file', 'no config file is used');
  else log.info('config.file', `the config file is ${configFile}`, { file: configFile });
  tellNotes(notes, log);
}

export function tellStart(
  { registry, log }: { readonly registry: Registry; readonly log: Logger },
  settings: Settings,
  {
    addresses: { listeners, adminPort },
    threadCount,
  }: { readonly addresses: Addresses; readonly threadCount: number },
): void {
  const urls = urlsOf(listeners);
  const [url] = urls;
  const { host, unix, tls } = settings.admin;
  const adminUrl =
    unix === null
      ? urlOfListener({ kind: 'tcp', host, port: adminPort }, tls !== undefined)
      : `unix:${unix.path}`;
  const admin = adminPort === 0 && unix === null ? '' : `, admin API on ${adminUrl}`;
  // There is a pool default even where nobody wrote or uses it.
  const pools = registry
    .pools()
    .map(({ name }) => name)
    .filter(
      (name) =>
        name !== DEFAULT_POOL ||
        hasRoute(settings, name) ||
        registry.defaultPool.backends().length > 0,
    );
  log.info('listening', `listening on ${urls.join(', ')}${admin}`, {
    url,
    port: firstPort(listeners),
    ...(urls.length > 1 && { listeners: urls }),
    ...(adminPort !== 0 && { admin_port: adminPort }),
    ...(unix !== null && { admin: adminUrl }),
    backends: registry.backends().length,
    ...(pools.includes(DEFAULT_POOL) && { strategy: registry.defaultPool.strategy }),
    ...(pools.some((name) => name !== DEFAULT_POOL) && { pools }),
    threads: threadCount,
    api_changes: countChanges(registry.operatorState),
    version: VERSION,
  });
  if (registry.backends().length === 0 && settings.routedPools.length > 0) {
    log.warn(
      'backends.none',
      'there are no backends: every request gets 503 (fairlead URL…, the key "backends", TARGET_BACKEND_URLS, or fairlead add URL)',
    );
  }
  const few = fewDescriptors(maxDescriptors(), openDescriptors());
  if (few !== undefined) log.warn('descriptors.few', few);
  tellOverrides(registry, log);
}

export function urlsOf(listeners: readonly ListenerSnapshot[]): string[] {
  return listeners.map(({ address, tls }) => urlOfListener(address, tls !== undefined));
}

/** 0: none has one. */
export function firstPort(listeners: readonly ListenerSnapshot[]): number {
  return listeners.map(portOf).find((port) => port !== 0) ?? 0;
}

function portOf({ address }: ListenerSnapshot): number {
  return address.kind === 'tcp' ? address.port : 0;
}
