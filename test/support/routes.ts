/** Matches of routes, written as in a config file. */
import type { FieldMatch, RouteMatch } from '../../src/snapshot/route.ts';
import { readRoutePath } from '../../src/snapshot/route-path.ts';

export type WrittenValue =
  | true
  | string
  | { readonly prefix?: string; readonly suffix?: string; readonly contains?: string };

export interface WrittenMatch {
  readonly host?: string | readonly string[];
  readonly path?: string;
  readonly method?: readonly string[];
  readonly headers?: Readonly<Record<string, WrittenValue>>;
  readonly query?: Readonly<Record<string, WrittenValue>>;
}

export function matchOf({
  host = [],
  path: written = '/',
  method = [],
  headers = {},
  query = {},
}: WrittenMatch): RouteMatch {
  const path = readRoutePath(written);
  if (typeof path === 'string') throw new Error(`"${written}" ${path}`);
  return {
    hosts: typeof host === 'string' ? [host] : host,
    path,
    methods: method,
    headers: fieldsOf(headers),
    query: fieldsOf(query),
  };
}

function fieldsOf(written: Readonly<Record<string, WrittenValue>>): FieldMatch[] {
  return Object.entries(written).map(([name, value]) => {
    if (value === true) return { name, value: { kind: 'present' } };
    if (typeof value === 'string') return { name, value: { kind: 'exact', text: value } };
    return { name, value: { kind: 'parts', prefix: '', suffix: '', contains: '', ...value } };
  });
}
