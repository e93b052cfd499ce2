/** Where clients connect, and which of their requests go where. */
import { live } from '../data/session.ts';
import type { ListenerView, RouteView } from '../data/shapes.ts';
import { useStore } from '../data/store.ts';
import { shown } from '../data/words.ts';
import { Badge, Trouble, useAnswer } from '../parts/facts.tsx';

export function Routes() {
  const generation = useStore(live.look)?.totals.generation;
  const routes = useAnswer<readonly RouteView[]>('routes', generation);
  const listeners = useAnswer<readonly ListenerView[]>('listeners', generation);
  return (
    <>
      <section>
        <h2>Listeners</h2>
        <Trouble text={listeners.trouble} />
        <ul class="cards">
          {listeners.body?.map((one) => (
            <li key={one.id}>
              <strong>{one.name}</strong> {one.url}
              <span class="badges">
                {one.tls && <Badge tone="good">TLS</Badge>}
                {one.http2 && <Badge tone="off">HTTP/2</Badge>}
                {one.redirects_to_https && <Badge tone="off">sends to https</Badge>}
                {one.proxy_protocol && <Badge tone="off">PROXY protocol</Badge>}
              </span>
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h2>Routes</h2>
        <p class="empty">
          In the order of the config; the most specific match wins. Requests → Explain says which
          one a request gets.
        </p>
        <Trouble text={routes.trouble} />
        <ul class="cards">
          {routes.body?.map((route) => (
            <RouteCard key={route.name} route={route} />
          ))}
        </ul>
      </section>
    </>
  );
}

const MATCHING = ['host', 'path', 'method', 'headers', 'query'];

function RouteCard({ route }: { readonly route: RouteView }) {
  const { name, pools, config } = route;
  const matches = MATCHING.filter((key) => config[key] !== undefined);
  const rest = Object.keys(config).filter((key) => !MATCHING.includes(key) && key !== 'pool');
  return (
    <li>
      <strong>{name}</strong>{' '}
      {matches.length === 0
        ? 'all requests'
        : matches.map((key) => `${key} ${shown(config[key])}`).join(', ')}{' '}
      → {pools.length === 0 ? 'answered by Fairlead' : pools.join(', ')}
      {rest.length > 0 && (
        <details>
          <summary>{rest.join(', ')}</summary>
          <pre tabIndex={0}>{JSON.stringify(config, null, 2)}</pre>
        </details>
      )}
    </li>
  );
}
