/** From `discover` of a pool to its settings: one source, and nothing beside it that would have no effect. */
import path from 'node:path';
import { type DiscoverySettings, SOURCE_KINDS } from '../discovery-settings.ts';
import { compileApiSource } from './compile-api-source.ts';
import type { FolderOf } from './compile-backend-tls.ts';
import type { Report } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';

type Discover = Exclude<PoolView['config']['discover'], false>;

/** @returns null where there is none, or nothing that could be used */
export function compileDiscovery(
  view: PoolView,
  folderOf: FolderOf,
  report: Report,
): DiscoverySettings | null {
  const { discover } = view.config;
  if (discover === false || !view.isSound('discover')) return null;
  const [first, second] = SOURCE_KINDS.filter((key) => discover[key] !== undefined);
  if (first === undefined) {
    report.problem(['discover'], `must name its source: one of ${SOURCE_KINDS.join(', ')}`);
    return null;
  }
  if (second !== undefined) {
    report.problem(
      ['discover', second],
      `must not stand beside ${first}: a pool has one source, and there may be several pools`,
    );
    return null;
  }
  if (first === 'dns' && discover.min_backends === 0) {
    report.problem(['discover', 'min_backends'], 'must be at least 1: DNS has no empty answer');
  }
  if (discover.every !== undefined && first !== 'dns' && first !== 'srv') {
    report.problem(['discover', 'every'], `is for dns and srv: ${first} tells by itself`);
  }
  const api = compileApiSource(view, discover, folderOf, report);
  if (api !== undefined) {
    const { source, basePath } = api;
    const { tls: mayBeTls } = source;
    const { min_backends: minBackends } = discover;
    return { source, minBackends, mayBeTls, basePath, serverName: null };
  }
  const { file } = discover;
  if (file === undefined) return settingsOf(discover);
  const folder = folderOf(view.placeOf(['discover', 'file']).origin);
  return {
    source: { kind: 'file', file: path.resolve(folder, file) },
    minBackends: discover.min_backends,
    mayBeTls: true,
    basePath: '',
    serverName: '',
  };
}

function settingsOf(discover: Discover): DiscoverySettings | null {
  const { dns, srv, every: everyMs = 0, min_backends: minBackends } = discover;
  if (dns !== undefined) {
    const { url, tls, host, port, authority, basePath } = dns;
    const source = { kind: 'dns', url, tls, host, port, authority, everyMs } as const;
    return { source, minBackends, mayBeTls: tls, basePath, serverName: host };
  }
  if (srv !== undefined) {
    const { url, tls, host, basePath } = srv;
    const source = { kind: 'srv', url, tls, name: host, everyMs } as const;
    return { source, minBackends, mayBeTls: tls, basePath, serverName: domainOf(host) };
  }
  return null;
}

/** What clients know the service by: its name without `_http._tcp.` (RFC 6125 §6.2.1). What DNS says is no proof of anything. */
function domainOf(name: string): string {
  return name.replace(/^(_[^.]+\.)+/, '').replace(/\.$/, '');
}
