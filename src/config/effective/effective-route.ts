/** A route, in the words of a config file: only what it demands. */
import {
  type FieldMatch,
  looksAtPath,
  type RouteMatch,
  type TextMatch,
} from '../../snapshot/route.ts';
import { isSecretField } from '../../snapshot/secret-field.ts';
import { corsOf } from '../compile/compile-cors.ts';
import { DEFAULT_POOL, type RouteSettings, type Settings } from '../settings.ts';
import { pathOf } from '../values/path-text.ts';
import { rewritingOf } from './effective-rewriting.ts';
import { poolsOf, routeActionOf } from './effective-route-action.ts';
import { routePoliciesOf } from './effective-route-policies.ts';

const HIDDEN = '***';

/** The one that needs not be written: all else to the pool `default`. */
export function isLeftOut({ name }: RouteSettings): boolean {
  return name === DEFAULT_POOL;
}

/** Also one that can never match. */
export function hasRoute({ routes }: Pick<Settings, 'routes'>, pool: string): boolean {
  return routes.some((route) => poolsOf(route).includes(pool));
}

export function routeOf(route: RouteSettings): Readonly<Record<string, unknown>> {
  const { match } = route;
  const { hosts, path, methods, headers, query } = match;
  return {
    ...(hosts.length === 0 ? {} : { host: oneOrMore(hosts) }),
    ...(looksAtPath(match) ? { path: pathOf(path) } : {}),
    ...(methods.length === 0 ? {} : { method: oneOrMore(methods) }),
    ...(headers.length === 0 ? {} : { headers: fieldsOf(headers) }),
    ...(query.length === 0 ? {} : { query: fieldsOf(query) }),
    ...routeActionOf(route),
    ...(route.mirror === null ? {} : { mirror: route.mirror }),
    ...(route.policies === null ? {} : routePoliciesOf(route.policies)),
    ...rewritingOf(route.rewriting),
    ...(route.cors === null ? {} : { cors: corsOf(route.cors) }),
  };
}

function oneOrMore(texts: readonly string[]): string | readonly string[] {
  return texts.length === 1 ? (texts[0] as string) : texts;
}

function fieldsOf(fields: readonly FieldMatch[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    fields.map((field) => [field.name, isHidden(field) ? HIDDEN : textOf(field.value)]),
  );
}

/** What is not shown of what a route demands, by its place below the route: whoever knows it gets in there. */
export function hiddenDemands({ headers, query }: RouteMatch): [place: string, value: string][] {
  return Object.entries({ headers, query }).flatMap(([key, fields]) =>
    fields
      .filter(isHidden)
      .map(({ name, value }): [string, string] => [`${key}.${name}`, JSON.stringify(value)]),
  );
}

function isHidden({ name, value }: FieldMatch): boolean {
  return value.kind !== 'present' && isSecretField(name);
}

function textOf(value: TextMatch): unknown {
  if (value.kind === 'present') return true;
  if (value.kind === 'exact') return value.text;
  const parts = Object.entries({
    prefix: value.prefix,
    suffix: value.suffix,
    contains: value.contains,
  }).filter(([, part]) => part !== '');
  return Object.fromEntries(parts);
}
