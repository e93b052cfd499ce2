/**
 * The contract between the planes, part one: the snapshot.
 *
 * A snapshot is the complete, immutable, validated view that the data plane runs on. The control plane builds it;
 * a data thread swaps to it in one assignment. Everything in it survives a structured clone, and nothing in it
 * needs checking again. Durations are milliseconds and sizes are bytes, as the names say.
 */

import type { AccessLogRules } from './access-log-rules.ts';
import type { HttpChallenges } from './challenges.ts';
import type { PoolTimeouts, RateLimit, RequestKey, Retries } from './policies.ts';
import type { RouteSnapshot } from './route.ts';
import type { ErrorPages } from './route-answer.ts';
import type { TlsSnapshot } from './tls.ts';
import type { TracingRules } from './traced-exchange.ts';

/** The balancing algorithms that exist, by their one canonical name. */
export const STRATEGY_NAMES = [
  'round-robin',
  'least-connections',
  'random-two',
  'peak-ewma',
  'ip-hash',
  'consistent-hash',
] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

/** What the backends of a pool are spoken to in. */
export type ProtocolName = 'http1' | 'h2' | 'auto';

export interface BackendSnapshot {
  /** Stable for the life of the backend; never reused within a process. Live state is keyed by it. */
  readonly id: number;
  /** Normalised: scheme, host and port, and perhaps a path, no trailing slash: `http://localhost:3001`; or `unix:/run/app.sock`. */
  readonly url: string;
  readonly tls: boolean;
  /** Host name or address literal, an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port` as a Host field would carry it: default ports left out, IPv6 in brackets. */
  readonly authority: string;
  /** Of a Unix socket; empty: it is reached by host and port, which else are `localhost` and 80. */
  readonly socketPath: string;
  /** Put before the path of each request, without a slash at its end; empty: none. The same for the life of the backend. */
  readonly basePath: string;
  /** As configured; 0: no new clients. What it counts for at the moment stands in `Eligibility`. */
  readonly weight: number;
  /** What a session cookie says to mean this backend: opaque, signed. Empty where sessions go by something else. */
  readonly sessionToken: string;
  /** The same in words of before or of soon: taken, and not given any more, or not yet. */
  readonly otherTokens: readonly string[];
  /** This backend's shared counters: see counters.ts. The same buffer in every snapshot that holds this id. */
  readonly counters: SharedArrayBuffer;
}

/** Which backends requests may go to. Changes with health, without a new snapshot: see `EligibilityMessage`. */
export interface Eligibility {
  /** Those that the strategy picks from, each with what it counts for now (slow start); a whole number from 1. */
  readonly picks: readonly { readonly id: number; readonly weight: number }[];
  /** Those that keep the sessions they have: also the draining ones, and those of weight 0. */
  readonly keeps: readonly number[];
  /** Of those, the ones that drain: they begin no WebSocket, which could last for ever. */
  readonly draining: readonly number[];
  /** Backups that could serve but are not picked: for a request that all of the picked have failed. */
  readonly spares: readonly number[];
  /** Too few are eligible, so that others are picked as well. */
  readonly isPanic: boolean;
  /** While nobody is picked: why, or what would help one that should be, with its URL, in words for the log. Else empty. */
  readonly hint: string;
}

/** The attributes of the cookie that carries a session (RFC 6265 §4.1.2). */
export interface SessionCookie {
  readonly sameSite: 'lax' | 'strict' | 'none';
  /** `auto`: where the client came by TLS, to us or to a trusted proxy that says so. */
  readonly secure: boolean | 'auto';
  /** Empty: the host that was asked, and no other. */
  readonly domain: string;
  readonly path: string;
}

export interface Sticky {
  readonly key: RequestKey;
  /** How long a client stays with its backend: after its last request, for a cookie after it was set. */
  readonly ttlMs: number;
  /** Of the cookie that we set; null where sessions go by something else. */
  readonly cookie: SessionCookie | null;
  /** Sessions are the backends' own, and learned from their answers: from the cookie `key`, or as socket.io has them. */
  readonly learns: 'cookie' | 'socket.io' | null;
  /** All instances know them: see shared-sessions.ts. */
  readonly isShared: boolean;
}

export interface Queue {
  /** Requests that wait for a backend with room, all threads together; 0: none waits. */
  readonly size: number;
  readonly timeoutMs: number;
}

/** What counts as a fault of a backend, beside connections that fail and answers that never come. */
export interface FaultRules {
  /** So many broken connections in a row are reported at once; 0: never. */
  readonly consecutiveFailures: number;
  /** So many faults of any kind; 0: never. */
  readonly consecutive5xx: number;
  /** A response head later than this counts as a fault; 0: never. */
  readonly slowCallMs: number;
}

/** Of clients, whatever pool their requests are for. */
export interface ClientTimeouts {
  /** A whole request head, from its first byte (for the first request: from the accept). */
  readonly headMs: number;
  /** Silence of a client that owes us bytes, or does not take ours, outside of an exchange. */
  readonly idleMs: number;
  /** An idle client connection between two requests. */
  readonly keepAliveMs: number;
}

export interface Limits {
  /** Request line, in bytes: longer is answered 414. */
  readonly requestLineBytes: number;
  /** Request or response head including the first line: larger is 431 from a client, 502 from a backend. */
  readonly headBytes: number;
  /** Fields of one head; the same limit holds for a trailer section. */
  readonly fields: number;
  /** Request body; 0 means no limit. Larger is answered 413. */
  readonly bodyBytes: number;
  /** Client connections of the whole process; 0 means no limit. */
  readonly clientConnections: number;
  /** Of these, from one address (IPv6: one /64); 0 means no limit. */
  readonly connectionsPerClient: number;
  /** Bytes that may wait in the memory of the whole process for who does not take them; 0 means no limit. */
  readonly bufferedBytes: number;
  /** What each data thread keeps of its last requests; 0: nothing. */
  readonly keptRequestsBytes: number;
  readonly http2: Http2Limits;
}

/** Of one HTTP/2 connection of a client. */
export interface Http2Limits {
  /** Streams at once. */
  readonly streams: number;
  /** Streams that come to nothing by a reset, or for an error of the client, in a minute. */
  readonly resets: number;
  /** Frames that bring nothing, in a minute. */
  readonly controlFrames: number;
  /** CONTINUATION frames of one header block. */
  readonly continuations: number;
}

/** `client` keeps the Host field, `backend` sends the backend's authority, anything else is sent as it stands. */
export type HostHeader =
  | { readonly kind: 'client' | 'backend' }
  | { readonly kind: 'fixed'; readonly value: string };

export interface Forwarding {
  /** CIDR blocks (`10.0.0.0/8`, `::1/128`) whose forwarded fields are believed and extended. */
  readonly trustedProxies: readonly string[];
  /** Also send RFC 7239 Forwarded. */
  readonly sendForwarded: boolean;
  /** Add X-Forwarded-For, -Proto, -Host and -Port; those of peers that are not trusted are dropped in any case. */
  readonly sendXForwarded: boolean;
  /** Add Via, to requests and responses. */
  readonly sendVia: boolean;
  /** Redirects of a backend to its own address become redirects to the one that the client used. */
  readonly rewritesLocation: boolean;
  /** The protocols that a connection may be upgraded to, in lower case. */
  readonly upgrades: readonly string[];
}

/** How paths are read where routes look at them: see the data plane's wire/path.ts. */
export interface PathRules {
  readonly keepsEncodedSlashes: boolean;
  readonly mergesSlashes: boolean;
}

/** TLS to the backends of a pool. */
export interface BackendTls {
  /** PEM text; empty: the authorities that this machine trusts. */
  readonly ca: string;
  /** PEM texts; empty: no certificate is shown. */
  readonly cert: string;
  readonly key: string;
  /** A name or an address; empty: the host of the backend. */
  readonly serverName: string;
  readonly verifies: boolean;
}

export interface PoolSnapshot {
  /** Stable for the life of the pool; never reused within a process. Live state is keyed by it. */
  readonly id: number;
  readonly name: string;
  /** The pool's shared counters: see pool-counters.ts. The same buffer in every snapshot that holds this id. */
  readonly counters: SharedArrayBuffer;
  readonly strategy: StrategyName;
  /** In id order. Draining, disabled and unhealthy ones are here too. */
  readonly backends: readonly BackendSnapshot[];
  /** As of the moment the snapshot was made. */
  readonly eligibility: Eligibility;
  /** Open connections to one backend, all threads together; 0 means no limit. */
  readonly maxConnections: number;
  /** Requests in flight at one backend, all threads together; 0 means no limit. */
  readonly maxRequests: number;
  /** What `consistent-hash` goes by. */
  readonly hashKey: RequestKey;
  readonly sticky: Sticky | null;
  readonly retries: Retries;
  readonly queue: Queue;
  readonly rateLimit: RateLimit | null;
  readonly faults: FaultRules;
  readonly timeouts: PoolTimeouts;
  /** `h2`: HTTP/2, over TLS by ALPN, else by prior knowledge. `auto`: over TLS what the backend chooses, else HTTP/1.1. */
  readonly protocol: ProtocolName;
  readonly hostHeader: HostHeader;
  /** By which version of the PROXY protocol its backends are told of the client; null: by none. */
  readonly proxyVersion: 'v1' | 'v2' | null;
  /** Null: whom this machine trusts may be a backend, under the name in its URL. */
  readonly tls: BackendTls | null;
  /** Its backends are old devices: see `HeadLimits` of the data plane. */
  readonly hasLenientResponses: boolean;
  /** One of its backends has a path in its URL, or would if it were found: a path that is not clear could lead out of that. */
  readonly hasBasePaths: boolean;
}

/** Where a listener accepts clients. */
export type ListenerAddress =
  | {
      readonly kind: 'tcp';
      /** Undefined: all addresses, IPv6 and IPv4. */
      readonly host: string | undefined;
      readonly port: number;
    }
  | {
      readonly kind: 'unix';
      /** Absolute. */
      readonly path: string;
      /** Permissions of the socket file. */
      readonly mode: number;
    }
  | {
      /** A socket that was open before this process: by its name. */
      readonly kind: 'inherited';
      readonly name: string;
    };

export interface ListenerSnapshot {
  /** Stable for the life of the listener; never reused within a process. Live state is keyed by it. */
  readonly id: number;
  /** Its address in one word: `*:8080`, `[::1]:8080`, `unix:/run/fairlead.sock`. No two have the same. */
  readonly name: string;
  readonly address: ListenerAddress;
  /** Of the socket that was open before this process, which is to be listened on; −1: one is opened. */
  readonly descriptor: number;
  /**
   * By data thread, the descriptors of sockets on which the process before this one, or the thread before that one, has listened
   * here: they are opened, and no others. A thread for which there is none opens its own. Only said when it is opened; undefined: there are none.
   */
  readonly handedOn?: readonly (readonly number[])[];
  readonly tls: TlsSnapshot | undefined;
  /** Null: nobody is expected to speak it. */
  readonly proxyProtocol: ProxyProtocol | null;
  /** All requests are sent to https, at this port; 0: they are served. */
  readonly httpsPort: number;
  /** In the clear, clients may begin with HTTP/2 (RFC 9113 §3.3). Over TLS, `tls` says whether they may choose it. */
  readonly h2c: boolean;
}

/** Who says of a client what it is, before anything else: proxies at these addresses, and nobody else. */
export interface ProxyProtocol {
  /** CIDR blocks. */
  readonly from: readonly string[];
  /** Whoever comes by a unix socket. */
  readonly fromUnix: boolean;
}

/** Only ports can be opened by several threads side by side: of all else, one thread accepts all connections. */
export function isOpenedBy(
  { id, address, descriptor }: ListenerSnapshot,
  threadIndex: number,
  threadCount: number,
): boolean {
  const isShared = address.kind === 'tcp' && descriptor === -1;
  return isShared || id % threadCount === threadIndex;
}

export interface Snapshot {
  /** What this process calls itself in the Via of requests, as no other does: so that it knows those that come back. */
  readonly instanceName: string;
  /** Grows by one with every change that came from an operator; health flips do not count. */
  readonly generation: number;
  /** In the order of the config; at least one. */
  readonly listeners: readonly ListenerSnapshot[];
  /** At least one: the first is the pool `default`. */
  readonly pools: readonly PoolSnapshot[];
  /** In the order of the config. A request that none of them is for is answered 404. */
  readonly routes: readonly RouteSnapshot[];
  /** Grows with every change of what they match: as long as it is the same, they need not be compiled anew. */
  readonly matching: number;
  readonly paths: PathRules;
  readonly errorPages: ErrorPages;
  readonly timeouts: ClientTimeouts;
  readonly limits: Limits;
  readonly forwarding: Forwarding;
  readonly accessLog: AccessLogRules;
  /** Null: no trace is recorded, and what clients say of theirs goes on as it came. */
  readonly tracing: TracingRules | null;
  /** That share limits, this one among them; 1 where there are no others. */
  readonly instances: number;
  /** Answered by every listener, before anything else is done with a request. Null: there are none. */
  readonly challenges: HttpChallenges | null;
}
