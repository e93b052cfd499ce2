/** `discover` of a pool, in the words of a config file. */
import type { DiscoverySettings, SourceSettings } from './discovery-settings.ts';
import { formatDuration } from './duration.ts';

export function discoverOf(discovery: DiscoverySettings) {
  return { ...sourceOf(discovery.source), min_backends: discovery.minBackends };
}

function sourceOf(source: SourceSettings) {
  switch (source.kind) {
    case 'dns':
      return { dns: source.url, ...everyOf(source) };
    case 'srv':
      return { srv: source.url, ...everyOf(source) };
    case 'file':
      return { file: source.file };
  }
}

function everyOf({ everyMs }: { readonly everyMs: number }) {
  return everyMs === 0 ? {} : { every: formatDuration(everyMs) };
}
