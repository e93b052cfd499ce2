/**
 * The contract between the planes: what would become of a request if it came now. A data thread says so, for only it knows; the
 * control plane asks (`ExplainMessage`), and says the rest of it in words.
 */
import type { ErrorCode } from '../errors.ts';
import type { PoolTimeouts, RateLimit, RequestKey, Retries } from './policies.ts';

/** A request that nobody has sent. All of it can stand in a head of HTTP/1.1: there are no line breaks in it. */
export interface Question {
  readonly method: string;
  /** In origin form with its query, or whatever stands in the place of that. */
  readonly target: string;
  readonly host: string;
  /** In Latin-1, in order, without Host. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** The address that its connection comes from. */
  readonly peerAddress: string;
  readonly scheme: 'http' | 'https';
}

export interface Refused {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** A route, and why it is not for the request. */
export interface RouteTrial {
  readonly route: string;
  /** Null: the request matches it. */
  readonly why: string | null;
}

/** How a strategy came to its pick. Ids are those of backends. */
export type Draw =
  /** Turns go round: it was this one of so many. */
  | { readonly by: 'turn'; readonly turn: number; readonly of: number }
  /** A further pick of a request takes no turn from others. */
  | { readonly by: 'further turn' }
  /** The first in the order that belongs to this hash of the key; not those that have too much to do already. */
  | { readonly by: 'hash'; readonly hash: number; readonly overflowed: readonly number[] }
  /** The least cost; of several with the least, one by chance. */
  | { readonly by: 'least'; readonly least: readonly number[] }
  /** The cheaper one of two that chance has drawn. */
  | { readonly by: 'two'; readonly drawn: readonly [number, number] };

/** Names of header fields. Their values may be secrets. */
export interface ExplainedFields {
  readonly sets: readonly string[];
  readonly adds: readonly string[];
  readonly removes: readonly string[];
}

export interface ExplainedCandidate {
  readonly id: number;
  /** `eligible`: it may get new clients; `keeper`: it keeps those it has; `spare`: for what all others have failed. */
  readonly role: 'eligible' | 'keeper' | 'spare' | 'none';
  /** What it counts for now. */
  readonly weight: number;
  readonly inFlight: number;
  readonly hasRoom: boolean;
  /** What the strategy compares; null where it does not compare. Infinity of one whose first answer is awaited. */
  readonly cost: number | null;
}

export interface ExplainedPick {
  readonly poolId: number;
  /** What the strategy hashes, if it does. */
  readonly key: {
    readonly by: RequestKey['by'];
    readonly name: string;
    readonly value: string;
  } | null;
  /** Null: the pool has no sessions. */
  readonly session: {
    /** Null: the request says none. */
    readonly key: string | null;
    /** Where it is; null: nowhere. */
    readonly backendId: number | null;
    /** With this request one begins, or moves. */
    readonly begins: boolean;
  } | null;
  /** One for each time that the strategy was asked. */
  readonly draws: readonly Draw[];
  readonly chosen: string;
  /** Those that were asked before, and have no room. */
  readonly full: readonly number[];
  readonly backendId: number | null;
  /** It waits in the pool's queue, and would get what is shown here. */
  readonly waits: boolean;
  /** Nobody gets it. */
  readonly unserved: Refused | null;
  readonly candidates: readonly ExplainedCandidate[];
}

export interface Explanation {
  readonly thread: number;
  /** Before a route was looked for. */
  readonly refused: Refused | null;
  /** What follows is null, or empty, where it was. */
  readonly request: {
    readonly clientAddress: string;
    /** As routes look at it. */
    readonly path: string;
    /** The peer is a trusted proxy. */
    readonly isTrusted: boolean;
  } | null;
  /** In the order in which routes are tried. */
  readonly trials: readonly RouteTrial[];
  readonly trialsLeftOut: number;
  readonly route: string | null;
  readonly part: string | null;
  /** What its route, or its pool’s limits, say in the place of a backend’s answer. */
  readonly refusedByRoute: Refused | null;
  /** A password is asked for, and not checked here. */
  readonly needsLogin: boolean;
  readonly answer: { readonly status: number; readonly location: string | null } | null;
  readonly forwards: {
    readonly target: string;
    /** What the route changes of the fields; null: nothing. */
    readonly request: ExplainedFields | null;
    readonly answer: ExplainedFields | null;
  } | null;
  readonly mirror: { readonly poolId: number; readonly isNext: boolean } | null;
  readonly policies: {
    readonly timeouts: PoolTimeouts;
    readonly retries: Retries;
    readonly bodyBytes: number;
    readonly rateLimit: RateLimit | null;
  } | null;
  readonly pick: ExplainedPick | null;
}
