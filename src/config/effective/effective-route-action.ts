/** What is done with the requests of a route, in the words of a config file. */
import type { BasicAuth, RouteAccess } from '../../snapshot/route-answer.ts';
import { templateText } from '../read/template-text.ts';
import type { ErrorPageSettings, RouteActionSettings, RouteSettings } from '../settings.ts';
import { formatDuration } from '../values/duration.ts';

/** A hash can be guessed at. */
const HIDDEN = '***';

type Written = Readonly<Record<string, unknown>>;

/** The names of the pools that a request may get to, if only after the maintenance, or a copy of it. */
export function poolsOf({ action, mirror }: RouteSettings): readonly string[] {
  return mirror === null ? poolsBehind(action) : [...poolsBehind(action), mirror.pool];
}

/** Those that may answer it. */
export function poolsBehind(action: RouteActionSettings): readonly string[] {
  if (action.kind === 'split') return action.parts.map(({ pool }) => pool);
  return action.kind === 'pool' ? [action.pool] : [];
}

export function routeActionOf({ action, maintenance, access, errorPages }: RouteSettings): Written {
  return {
    ...actionOf(action),
    ...(maintenance === null
      ? {}
      : { maintenance: { retry_after: formatDuration(maintenance.retryAfterSeconds * 1000) } }),
    ...(access === null ? {} : accessOf(access)),
    ...(errorPages.length === 0 ? {} : { error_pages: errorPagesOf(errorPages) }),
  };
}

function actionOf(action: RouteActionSettings): Written {
  switch (action.kind) {
    case 'pool':
      return { pool: action.pool };
    case 'split':
      return {
        split: action.parts.map(({ pool, weight, name }) => ({
          pool,
          weight,
          ...(name === pool ? {} : { name }),
        })),
      };
    case 'answer': {
      const { status, headers, body } = action.answer;
      return { respond: { status, body: textOf(body), headers: headersOf(headers) } };
    }
    case 'redirect':
      return { redirect: { to: templateText(action.to), status: action.status } };
    case 'none':
      return {};
  }
}

function headersOf(headers: readonly (readonly [string, string])[]): Written {
  const values = new Map<string, string[]>();
  for (const [name, value] of headers) values.set(name, [...(values.get(name) ?? []), value]);
  return Object.fromEntries(
    Array.from(values, ([name, list]) => [name, list.length === 1 ? list[0] : list]),
  );
}

function accessOf({ allow, deny, basicAuth }: RouteAccess): Written {
  return {
    ...(allow.length === 0 ? {} : { allow }),
    ...(deny.length === 0 ? {} : { deny }),
    ...(basicAuth === null ? {} : { basic_auth: basicAuthOf(basicAuth) }),
  };
}

function basicAuthOf({ realm, users, forwardsAuthorization }: BasicAuth): Written {
  return {
    realm,
    users: Object.fromEntries(users.map(({ name }) => [name, HIDDEN])),
    forward_authorization: forwardsAuthorization,
  };
}

export function errorPagesOf(pages: readonly ErrorPageSettings[]): Written {
  return Object.fromEntries(
    pages.map(({ status, file, contentType, page }) => [
      status,
      {
        ...(file === undefined ? { text: textOf(page.body) } : { file }),
        ...(contentType === undefined ? {} : { content_type: contentType }),
      },
    ]),
  );
}

function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
