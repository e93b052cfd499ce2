/** Routes compared: which one is tried first, and which one can never match because of others. The rules: route.ts. */
import type { FieldMatch, PathMatch, RouteMatch, TextMatch } from './route.ts';

/** Negative: a request that has the host of both is tried with `a` first. 0: the one that stands first in the config. */
export function compareUnderHost(a: RouteMatch, b: RouteMatch): number {
  return comparePaths(a.path, b.path) || countConditions(b) - countConditions(a);
}

/** 0 for paths of which one can't be more specific than the other. */
export function comparePaths(a: PathMatch, b: PathMatch): number {
  if (a.kind !== b.kind) return a.kind === 'exact' ? -1 : 1;
  if (a.segments.length !== b.segments.length) return b.segments.length - a.segments.length;
  for (const [index, segment] of a.segments.entries()) {
    const kind = b.segments[index]?.kind;
    if (segment.kind !== kind) return segment.kind === 'text' ? -1 : 1;
  }
  return 0;
}

function countConditions({ methods, headers, query }: RouteMatch): number {
  return (methods.length > 0 ? 1 : 0) + headers.length + query.length;
}

/** The same for two paths if and only if they match the same requests. */
export function pathKey({ kind, segments }: PathMatch): string {
  // No text of a segment has a slash or begins with the sign of a name.
  const parts = segments.map((segment) => (segment.kind === 'text' ? segment.text : '\0'));
  return `${kind}/${segments.length}/${parts.join('/')}`;
}

/** A route that no request gets to. */
export interface DeadRoute {
  /** Its place in the list. */
  readonly route: number;
  /** The places of those that take all of its requests, in their order. */
  readonly takenBy: readonly number[];
  /** The one route of `takenBy` is for the same requests, no more and no less: nobody means that. */
  readonly isSame: boolean;
}

/** Enough for a thousand routes under one host and path. It takes less than a second. */
const MOST_COMPARISONS = 1_000_000;

/**
 * The routes that can never match, in their order. Where there are so many for one host and path that it would take long to
 * compare them all, only what is found in a certain time: nobody wrote them by hand.
 *
 * Only a route for the same host and the same path can take another's requests for good: whatever is less specific comes
 * later, and whatever is more specific is for fewer requests. The requests of a route with several hosts or methods may be
 * taken by several.
 */
export function deadRoutes(routes: readonly RouteMatch[]): DeadRoute[] {
  const rivals = new Map<string, number[]>();
  for (const [index, route] of routes.entries()) {
    for (const key of keysOf(route)) {
      const indices = rivals.get(key);
      if (indices === undefined) rivals.set(key, [index]);
      else indices.push(index);
    }
  }
  const dead: DeadRoute[] = [];
  let comparisons = 0;
  const isOver = (): boolean => ++comparisons > MOST_COMPARISONS;
  for (const [index, route] of routes.entries()) {
    const takers = takersOf(index, route, (key) => rivals.get(key) ?? [], routes, isOver);
    if (takers === null) continue;
    const takenBy = [...takers].toSorted((a, b) => a - b);
    const isSame = takenBy.length === 1 && isSameMatch(route, routes[takenBy[0] as number]);
    dead.push({ route: index, takenBy, isSame });
  }
  return dead;
}

const ANY_HOST = [''];
const ANY_METHOD = [null];

/** Of the host and the path, one for each host. */
function keysOf({ hosts, path }: RouteMatch): string[] {
  const key = pathKey(path);
  return (hosts.length === 0 ? ANY_HOST : hosts).map((host) => `${host} ${key}`);
}

/** Routes that together take all requests of one, or null. */
function takersOf(
  index: number,
  route: RouteMatch,
  rivalsAt: (key: string) => readonly number[],
  routes: readonly RouteMatch[],
  isOver: () => boolean,
): Set<number> | null {
  const takers = new Set<number>();
  for (const key of keysOf(route)) {
    const rivals = rivalsAt(key);
    for (const method of route.methods.length === 0 ? ANY_METHOD : route.methods) {
      if (isOver()) return null;
      const taker = rivals.find((rival) => {
        if (isOver()) return false;
        const other = routes[rival] as RouteMatch;
        // Their paths are the same.
        const order = countConditions(route) - countConditions(other) || rival - index;
        return order < 0 && takes(other, route, method);
      });
      if (taker === undefined) return null;
      takers.add(taker);
    }
  }
  return takers;
}

/** Whether the conditions of `other` hold wherever those of `route` do. @param method null: of any. */
function takes(other: RouteMatch, route: RouteMatch, method: string | null): boolean {
  if (other.methods.length > 0 && (method === null || !other.methods.includes(method))) {
    return false;
  }
  return follow(other.headers, route.headers) && follow(other.query, route.query);
}

/** Whether all of `conclusions` follow from `premises`. */
function follow(conclusions: readonly FieldMatch[], premises: readonly FieldMatch[]): boolean {
  return conclusions.every(({ name, value }) =>
    premises.some((premise) => premise.name === name && follows(value, premise.value)),
  );
}

/** Whether every text that matches `premise` matches `conclusion`. */
function follows(conclusion: TextMatch, premise: TextMatch): boolean {
  if (conclusion.kind === 'present') return true;
  if (conclusion.kind === 'exact') {
    return premise.kind === 'exact' && premise.text === conclusion.text;
  }
  const parts = premise.kind === 'parts' ? premise : wholly(premise);
  return (
    parts.prefix.startsWith(conclusion.prefix) &&
    parts.suffix.endsWith(conclusion.suffix) &&
    [parts.prefix, parts.suffix, parts.contains].some((part) => part.includes(conclusion.contains))
  );
}

/** Known of a text as a whole: all of it, or nothing. */
function wholly(value: Exclude<TextMatch, { kind: 'parts' }>) {
  const text = value.kind === 'exact' ? value.text : '';
  return { prefix: text, suffix: text, contains: text };
}

/** Of two with the same path and a host in common. */
function isSameMatch(a: RouteMatch, b: RouteMatch | undefined): boolean {
  return (
    b !== undefined &&
    isSameSet(a.hosts, b.hosts) &&
    isSameSet(a.methods, b.methods) &&
    follow(a.headers, b.headers) &&
    follow(b.headers, a.headers) &&
    follow(a.query, b.query) &&
    follow(b.query, a.query)
  );
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text) => b.includes(text));
}
