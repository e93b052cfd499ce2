/** Fairlead before backends that others have written: HTTP/2 in the clear and over TLS to clients, a pool for each first segment of a path. */

import http2 from 'node:http2';
import { metrics } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';

export interface Front {
  readonly fairlead: Fairlead;
  /** Begins with HTTP/2 or HTTP/1.1. */
  readonly h2c: number;
  /** Offers both. */
  readonly tls: number;
  /** Offers HTTP/1.1 alone. */
  readonly tls1: number;
  /** Of the listeners over TLS: signs itself, for `localhost` and 127.0.0.1. */
  readonly certificate: { readonly cert_file: string; readonly key_file: string };
}

interface Pool {
  readonly backends: readonly string[];
  readonly [setting: string]: unknown;
}

/** Nothing but the tests sends anything, and a slow machine does not look like a sick backend. */
const QUIET = { method: 'tcp', frequency: '1h', timeout: '10s' };

/** With as many data threads as it has by default. Returns when every backend has passed its first check. */
export async function startFront(
  pools: Readonly<Record<string, Pool>>,
  { config = {}, env = {} }: { config?: object; env?: Readonly<Record<string, string>> } = {},
): Promise<Front> {
  const named = Object.entries(pools);
  const certificate = makeCertificate();
  const tls = { certificates: [certificate] };
  const host = '127.0.0.1';
  return onFreePorts(3, async (ports) => {
    const [h2c = 0, tls2 = 0, tls1 = 0] = ports;
    const fairlead = await startFairlead({
      env,
      config: {
        listeners: [
          { port: h2c, host, h2c: true },
          { port: tls2, host, tls },
          { port: tls1, host, tls, http2: false },
        ],
        pools: Object.fromEntries(
          named.map(([name, pool]) => [name, { health_check: QUIET, ...pool }]),
        ),
        routes: named.map(([pool]) => ({ path: `/${pool}`, pool })),
        ...config,
      },
    });
    for (const url of named.flatMap(([, { backends }]) => backends)) {
      await fairlead.waitForLog(
        ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
      );
    }
    return { fairlead, h2c, tls: tls2, tls1, certificate };
  });
}

const sessions: http2.ClientHttp2Session[] = [];

/** A session of node:http2, in the clear or over TLS. */
export function session({ h2c, tls }: Front, isTls: boolean): http2.ClientHttp2Session {
  const url = isTls ? `https://127.0.0.1:${tls}` : `http://127.0.0.1:${h2c}`;
  const opened = http2.connect(url, { rejectUnauthorized: false });
  opened.on('error', () => {});
  afterTest(() => opened.destroy());
  sessions.push(opened);
  return opened;
}

/** What the backends have to do at this moment, all together. */
export async function inFlight({ fairlead }: Front): Promise<number> {
  return [...(await metrics(fairlead))]
    .filter(([name]) => name.startsWith('fairlead_backend_requests_in_flight'))
    .reduce((sum, [, value]) => sum + value, 0);
}

/** Closes all sessions, waits until the clients have gone and nothing is under way, and returns what the clients have been blamed for. */
export async function untilNothingIsLeft(front: Front): Promise<string[]> {
  for (const opened of sessions.splice(0)) opened.close();
  let samples = new Map<string, number>();
  await waitFor(
    async () => {
      samples = await metrics(front.fairlead);
      return samples.get('fairlead_client_connections') === 0 && (await inFlight(front)) === 0;
    },
    LONG_MS,
    'the end of all connections and requests',
  );
  return [...samples]
    .filter(([name, value]) => /ERR_CLIENT_HTTP2|ERR_CLIENT_FLOOD/.test(name) && value > 0)
    .map(([name]) => name);
}
