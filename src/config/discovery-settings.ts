/** Where the backends of a pool are found, and what each of them is like. */

export interface DiscoverySettings {
  readonly source: SourceSettings;
  /** A list that is shorter is taken for a fault of the source: what was found before holds. */
  readonly minBackends: number;
  /** What is found may have `https` in its URL. */
  readonly mayBeTls: boolean;
  /** What stands before the paths of requests, at each backend; empty: nothing. */
  readonly basePath: string;
  /** Which name certificates must have where the config does not say it; empty: the host of the URL. Null: nobody knows. */
  readonly serverName: string | null;
}

export type SourceSettings = DnsSettings | SrvSettings | FileSettings;

export type SourceKind = SourceSettings['kind'];

export const SOURCE_KINDS = ['dns', 'srv', 'file'] as const satisfies readonly SourceKind[];

/** Each address of a name. */
export interface DnsSettings {
  readonly kind: 'dns';
  /** Of the name: scheme, port and path are those of each backend. */
  readonly url: string;
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  /** What backends are called. */
  readonly authority: string;
  /** Between two lookups; 0: as the answers hold. */
  readonly everyMs: number;
}

/** The targets of the SRV records of a name (RFC 2782). */
export interface SrvSettings {
  readonly kind: 'srv';
  /** Of the name, without a port. */
  readonly url: string;
  readonly tls: boolean;
  /** `_http._tcp.app.service` */
  readonly name: string;
  /** Between two lookups; 0: as is usual. */
  readonly everyMs: number;
}

/** Those that a file lists, which somebody else writes. */
export interface FileSettings {
  readonly kind: 'file';
  /** Absolute. */
  readonly file: string;
}
