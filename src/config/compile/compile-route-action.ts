/** What is done with the requests of a route: exactly one thing, and what may be done with them at all. */
import type { BasicAuth, FixedAnswer, RouteAccess } from '../../snapshot/route-answer.ts';
import type { MergedConfig } from '../merge.ts';
import { formatPlace, type Problem } from '../problem.ts';
import { formatPath } from '../read/layer.ts';
import { isFault, resolveTemplate, type TemplateFault } from '../read/template-text.ts';
import { DEFAULT_RETRY_AFTER_MS } from '../schema/route-answer-schema.ts';
import type { Config } from '../schema/schema.ts';
import type { RouteActionSettings, RouteSettings } from '../settings.ts';
import { partsOf } from './compile-split.ts';
import { bytesOf, type ErrorPageReader } from './error-pages.ts';

type WrittenRoute = Config['routes'][number];

/** Each says what is done with a request; a route has one of them. */
const ACTIONS = ['pool', 'split', 'redirect', 'respond'] as const;

export function compileRouteAction(
  route: WrittenRoute,
  index: number,
  { placeOf }: MergedConfig,
  pages: ErrorPageReader,
  problems: Problem[],
): Pick<RouteSettings, 'action' | 'maintenance' | 'access' | 'errorPages'> {
  const at = ['routes', index];
  const report = (keys: readonly string[], part: 'key' | 'value', message: string): void => {
    const path = [...at, ...keys];
    problems.push({ ...placeOf(path, part), path: formatPath(path), message });
  };
  const maintenance = maintenanceOf(route);
  const [first, ...others] = ACTIONS.filter((key) => route[key] !== undefined);
  if (first === undefined && maintenance === null) {
    report([], 'value', `leads nowhere: it needs ${ACTIONS.join(', ')} or maintenance: true`);
  }
  for (const other of others) {
    const where = formatPlace(placeOf([...at, String(first)], 'key'));
    report([other], 'key', `contradicts ${first} (${where}): a route does one thing`);
  }
  const { respond } = route;
  if (respond !== undefined) {
    if (respond.body !== '' && !mayHaveBody(respond.status)) {
      report(['respond', 'body'], 'value', `must be empty: a ${respond.status} has none`);
    }
    pages.count(respond.body.length, [...at, 'respond']);
  }
  return {
    action: actionOf(route, (fault) => {
      const path = [...at, 'redirect', 'to'];
      problems.push({
        ...placeOf(path),
        path: formatPath(path),
        message: fault.message,
        ...(fault.hint !== undefined && { hint: fault.hint }),
      });
    }),
    maintenance,
    access: accessOf(route),
    errorPages: pages.read(route.error_pages, [...at, 'error_pages']),
  };
}

/** Of several the first: then it is an error anyway. */
function actionOf(
  { path, pool, split, redirect, respond }: WrittenRoute,
  report: (fault: TemplateFault) => void,
): RouteActionSettings {
  if (pool !== undefined) return { kind: 'pool', pool };
  if (split !== undefined) return { kind: 'split', parts: partsOf(split) };
  if (redirect !== undefined) {
    const to = resolveTemplate(redirect.to, path);
    if (!isFault(to)) return { kind: 'redirect', status: redirect.status, to };
    report(to);
  }
  return respond === undefined ? { kind: 'none' } : { kind: 'answer', answer: answerOf(respond) };
}

/** RFC 9110 §6.4.1. */
function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 205 && status !== 304;
}

function answerOf({ status, body, headers }: NonNullable<WrittenRoute['respond']>): FixedAnswer {
  const hasType = headers.some(([name]) => name.toLowerCase() === 'content-type');
  const isTyped = hasType || body === '';
  const type: [string, string][] = isTyped ? [] : [['Content-Type', 'text/plain; charset=utf-8']];
  return { status, headers: [...type, ...headers], body: bytesOf(body) };
}

function maintenanceOf({ maintenance }: WrittenRoute): RouteSettings['maintenance'] {
  if (maintenance === false) return null;
  const afterMs = maintenance === true ? DEFAULT_RETRY_AFTER_MS : maintenance.retry_after;
  return { retryAfterSeconds: Math.ceil(afterMs / 1000) };
}

function accessOf(route: WrittenRoute): RouteAccess | null {
  const { allow = [], deny, basic_auth: basicAuth } = route;
  if (allow.length === 0 && deny.length === 0 && basicAuth === undefined) return null;
  return { allow, deny, basicAuth: basicAuth === undefined ? null : basicAuthOf(basicAuth) };
}

function basicAuthOf(written: NonNullable<WrittenRoute['basic_auth']>): BasicAuth {
  const { realm, users, forward_authorization: forwardsAuthorization } = written;
  return {
    realm,
    users: Object.entries(users).map(([name, hash]) => ({ name, hash })),
    forwardsAuthorization,
  };
}
