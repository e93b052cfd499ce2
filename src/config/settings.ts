/**
 * What a configuration means once it is validated: the short form, the environment and the flags merged, defaults
 * filled in, durations in milliseconds, sizes in bytes, files read. The control plane runs on this and never sees
 * the text that it came from.
 */
import type { LogField } from '../snapshot/access-log-rules.ts';
import type {
  PoolTimeouts,
  RateLimit,
  RequestKey,
  Retries,
  RoutePolicies,
} from '../snapshot/policies.ts';
import type { Rewriting } from '../snapshot/rewriting.ts';
import type { RouteMatch } from '../snapshot/route.ts';
import type { Cors, ErrorPage, FixedAnswer, RouteAccess } from '../snapshot/route-answer.ts';
import type {
  BackendTls,
  ClientTimeouts,
  Forwarding,
  HostHeader,
  Limits,
  ListenerAddress,
  PathRules,
  ProtocolName,
  ProxyProtocol,
  Queue,
  Sticky,
  StrategyName,
} from '../snapshot/snapshot.ts';
import type { Template } from '../snapshot/template.ts';
import type { AcmeSettings } from './acme-settings.ts';
import type {
  Certificate,
  CertificateFacts,
  CertificateSource,
} from './certificates/certificate-facts.ts';
import type { DiscoverySettings } from './discovery-settings.ts';
import { type AdminToken } from './read/admin-token.ts';
import type { RedisSettings } from './redis-settings.ts';

export type HealthCheckMethod = 'http' | 'tcp' | 'grpc' | 'auto';

export interface HealthCheckSettings {
  readonly method: HealthCheckMethod;
  /** Path and query of the GET, starting with a slash. */
  readonly path: string;
  /** The Host field; empty: where the check goes. */
  readonly host: string;
  /** Checked in place of the backend's own; 0: that. */
  readonly port: number;
  /** Further fields, as they are sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** What passes: ranges of statuses, both ends included. */
  readonly expectStatus: readonly (readonly [from: number, to: number])[];
  /** And a text in the body; empty: none. */
  readonly expectBody: string;
  /** Of a gRPC server, which is asked for; empty: the server as a whole. */
  readonly service: string;
  readonly intervalMs: number;
  /** Used instead of `intervalMs` while a backend is down, new, suspect or changing. */
  readonly downIntervalMs: number;
  readonly timeoutMs: number;
  /** Answers are read as leniently as other responses: `PoolSettings.hasLenientResponses`. */
  readonly isLenient: boolean;
  /** As of requests: `PoolSettings.protocol`. */
  readonly protocol: ProtocolName;
  /** As of requests: `PoolSettings.proxyVersion`. */
  readonly proxyVersion: 'v1' | 'v2' | null;
  /** As of requests: `PoolSettings.backendTls`. */
  readonly tls: BackendTlsSettings | null;
  /** Passing checks in a row that make an unhealthy backend healthy. */
  readonly rise: number;
  /** Failing checks in a row that make a healthy backend unhealthy. */
  readonly fall: number;
}

/** TLS to the backends of a pool; the files, absolute, are those that it was read from, or empty. */
export interface BackendTlsSettings extends BackendTls {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Of the certificate that backends are shown; null: they are shown none. */
  readonly facts: CertificateFacts | null;
}

export interface BackendAddress {
  /** Normalised, see `parseBackendUrl` in backend-url.ts. */
  readonly url: string;
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  /** Of a Unix socket, absolute; empty: it is reached by host and port. */
  readonly socketPath: string;
  /** Put before the path of a request: `/base`, or empty. */
  readonly basePath: string;
}

/** Weights are whole numbers from 0 (no new clients) to this. */
export const MAX_WEIGHT = 1000;
/** So many backends of a pool are found at most. */
export const MOST_FOUND = 1000;

export interface BackendSettings extends BackendAddress {
  readonly weight: number;
  /** Used only while no other backend is eligible. */
  readonly isBackup: boolean;
}

/** Passive health: who fails real requests is taken out for a while. Envoy's outlier detection is the model. */
export interface OutlierSettings {
  /** Broken connections in a row, all data threads together; 0: off. */
  readonly consecutiveFailures: number;
  /** Faults of any kind in a row, all data threads together; 0: off. */
  readonly consecutive5xx: number;
  /** Faults in percent of at least `minRequests` within `intervalMs`; 0: off. */
  readonly failurePercent: number;
  readonly minRequests: number;
  readonly intervalMs: number;
  /** Times the number of ejections so far, at most `maxEjectionMs`. */
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  /** Of the pool; its last backend is never ejected. */
  readonly maxEjectionPercent: number;
  /** A response head later than this is a fault; 0: never. */
  readonly slowCallMs: number;
}

/** Closed, open, half-open: one per backend, and one for the pool. */
export interface BreakerSettings {
  /** Faults in percent of at least `minRequests` within `intervalMs` open it. */
  readonly failurePercent: number;
  readonly minRequests: number;
  readonly intervalMs: number;
  /** How long it stays open. */
  readonly openMs: number;
  /** Requests let through while half-open: all good, it closes; one bad, it opens again. */
  readonly halfOpenRequests: number;
}

export interface AdminSettings {
  /** Nobody listens. */
  readonly isOff: boolean;
  /** In the place of host and port; null: there is none. */
  readonly unix: { readonly path: string; readonly mode: number } | null;
  readonly tls: TlsSettings | undefined;
  /** Loopback unless a token is set. */
  readonly host: string;
  readonly port: number;
  /** Of an operator. */
  readonly token: string | undefined;
  /** By name. Null: no file is named; with one, a token is asked for whatever it holds. */
  readonly tokens: { readonly file: string; readonly tokens: readonly AdminToken[] } | null;
  /** Calls a second, of one caller. Null: as many as come. */
  readonly rates: { readonly reads: number; readonly writes: number } | null;
}

/** Of a listener. */
export interface TlsSettings {
  readonly sources: readonly CertificateSource[];
  /** What was found there, in their order; the first is the default. */
  readonly certificates: readonly Certificate[];
  /** Null: none is fetched. */
  readonly acme: AcmeSettings | null;
  /** Clients that ask for a name that no certificate is for, or for none, are refused. */
  readonly refusesUnknownNames: boolean;
  /** Null: clients are not asked for any. `ca`: PEM. */
  readonly clientCertificates: {
    readonly mode: 'request' | 'require';
    readonly caFile: string;
    readonly ca: string;
  } | null;
  readonly minVersion: '1.2' | '1.3';
}

/** The pool that the short form means. */
export const DEFAULT_POOL = 'default';

/** One pool: a named group of backends with its strategy and its policies. */
export interface PoolSettings {
  /** Unique; `default` is that of the short form. */
  readonly name: string;
  readonly strategy: StrategyName;
  readonly backends: readonly BackendSettings[];
  /** Null: there are those that are listed, and those of the admin API. */
  readonly discovery: DiscoverySettings | null;
  readonly maxConnections: number;
  readonly maxRequests: number;
  /** What `consistent-hash` goes by. */
  readonly hashKey: RequestKey;
  /** `secret` signs session cookies; undefined: one is made at start. */
  readonly sticky: (Sticky & { readonly secret: string | undefined }) | null;
  readonly retries: Retries;
  readonly queue: Queue;
  readonly rateLimit: RateLimit | null;
  readonly outlier: OutlierSettings | null;
  readonly breaker: BreakerSettings | null;
  /** A backend that comes (back) gets its full share only after so long; 0: at once. */
  readonly slowStartMs: number;
  /** With fewer backends eligible than this, others are used as well; 0: never. */
  readonly panicThresholdPercent: number;
  readonly healthCheck: HealthCheckSettings;
  /** Of old devices: see `HeadLimits` of the data plane. */
  readonly hasLenientResponses: boolean;
  readonly backendTls: BackendTlsSettings | null;
  /** See `PoolSnapshot`. */
  readonly protocol: ProtocolName;
  readonly hostHeader: HostHeader;
  /** See `PoolSnapshot`. */
  readonly proxyVersion: 'v1' | 'v2' | null;
  readonly timeouts: PoolTimeouts;
}

/** What is done with the requests of a route: as in the snapshot, but pools go by their names, and they exist. */
export type RouteActionSettings =
  | { readonly kind: 'pool'; readonly pool: string }
  | {
      readonly kind: 'split';
      readonly parts: readonly {
        readonly pool: string;
        readonly weight: number;
        readonly name: string;
      }[];
    }
  | { readonly kind: 'answer'; readonly answer: FixedAnswer }
  | { readonly kind: 'redirect'; readonly status: number; readonly to: Template }
  /** Nothing: there is only its maintenance. */
  | { readonly kind: 'none' };

/** A page for errors, as it is written, and read. */
export interface ErrorPageSettings {
  /** `503`, or `5xx` for those that none is written for. */
  readonly status: string;
  /** Absolute; undefined: its text stands in the config. */
  readonly file: string | undefined;
  /** Undefined: by the ending of the file. */
  readonly contentType: string | undefined;
  readonly page: ErrorPage;
}

/** Which requests are for it, and what is done with them. */
export interface RouteSettings {
  /** Its path in the config, `routes.0`; of the one that needs not be written, the name of its pool: `default`. */
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: RouteActionSettings;
  readonly rewriting: Rewriting | null;
  /** What they get in place of that, for the time being; null: there is none. */
  readonly maintenance: { readonly retryAfterSeconds: number } | null;
  readonly access: RouteAccess | null;
  readonly cors: Cors | null;
  readonly errorPages: readonly ErrorPageSettings[];
  /** Those of its own; null: as its pool has them. */
  readonly policies: RoutePolicies | null;
  /** So many of its requests in percent go to this pool, too. */
  readonly mirror: { readonly pool: string; readonly percent: number } | null;
}

/** One address that clients connect to. */
export interface ListenerSettings {
  /** Its path in the config, `listeners.0`; of the one that `port`, `host` and `ssl` describe: `port`. */
  readonly path: string;
  readonly address: ListenerAddress;
  readonly tls: TlsSettings | undefined;
  /** Null: nobody is expected to speak it. */
  readonly proxyProtocol: ProxyProtocol | null;
  /** All requests are sent to https, at this port of another listener; 0: they are served. */
  readonly httpsPort: number;
  /** Over TLS, clients may choose HTTP/2. */
  readonly http2: boolean;
  /** In the clear, clients may begin with HTTP/2. */
  readonly h2c: boolean;
}

export interface SyslogTarget {
  readonly server:
    | { readonly kind: 'udp'; readonly host: string; readonly port: number }
    | { readonly kind: 'unix'; readonly path: string };
  /** Its number. */
  readonly facility: number;
  readonly appName: string;
}

export interface AccessLogSettings {
  /** `stdout`; or the path of a file that lines are appended to; or a server. */
  readonly target: 'stdout' | { readonly file: string } | SyslogTarget;
  readonly format: 'json' | 'combined';
  readonly fields: readonly LogField[];
  /** Of requests, by their names in lower case. */
  readonly headers: readonly string[];
  /** Of the requests that went well. */
  readonly percent: number;
  /** 0: none is slow. */
  readonly slowMs: number;
  /** In lower case. */
  readonly redactedParameters: readonly string[];
  readonly redactedHeaders: readonly string[];
}

export interface TracingSettings {
  /** The whole URL; undefined: what the environment says, as OpenTelemetry has it. */
  readonly endpoint: string | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** From 0 to 1. */
  readonly sample: number;
  readonly serviceName: string | undefined;
  /** Of the query, those whose values are in no span. In lower case. */
  readonly redactedParameters: readonly string[];
}

/** This process is one of several with the same pools and routes. */
export interface ClusterSettings {
  readonly name: string;
  /** Of this process, and of no other in the cluster. */
  readonly instance: string;
  /** Where others reach the admin API of this one; null: nowhere. */
  readonly address: string | null;
  readonly etcd: {
    readonly endpoints: readonly string[];
    /** All keys begin with it. */
    readonly prefix: string;
    /** What the files hold. */
    readonly tls: {
      readonly ca?: string;
      readonly cert?: string;
      readonly key?: string;
      readonly serverName?: string;
    };
    /** As they are written. */
    readonly files: Readonly<Record<string, string | undefined>> | null;
    readonly login: { readonly user: string; readonly password: string } | null;
  };
  /** The text of the key that secrets are sealed under: see sealed.ts. Undefined: none are shared. */
  readonly key: string | undefined;
  /** Absolute. */
  readonly keyFile: string | undefined;
  /** Absolute; undefined: there is none. */
  readonly snapshotFile: string | undefined;
}

export interface Settings {
  /** At least one, that of `port` first. No two have the same address. */
  readonly listeners: readonly [ListenerSettings, ...ListenerSettings[]];
  readonly admin: AdminSettings;
  /** Data threads as asked for; `auto` is settled at start by the platform. 0: in the caller's thread (library mode). */
  readonly threads: number | 'auto';
  /** The first is the pool `default`. */
  readonly pools: readonly [PoolSettings, ...PoolSettings[]];
  /** Whether the config has the pool `default` at the top level, or in `pools` as the others. */
  readonly defaultForm: 'short' | 'long';
  /** In the order of the config. Not empty: without routes in the config, one leads everything to the pool `default`. */
  readonly routes: readonly RouteSettings[];
  /** The names of the pools that requests can get to: a route that can match leads there. */
  readonly routedPools: readonly string[];
  readonly timeouts: ClientTimeouts;
  /** How long a shutdown waits for requests in flight. */
  readonly drainMs: number;
  readonly limits: Limits;
  readonly forwarding: Forwarding;
  readonly paths: PathRules;
  readonly errorPages: readonly ErrorPageSettings[];
  /** `false`: off. */
  readonly accessLog: false | AccessLogSettings;
  /** Null: off. */
  readonly tracing: TracingSettings | null;
  /** Of a cluster, this one among them; 1: it is alone, or nobody has said. */
  readonly instances: number;
  /** Null: the process is alone. */
  readonly cluster: ClusterSettings | null;
  /** Null: nothing counts for all of them. */
  readonly redis: RedisSettings | null;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Reload when the config file has changed. */
  readonly isWatched: boolean;
  /** Where changes made through the admin API are kept; undefined: nowhere. */
  readonly stateFile: string | undefined;
  /** The config file in use, if any: absolute path. */
  readonly configFile: string | undefined;
}

/** `store`: what the instances of a cluster share. */
export type ValueOrigin = 'default' | 'file' | 'store' | 'environment' | 'flag';
