/** `/listeners`: where clients connect. */
import { formatMode } from '../../config/effective/effective-listener.ts';
import { urlOfListener } from '../../config/values/listener-name.ts';
import type { ListenerSnapshot } from '../../snapshot/snapshot.ts';
import { speaksHttp2 } from '../backend-view.ts';
import type { Registry } from '../registry.ts';
import { listeners as listenersForm } from './answers.ts';
import { etagOf } from './etag.ts';
import { answer } from './form.ts';
import type { Route } from './router.ts';

export interface ListenerRoutesOptions {
  readonly registry: Registry;
  /** Those that are open. */
  readonly listeners: () => readonly ListenerSnapshot[];
}

export function listenerRoutes({ registry, listeners }: ListenerRoutesOptions): Route[] {
  return [
    {
      path: '/listeners',
      summary: 'where clients connect',
      methods: {
        GET: {
          says: 'where clients connect',
          answers: { 200: answer('In the order of the config.', listenersForm) },
          handle: () => ({
            status: 200,
            body: listeners().map(viewListener),
            headers: { ETag: etagOf(registry) },
          }),
        },
      },
    },
  ];
}

/** The field names are an interface: see docs. */
function viewListener(listener: ListenerSnapshot): object {
  const { id, name, address, descriptor, tls, httpsPort, proxyProtocol } = listener;
  return {
    id,
    name,
    url: urlOfListener(address, tls !== undefined),
    ...(address.kind === 'tcp' && { host: address.host ?? '*', port: address.port }),
    ...(address.kind === 'unix' && { unix: address.path, mode: formatMode(address.mode) }),
    ...(address.kind === 'inherited' && { fd: address.name }),
    inherited: descriptor !== -1,
    tls: tls !== undefined,
    http2: speaksHttp2(listener),
    redirects_to_https: httpsPort !== 0,
    proxy_protocol: proxyProtocol !== null,
  };
}
