/** Which source is for which settings. */
import type { DiscoverySettings } from '../../config/discovery-settings.ts';
import { consulSource } from './consul-source.ts';
import { resolveName } from './dns-answers.ts';
import { dockerSource } from './docker-source.ts';
import { FileSource } from './file-source.ts';
import { backendAt } from './found-backends.ts';
import { kubernetesSource } from './kubernetes-source.ts';
import { PolledSource } from './polled-source.ts';
import type { DiscoverySource, SourceUser } from './source.ts';
import { resolveSrv, srvAnswer } from './srv-answers.ts';

export type CreateSource = (settings: DiscoverySettings, user: SourceUser) => DiscoverySource;

export const createSource: CreateSource = ({ source, basePath }, user) => {
  switch (source.kind) {
    case 'dns': {
      const { tls, host: name, port, authority, everyMs } = source;
      const ask = async () => {
        const { addresses, ttlMs } = await resolveName(name);
        const list = addresses.map((host) => backendAt({ tls, host, port, basePath, authority }));
        return { list, ttlMs };
      };
      return new PolledSource({ ask, user, everyMs });
    }
    case 'srv': {
      const ask = () => srvAnswer({ source, basePath }, resolveSrv, resolveName);
      return new PolledSource({ ask, user, everyMs: source.everyMs });
    }
    case 'docker':
      return dockerSource({ ...source, basePath }, user);
    case 'consul':
      return consulSource({ ...source, basePath }, user);
    case 'kubernetes':
      return kubernetesSource({ ...source, basePath }, user);
    case 'file':
      return new FileSource(source.file, user);
  }
};

/** What is asked, for people. Secrets are none of it. */
export function shownSource({ source }: DiscoverySettings): string {
  switch (source.kind) {
    case 'dns':
      return `${source.host} in DNS`;
    case 'srv':
      return `${source.name} in DNS (SRV)`;
    case 'docker': {
      const labels = source.labels.map(([name, value]) =>
        value === '' ? name : `${name}=${value}`,
      );
      return `containers with ${labels.join(' and ')} in Docker at ${source.endpoint.url}`;
    }
    case 'consul':
      return `${source.service} in Consul at ${source.endpoint.url}`;
    case 'kubernetes': {
      const { service, namespace, endpoint } = source;
      const whole = namespace === '' ? service : `${namespace}/${service}`;
      return `${whole} in Kubernetes${endpoint === null ? '' : ` at ${endpoint.url}`}`;
    }
    case 'file':
      return `the file ${source.file}`;
  }
}
