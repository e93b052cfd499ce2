/**
 * The routes of a snapshot, made ready to be looked up: by the rules of snapshot/route.ts, without allocating anything, in a
 * time that depends on how many forms of paths there are, and hardly on how many routes.
 *
 * How specific a path is depends on its form alone: exact or prefix, how many segments, which of them have names. Of forms,
 * a site has few. So for a host, its forms are tried in order, each by one look-up in a hash table of all hosts: under the
 * host, the form, and those segments of the request's path that the form has texts for. There lie the routes with this path,
 * the one of most conditions first.
 */
import { looksAtPath, type PathMatch, type RouteMatch } from '../../snapshot/route.ts';
import { comparePaths, compareUnderHost, pathKey } from '../../snapshot/route-order.ts';
import type { Head } from '../wire/head.ts';
import { ANY_HOST, HostIndex, NO_HOST } from './host-index.ts';
import { hashSegment, Segments } from './segments.ts';
import { HeaderTest, QueryTest } from './text-test.ts';

/** `find`: no route is for this request. */
export const NO_ROUTE = -1;

export class RouteTable {
  /** Paths must be brought into their normal form before they are looked up and forwarded: see wire/path.ts. */
  readonly looksAtPaths: boolean;

  readonly #hosts: HostIndex;
  /** By the number of a host, in their order. */
  readonly #forms: readonly (readonly PathForm[])[];
  readonly #places: PlaceTable;
  /** By the index of a route; null: it has none. */
  readonly #conditions: readonly (Conditions | null)[];
  readonly #segments: Segments;

  private constructor(routes: readonly RouteMatch[]) {
    this.looksAtPaths = routes.some(looksAtPath);
    this.#hosts = new HostIndex(routes.flatMap(({ hosts }) => hosts));
    this.#conditions = routes.map(conditionsOf);
    this.#segments = new Segments(
      routes.reduce((most, { path }) => Math.max(most, path.segments.length), 0),
    );
    const { forms, places } = arrange(routes, this.#hosts);
    this.#forms = forms;
    this.#places = new PlaceTable(places);
  }

  static compile(routes: readonly { readonly match: RouteMatch }[]): RouteTable {
    return new RouteTable(routes.map(({ match }) => match));
  }

  /**
   * @param host as the request names it, see `RequestFacts.host`.
   * @param path in origin form with its query, or `*`; in normal form if `looksAtPaths`.
   * @returns the index of the route, or NO_ROUTE.
   */
  find(host: string | null, path: string, method: string, head: Head): number {
    const segments = this.#segments;
    segments.read(path);
    let number = this.#hosts.find(host);
    while (number !== NO_HOST) {
      const forms = this.#forms[number] as readonly PathForm[];
      for (let index = 0; index < forms.length; index++) {
        const form = forms[index] as PathForm;
        if (!form.fits(segments)) continue;
        const place = this.#places.find(number, form, segments, path);
        if (place === null) continue;
        const route = this.#firstThatHolds(place.routes, path, method, head);
        if (route !== NO_ROUTE) return route;
      }
      number = this.#hosts.wider(number);
    }
    return NO_ROUTE;
  }

  #firstThatHolds(routes: readonly number[], path: string, method: string, head: Head): number {
    for (let index = 0; index < routes.length; index++) {
      const route = routes[index] as number;
      const conditions = this.#conditions[route] as Conditions | null;
      if (conditions === null || conditions.hold(path, method, head)) return route;
    }
    return NO_ROUTE;
  }
}

class Conditions {
  readonly #methods: readonly string[];
  readonly #headers: readonly HeaderTest[];
  readonly #query: readonly QueryTest[];

  constructor({ methods, headers, query }: RouteMatch) {
    this.#methods = methods;
    this.#headers = headers.map((header) => new HeaderTest(header));
    this.#query = query.map((parameter) => new QueryTest(parameter));
  }

  hold(path: string, method: string, head: Head): boolean {
    if (this.#methods.length > 0 && !this.#methods.includes(method)) return false;
    for (let index = 0; index < this.#headers.length; index++) {
      if (!(this.#headers[index] as HeaderTest).holds(head)) return false;
    }
    for (let index = 0; index < this.#query.length; index++) {
      if (!(this.#query[index] as QueryTest).holds(path)) return false;
    }
    return true;
  }
}

function conditionsOf(match: RouteMatch): Conditions | null {
  const hasNone =
    match.methods.length === 0 && match.headers.length === 0 && match.query.length === 0;
  return hasNone ? null : new Conditions(match);
}

/** What paths have in common that are equally specific. */
class PathForm {
  readonly id: number;
  /** Which of its segments have texts, and which have names. */
  readonly texts: readonly number[];
  readonly names: readonly number[];
  readonly #isExact: boolean;
  readonly #count: number;

  constructor(id: number, { kind, segments }: PathMatch) {
    const indices = [...segments.keys()];
    this.id = id;
    this.texts = indices.filter((index) => segments[index]?.kind === 'text');
    this.names = indices.filter((index) => segments[index]?.kind === 'name');
    this.#isExact = kind === 'exact';
    this.#count = segments.length;
  }

  /** Whether a path has as many segments as it takes, and something for each name. */
  fits(segments: Segments): boolean {
    if (this.#isExact ? segments.count !== this.#count : segments.count < this.#count) return false;
    for (let index = 0; index < this.names.length; index++) {
      if (segments.isEmpty(this.names[index] as number)) return false;
    }
    return true;
  }
}

/** The routes with one path under one host. */
interface Place {
  readonly host: number;
  readonly form: PathForm;
  /** One for each of `form.texts`. */
  readonly texts: readonly string[];
  /** In the order in which they are tried. */
  readonly routes: readonly number[];
}

function arrange(routes: readonly RouteMatch[], hosts: HostIndex) {
  const forms = new Map<string, { form: PathForm; path: PathMatch }>();
  const places = new Map<string, Place & { readonly routes: number[] }>();
  const pathsByHost = Array.from({ length: hosts.count }, () => new Map<PathForm, PathMatch>());
  for (const [index, { hosts: names, path }] of routes.entries()) {
    const shape = `${path.kind} ${path.segments.map(({ kind }) => kind).join(' ')}`;
    const known = forms.get(shape) ?? { form: new PathForm(forms.size, path), path };
    forms.set(shape, known);
    const { form } = known;
    for (const host of names.length === 0
      ? [ANY_HOST]
      : names.map((name) => hosts.numberOf(name))) {
      pathsByHost[host]?.set(form, path);
      const key = `${host} ${pathKey(path)}`;
      const place = places.get(key) ?? { host, form, texts: textsOf(path), routes: [] };
      places.set(key, place);
      place.routes.push(index);
    }
  }
  for (const { routes: indices } of places.values()) {
    indices.sort(
      (a, b) => compareUnderHost(routes[a] as RouteMatch, routes[b] as RouteMatch) || a - b,
    );
  }
  return {
    forms: pathsByHost.map((paths) =>
      [...paths].toSorted(([, a], [, b]) => comparePaths(a, b)).map(([form]) => form),
    ),
    places: [...places.values()],
  };
}

function textsOf({ segments }: PathMatch): string[] {
  return segments.flatMap((segment) => (segment.kind === 'text' ? [segment.text] : []));
}

/** An open hash table that is at most half full, and never changes. */
class PlaceTable {
  readonly #places: readonly Place[];
  readonly #mask: number;
  /** Two cells a slot: the hash, and one more than the index of the place, 0 for none. */
  readonly #slots: Int32Array;

  constructor(places: readonly Place[]) {
    this.#places = places;
    const slots = 2 ** Math.ceil(Math.log2(2 * places.length + 1));
    this.#mask = slots - 1;
    this.#slots = new Int32Array(2 * slots);
    for (const [index, { host, form, texts }] of places.entries()) {
      let hash = beginHash(host, form);
      for (const text of texts) hash = addHash(hash, hashSegment(text));
      hash = endHash(hash);
      let slot = hash & this.#mask;
      while (this.#slots[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[2 * slot] = hash;
      this.#slots[2 * slot + 1] = index + 1;
    }
  }

  /** @param form one that fits the path. */
  find(host: number, form: PathForm, segments: Segments, path: string): Place | null {
    const { texts } = form;
    let hash = beginHash(host, form);
    for (let index = 0; index < texts.length; index++) {
      hash = addHash(hash, segments.hashes[texts[index] as number] as number);
    }
    hash = endHash(hash);
    const slots = this.#slots;
    let slot = hash & this.#mask;
    for (;;) {
      const entry = slots[2 * slot + 1] as number;
      if (entry === 0) return null;
      if (slots[2 * slot] === hash) {
        const place = this.#places[entry - 1] as Place;
        // Hashes are no secret: whoever may choose the path can find one that has the hash of another.
        if (place.host === host && place.form === form && hasTexts(place, segments, path)) {
          return place;
        }
      }
      slot = (slot + 1) & this.#mask;
    }
  }
}

function hasTexts({ form, texts }: Place, segments: Segments, path: string): boolean {
  for (let index = 0; index < texts.length; index++) {
    if (!segments.isText(form.texts[index] as number, path, texts[index] as string)) return false;
  }
  return true;
}

function beginHash(host: number, { id }: PathForm): number {
  return Math.imul(host, 0x9e37_79b1) ^ Math.imul(id + 1, 0x85eb_ca6b);
}

function addHash(hash: number, segment: number): number {
  return Math.imul(((hash << 13) | (hash >>> 19)) ^ segment, 0xcc9e_2d51);
}

function endHash(hash: number): number {
  return hash ^ (hash >>> 15);
}
