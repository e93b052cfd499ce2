/** The routes of a configuration: to pools that exist, none of them twice, and what is said of those that can never match. */
import { isSpanField } from '../../snapshot/rewriting.ts';
import { looksAtPath, MATCHES_ALL, readsPath } from '../../snapshot/route.ts';
import { type DeadRoute, deadRoutes } from '../../snapshot/route-order.ts';
import { hasRoute } from '../effective/effective-route.ts';
import { poolsBehind, poolsOf } from '../effective/effective-route-action.ts';
import type { MergedConfig } from '../merge.ts';
import { formatPlace, type Problem } from '../problem.ts';
import { formatPath } from '../read/layer.ts';
import {
  DEFAULT_POOL,
  type PoolSettings,
  type RouteActionSettings,
  type RouteSettings,
  type Settings,
} from '../settings.ts';
import { didYouMean } from '../values/nearest.ts';
import { pathOf } from '../values/path-text.ts';
import { compileCors } from './compile-cors.ts';
import { compileRewriting } from './compile-rewriting.ts';
import { compileRouteAction } from './compile-route-action.ts';
import { compileRoutePolicies } from './compile-route-policies.ts';
import { checkSplit } from './compile-split.ts';
import type { ErrorPageReader } from './error-pages.ts';
import { notesOnIdleKeys } from './keys-of-default.ts';
import type { Report } from './policy-report.ts';
import { redirectLoops } from './redirect-loops.ts';

/** The one that needs not be written. */
const ROUTE_OF_DEFAULT: RouteSettings = {
  name: DEFAULT_POOL,
  match: MATCHES_ALL,
  action: { kind: 'pool', pool: DEFAULT_POOL },
  maintenance: null,
  access: null,
  cors: null,
  errorPages: [],
  rewriting: null,
  policies: null,
  mirror: null,
};

export function compileRoutes(
  merged: MergedConfig,
  pools: Settings['pools'],
  problems: Problem[],
  notes: string[],
  pages: ErrorPageReader,
): Pick<Settings, 'routes' | 'routedPools'> {
  const { config, isSound, isGiven } = merged;
  const known = new Map(pools.map((one) => [one.name, one]));
  const routes = config.routes.map((route, index): RouteSettings => {
    const { host: hosts = [], path, method: methods = [], headers, query } = route;
    const match = { hosts, path, methods, headers, query };
    const done = compileRouteAction(route, index, merged, pages, problems);
    const goesOn = poolsBehind(done.action).length > 0;
    const rewriting = compileRewriting(route, goesOn, (keys, { message, hint }) => {
      const at = ['routes', index, ...keys];
      problems.push({
        ...merged.placeOf(at),
        path: formatPath(at),
        message,
        ...(hint !== undefined && { hint }),
      });
    });
    const { action } = done;
    const report = reportOn(merged, index, problems, notes);
    if (config.tracing !== false) noteOnSpans(rewriting, report);
    if (action.kind === 'split') checkSplit(action.parts, route.split ?? [], known, report);
    const reached = poolsBehind(action).flatMap((name) => known.get(name) ?? []);
    const policies = compileRoutePolicies(merged, route, index, reached, report);
    const mirror = mirrorOf(route, action, report);
    const cors = compileCors(route, report);
    return { name: `routes.${index}`, match, ...done, cors, rewriting, policies, mirror };
  });
  if (
    routes.length === 0 ||
    isGiven(['backends']) ||
    config.discover !== false ||
    isGiven(['pools', DEFAULT_POOL])
  ) {
    routes.push(ROUTE_OF_DEFAULT);
  }
  if (!isSound('routes')) return { routes, routedPools: [] };
  problems.push(...unknownPools(merged, pools));
  const dead = deadRoutes(routes.map(({ match }) => match));
  const living = poolsOfLiving(routes, dead);
  const idle: string[] = [];
  for (const one of dead) {
    const isWritten = one.route < config.routes.length;
    if (isWritten && one.isSame) problems.push(writtenTwice(merged, one));
    else if (isWritten) idle.push(neverMatches(merged, one));
    // Where another route leads there, nobody misses that one.
    else if (!living.includes(DEFAULT_POOL)) idle.push(defaultIsIdle(merged, one));
  }
  notes.push(...notesOnPaths(merged, pools, routes), ...notesOnTrust(merged, routes));
  notes.push(...firstOf(notesOnStars(merged, routes), 'routes have a "*" in their path'));
  notes.push(...firstOf(notesOnLoops(merged, routes), 'routes redirect to themselves'));
  notes.push(...firstOf(idle, 'routes never get a request'), ...notesOnUse(merged, pools, routes));
  // Where one does that can never match, that is told, with the reason.
  if (!hasRoute({ routes }, DEFAULT_POOL)) {
    notes.push(...firstOf(notesOnIdleKeys(merged, pools[0]), 'keys have no effect'));
  }
  return { routes, routedPools: living };
}

function noteOnSpans(rewriting: RouteSettings['rewriting'], { note }: Report): void {
  const { set = [], add = [] } = rewriting?.requestFields ?? {};
  for (const { name } of [...set, ...add].filter((field) => isSpanField(field.name))) {
    note(
      `request_headers: ${name} has no effect: with tracing, backends are told of our spans in it`,
    );
  }
}

function mirrorOf(
  { mirror }: MergedConfig['config']['routes'][number],
  action: RouteActionSettings,
  report: Report,
): RouteSettings['mirror'] {
  if (mirror === undefined) return null;
  const behind = poolsBehind(action);
  if (behind.length === 0)
    report.problem(['mirror'], 'needs a pool or split: nothing else is mirrored');
  if (behind.includes(mirror.pool)) {
    report.problem(['mirror', 'pool'], `${mirror.pool} gets the requests themselves`);
  }
  return mirror;
}

/** What is said of one route: paths are those below it. */
function reportOn(
  { placeOf }: MergedConfig,
  index: number,
  problems: Problem[],
  notes: string[],
): Report {
  return {
    problem: (path, message, at = path) =>
      problems.push({
        ...placeOf(['routes', index, ...at], at === path ? 'value' : 'key'),
        path: ['routes', index, ...path].join('.'),
        message,
      }),
    note: (text) => notes.push(`routes.${index}: ${text}`),
  };
}

function poolsOfLiving(
  routes: readonly RouteSettings[],
  dead: readonly DeadRoute[],
): readonly string[] {
  const deadOnes = new Set(dead.map(({ route }) => route));
  const living = routes.filter((_, index) => !deadOnes.has(index));
  return [...new Set(living.flatMap(poolsOf))];
}

/** More of them nobody reads. */
const MOST_NOTES = 20;

function firstOf(notes: readonly string[], what: string): readonly string[] {
  if (notes.length <= MOST_NOTES) return notes;
  return [...notes.slice(0, MOST_NOTES), `${notes.length - MOST_NOTES} more ${what}`];
}

function notesOnPaths(
  { config, placeOf }: MergedConfig,
  pools: readonly PoolSettings[],
  routes: readonly RouteSettings[],
): readonly string[] {
  const haveBasePaths = pools.some(
    ({ backends, discovery }) =>
      (discovery !== null && discovery.basePath !== '') ||
      backends.some(({ basePath }) => basePath !== ''),
  );
  if (haveBasePaths || routes.some(readsPath)) {
    const passed = routes.flatMap(({ match }, index) => {
      const segments = match.path.segments.map((one) => (one.kind === 'text' ? one.text : ''));
      if (!segments.some((text) => /;|%3B/.test(text))) return [];
      return `${listed(placeOf, [index])} has ";" in its path: "%3B" is another path, but not to every backend`;
    });
    return [
      ...firstOf(passed, 'routes have ";" in their paths'),
      ...notesOnSlashes(config.merge_slashes, placeOf, routes),
    ];
  }
  const idle = [
    ...(config.encoded_slashes === 'reject' ? [] : ['encoded_slashes']),
    ...(config.merge_slashes ? [] : ['merge_slashes']),
  ];
  return idle.map(
    (key) =>
      `${key} has no effect: no route looks at paths, and no backend has one, so they are forwarded as they are`,
  );
}

/** Most backends merge what is not merged here. */
function notesOnSlashes(
  areMerged: boolean,
  placeOf: MergedConfig['placeOf'],
  routes: readonly RouteSettings[],
): readonly string[] {
  const guarded = routes.findIndex(({ match, access }) => access !== null && looksAtPath(match));
  if (areMerged || guarded === -1) return [];
  const where = formatPlace(placeOf(['merge_slashes'], 'key'));
  const path = pathOf({ ...(routes[guarded] as RouteSettings).match.path, kind: 'prefix' });
  return [
    `merge_slashes (${where}) lets /${path} pass ${listed(placeOf, [guarded])} by, and whom that keeps out: to most backends it is ${path} all the same`,
  ];
}

/** What a proxy says of its client: see the data plane's wire/fields.ts. */
const FORWARDED = /^(x-forwarded-.*|x-real-ip|forwarded)$/;

function notesOnTrust(
  { config, placeOf }: MergedConfig,
  routes: readonly RouteSettings[],
): readonly string[] {
  if (config.trusted_proxies.length > 0) return [];
  const vain = routes.flatMap(({ match }, index) => {
    const field = match.headers.find(({ name }) => FORWARDED.test(name));
    if (field === undefined) return [];
    return `${listed(placeOf, [index])} never gets a request: ${field.name} counts from trusted_proxies only, and there are none`;
  });
  return firstOf(vain, 'routes go by what only trusted_proxies may say');
}

/** Of a scheme that only TLS has, nothing is known but where clients come by it. */
function notesOnLoops(
  { config: { listeners = [], ssl }, placeOf }: MergedConfig,
  routes: readonly RouteSettings[],
): string[] {
  const hasTls = ssl.enabled || listeners.some(({ tls }) => tls !== undefined);
  return redirectLoops(routes, hasTls).map(
    ({ route, from, to }) =>
      `${listed(placeOf, [route])} redirects to itself: who asks for ${from} is sent to ${to}, again and again`,
  );
}

/** In other programs' configs it stands for anything. */
function notesOnStars({ placeOf }: MergedConfig, routes: readonly RouteSettings[]): string[] {
  return routes.flatMap(({ match: { path } }, index) => {
    if (!path.segments.some((one) => one.kind === 'text' && one.text.includes('*'))) return [];
    const before = /^([^*]*?)\/?\*+$/.exec(pathOf({ ...path, kind: 'prefix' }))?.[1];
    const hint =
      before === undefined
        ? 'for any one segment, write a name: /:name'
        : `a path is a prefix: write ${before}/`;
    const where = listed(placeOf, [index]);
    return `${where} has a "*" in its path, a character like any other there (${hint})`;
  });
}

function unknownPools(
  { config, placeOf, isSoundAt }: MergedConfig,
  pools: readonly PoolSettings[],
): Problem[] {
  const known = new Set(pools.map(({ name }) => name));
  const named = config.routes.flatMap(({ pool, split = [], mirror }, index) => [
    { at: ['routes', index, 'pool'], pool },
    { at: ['routes', index, 'mirror', 'pool'], pool: mirror?.pool },
    ...split.map((part, at) => ({ at: ['routes', index, 'split', at, 'pool'], pool: part.pool })),
  ]);
  return named.flatMap(({ at, pool }) => {
    // Of one that could not be read it was told already.
    if (pool === undefined || known.has(pool) || !isSoundAt(['pools', pool])) return [];
    return {
      ...placeOf(at),
      path: at.join('.'),
      message: `there is no pool ${JSON.stringify(pool)}`,
      ...didYouMean(pool, known),
    };
  });
}

function writtenTwice({ placeOf }: MergedConfig, { route, takenBy }: DeadRoute): Problem {
  return {
    ...placeOf(['routes', route]),
    path: `routes.${route}`,
    message: `is for the same requests as ${listed(placeOf, takenBy)}`,
  };
}

function neverMatches({ placeOf }: MergedConfig, { route, takenBy }: DeadRoute): string {
  const take = takenBy.length === 1 ? 'takes' : 'take';
  return `${listed(placeOf, [route])} never gets a request: ${listed(placeOf, takenBy)} ${take} them all`;
}

function defaultIsIdle({ placeOf }: MergedConfig, { takenBy }: DeadRoute): string {
  return `the pool default gets no request by itself: ${listed(placeOf, takenBy)} takes those that no other route is for`;
}

/** `routes.0 (c.yaml:3) and routes.1 (c.yaml:5)` */
function listed(placeOf: MergedConfig['placeOf'], routes: readonly number[]): string {
  return routes
    .map((route) => `routes.${route} (${formatPlace(placeOf(['routes', route]))})`)
    .join(' and ');
}

function notesOnUse(
  { placeOf, isGiven }: MergedConfig,
  pools: readonly PoolSettings[],
  routes: readonly RouteSettings[],
): string[] {
  const used = new Set(routes.flatMap(poolsOf));
  const hasAny = pools.some(({ backends }) => backends.length > 0);
  const unused = pools.filter(({ name }) => name !== DEFAULT_POOL && !used.has(name));
  const empty = pools.flatMap(({ name, backends }) => {
    if (!used.has(name)) return [];
    // Where no pool has any, that is told of all of them; and a list that is written may be meant to be empty.
    const isMeant = isGiven(name === DEFAULT_POOL ? ['backends'] : ['pools', name, 'backends']);
    if (backends.length > 0 || !hasAny || isMeant) return [];
    return `the pool ${name} has no backends: its requests are answered 503`;
  });
  const idle = unused.map(({ name }) => {
    const where = formatPlace(placeOf(['pools', name], 'key'));
    return `pools.${name} (${where}) is used by no route`;
  });
  return [
    ...firstOf(idle, 'pools are used by no route'),
    ...firstOf(empty, 'pools have no backends'),
  ];
}
