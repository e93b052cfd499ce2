/** Which source is for which settings. */
import type { DiscoverySettings } from '../../config/discovery-settings.ts';
import { resolveName } from './dns-answers.ts';
import { FileSource } from './file-source.ts';
import { backendAt } from './found-backends.ts';
import { PolledSource } from './polled-source.ts';
import type { DiscoverySource, SourceUser } from './source.ts';
import { resolveSrv, srvAnswer } from './srv-answers.ts';

/** @param pool its name */
export type CreateSource = (
  settings: DiscoverySettings,
  user: SourceUser,
  pool: string,
) => DiscoverySource;

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
    case 'file':
      return `the file ${source.file}`;
  }
}
