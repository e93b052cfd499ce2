/** `discover` of a pool, in the words of a config file. */
import type { ApiEndpoint, DiscoverySettings, SourceSettings } from '../discovery-settings.ts';
import { formatDuration } from '../values/duration.ts';

/** Long enough for the check of the config that it stands in. */
const HIDDEN_SECRET = '*'.repeat(16);

export function discoverOf({ source, basePath, minBackends }: DiscoverySettings) {
  return { ...sourceOf(source, basePath), min_backends: minBackends };
}

function sourceOf(source: SourceSettings, basePath: string) {
  switch (source.kind) {
    case 'dns':
      return { dns: source.url, ...everyOf(source) };
    case 'srv':
      return { srv: source.url, ...everyOf(source) };
    case 'file':
      return { file: source.file };
    case 'docker': {
      const { endpoint, labels, network, port } = source;
      return {
        docker: {
          endpoint: endpoint.url,
          labels: Object.fromEntries(labels),
          ...(network === '' ? {} : { network }),
          ...(port === 0 ? {} : { port }),
          ...filesOf(endpoint),
          ...ofEach(source, basePath),
        },
      };
    }
    case 'consul': {
      const { endpoint, service, datacenter, tags, token } = source;
      return {
        consul: {
          service,
          endpoint: endpoint.url,
          ...(datacenter === '' ? {} : { datacenter }),
          tags,
          ...(token === '' ? {} : { token: HIDDEN_SECRET }),
          ...filesOf(endpoint),
          ...ofEach(source, basePath),
        },
      };
    }
    case 'kubernetes': {
      const { endpoint, service, namespace, port, tokenFile } = source;
      return {
        kubernetes: {
          service,
          ...(namespace === '' ? {} : { namespace }),
          ...(port === 0 ? {} : { port }),
          ...(endpoint === null ? {} : { api_server: endpoint.url, ...filesOf(endpoint) }),
          ...(tokenFile === '' ? {} : { token_file: tokenFile }),
          ...ofEach(source, basePath),
        },
      };
    }
  }
}

function filesOf({ caFile, certFile, keyFile }: ApiEndpoint) {
  return {
    ...(caFile === '' ? {} : { ca_file: caFile }),
    ...(certFile === '' ? {} : { cert_file: certFile, key_file: keyFile }),
  };
}

function ofEach({ tls }: { readonly tls: boolean }, basePath: string) {
  return { scheme: tls ? 'https' : 'http', ...(basePath === '' ? {} : { path: basePath }) };
}

function everyOf({ everyMs }: { readonly everyMs: number }) {
  return everyMs === 0 ? {} : { every: formatDuration(everyMs) };
}
