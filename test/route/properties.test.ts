/** The table against the plainest matcher there can be: every route is tried, and those that match are sorted. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tryRoutes } from '../../src/data/explain/route-trials.ts';
import { RouteTable } from '../../src/data/route/route-table.ts';
import type { FieldMatch, RouteMatch, RouteSnapshot } from '../../src/snapshot/route.ts';
import { deadRoutes } from '../../src/snapshot/route-order.ts';
import { matchOf, type WrittenMatch, type WrittenValue } from '../support/routes.ts';
import { getWith, goodFactsOf, held } from '../wire/parse.ts';

interface Asked {
  readonly host: string | null;
  readonly path: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly query: readonly (readonly [string, string])[];
}

// ── The plainest matcher ────────────────────────────────────────────────────────────────────────────────────────────

function naiveFind(routes: readonly RouteMatch[], asked: Asked): number {
  const ranked = routes.flatMap((route, index) => {
    const hostRank = rankOfHosts(route.hosts, asked.host);
    const matches =
      hostRank >= 0 &&
      pathPattern(route).test(asked.path) &&
      (route.methods.length === 0 || route.methods.includes(asked.method)) &&
      route.headers.every((field) => isAmong(field, asked.headers)) &&
      route.query.every((field) => isAmong(field, asked.query));
    return matches ? [{ index, rank: [hostRank, ...rankOf(route), -index] }] : [];
  });
  return ranked.toSorted((a, b) => descending(a.rank, b.rank))[0]?.index ?? -1;
}

/** Of the best host; −1: none matches. */
function rankOfHosts(hosts: readonly string[], asked: string | null): number {
  if (hosts.length === 0) return 0;
  const name = (asked ?? '').toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  const ranks = hosts.map((host) => {
    if (!host.startsWith('*.')) return host === name ? 1000 : -1;
    const front = name.endsWith(host.slice(1)) ? name.slice(0, 1 - host.length) : '';
    return /^[^.]+(\.[^.]+)*$/.test(front) ? host.split('.').length : -1;
  });
  return Math.max(...ranks);
}

function pathPattern({ path }: RouteMatch): RegExp {
  if (path.kind === 'prefix' && path.segments.length === 0) return /^/;
  const segments = path.segments.map((one) => (one.kind === 'text' ? one.text : '[^/]+'));
  return new RegExp(`^/${segments.join('/')}${path.kind === 'exact' ? '$' : '(/|$)'}`);
}

function isAmong({ name, value }: FieldMatch, fields: Asked['headers']): boolean {
  return fields.some(([fieldName, text]) => {
    if (fieldName.toLowerCase() !== name) return false;
    if (value.kind === 'present') return true;
    if (value.kind === 'exact') return text === value.text;
    const { prefix, suffix, contains } = value;
    return text.startsWith(prefix) && text.endsWith(suffix) && text.includes(contains);
  });
}

/** Greater is more specific, the first difference decides. */
function rankOf({ path, methods, headers, query }: RouteMatch): number[] {
  return [
    path.kind === 'exact' ? 1 : 0,
    path.segments.length,
    Number.parseInt(`0${path.segments.map(({ kind }) => (kind === 'text' ? 1 : 0)).join('')}`, 2),
    Math.min(methods.length, 1) + headers.length + query.length,
  ];
}

function descending(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((number, index) => number !== b[index]);
  return (b[at] ?? 0) - (a[at] ?? 0);
}

// ── Few names, so that they meet ────────────────────────────────────────────────────────────────────────────────────

const label = fc.constantFrom('a', 'b', 'ab');
const hostName = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const routeHost = fc.oneof(
  hostName,
  hostName.map((name) => `*.${name}`),
);
const askedHost = fc.oneof(
  fc.constant(null),
  fc
    .tuple(hostName, fc.constantFrom('', '', '.', '..'), fc.constantFrom('', '', ':', ':80'))
    .map((parts) => parts.join('')),
  hostName.map((name) => name.toUpperCase()),
  hostName.map((name) => `.${name}`),
  fc.tuple(hostName, hostName).map(([front, back]) => `${front}..${back}`),
);
const text = fc.constantFrom('a', 'b', 'aa', 'c.d');
/** Names are a segment's own, as no two of a route are the same. */
const routePath = fc
  .tuple(fc.array(fc.oneof(text, fc.constant(':')), { maxLength: 4 }), fc.constantFrom('', '='))
  .chain(([segments, sign]) =>
    fc.constantFrom('', '/').map((end) => {
      const parts = segments.map((part, index) => (part === ':' ? `:n${index}` : part));
      return `${sign}/${parts.join('/')}${parts.length > 0 ? end : ''}`;
    }),
  );
const askedPath = fc.oneof(
  fc.constant('*'),
  fc.array(fc.oneof(text, fc.constant('')), { maxLength: 5 }).map((parts) => `/${parts.join('/')}`),
);
const method = fc.constantFrom('GET', 'PUT', 'X');
const value = fc.string({ unit: fc.constantFrom('x', 'y'), maxLength: 3 });
const valueTest = fc.oneof<fc.Arbitrary<WrittenValue>[]>(
  fc.constant(true as const),
  value,
  fc.record({ prefix: value, suffix: value, contains: value }),
);
const fields = fc.dictionary(fc.constantFrom('f', 'g'), valueTest, { maxKeys: 2 });
const askedFields = (name: fc.Arbitrary<string>) =>
  fc.array(fc.tuple(name, value), { maxLength: 3 });

const nothing = <T>(arbitrary: fc.Arbitrary<T>, otherwise: T) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(otherwise) }, { weight: 1, arbitrary });

const route: fc.Arbitrary<WrittenMatch> = fc.record({
  host: nothing<string[]>(fc.uniqueArray(routeHost, { maxLength: 3 }), []),
  path: routePath,
  method: nothing<string[]>(fc.uniqueArray(method, { minLength: 1, maxLength: 2 }), []),
  headers: nothing<Record<string, WrittenValue>>(fields, {}),
  query: nothing<Record<string, WrittenValue>>(fields, {}),
});
const routes = fc.array(route, { maxLength: 12 }).map((written) => written.map(matchOf));
const request: fc.Arbitrary<Asked> = fc.record({
  host: askedHost,
  path: askedPath,
  method,
  headers: askedFields(fc.constantFrom('f', 'F', 'g', 'fg')),
  query: askedFields(fc.constantFrom('f', 'g', 'fg')),
});
const requests = fc.array(request, { minLength: 1, maxLength: 8 });

function tableFind(table: RouteTable, asked: Asked): number {
  const { facts, head } = readOf(asked);
  return table.find(facts, head, false);
}

function readOf({ host, path, method: verb, headers, query }: Asked) {
  const asked = getWith(...headers.map(([name, content]) => `${name}: ${content}`));
  const pairs = query.map(([name, content]) => `${name}=${content}`).join('&');
  const facts = {
    ...goodFactsOf(asked),
    host,
    path: pairs === '' ? path : `${path}?${pairs}`,
    method: verb,
  };
  return { facts, head: held('request', asked) };
}

// ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────────────

test('a table finds what trying all routes finds', () => {
  fc.assert(
    fc.property(routes, requests, (matches, asked) => {
      const table = RouteTable.compile(matches.map((match) => ({ match })));
      // What crosses to a data thread is cloned on its way.
      const cloned = RouteTable.compile(structuredClone(matches).map((match) => ({ match })));
      const expected = asked.map((one) => naiveFind(matches, one));
      expect(asked.map((one) => tableFind(table, one))).toEqual(expected);
      expect(asked.map((one) => tableFind(cloned, one))).toEqual(expected);
    }),
    { numRuns: 3000 },
  );
});

test('of the routes that are tried in order, the first that matches is the one that is found', () => {
  const plain = { action: { kind: 'pool', poolId: 0 }, rewriting: null } as const;
  fc.assert(
    fc.property(routes, requests, (matches, all) => {
      const table = RouteTable.compile(matches.map((match) => ({ match })));
      const named = matches.map(
        (match, index) => ({ ...plain, name: String(index), match }) as unknown as RouteSnapshot,
      );
      for (const asked of all) {
        const { facts, head } = readOf(asked);
        const { trials, leftOut } = tryRoutes(named, table, facts, head, false, null);
        const first = trials.find(({ why }) => why === null);
        expect(Number(first?.route ?? -1)).toBe(table.find(facts, head, false));
        expect(trials.length + leftOut).toBe(matches.length);
      }
    }),
    { numRuns: 500 },
  );
});

test('a table of hundreds of routes does, too', () => {
  const many = fc
    .array(route, { minLength: 200, maxLength: 400 })
    .map((written) => written.map(matchOf));
  fc.assert(
    fc.property(many, fc.array(request, { minLength: 50, maxLength: 50 }), (matches, asked) => {
      const table = RouteTable.compile(matches.map((match) => ({ match })));
      expect(asked.map((one) => tableFind(table, one))).toEqual(
        asked.map((one) => naiveFind(matches, one)),
      );
    }),
    { numRuns: 20 },
  );
});

test('a route that is said to be dead is found by no request, and is not missed', () => {
  fc.assert(
    fc.property(routes, requests, (matches, asked) => {
      const dead = new Set(deadRoutes(matches).map(({ route: index }) => index));
      const found = asked.map((one) => naiveFind(matches, one));
      expect(found.filter((index) => dead.has(index))).toEqual([]);
      const alive = matches.flatMap((match, index) => (dead.has(index) ? [] : [{ match, index }]));
      const without = asked.map((one) =>
        naiveFind(
          alive.map(({ match }) => match),
          one,
        ),
      );
      expect(without.map((at) => alive[at]?.index ?? -1)).toEqual(found);
    }),
    { numRuns: 3000 },
  );
});

test('of two routes that are the same, the second is said to be dead, and the same', () => {
  fc.assert(
    fc.property(route, fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (written, order) => {
      const match = matchOf(written);
      const again: RouteMatch = {
        ...match,
        hosts: order.flatMap((index) => match.hosts[index] ?? []),
        headers: match.headers.toReversed(),
        query: match.query.toReversed(),
      };
      expect(deadRoutes([match, again])).toEqual([{ route: 1, takenBy: [0], isSame: true }]);
    }),
  );
});
