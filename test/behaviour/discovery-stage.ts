/** What tests of discovery have in common: a pool `app` whose backends are found, and how it is. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';

export interface View {
  readonly id: number;
  readonly url: string;
  readonly state: string;
  readonly source: string;
  readonly found_by?: string;
  readonly health: string;
  readonly weight: number;
  readonly backup: boolean;
}

/** `discovery` of a pool. */
export interface Search {
  readonly source: string;
  readonly asks: string;
  readonly failing: boolean;
  readonly found: number;
  readonly kept_from: string | null;
  readonly last_success: string | null;
  readonly age_seconds: number | null;
  readonly fault: string | null;
  readonly left_out: readonly string[];
}

/** @param port 0: a free one @returns the port, which is the same on the other addresses. */
export async function listen(
  host: string,
  port: number,
  handler: RequestListener = (_request, response) => response.end(host),
): Promise<number> {
  const server = createServer(handler);
  server.listen(port, host);
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export function configOf(discover: unknown, pool: object = {}): Record<string, unknown> {
  return {
    timeouts: { drain: '1m' },
    pools: {
      app: {
        discover,
        health_check: { frequency: '1h', down_frequency: '100ms', timeout: '10s' },
        ...pool,
      },
    },
    routes: [{ pool: 'app' }],
  };
}

export async function viewsOf(fairlead: Fairlead): Promise<View[]> {
  return (await (await fetch(`${fairlead.adminUrl}/pools/app/backends`)).json()) as View[];
}

export async function searchOf(fairlead: Fairlead): Promise<Search> {
  const pool = await (await fetch(`${fairlead.adminUrl}/pools/app`)).json();
  return (pool as { discovery: Search }).discovery;
}

/** Waits until the source is failing, and says why. */
export function untilFailing(fairlead: Fairlead, reason: RegExp | string): Promise<Search> {
  return waitFor(async () => {
    const search = await searchOf(fairlead);
    const is = search.failing && search.fault !== null && search.fault.match(reason) !== null;
    return is ? search : undefined;
  });
}

/** Waits until the healthy backends are these and there are no others, by the last part of their address, in that of their ids. */
export function untilThere(fairlead: Fairlead, ...wanted: readonly string[]): Promise<View[]> {
  return waitFor(async () => {
    const views = await viewsOf(fairlead);
    const there = views.filter(({ health }) => health === 'healthy').map(({ url }) => url);
    const isIt = there.length === views.length && there.length === wanted.length;
    return isIt && wanted.every((one, index) => there[index]?.includes(`127.0.0.${one}:`))
      ? views
      : undefined;
  });
}
