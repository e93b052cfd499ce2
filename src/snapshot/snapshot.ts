/**
 * The contract between the planes, part one: the snapshot.
 *
 * A snapshot is the complete, immutable, validated view that the data plane runs on. The control plane builds it;
 * a data thread swaps to it in one assignment. Everything in it survives a structured clone, and nothing in it
 * needs checking again. Durations are milliseconds and sizes are bytes, as the names say.
 */

/** The balancing algorithms that exist, by their one canonical name. */
export const STRATEGY_NAMES = ['round-robin', 'least-connections'] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

export interface BackendSnapshot {
  /** Stable for the life of the backend; never reused within a process. Live state is keyed by it. */
  readonly id: number;
  /** Normalised: scheme, host and port, no path, no trailing slash: `http://localhost:3001`. */
  readonly url: string;
  readonly tls: boolean;
  /** Host name or address literal, an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port` as a Host field would carry it: default ports left out, IPv6 in brackets. */
  readonly authority: string;
  readonly weight: number;
  /** Whether the balancer may pick it: enabled and healthy. Later flips come as `EligibilityMessage`. */
  readonly isEligible: boolean;
  /** This backend's shared counters: see counters.ts. The same buffer in every snapshot that holds this id. */
  readonly counters: SharedArrayBuffer;
}

export interface Timeouts {
  /** A whole request head, from its first byte (for the first request: from the accept). */
  readonly headMs: number;
  /** TCP connect and TLS handshake with a backend. */
  readonly connectMs: number;
  /** From the end of sending the request to the backend's response head. */
  readonly responseMs: number;
  /** Silence in the middle of a body, in either direction. */
  readonly idleMs: number;
  /** An idle client connection between two requests. */
  readonly keepAliveMs: number;
  /** An idle pooled connection to a backend. */
  readonly backendKeepAliveMs: number;
  /** Silence on an upgraded connection (WebSocket). */
  readonly tunnelMs: number;
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
}

export interface Forwarding {
  /** `client` keeps the Host field, `backend` sends the backend's authority, anything else is sent as it stands. */
  readonly hostHeader:
    | { readonly kind: 'client' | 'backend' }
    | { readonly kind: 'fixed'; readonly value: string };
  /** CIDR blocks (`10.0.0.0/8`, `::1/128`) whose forwarded fields are believed and extended. */
  readonly trustedProxies: readonly string[];
  /** Also send RFC 7239 Forwarded. */
  readonly sendForwarded: boolean;
}

export interface PoolSnapshot {
  readonly name: string;
  readonly strategy: StrategyName;
  /** In id order. Draining, disabled and unhealthy ones are here too, with `isEligible: false`. */
  readonly backends: readonly BackendSnapshot[];
  /** Open connections to one backend, all threads together; 0 means no limit. */
  readonly maxConnections: number;
}

export interface TlsMaterial {
  /** PEM text. */
  readonly cert: string;
  readonly key: string;
}

export interface ListenerSnapshot {
  /** Undefined: all addresses, IPv6 and IPv4. */
  readonly host: string | undefined;
  readonly port: number;
  readonly tls: TlsMaterial | undefined;
}

export interface Snapshot {
  /** Grows by one with every change that came from an operator; health flips do not count. */
  readonly generation: number;
  readonly listener: ListenerSnapshot;
  readonly pool: PoolSnapshot;
  readonly timeouts: Timeouts;
  readonly limits: Limits;
  readonly forwarding: Forwarding;
  readonly accessLog: { readonly isEnabled: boolean; readonly format: 'json' | 'combined' };
}
