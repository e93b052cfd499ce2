/** From the addresses of a name to backends, and from one answer to the next: who comes, who stays, who goes. Pure. */
import type { BackendAddress, BackendSettings } from '../../config/settings.ts';

/** A backend that was found. */
export interface FoundBackend extends BackendSettings {
  /** Its name does not lead there any more: it gets no new clients. */
  readonly isGoing: boolean;
}

/**
 * One for each address. It is called by its name where it has to be called something, as in Host: that is what its server knows
 * itself by.
 */
export function backendAt(
  address: string,
  { tls, port, authority, basePath }: BackendAddress,
): FoundBackend {
  const host = address.includes(':') ? `[${address}]` : address;
  const at = port === (tls ? 443 : 80) ? host : `${host}:${port}`;
  return {
    url: `${tls ? 'https' : 'http'}://${at}${basePath}`,
    tls,
    host: address,
    port,
    authority,
    socketPath: '',
    basePath,
    weight: 1,
    isBackup: false,
    isGoing: false,
  };
}

export interface Change {
  /** Those that were there, with those that come, none of them going that the name leads to. */
  readonly all: readonly FoundBackend[];
  /** URLs. */
  readonly came: readonly string[];
  readonly went: readonly string[];
}

/** @param found by the last answer. */
export function changeTo(found: readonly FoundBackend[], before: readonly FoundBackend[]): Change {
  const now = new Set(found.map(({ url }) => url));
  const known = new Map(before.map((one) => [one.url, one]));
  const came = found.filter(({ url }) => known.get(url)?.isGoing !== false);
  const stay = before.filter(({ url }) => !now.has(url));
  return {
    all: [...found, ...stay],
    came: came.map(({ url }) => url),
    went: stay.filter(({ isGoing }) => !isGoing).map(({ url }) => url),
  };
}
