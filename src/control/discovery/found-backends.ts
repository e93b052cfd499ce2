/** From addresses to backends, and from one answer to the next: who comes, who stays, who goes. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { type BackendSettings, MAX_WEIGHT } from '../../config/settings.ts';
import { canonicalIPv6 } from '../../config/values/network-address.ts';

/** A backend that was found. */
export interface FoundBackend extends BackendSettings {
  /** It is not to be found any more: it gets no new clients. */
  readonly isGoing: boolean;
}

/** One that a source tells of. */
export interface Found {
  readonly tls: boolean;
  /** An IP address, of IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly basePath: string;
  /** What it is called where it has to be called something, as in Host. Default: its address. */
  readonly authority?: string;
  readonly weight?: number;
  readonly isBackup?: boolean;
}

/** In the spelling that `parseBackendUrl` has: one server is one URL, whoever tells of it. */
export function backendAt(found: Found): BackendSettings {
  const { tls, port, basePath } = found;
  const host = canonicalIPv6(found.host) ?? found.host.toLowerCase();
  const bracketed = host.includes(':') ? `[${host}]` : host;
  const at = port === (tls ? 443 : 80) ? bracketed : `${bracketed}:${port}`;
  return {
    url: `${tls ? 'https' : 'http'}://${at}${basePath}`,
    tls,
    host,
    port,
    authority: found.authority ?? at,
    socketPath: '',
    basePath,
    weight: found.weight ?? 1,
    isBackup: found.isBackup ?? false,
  };
}

/**
 * Weights of another scale in ours, with their proportions as far as whole numbers have them. Nobody gets 0, which would mean that no
 * new client goes there: of a record with the weight 0, RFC 2782 says that it has a very small chance.
 */
export function scaledWeights(weights: readonly number[]): number[] {
  const most = Math.max(1, ...weights);
  const scale = most > MAX_WEIGHT ? MAX_WEIGHT / most : 1;
  return weights.map((weight) => Math.max(1, Math.round(weight * scale)));
}

/** By URL, and each URL once. */
export function inOrder(list: readonly BackendSettings[]): BackendSettings[] {
  const byUrl = new Map<string, BackendSettings>();
  for (const one of list) {
    const known = byUrl.get(one.url);
    // The same whichever of them comes first.
    if (known === undefined || rank(one) > rank(known)) byUrl.set(one.url, one);
  }
  return [...byUrl.values()].toSorted((a, b) => (a.url < b.url ? -1 : 1));
}

function rank({ weight, isBackup }: BackendSettings): number {
  return weight + (isBackup ? 0 : MAX_WEIGHT + 1);
}

export interface Change {
  /** Those that were there, with those that come, none of them going that are found. */
  readonly all: readonly FoundBackend[];
  /** URLs. */
  readonly came: readonly string[];
  readonly went: readonly string[];
  /** Some that stay have other weights, or are called by another name. */
  readonly areOther: boolean;
}

/** @param list the last answer, each URL once */
export function changeTo(
  list: readonly BackendSettings[],
  before: readonly FoundBackend[],
): Change {
  const now = new Set(list.map(({ url }) => url));
  const known = new Map(before.map((one) => [one.url, one]));
  const found = list.map((one): FoundBackend => ({ ...one, isGoing: false }));
  const came = found.filter(({ url }) => known.get(url)?.isGoing !== false);
  const stay = before.filter(({ url }) => !now.has(url));
  return {
    all: [...found, ...stay],
    came: came.map(({ url }) => url),
    went: stay.filter(({ isGoing }) => !isGoing).map(({ url }) => url),
    areOther: found.some((one) => {
      const was = known.get(one.url);
      return was?.isGoing === false && !isDeepStrictEqual(was, one);
    }),
  };
}
