/** From `docker`, `consul` and `kubernetes` in `discover` to their settings; what does not go together in them. */
import path from 'node:path';
import type { ApiEndpoint, SourceSettings } from '../discovery-settings.ts';
import type { BackendAddress } from '../settings.ts';
import type { FolderOf } from './compile-backend-tls.ts';
import type { Report } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';

type Discover = Exclude<PoolView['config']['discover'], false>;
type Kind = 'docker' | 'consul' | 'kubernetes';
const FILES = ['ca_file', 'cert_file', 'key_file'] as const;

export interface ApiSourceSettings {
  readonly source: Extract<SourceSettings, { kind: Kind }>;
  readonly basePath: string;
}

/** @returns undefined where none of them is there */
export function compileApiSource(
  view: PoolView,
  discover: Discover,
  folderOf: FolderOf,
  report: Report,
): ApiSourceSettings | undefined {
  const { docker, consul, kubernetes } = discover;
  const resolved = (kind: Kind, key: string, file: string | undefined): string => {
    if (file === undefined) return '';
    const { origin } = view.placeOf(['discover', kind, key]);
    return path.resolve(folderOf(origin), file);
  };
  const endpointOf = (
    kind: Kind,
    address: BackendAddress,
    given: { readonly [Key in (typeof FILES)[number]]?: string | undefined },
  ): ApiEndpoint => {
    const { url, tls, host, port, socketPath } = address;
    checkFiles(kind, tls, given, report);
    return {
      url,
      tls,
      host,
      port,
      socketPath,
      caFile: resolved(kind, 'ca_file', given.ca_file),
      certFile: resolved(kind, 'cert_file', given.cert_file),
      keyFile: resolved(kind, 'key_file', given.key_file),
    };
  };
  if (docker !== undefined) {
    const labels = Object.entries(docker.labels ?? { 'fairlead.pool': view.name });
    if (labels.length === 0) {
      report.problem(
        ['discover', 'docker', 'labels'],
        'must not be empty: it would mean all containers',
      );
    }
    const source = {
      kind: 'docker',
      endpoint: endpointOf('docker', docker.endpoint, docker),
      labels,
      network: docker.network ?? '',
      port: docker.port ?? 0,
      tls: docker.scheme === 'https',
    } as const;
    return { source, basePath: docker.path };
  }
  if (consul !== undefined) {
    const { service, datacenter = '', tags, token = '' } = consul;
    const endpoint = endpointOf('consul', consul.endpoint, consul);
    const tls = consul.scheme === 'https';
    const source = { kind: 'consul', endpoint, service, datacenter, tags, token, tls } as const;
    return { source, basePath: consul.path };
  }
  if (kubernetes === undefined) return undefined;
  const { api_server: server, namespace = '', service, port = 0 } = kubernetes;
  if (server === undefined) {
    for (const key of [...FILES, 'token_file'] as const) {
      if (kubernetes[key] === undefined) continue;
      report.problem(
        ['discover', 'kubernetes', key],
        'is for api_server: without that, a pod has what it needs',
      );
    }
  } else if (namespace === '') {
    report.problem(['discover', 'kubernetes', 'namespace'], 'is missing: api_server is given', [
      'discover',
      'kubernetes',
      'api_server',
    ]);
  }
  const source = {
    kind: 'kubernetes',
    endpoint: server === undefined ? null : endpointOf('kubernetes', server, kubernetes),
    service,
    namespace,
    port,
    tokenFile: resolved('kubernetes', 'token_file', kubernetes.token_file),
    tls: kubernetes.scheme === 'https',
  } as const;
  return { source, basePath: kubernetes.path };
}

function checkFiles(
  kind: Kind,
  isTls: boolean,
  given: { readonly [Key in (typeof FILES)[number]]?: string | undefined },
  report: Report,
): void {
  const first = FILES.find((key) => given[key] !== undefined);
  if (!isTls && first !== undefined) {
    report.problem(['discover', kind, first], 'has no effect: the API is not asked over https');
  }
  if ((given.cert_file === undefined) === (given.key_file === undefined)) return;
  const there = given.cert_file === undefined ? 'key_file' : 'cert_file';
  const missing = there === 'key_file' ? 'cert_file' : 'key_file';
  const message = 'is missing: a certificate and its key go together';
  report.problem(['discover', kind, missing], message, ['discover', kind, there]);
}
