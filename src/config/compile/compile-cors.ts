/** From `cors` of a route to what the data plane goes by, and what contradicts it. */
import type { Cors } from '../../snapshot/route-answer.ts';
import type { Config } from '../schema/schema.ts';
import { formatDuration } from '../values/duration.ts';
import type { Report } from './policy-report.ts';

const ANY = '*';

export function compileCors(route: Config['routes'][number], report: Report): Cors | null {
  const { cors, method: routeMethods = [], response_headers: changed, respond } = route;
  if (cors === undefined) return null;
  const { origins, methods, headers, exposed, credentials, max_age: maxAgeMs } = cors;
  if (origins === undefined) {
    report.problem(['cors', 'origins'], 'is missing: whose pages may ask?', ['cors']);
    return null;
  }
  const isAny = origins.includes(ANY);
  if (credentials && isAny) {
    const message = 'needs origins that are named: to pages of any, browsers send none';
    report.problem(['cors', 'credentials'], message);
  }
  if (credentials && exposed.includes(ANY)) {
    report.problem(['cors', 'exposed'], 'must name the fields beside credentials: true');
  }
  for (const list of ['set', 'add'] as const) {
    for (const { name } of changed?.[list] ?? []) {
      if (isOfCors(name)) report.problem(['response_headers', list, name], contradicts(name));
    }
  }
  for (const [name] of respond?.headers ?? []) {
    if (isOfCors(name)) report.problem(['respond', 'headers', name], contradicts(name));
  }
  if (routeMethods.length > 0 && !routeMethods.includes('OPTIONS')) {
    report.note('cors answers no preflights: they are OPTIONS, which is not among its methods');
  }
  return {
    origins: isAny ? [] : origins,
    methods,
    headers: headers.includes(ANY) ? null : headers,
    exposed: exposed.includes(ANY) ? null : exposed,
    hasCredentials: credentials,
    maxAgeSeconds: Math.ceil(maxAgeMs / 1000),
  };
}

function isOfCors(name: string): boolean {
  return name.toLowerCase().startsWith('access-control-');
}

function contradicts(name: string): string {
  return `${name} contradicts cors, which says it`;
}

/** In the words of a config. */
export function corsOf(cors: Cors): Readonly<Record<string, unknown>> {
  const { origins, methods, headers, exposed, hasCredentials, maxAgeSeconds } = cors;
  return {
    origins: origins.length === 0 ? [ANY] : origins,
    methods,
    headers: headers ?? [ANY],
    exposed: exposed ?? [ANY],
    credentials: hasCredentials,
    max_age: maxAgeSeconds > 0 && formatDuration(maxAgeSeconds * 1000),
  };
}
