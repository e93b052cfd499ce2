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

export type SourceSettings =
  | DnsSettings
  | SrvSettings
  | DockerSettings
  | ConsulSettings
  | KubernetesSettings
  | FileSettings;

export type SourceKind = SourceSettings['kind'];

export const SOURCE_KINDS = [
  'dns',
  'srv',
  'docker',
  'consul',
  'kubernetes',
  'file',
] as const satisfies readonly SourceKind[];

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

/** Where an API is asked. */
export interface ApiEndpoint {
  /** As in the config; empty: it does not say it. */
  readonly url: string;
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  /** In the place of host and port; empty: those. */
  readonly socketPath: string;
  /** Of TLS: absolute, or empty. Read whenever a connection is opened. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Those of a service in Consul that pass its checks. */
export interface ConsulSettings {
  readonly kind: 'consul';
  readonly endpoint: ApiEndpoint;
  readonly service: string;
  /** Empty: that of the agent. */
  readonly datacenter: string;
  /** All of which an instance has to have. */
  readonly tags: readonly string[];
  /** A secret; empty: none. */
  readonly token: string;
  readonly tls: boolean;
}

/** The endpoints of a service of Kubernetes. */
export interface KubernetesSettings {
  readonly kind: 'kubernetes';
  /** Null: that of the cluster that this process is a pod of. */
  readonly endpoint: ApiEndpoint | null;
  readonly service: string;
  /** Empty: that of this pod. */
  readonly namespace: string;
  /** Its name or its number; 0: the only one. */
  readonly port: string | number;
  /** Absolute; empty: that of this pod, or none where `endpoint` is given. */
  readonly tokenFile: string;
  readonly tls: boolean;
}

/** The containers of Docker that have some labels. */
export interface DockerSettings {
  readonly kind: 'docker';
  readonly endpoint: ApiEndpoint;
  /** An empty value: whatever it is. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Empty: the only one. */
  readonly network: string;
  /** 0: the only one. */
  readonly port: number;
  readonly tls: boolean;
}
