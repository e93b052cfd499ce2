/**
 * The contract between the planes: the policies of one exchange, which a pool has and a route may have for its own requests.
 */

/** The part of a request that a policy goes by. A request that lacks it is taken by its client's address. */
export interface RequestKey {
  readonly by: 'ip' | 'header' | 'cookie' | 'query' | 'path';
  /** Of the header field (lower case), the cookie or the query parameter; empty for `ip` and `path`. */
  readonly name: string;
}

export interface Retries {
  /** Attempts of one exchange, the first included; 1: no retries. */
  readonly attempts: number;
  /** Time to the response head of one attempt; 0: only `timeouts.responseMs` counts. */
  readonly perTryTimeoutMs: number;
  /** Answers with these statuses are tried again, where the method allows it. */
  readonly onStatus: readonly number[];
  /** Calls of gRPC that end with these statuses before anything else has come are tried again. */
  readonly onGrpcStatus: readonly number[];
  /** Retries as a percentage of the requests, beside a small reserve. */
  readonly budgetPercent: number;
  /** The most that is kept of a request's body for another attempt. */
  readonly replayBufferBytes: number;
  /** The pause before the second retry is at most this, twice as long before each further one. */
  readonly backoffMs: number;
  /** A second attempt starts beside the first when no response head came for so long; 0: never. */
  readonly hedgeAfterMs: number;
  /** Methods that are not idempotent are tried again after they were sent, too. */
  readonly nonIdempotent: boolean;
}

export interface RateLimit {
  readonly key: RequestKey;
  /** `rate` requests per `perMs`, evenly spread, and `burst` at once. */
  readonly rate: number;
  readonly perMs: number;
  readonly burst: number;
  /** Who keeps to it. Undefined: each instance by itself; `shared`: each to its part of it; `global`: all together (counter-engine.ts). */
  readonly scope?: 'shared' | 'global';
  /** Of a global one, what holds where it can't be counted together: `local`: each keeps to its part; `open`: none; `closed`: nobody may come. */
  readonly onEngineDown?: 'local' | 'open' | 'closed';
}

/** Of the exchanges of a pool. */
export interface PoolTimeouts {
  /** TCP connect and TLS handshake with a backend. */
  readonly connectMs: number;
  /** From the end of sending the request to the backend's response head. */
  readonly responseMs: number;
  /** Silence in the middle of a body, in either direction. */
  readonly idleMs: number;
  /** An idle pooled connection to a backend. */
  readonly backendKeepAliveMs: number;
  /** A pooled connection to a backend, since it was opened; 0 means no limit. */
  readonly backendMaxAgeMs: number;
  /** Silence of an HTTP/2 connection to a backend on which a request waits, before a PING, and then again; 0: for ever. */
  readonly backendPingMs: number;
  /** Silence on an upgraded connection (WebSocket). */
  readonly tunnelMs: number;
  /** A whole exchange, retries and waiting included; 0 means no limit. */
  readonly totalMs: number;
}

/**
 * What the requests of a route go by in place of what its pool says: only what is there. Durations that are 0 mean the same as
 * in the pool.
 */
export interface RoutePolicies {
  readonly timeouts: Partial<PoolTimeouts>;
  readonly retries: Partial<Retries>;
  /** See `Limits`. */
  readonly bodyBytes?: number;
  /** Null: there is none. It is counted for the route, whatever pool its requests go to. */
  readonly rateLimit?: RateLimit | null;
}
