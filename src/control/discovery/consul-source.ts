/**
 * The instances of a service that pass their checks, of Consul. Each question waits at the server until something is another
 * than at the index that is asked with, by its rules for clients (https://developer.hashicorp.com/consul/api-docs/features/blocking).
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { ConsulSettings } from '../../config/discovery-settings.ts';
import type { BackendSettings } from '../../config/settings.ts';
import { isHostName } from '../../config/values/network-address.ts';
import { askApi } from './api-request.ts';
import { ApiSource, parsedAs } from './api-source.ts';
import { backendAt, scaledWeights } from './found-backends.ts';
import type { SourceUser } from './source.ts';

const WAIT_S = 60;
/** The server adds up to a sixteenth to the wait; and the way takes time. */
const TIMEOUT_MS = WAIT_S * 1000 * (1 + 1 / 16) + 5_000;
const FIRST_TIMEOUT_MS = 5_000;

const instances = z.array(
  z.object({
    Node: z.object({ Address: z.string().nullish() }).nullish(),
    Service: z.object({
      ID: z.string().nullish(),
      Address: z.string().nullish(),
      Port: z.number().int().nullish(),
      Weights: z.object({ Passing: z.number().int() }).nullish(),
    }),
  }),
);

type Instances = z.output<typeof instances>;

export function consulSource(
  settings: ConsulSettings & { readonly basePath: string },
  user: SourceUser,
): ApiSource {
  const { endpoint, token } = settings;
  const headers = token === '' ? {} : { 'X-Consul-Token': token };
  let index = 0;
  return new ApiSource(user, async (signal) => {
    const isFirst = index === 0;
    const timeoutMs = isFirst ? FIRST_TIMEOUT_MS : TIMEOUT_MS;
    const path = pathOf(settings, index);
    try {
      const answer = await askApi({ endpoint, path, headers, timeoutMs, signal });
      const list = parsedAs(answer.text, instances);
      index = nextIndex(index, answer.headers['x-consul-index']);
      const { found, leftOut } = backendsOf(list, settings);
      await user.onList(found, leftOut);
    } catch (error) {
      // What was missed meanwhile is told at once.
      index = 0;
      throw error;
    }
  });
}

/** One that goes back was made by another server's data: from the beginning. One below 1 would not wait. */
export function nextIndex(before: number, header: string | string[] | undefined): number {
  const index = typeof header === 'string' && /^\d{1,16}$/.test(header) ? Number(header) : 0;
  if (index < before) return 0;
  return Math.max(1, index);
}

function pathOf({ service, datacenter, tags }: ConsulSettings, index: number): string {
  const query = new URLSearchParams({ passing: '1' });
  if (datacenter !== '') query.set('dc', datacenter);
  for (const tag of tags) query.append('tag', tag);
  if (index > 0) {
    query.set('index', String(index));
    query.set('wait', `${WAIT_S}s`);
  }
  return `/v1/health/service/${encodeURIComponent(service)}?${query}`;
}

function backendsOf(
  list: Instances,
  { tls, basePath }: { readonly tls: boolean; readonly basePath: string },
): { readonly found: BackendSettings[]; readonly leftOut: string[] } {
  const weights = scaledWeights(list.map(({ Service }) => Service.Weights?.Passing ?? 1));
  const leftOut: string[] = [];
  const found = list.flatMap(({ Node, Service }, index): BackendSettings[] => {
    // Empty: that of its node.
    const host = Service.Address || Node?.Address || '';
    const port = Service.Port ?? 0;
    const isSound = isIP(host) !== 0 || isHostName(host);
    if (isSound && port > 0 && port < 65_536) {
      return [backendAt({ tls, host, port, basePath, weight: weights[index] ?? 1 })];
    }
    const what = isSound ? `no port` : 'no address that is one';
    leftOut.push(`the instance ${Service.ID ?? ''} has ${what}: register it with one`);
    return [];
  });
  return { found, leftOut };
}
