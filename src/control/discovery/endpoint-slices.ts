/** EndpointSlices of Kubernetes (discovery.k8s.io/v1), several of one service, as backends. Pure. */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { KubernetesSettings } from '../../config/discovery-settings.ts';
import type { BackendSettings } from '../../config/settings.ts';
import { backendAt } from './found-backends.ts';

/** What is not known is passed over; `null` is what is not there (Go). */
export const endpointSlice = z.object({
  metadata: z.object({ name: z.string() }),
  addressType: z.string().nullish(),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string()),
        conditions: z
          .object({
            ready: z.boolean().nullish(),
            serving: z.boolean().nullish(),
            terminating: z.boolean().nullish(),
          })
          .nullish(),
        targetRef: z.object({ uid: z.string().nullish() }).nullish(),
      }),
    )
    .nullish(),
  ports: z
    .array(
      z.object({
        name: z.string().nullish(),
        port: z.number().int().nullish(),
        protocol: z.string().nullish(),
      }),
    )
    .nullish(),
});

export type EndpointSlice = z.output<typeof endpointSlice>;

type Terms = Pick<KubernetesSettings, 'port' | 'tls'> & { readonly basePath: string };

interface Candidate {
  readonly backend: BackendSettings;
  readonly isReady: boolean;
  /** Which server it is, whatever its address; undefined: nobody says. */
  readonly uid: string | undefined;
}

/**
 * Those that are ready; where none is, those that still serve on their way out, as kube-proxy does it. Of a pod with an address of
 * IPv4 and one of IPv6, that of IPv4: it is one server.
 */
export function backendsOf(
  slices: Iterable<EndpointSlice>,
  terms: Terms,
): { readonly found: BackendSettings[]; readonly leftOut: string[] } {
  const leftOut: string[] = [];
  const candidates: Candidate[] = [];
  for (const slice of slices) {
    if ((slice.endpoints ?? []).length === 0) continue;
    if (slice.addressType === 'FQDN') {
      leftOut.push(`the slice ${slice.metadata.name} has names: only addresses are taken`);
      continue;
    }
    const port = portOf(slice, terms.port);
    if (typeof port === 'string') leftOut.push(port);
    else candidates.push(...candidatesOf(slice, port, terms));
  }
  const ready = candidates.filter(({ isReady }) => isReady);
  return { found: onePerPod(ready.length > 0 ? ready : candidates), leftOut };
}

function candidatesOf(slice: EndpointSlice, port: number, { tls, basePath }: Terms): Candidate[] {
  return (slice.endpoints ?? []).flatMap(({ addresses, conditions, targetRef }): Candidate[] => {
    // All of one endpoint are the same server, and readers take the first.
    const [host = ''] = addresses;
    // What nobody knows counts as ready; `serving` is `ready` without regard to the end that is near.
    const isReady = conditions?.ready ?? true;
    const isServing = conditions?.serving ?? isReady;
    const isEnding = conditions?.terminating ?? false;
    if (isIP(host) === 0 || !(isReady || (isServing && isEnding))) return [];
    const uid = targetRef?.uid ?? undefined;
    return [{ backend: backendAt({ tls, host, port, basePath }), isReady, uid }];
  });
}

/** @returns a sentence where there is none */
function portOf({ metadata, ports }: EndpointSlice, wanted: string | number): number | string {
  if (typeof wanted === 'number' && wanted > 0) return wanted;
  const all = (ports ?? []).filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP');
  const named = wanted === 0 ? all : all.filter(({ name }) => name === wanted);
  const [first, ...others] = named;
  const port = first?.port ?? 0;
  if (port > 0 && port < 65_536 && others.length === 0) return port;
  const names = all
    .map(({ name, port: number }) => `${name ?? ''} (${number ?? 'any'})`)
    .join(', ');
  const which = wanted === 0 ? 'no single port' : `no port ${wanted}`;
  return `the slice ${metadata.name} has ${which}: say one in port (it has ${names || 'none'})`;
}

function onePerPod(candidates: readonly Candidate[]): BackendSettings[] {
  const isIPv6 = ({ backend }: Candidate): boolean => backend.host.includes(':');
  const withIPv4 = new Set(candidates.filter((one) => !isIPv6(one)).map(({ uid }) => uid));
  return candidates
    .filter((one) => one.uid === undefined || !isIPv6(one) || !withIPv4.has(one.uid))
    .map(({ backend }) => backend);
}
