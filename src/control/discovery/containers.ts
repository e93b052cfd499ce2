/** Containers, as Docker lists them, as backends. Pure. */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { DockerSettings } from '../../config/discovery-settings.ts';
import { type BackendSettings, MAX_WEIGHT } from '../../config/settings.ts';
import { backendAt } from './found-backends.ts';

export const containers = z.array(
  z.object({
    Id: z.string(),
    Names: z.array(z.string()).nullish(),
    Labels: z.record(z.string(), z.string()).nullish(),
    State: z.string().nullish(),
    Status: z.string().nullish(),
    Ports: z
      .array(z.object({ PrivatePort: z.number().int(), Type: z.string().nullish() }))
      .nullish(),
    NetworkSettings: z
      .object({
        Networks: z
          .record(
            z.string(),
            z.object({
              IPAddress: z.string().nullish(),
              GlobalIPv6Address: z.string().nullish(),
            }),
          )
          .nullish(),
      })
      .nullish(),
  }),
);

export type Container = z.output<typeof containers>[number];

type Terms = Pick<DockerSettings, 'network' | 'port' | 'tls'> & {
  readonly basePath: string;
  /** Of the machine that they run on: where a container on its network is to be found. */
  readonly host: string;
};

/** Those that run, and that do not say that they are unwell, or not ready yet. */
export function backendsOf(
  list: readonly Container[],
  terms: Terms,
): { readonly found: BackendSettings[]; readonly leftOut: string[] } {
  const found: BackendSettings[] = [];
  const leftOut: string[] = [];
  for (const container of list) {
    if ((container.State ?? 'running') !== 'running' || !isWell(container)) continue;
    const backend = backendOf(container, terms);
    if (typeof backend !== 'string') found.push(backend);
    else leftOut.push(`the container ${nameOf(container)} ${backend}`);
  }
  return { found, leftOut };
}

/** `Up 3 minutes (healthy)`: without a check of its own there is no such word. */
function isWell({ Status }: Container): boolean {
  return !/\((unhealthy|health: starting)\)/.test(Status ?? '');
}

/** @returns what is wrong, and what would help */
function backendOf(container: Container, terms: Terms): BackendSettings | string {
  const labels = container.Labels ?? {};
  const { tls, basePath } = terms;
  const weightText = labels['fairlead.weight'] ?? '1';
  const weight = /^\d{1,4}$/.test(weightText) ? Number(weightText) : MAX_WEIGHT + 1;
  if (weight > MAX_WEIGHT) {
    return `has the label fairlead.weight=${weightText}: it is a whole number from 0 to ${MAX_WEIGHT}`;
  }
  const port = portOf(container, labels['fairlead.port'], terms.port);
  if (typeof port === 'string') return port;
  const address = addressOf(container, labels['fairlead.network'] ?? terms.network, terms.host);
  if (isIP(address) === 0) return address;
  return backendAt({ tls, host: address, port, basePath, weight });
}

function portOf(
  { Ports }: Container,
  label: string | undefined,
  configured: number,
): number | string {
  if (label !== undefined) {
    const port = /^\d{1,5}$/.test(label) ? Number(label) : 0;
    return port > 0 && port < 65_536 ? port : `has the label fairlead.port=${label}: it is a port`;
  }
  if (configured > 0) return configured;
  // One that is published stands there for each address.
  const exposed = (Ports ?? []).filter(({ Type }) => (Type ?? 'tcp') === 'tcp');
  const [first, ...others] = new Set(exposed.map(({ PrivatePort }) => PrivatePort));
  if (first !== undefined && others.length === 0) return first;
  const many = first === undefined ? 'no port' : `${others.length + 1} ports`;
  return `exposes ${many}: say which by the label fairlead.port`;
}

/** @returns an address, or what is wrong */
function addressOf({ NetworkSettings }: Container, wanted: string, machine: string): string {
  const networks = new Map(Object.entries(NetworkSettings?.Networks ?? {}));
  const names = [...networks.keys()].join(', ');
  const [only, ...others] = networks.keys();
  if (wanted === '' && others.length > 0) {
    return `is in the networks ${names}: say which by the label fairlead.network, or in network`;
  }
  const name = wanted === '' ? only : wanted;
  if (name === undefined) return 'is in no network: it can not be reached';
  const network = networks.get(name);
  if (network === undefined) return `is not in the network ${name} (but in ${names || 'none'})`;
  const address = network.IPAddress || network.GlobalIPv6Address || '';
  if (isIP(address) !== 0) return address;
  return name === 'host' ? machine : `has no address in the network ${name}`;
}

function nameOf({ Names, Id }: Container): string {
  return Names?.[0]?.replace(/^\//, '') ?? Id.slice(0, 12);
}
