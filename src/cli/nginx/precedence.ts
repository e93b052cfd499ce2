/**
 * Which location nginx takes where several match: `=`, then the longest prefix if it is `^~`, then the first regular expression, then the
 * longest prefix. Here the more exact path is taken, whatever it was made of.
 */
import type { LocationPath } from './location-path.ts';
import type { Directive } from './nginx-syntax.ts';
import type { Report } from './report.ts';

interface Placed {
  readonly directive: Directive;
  readonly where: LocationPath;
  /** In no other location: whether it is asked depends on none. */
  readonly isTop: boolean;
}

const ORDER: readonly LocationPath['kind'][] = ['=', '^~', '~', ''];

/** The same for two paths of routes for the same requests: a slash at the end of a prefix means nothing. */
export function pathKey(path: string): string {
  return path.startsWith('=') ? path : path.replace(/\/$/, '');
}

/** @returns each path once, in their order; where requests get elsewhere than in nginx, that is reported. */
export function asNginxPrefers<T extends Placed>(places: readonly T[], report: Report): T[] {
  const paths = new Set(places.map(({ where }) => where.path));
  const apart = places.map((place) => besideSlash(place, paths));
  const kept = apart.filter((place, index) => {
    const isFirst = apart.every((other, at) => {
      if (pathKey(other.where.path) !== pathKey(place.where.path)) return true;
      const rank = ORDER.indexOf(other.where.kind) - ORDER.indexOf(place.where.kind);
      return rank > 0 || (rank === 0 && at >= index);
    });
    if (!isFirst) report.leftOut(place.directive, 'another block is for the same host and path');
    return isFirst;
  });
  return kept.filter((place) => isReached(place, kept, report));
}

/** `/x` beside `/x/`: all that is left to it of what a route can say is `/x` itself. */
function besideSlash<T extends Placed>(place: T, paths: ReadonlySet<string>): T {
  const { where } = place;
  if (where.isExact || where.path.endsWith('/') || !paths.has(`${where.path}/`)) return place;
  return { ...place, where: { ...where, path: `=${where.path}`, isExact: true } };
}

/** What nginx prefers to it, and here would not be: it takes all of its requests, or it is told of. */
function isReached(place: Placed, all: readonly Placed[], report: Report): boolean {
  const isBefore = (other: Placed): boolean => all.indexOf(other) < all.indexOf(place);
  for (const rival of all) {
    if (!isPreferred(rival, place, isBefore(rival)) || !isTakenBefore(place, rival)) continue;
    const { args, line } = rival.directive;
    const which = `location ${args.join(' ')} (line ${line})`;
    // A longer prefix without it takes away the power of ^~.
    const isWeak =
      rival.where.kind === '^~' &&
      all.some((one) => one.where.kind === '' && isTakenBefore(one, rival));
    if (rival.isTop && place.isTop && !isWeak) {
      report.leftOut(place.directive, `nginx takes ${which} for all of its requests`);
      return false;
    }
    const why = `nginx may take ${which} for its requests, here the more exact path comes first`;
    report.differs(place.directive, why);
  }
  return true;
}

/** By nginx, of requests for both. Among prefixes the longer one is, as here. */
function isPreferred({ where: a }: Placed, { where: b }: Placed, isBefore: boolean): boolean {
  if (b.kind === '~') return a.kind === '^~' || (a.kind === '~' && isBefore);
  return a.kind === '~' && b.kind === '';
}

/** Here, of requests for both. */
function isTakenBefore({ where: a }: Placed, { where: b }: Placed): boolean {
  if (b.isExact) return false;
  const [one, other] = [pathKey(a.path.replace(/^=/, '')), pathKey(b.path)];
  return one.startsWith(`${other}/`) || (a.isExact && one === other && !b.path.endsWith('/'));
}
