/**
 * Why routes are, or are not, for a request, in the order in which they are tried. The table of the data path says it: of
 * each route, a table is asked that holds nothing but its path, and its conditions are asked one by one.
 */
import type { RouteTrial } from '../../snapshot/explanation.ts';
import {
  type FieldMatch,
  MATCHES_ALL,
  type PathMatch,
  type RouteMatch,
  type RouteSnapshot,
} from '../../snapshot/route.ts';
import { compareUnderHost } from '../../snapshot/route-order.ts';
import { isSecretField } from '../../snapshot/secret-field.ts';
import { Conditions, HOLD, METHOD } from '../route/conditions.ts';
import { NO_ROUTE, RouteTable } from '../route/route-table.ts';
import type { Head } from '../wire/head.ts';
import type { RequestFacts } from '../wire/request.ts';

/** Each costs a thread some microseconds, and nobody reads more. */
const MOST_TRIALS = 100;

export interface Trials {
  readonly trials: readonly RouteTrial[];
  readonly leftOut: number;
}

/**
 * @param table of the routes.
 * @param facts their path as the router reads it.
 * @param winner the route that gets the request, by its name; it is among the trials, however many there are.
 */
export function tryRoutes(
  routes: readonly RouteSnapshot[],
  table: RouteTable,
  facts: RequestFacts,
  head: Head,
  isTrusted: boolean,
  winner: string | null,
): Trials {
  const byRank: RouteSnapshot[][] = [];
  const ofOtherHosts: RouteSnapshot[] = [];
  for (const route of inOrder(routes)) {
    const rank = table.hostRank(route.match, facts.host);
    if (rank === -1) ofOtherHosts.push(route);
    else (byRank[rank] ??= []).push(route);
  }
  const ordered = byRank.flat();
  const shown = ordered.slice(0, MOST_TRIALS);
  const found = ordered.find(({ name }) => name === winner);
  if (found !== undefined && !shown.includes(found)) shown[MOST_TRIALS - 1] = found;
  const trials = shown.map(({ name, match }) => ({
    route: name,
    why: whyNot(match, facts, head, isTrusted),
  }));
  for (const { name, match } of ofOtherHosts.slice(0, MOST_TRIALS - trials.length)) {
    trials.push({ route: name, why: `the host is not ${anyOf(match.hosts)}` });
  }
  return { trials, leftOut: routes.length - trials.length };
}

/** Of one host. To sort ten thousand takes a thread longer than all the rest, so it is done once. */
const SORTED = new WeakMap<readonly RouteSnapshot[], readonly RouteSnapshot[]>();

function inOrder(routes: readonly RouteSnapshot[]): readonly RouteSnapshot[] {
  const known = SORTED.get(routes);
  if (known !== undefined) return known;
  const sorted = routes.toSorted((a, b) => compareUnderHost(a.match, b.match));
  SORTED.set(routes, sorted);
  return sorted;
}

/** Of a route that is for the request's host; null: it matches. */
function whyNot(
  match: RouteMatch,
  facts: RequestFacts,
  head: Head,
  isTrusted: boolean,
): string | null {
  const { path, methods, headers, query } = match;
  const ofPath = RouteTable.compile([{ match: { ...MATCHES_ALL, path } }]);
  if (ofPath.find(facts, head, isTrusted) === NO_ROUTE) return `the path is not ${inWords(path)}`;
  const failing = new Conditions(match).firstThatFails(facts, head, isTrusted);
  if (failing === HOLD) return null;
  if (failing === METHOD) return `the method is not ${anyOf(methods)}`;
  const header = headers[failing];
  if (header !== undefined) return `the header field ${demanded(header)}`;
  return `the query parameter ${demanded(query[failing - headers.length] as FieldMatch)}`;
}

function anyOf(names: readonly string[]): string {
  const more = names.length > 5 ? ` or ${names.length - 5} others` : '';
  return names.slice(0, 5).map(clipped).join(' or ') + more;
}

function inWords({ kind, segments }: PathMatch): string {
  const text = segments
    .map((one) => `/${one.kind === 'text' ? one.text : `:${one.name}`}`)
    .join('');
  return kind === 'exact' ? clipped(text || '/') : `under ${clipped(text)}/`;
}

function demanded({ name, value }: FieldMatch): string {
  const what = clipped(name);
  if (value.kind === 'present') return `${what} is not there`;
  // Whoever may ask need not know what lets clients in.
  if (isSecretField(name)) return `${what} is not what the route wants, which is not shown`;
  if (value.kind === 'exact') return `${what} is not ${JSON.stringify(clipped(value.text))}`;
  const { prefix, suffix, contains } = value;
  const demands = [
    prefix === '' ? '' : `begin with ${JSON.stringify(clipped(prefix))}`,
    suffix === '' ? '' : `end with ${JSON.stringify(clipped(suffix))}`,
    contains === '' ? '' : `contain ${JSON.stringify(clipped(contains))}`,
  ];
  return `${what} does not ${demands.filter((demand) => demand !== '').join(' and ')}`;
}

function clipped(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
