/** The route table of the admin API: which call is which handler. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AdminRole } from '../../config/read/admin-token.ts';
import { DEFAULT_POOL } from '../../config/settings.ts';
import { didYouMean } from '../../config/values/nearest.ts';
import type { Actor } from '../audit.ts';
import { clip } from './body.ts';
import type { AnswerForm, BodyForm, Parameter } from './form.ts';
import { ProblemError } from './problem.ts';

export interface AdminCall {
  /** Of a call from within the process there is no more than this: see local-call.ts. */
  readonly request: Pick<IncomingMessage, 'method' | 'headers'>;
  readonly actor: Actor;
  readonly role: AdminRole;
  /** What stood for `{name}` in the pattern. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The whole body, read and bounded. */
  readonly body: Buffer;
}

export interface AdminAnswer {
  readonly status: number;
  /** Sent as JSON unless `contentType` says otherwise, or it is bytes. Undefined: no body. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** In the place of a body, once the head is written: it goes on until either side ends it. Called even if the client is gone. */
  readonly stream?: (response: ServerResponse) => void;
}

export type Handler = (call: AdminCall) => AdminAnswer | Promise<AdminAnswer>;

/** One call: what it does, and all that the document says of it, so that neither is without the other. */
export interface Operation {
  readonly says: string;
  readonly handle: Handler;
  /** Of the query. A call that changes something takes no others. */
  readonly query?: Readonly<Record<string, Parameter>>;
  /** Header fields that this call alone looks at. */
  readonly fields?: Readonly<Record<string, Parameter>>;
  readonly body?: BodyForm;
  /** By status. */
  readonly answers: Readonly<Record<number, AnswerForm>>;
  /** Statuses of problems that not every call may have. */
  readonly problems?: readonly number[];
  /** It is no GET, and changes nothing: there is nothing to be lost that If-Match would save. */
  readonly isOnlyAsking?: boolean;
  /** It is no GET, and for viewers all the same. */
  readonly mayView?: boolean;
}

export interface Route {
  /** `/backends/{id}/status` */
  readonly path: string;
  readonly summary: string;
  readonly methods: Readonly<Record<string, Operation>>;
  /** Of the path; what is not there is a text. */
  readonly params?: Readonly<Record<string, Parameter>>;
  /** Also under `/pools/{pool}`; its calls have a parameter `pool`, which is `default` without that. */
  readonly isOfPool?: boolean;
  /** Says nothing that anybody may not know, and is asked by machines that hold no token. */
  readonly isOpen?: boolean;
  /** The same, of what it answers to these. */
  readonly isOpenTo?: (headers: IncomingHttpHeaders) => boolean;
}

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

export interface Target {
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
}

/** @throws ProblemError 400 */
export function parseTarget(target: string): Target {
  const withoutOrigin = target.replace(/^https?:\/\/[^/?#]*/i, '');
  const end = withoutOrigin.indexOf('?');
  const path = end === -1 ? withoutOrigin : withoutOrigin.slice(0, end);
  if (!path.startsWith('/')) {
    throw new ProblemError(400, 'ERR_BAD_TARGET', 'The request target is not a path.');
  }
  try {
    const segments = path.slice(1).split('/').map(decodeURIComponent);
    // A trailing slash means nothing here.
    if (segments.length > 1 && segments.at(-1) === '') segments.pop();
    return {
      segments,
      query: new URLSearchParams(end === -1 ? '' : withoutOrigin.slice(end + 1)),
    };
  } catch {
    throw new ProblemError(400, 'ERR_BAD_TARGET', 'The percent-encoding of the path is malformed.');
  }
}

/** @throws ProblemError 404 */
export function findRoute(routes: readonly Route[], segments: readonly string[]): Match {
  const isInPool = segments[0] === 'pools' && segments.length > 2;
  const rest = isInPool ? segments.slice(2) : segments;
  for (const route of routes) {
    if (isInPool && route.isOfPool !== true) continue;
    const params = matchPath(route.path, rest);
    if (params === undefined) continue;
    const pool = isInPool ? (segments[1] ?? '') : DEFAULT_POOL;
    return { route, params: route.isOfPool === true ? { ...params, pool } : params };
  }
  throw new ProblemError(404, 'ERR_UNKNOWN_PATH', 'There is nothing at this path.', {
    hint: 'GET / lists the calls',
  });
}

/** @throws ProblemError 405 */
export function findOperation(route: Route, method: string): Operation {
  const wanted = method === 'HEAD' ? 'GET' : method;
  const operation = Object.hasOwn(route.methods, wanted) ? route.methods[wanted] : undefined;
  if (operation !== undefined) return operation;
  const allowed = Object.keys(route.methods).flatMap((name) =>
    name === 'GET' ? ['GET', 'HEAD'] : [name],
  );
  throw new ProblemError(
    405,
    'ERR_METHOD_NOT_ALLOWED',
    `${route.path} takes ${allowed.join(', ')}.`,
    { headers: { Allow: allowed.join(', ') } },
  );
}

/**
 * A call that changes something must not be misunderstood: `?drian=30s` would remove a backend at once. One that reads takes
 * whatever parameters come.
 * @throws ProblemError 422
 */
export function checkParameters(route: Route, method: string, query: URLSearchParams): void {
  if (method === 'GET' || method === 'HEAD') return;
  const known = Object.keys(route.methods[method]?.query ?? {});
  for (const name of new Set(query.keys())) {
    if (!known.includes(name)) {
      throw new ProblemError(
        422,
        'ERR_UNKNOWN_PARAMETER',
        `${JSON.stringify(clip(name))} is no parameter of ${method} ${route.path}.`,
        {
          ...(known.length > 0 && { hint: `possible: ${known.join(', ')}` }),
          ...didYouMean(name, known),
        },
      );
    }
    if (query.getAll(name).length > 1) {
      throw new ProblemError(422, 'ERR_INVALID_VALUE', `${name} is there more than once.`);
    }
  }
}

function matchPath(
  pattern: string,
  segments: readonly string[],
): Record<string, string> | undefined {
  const parts = pattern.slice(1).split('/');
  if (parts.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const segment = segments[index] ?? '';
    if (part.startsWith('{')) params[part.slice(1, -1)] = segment;
    else if (part !== segment) return undefined;
  }
  return params;
}
