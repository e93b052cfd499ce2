/**
 * The contract between the planes: which requests a route is for.
 *
 * **The order of routes.** The most specific route that matches gets a request, whatever the order they are written in.
 * What is compared, and only where all before it is equal:
 * 1. the host: a name before a wildcard, a wildcard of more labels before one of fewer, any host last;
 * 2. the path: an exact one before a prefix; then the one of more segments; then, from the left, a segment that is written
 *    out before one that has a name;
 * 3. the number of conditions: a list of methods is one, each header and each query parameter is one;
 * 4. the place in the config: the first.
 *
 * A route whose conditions do not hold is none for this request, and so the next one in that order is tried, down to those of
 * wider wildcards and of any host. route-order.ts compares by these rules, data/route/ finds by them.
 */

import type { RoutePolicies } from './policies.ts';
import { type Rewriting, rewritesByPath } from './rewriting.ts';
import type { Cors, ErrorPages, FixedAnswer, RouteAccess } from './route-answer.ts';
import { hasPath, type Template } from './template.ts';

/** Which texts a header field or query parameter may hold: one of several of the same name is enough. */
export type TextMatch =
  /** Any, also an empty one. */
  | { readonly kind: 'present' }
  | { readonly kind: 'exact'; readonly text: string }
  /** All of them; an empty text is no demand. */
  | {
      readonly kind: 'parts';
      readonly prefix: string;
      readonly suffix: string;
      readonly contains: string;
    };

export interface FieldMatch {
  /** Of a header field: in lower case. Of a query parameter: decoded. No two of a route are the same. */
  readonly name: string;
  /** Letter case counts. Of a header field: its bytes as Latin-1. Of a query parameter: decoded, Unicode. */
  readonly value: TextMatch;
}

/** A whole segment of a path: written out in normal form (route-path.ts), or any but an empty one, with a name. */
export type PathSegment =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'name'; readonly name: string };

/**
 * `exact`: the path has these segments and no others; an empty text at the end stands for a slash at the end.
 * `prefix`: it begins with them: `/v1` matches `/v1`, `/v1/` and `/v1/users`, but not `/v1x`. Without any segment it matches
 * every path, and the `*` of OPTIONS too.
 */
export interface PathMatch {
  readonly kind: 'exact' | 'prefix';
  readonly segments: readonly PathSegment[];
}

/** A request is matched when each of these matches. */
export interface RouteMatch {
  /**
   * One of them, or any host if there are none. In lower case, without port and trailing dot: a name, an address (IPv6 in
   * brackets), or `*.` and a name, for all names that have one label or more before it. No two are the same.
   */
  readonly hosts: readonly string[];
  readonly path: PathMatch;
  /** One of them, or any if there are none. Letter case counts (RFC 9110 §9.1), and GET does not stand for HEAD. */
  readonly methods: readonly string[];
  /** All of them. */
  readonly headers: readonly FieldMatch[];
  /** All of them. */
  readonly query: readonly FieldMatch[];
}

/** What is done with the requests of a route. */
export type RouteAction =
  /** They go to this pool, which is in the same snapshot. */
  | { readonly kind: 'pool'; readonly poolId: number }
  /** They go to one of these. Not all weights are 0, and no two names are the same. */
  | { readonly kind: 'split'; readonly parts: readonly RoutePart[] }
  /** They get this. */
  | { readonly kind: 'answer'; readonly answer: FixedAnswer }
  /** They are sent to another URL. */
  | { readonly kind: 'redirect'; readonly status: number; readonly to: Template }
  /** They get an error, 503. */
  | { readonly kind: 'maintenance'; readonly retryAfterSeconds: number };

export interface RoutePart {
  readonly poolId: number;
  readonly weight: number;
  readonly name: string;
}

/** A route, and what is done with its requests. */
export interface RouteSnapshot {
  /** For the log: its path in the config, `routes.0`; `default` for the one that needs not be written. */
  readonly name: string;
  /** See route-counters.ts; those of several routes may be the same. */
  readonly counters: SharedArrayBuffer;
  readonly match: RouteMatch;
  readonly action: RouteAction;
  /** What is changed on the way; null: nothing. */
  readonly rewriting: Rewriting | null;
  /** Null: everybody may ask. */
  readonly access: RouteAccess | null;
  /** Null: nothing is said of other origins. */
  readonly cors: Cors | null;
  /** Null: those of the snapshot. */
  readonly errorPages: ErrorPages | null;
  /** Those of its own; null: as its pool has them. */
  readonly policies: RoutePolicies | null;
  /** So many of its requests in percent go to this pool, too; null: to none. */
  readonly mirror: { readonly poolId: number; readonly percent: number } | null;
}

/** Every request is. */
export const MATCHES_ALL: RouteMatch = {
  hosts: [],
  path: { kind: 'prefix', segments: [] },
  methods: [],
  headers: [],
  query: [],
};

export function matchesAll(match: RouteMatch): boolean {
  const { hosts, methods, headers, query } = match;
  const conditions = hosts.length + methods.length + headers.length + query.length;
  return conditions === 0 && !looksAtPath(match);
}

/** Whether it depends on the path who is matched. Where no route does, paths are nobody's business. */
export function looksAtPath({ path }: RouteMatch): boolean {
  return path.kind === 'exact' || path.segments.length > 0;
}

/** Whether the path of a request has to be in its normal form: for who matches it, or for what is made of it. */
export function readsPath({
  match,
  action,
  rewriting,
}: {
  readonly match: RouteMatch;
  readonly action: { readonly kind: string; readonly to?: Template };
  readonly rewriting: Rewriting | null;
}): boolean {
  const isRedirectedByPath = action.to !== undefined && hasPath(action.to);
  const isRewrittenByPath = rewriting !== null && rewritesByPath(rewriting);
  return looksAtPath(match) || isRedirectedByPath || isRewrittenByPath;
}
