/**
 * What differs between two configs, in their own words: pools by name, backends by URL, routes by what they match. Of secrets and of
 * what stands in files it is told that they differ, and nothing more.
 */

import { isSecretField } from '../snapshot/secret-field.ts';
import { configOf } from './effective/effective.ts';
import { hiddenOf } from './effective/effective-rewriting.ts';
import { hiddenDemands, routeOf } from './effective/effective-route.ts';
import { isMapping, type RawConfig } from './read/layer.ts';
import type { Settings } from './settings.ts';
import { nameOfListener } from './values/listener-name.ts';
import { isSame } from './values/same.ts';

export interface ConfigChange {
  /** `timeouts.head`, `pools.api`, `backends[http://localhost:8082].weight`, `routes[api.example.com/v1].pool` */
  readonly path: string;
  /** `moved`: a list has the same items in another order. */
  readonly change: 'added' | 'removed' | 'changed' | 'moved';
  readonly before?: unknown;
  readonly after?: unknown;
}

const HIDDEN = '***';

export function configChanges(before: Settings, after: Settings): ConfigChange[] {
  const changes = diff(configOf(before), configOf(after), '');
  const hidden = hiddenValues(after);
  for (const [path, value] of hiddenValues(before)) {
    // One that came or went is seen.
    const now = hidden.get(path);
    if (now === undefined || now === value) continue;
    // Another file is told as such.
    if (changes.some((change) => change.path.startsWith(path))) continue;
    changes.push({ path, change: 'changed', before: HIDDEN, after: HIDDEN });
  }
  return changes;
}

/** What `configOf` does not show. */
function hiddenValues({
  admin,
  listeners,
  pools,
  routes,
  tracing,
  cluster,
  redis,
  defaultForm,
}: Settings): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  if (admin.token !== undefined) values.set('admin.token', admin.token);
  if (admin.tls !== undefined) values.set('admin.tls', JSON.stringify(admin.tls));
  if (admin.tokens !== null) {
    values.set('admin.tokens_file', JSON.stringify(admin.tokens.tokens));
  }
  for (const { path, address, tls } of listeners) {
    // What its files hold.
    const place = path === 'port' ? 'ssl' : `listeners[${nameOfListener(address)}].tls`;
    if (tls !== undefined) values.set(place, JSON.stringify(tls));
  }
  for (const [index, { name, sticky, healthCheck, discovery }] of pools.entries()) {
    const isShort = index === 0 && defaultForm === 'short';
    const prefix = isShort ? '' : `pools.${name}.`;
    const headers = isShort ? 'health_check_headers' : `${prefix}health_check.headers`;
    for (const [field, value] of healthCheck.headers) {
      if (isSecretField(field)) values.set(`${headers}.${field}`, value);
    }
    if (discovery?.source.kind === 'consul' && discovery.source.token !== '') {
      values.set(`${prefix}discover.consul.token`, discovery.source.token);
    }
    if (sticky?.secret !== undefined) values.set(`${prefix}sticky.secret`, sticky.secret);
  }
  for (const [name, value] of tracing?.headers ?? []) values.set(`tracing.headers.${name}`, value);
  if (cluster !== null) values.set('cluster', JSON.stringify(cluster));
  if (redis !== null) {
    // What its files hold, too.
    values.set('cluster.redis.password', redis.password ?? '');
    values.set('cluster.redis.tls', JSON.stringify(redis.tls));
  }
  for (const route of routes) {
    const login = route.access?.basicAuth ?? null;
    const hidden = [...hiddenOf(route.rewriting), ...hiddenDemands(route.match)];
    if (login === null && hidden.length === 0) continue;
    const place = `routes[${keyOfRoute(routeOf(route))}]`;
    if (login !== null) values.set(`${place}.basic_auth.users`, JSON.stringify(login.users));
    for (const [below, value] of hidden) {
      // Routes that differ only in what is hidden look alike.
      const path = `${place}.${below}`;
      values.set(path, `${values.get(path) ?? ''}${value}`);
    }
  }
  return values;
}

function diff(before: unknown, after: unknown, path: string): ConfigChange[] {
  if (isSame(before, after)) return [];
  if (before === undefined) return [{ path, change: 'added', after }];
  if (after === undefined) return [{ path, change: 'removed', before }];
  if (isMapping(before) && isMapping(after)) return diffMappings(before, after, path);
  if (Array.isArray(before) && Array.isArray(after)) {
    const keyOf = KEYS[path.slice(path.lastIndexOf('.') + 1)];
    if (keyOf !== undefined) return diffLists(before, after, path, keyOf);
  }
  return [{ path, change: 'changed', before, after }];
}

function diffMappings(before: RawConfig, after: RawConfig, path: string): ConfigChange[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) =>
    diff(before[key], after[key], path === '' ? key : `${path}.${key}`),
  );
}

function diffLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: string,
  keyOf: (item: RawConfig) => string,
): ConfigChange[] {
  const was = keyed(before, keyOf);
  const is = keyed(after, keyOf);
  const keys = new Set([...was.keys(), ...is.keys()]);
  const changes = [...keys].flatMap((key) => diff(was.get(key), is.get(key), `${path}[${key}]`));
  if (changes.length > 0 || was.size !== is.size) return changes;
  return [{ path, change: 'moved', before: [...was.keys()], after: [...is.keys()] }];
}

/** Of items with the same key, the later ones are told apart by their number. */
function keyed(
  list: readonly unknown[],
  keyOf: (item: RawConfig) => string,
): ReadonlyMap<string, unknown> {
  const items = new Map<string, unknown>();
  for (const one of list) {
    const item = isMapping(one) ? one : { url: one };
    const key = keyOf(item);
    let name = key;
    for (let number = 2; items.has(name); number++) name = `${key} #${number}`;
    // A backend with a URL alone is one of weight 1.
    items.set(name, 'url' in item ? { weight: 1, ...item } : item);
  }
  return items;
}

/** What the items of a list are known by. All other lists are one value. */
const KEYS: Readonly<Record<string, (item: RawConfig) => string>> = {
  backends: ({ url }) => String(url),
  routes: keyOfRoute,
  listeners: ({ unix, host, port }) =>
    nameOfListener(
      unix === undefined
        ? { kind: 'tcp', host: host === '*' ? undefined : String(host), port: Number(port) }
        : { kind: 'unix', path: String(unix), mode: 0 },
    ),
  certificates: ({ cert_file: file, folder }) => String(file ?? folder),
};

/** No two routes match the same. */
function keyOfRoute({ host, path, method, headers, query }: RawConfig): string {
  const place = `${host === undefined ? '*' : String(host)}${path === undefined ? '' : String(path)}`;
  const conditions = { ...(isMapping(headers) && { headers }), ...(isMapping(query) && { query }) };
  return [
    place,
    ...(method === undefined ? [] : [String(method)]),
    ...(Object.keys(conditions).length === 0 ? [] : [JSON.stringify(conditions)]),
  ].join(' ');
}
