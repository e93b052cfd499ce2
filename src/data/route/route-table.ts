/**
 * The routes of a snapshot, made ready to be looked up: by the rules of snapshot/route.ts, without allocating anything, in a
 * time that depends on how many forms of paths there are, and hardly on how many routes.
 *
 * How specific a path is depends on its form alone: exact or prefix, how many segments, which of them have names. Of forms,
 * a site has few. So for a host, its forms are tried in order, each by one look-up in a hash table of all hosts: under the
 * host, the form, and those segments of the request's path that the form has texts for. There lie the routes with this path,
 * the one of most conditions first.
 *
 * What is the same under many hosts (paths, sets of forms, conditions) is there once, so that it stays in the cache.
 */
import type { PathMatch, RouteMatch } from '../../snapshot/route.ts';
import { comparePaths, compareUnderHost, pathKey } from '../../snapshot/route-order.ts';
import type { Head } from '../wire/head.ts';
import { comparedPath } from '../wire/path.ts';
import type { RequestFacts } from '../wire/request.ts';
import { Conditions } from './conditions.ts';
import { ANY_HOST, BAD_HOST, HostIndex, NO_HOST } from './host-index.ts';
import { NO_PLACE, PathForm, type PlacePath, PlaceTable } from './place-table.ts';
import { Segments } from './segments.ts';

/** `find`: no route is for this request. */
export const NO_ROUTE = -1;

// What lies at a place: the index of a route without conditions, or if below this, how far below: where its list begins.
const LIST = -2;
// A list is of two cells a route: its index, and one more than that of its conditions, 0 for none.
const END_OF_LIST = -1;

export class RouteTable {
  readonly #hosts: HostIndex;
  /** By the number of a host, in their order. */
  readonly #forms: readonly (readonly PathForm[])[];
  readonly #places: PlaceTable;
  readonly #lists: Int32Array;
  readonly #conditions: readonly Conditions[];
  readonly #segments: Segments;

  private constructor(routes: readonly RouteMatch[]) {
    const parts = new Parts(routes);
    this.#hosts = parts.hosts;
    this.#forms = parts.forms();
    this.#places = new PlaceTable(parts.places());
    this.#lists = Int32Array.from(parts.lists);
    this.#conditions = parts.conditions;
    this.#segments = new Segments(
      routes.reduce((most, { path }) => Math.max(most, path.segments.length), 0),
    );
  }

  static compile(routes: readonly { readonly match: RouteMatch }[]): RouteTable {
    return new RouteTable(routes.map(({ match }) => match));
  }

  /**
   * @param facts their path in normal form (wire/path.ts) where a route looks at it.
   * @param isTrusted the sender is a trusted proxy.
   * @returns the index of the route, NO_ROUTE, or BAD_HOST where routes name hosts.
   */
  find(facts: RequestFacts, head: Head, isTrusted: boolean): number {
    const segments = this.#segments;
    let { path } = facts;
    segments.read(path);
    if (segments.hasTriplet) {
      path = comparedPath(path);
      segments.read(path);
    }
    let number = this.#hosts.find(facts.host);
    if (number === BAD_HOST) return BAD_HOST;
    while (number !== NO_HOST) {
      const forms = this.#forms[number] as readonly PathForm[];
      for (let index = 0; index < forms.length; index++) {
        const form = forms[index] as PathForm;
        if (!form.fits(segments)) continue;
        const content = this.#places.find(number, form, segments, path);
        if (content >= 0) return content;
        if (content === NO_PLACE) continue;
        const route = this.#firstThatHolds(LIST - content, facts, head, isTrusted);
        if (route !== NO_ROUTE) return route;
      }
      number = this.#hosts.wider(number);
    }
    return NO_ROUTE;
  }

  /** How far the host is that a route matches `host` by, from the most specific one that any has: 0; −1: it does not. */
  hostRank({ hosts }: RouteMatch, host: string | null): number {
    const index = this.#hosts;
    let rank = 0;
    for (let number = index.find(host); number >= 0; number = index.wider(number)) {
      const isOne =
        hosts.length === 0
          ? number === ANY_HOST
          : hosts.some((name) => index.numberOf(name) === number);
      if (isOne) return rank;
      rank++;
    }
    return -1;
  }

  #firstThatHolds(list: number, facts: RequestFacts, head: Head, isTrusted: boolean): number {
    const lists = this.#lists;
    for (let at = list; lists[at] !== END_OF_LIST; at += 2) {
      const number = lists[at + 1] as number;
      if (
        number === 0 ||
        (this.#conditions[number - 1] as Conditions).hold(facts, head, isTrusted)
      ) {
        return lists[at] as number;
      }
    }
    return NO_ROUTE;
  }
}

interface PathOfRoutes extends PlacePath {
  readonly match: PathMatch;
}

/** What a table is made of. */
class Parts {
  readonly hosts: HostIndex;
  readonly lists: number[] = [];
  readonly conditions: Conditions[] = [];

  readonly #routes: readonly RouteMatch[];
  readonly #forms = new Map<string, PathForm>();
  readonly #paths = new Map<string, PathOfRoutes>();
  readonly #conditionNumbers = new Map<string, number>();
  /** By the number of a host: the indices of the routes with a path. */
  readonly #indices: readonly Map<PathOfRoutes, number[]>[];

  constructor(routes: readonly RouteMatch[]) {
    this.#routes = routes;
    this.hosts = new HostIndex(routes.flatMap(({ hosts }) => hosts));
    this.#indices = Array.from({ length: this.hosts.count }, () => new Map());
    for (const [index, route] of routes.entries()) {
      const path = this.#pathOf(route.path);
      for (const host of this.#numbersOf(route)) {
        const byPath = this.#indices[host] as Map<PathOfRoutes, number[]>;
        const indices = byPath.get(path);
        if (indices === undefined) byPath.set(path, [index]);
        else indices.push(index);
      }
    }
  }

  forms(): (readonly PathForm[])[] {
    const known = new Map<string, readonly PathForm[]>();
    return this.#indices.map((byPath) => {
      const paths = [...byPath.keys()].toSorted((a, b) => comparePaths(a.match, b.match));
      const forms = [...new Set(paths.map(({ form }) => form))];
      return once(known, forms.map(({ seed }) => seed).join(' '), () => forms);
    });
  }

  places() {
    return this.#indices.flatMap((byPath, host) =>
      Array.from(byPath, ([path, indices]) => ({ host, path, content: this.#contentOf(indices) })),
    );
  }

  #contentOf(indices: readonly number[]): number {
    const routes = this.#routes;
    const sorted = indices.toSorted(
      (a, b) => compareUnderHost(routes[a] as RouteMatch, routes[b] as RouteMatch) || a - b,
    );
    const cells = sorted.flatMap((index) => [index, this.#numberOfConditions(index)]);
    if (cells[1] === 0) return cells[0] as number;
    const list = this.lists.length;
    this.lists.push(...cells, END_OF_LIST);
    return LIST - list;
  }

  #numbersOf({ hosts }: RouteMatch): number[] {
    if (hosts.length === 0) return [ANY_HOST];
    return hosts.map((host) => this.hosts.numberOf(host));
  }

  #pathOf(match: PathMatch): PathOfRoutes {
    return once(this.#paths, pathKey(match), () => {
      const form = `${match.kind} ${match.segments.map(({ kind }) => kind).join(' ')}`;
      return {
        match,
        form: once(this.#forms, form, () => new PathForm(this.#forms.size, match)),
        texts: match.segments.flatMap((one) => (one.kind === 'text' ? [one.text] : [])),
      };
    });
  }

  /** One more than the index of a route's conditions, 0 for none. */
  #numberOfConditions(index: number): number {
    const route = this.#routes[index] as RouteMatch;
    const { methods, headers, query } = route;
    if (methods.length + headers.length + query.length === 0) return 0;
    return once(this.#conditionNumbers, JSON.stringify([methods, headers, query]), () =>
      this.conditions.push(new Conditions(route)),
    );
  }
}

/** What a map holds under a key, made if it is not there. */
function once<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
