/**
 * Redirects that lead back to their own route. What a redirect makes of a request is followed for one request, or two, of each
 * host of a route, as a client would; where that depends on what only the request knows, nothing is said.
 */
import type { PathMatch, RouteMatch } from '../../snapshot/route.ts';
import { compareUnderHost } from '../../snapshot/route-order.ts';
import { readRoutePath } from '../../snapshot/route-path.ts';
import { type Template, targetPartsOf, type Variable } from '../../snapshot/template.ts';
import type { RouteSettings } from '../settings.ts';

interface RedirectLoop {
  /** Its place in the list. */
  readonly route: number;
  /** A path that is asked for, and the last one that its clients are sent to. */
  readonly from: string;
  readonly to: string;
}

interface Asked {
  readonly host: string;
  /** Its segments, as in an exact path. */
  readonly segments: readonly string[];
}

/** Who comes back so often never gets away. */
const MOST_STEPS = 4;
/** There are 10,000 routes at most, and nobody reads so many notes. */
const MOST_COMPARISONS = 1_000_000;
const ANY_HOST = '';
const A_SEGMENT = 'x';

/** @param hasTls clients come by TLS, too: else whether `https` leads back is not known. */
export function redirectLoops(
  routes: readonly Pick<RouteSettings, 'match' | 'action' | 'maintenance'>[],
  hasTls: boolean,
): RedirectLoop[] {
  const loops: RedirectLoop[] = [];
  const others = new Others(routes.map(({ match }) => match));
  for (const [route, { match, action, maintenance }] of routes.entries()) {
    if (action.kind !== 'redirect' || maintenance !== null) continue;
    if (!isSentBack(match, action.to, hasTls)) continue;
    const loop = samplesOf(match)
      .map((asked) => follow(asked, action.to, route, others))
      .find((found) => found !== null);
    if (loop !== undefined) loops.push({ route, ...loop });
  }
  return loops;
}

/** Whether what else it demands of a request holds of the next one as well. A field may be another by then: a cookie, the scheme. */
function isSentBack(
  { methods, headers, query }: RouteMatch,
  to: Template,
  hasTls: boolean,
): boolean {
  const [first] = to;
  const scheme =
    typeof first === 'string' ? /^https?(?=:)/i.exec(first)?.[0].toLowerCase() : undefined;
  if (scheme === 'http' || (scheme === 'https' && !hasTls)) return false;
  if (headers.length > 0 || (query.length > 0 && targetPartsOf(to).query !== null)) return false;
  return methods.length === 0 || methods.includes('GET');
}

function samplesOf({ hosts, path }: RouteMatch): Asked[] {
  const segments = path.segments.map((one) => (one.kind === 'text' ? one.text : A_SEGMENT));
  const paths = path.kind === 'exact' ? [segments] : [segments, [...segments, A_SEGMENT]];
  const names =
    hosts.length === 0 ? [ANY_HOST] : hosts.map((host) => host.replace(/^\*/, A_SEGMENT));
  return names.flatMap((host) => paths.map((one) => ({ host, segments: one })));
}

function follow(
  first: Asked,
  to: Template,
  route: number,
  others: Others,
): Omit<RedirectLoop, 'route'> | null {
  let asked = first;
  for (let step = 0; step < MOST_STEPS; step++) {
    const next = nextOf(asked, to);
    if (next === null || !others.leaveTo(route, next)) return null;
    asked = next;
  }
  return { from: pathText(first), to: pathText(asked) };
}

function pathText({ host, segments }: Asked): string {
  return `${host}/${segments.join('/')}`;
}

/** What a client asks for that is sent there. Null: it depends on more than host and path. */
function nextOf(asked: Asked, to: Template): Asked | null {
  const { origin, path } = targetPartsOf(to);
  const host = hostOf(asked, origin);
  const text = textOf(asked, path.length === 0 ? ['/'] : path);
  if (host === null || text === null) return null;
  const read = readRoutePath(`=${text}`);
  if (typeof read === 'string') return null;
  return {
    host,
    segments: read.segments.map((one) => (one.kind === 'text' ? one.text : A_SEGMENT)),
  };
}

/** Of another port it is not known who listens there. */
function hostOf({ host }: Asked, origin: Template): string | null {
  if (origin.length === 0) return host;
  const text = origin.map((part) => (typeof part === 'string' ? part : `(${part.of})`)).join('');
  const name = text.slice(text.indexOf('://') + 3).toLowerCase();
  if (name === '(host)') return host;
  // A route for any host says nothing of who serves this one.
  return host === ANY_HOST || !/^[a-z0-9.-]+$/.test(name) ? null : name;
}

function textOf(asked: Asked, path: Template): string | null {
  let text = '';
  for (const part of path) {
    const value = typeof part === 'string' ? part : valueOf(asked, part);
    if (value === null) return null;
    text += value;
  }
  // As requests are read: see the data plane's wire/path.ts.
  return text.replaceAll(/\/{2,}/g, '/');
}

function valueOf({ segments }: Asked, variable: Variable): string | null {
  if (variable.of === 'path') return `/${segments.join('/')}`;
  if (variable.of === 'path.rest') return segments.slice(variable.segments).join('/');
  if (variable.of === 'path.segment') return segments[variable.index] ?? '';
  return null;
}

class Others {
  readonly #matches: readonly RouteMatch[];
  #comparisons = 0;

  constructor(matches: readonly RouteMatch[]) {
    this.#matches = matches;
  }

  /** No other route can take this one away from it, whatever else is said of it. */
  leaveTo(route: number, asked: Asked): boolean {
    const own = this.#matches[route] as RouteMatch;
    const rank = rankOf(asked, own);
    if (rank === null) return false;
    this.#comparisons += this.#matches.length;
    if (this.#comparisons > MOST_COMPARISONS) return false;
    return this.#matches.every((other, index) => {
      const otherRank = index === route ? null : rankOf(asked, other);
      if (otherRank === null || otherRank < rank) return true;
      return otherRank === rank && (compareUnderHost(own, other) || route - index) < 0;
    });
  }
}

/** How exactly it names this host; null: the request is none of its. */
function rankOf({ host, segments }: Asked, { hosts, path }: RouteMatch): number | null {
  if (!matchesPath(path, segments)) return null;
  if (hosts.length === 0) return 0;
  const ranks = hosts.flatMap((one) => {
    if (one === host) return [Number.POSITIVE_INFINITY];
    return one.startsWith('*.') && host.endsWith(one.slice(1)) ? [one.length] : [];
  });
  return ranks.length === 0 ? null : Math.max(...ranks);
}

function matchesPath({ kind, segments: wanted }: PathMatch, segments: readonly string[]): boolean {
  if (kind === 'exact' && wanted.length !== segments.length) return false;
  return wanted.every((one, index) => {
    const segment = segments[index];
    return one.kind === 'text' ? one.text === segment : segment !== undefined && segment !== '';
  });
}
