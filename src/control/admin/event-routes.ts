/** `GET /events`: what happens, as it happens. */
import { didYouMean } from '../../config/values/nearest.ts';
import { EVENT_KINDS, EVENT_NAMES } from '../../observe/event-names.ts';
import type { EventFilter } from '../events/event-filter.ts';
import {
  type EventFollowers,
  MOST_FOLLOWERS,
  MOST_OF_A_VIEWER,
} from '../events/event-followers.ts';
import { clip } from './body.ts';
import { unknownPool } from './pool-routes.ts';
import { ProblemError } from './problem.ts';
import type { AdminAnswer, AdminCall, Route } from './router.ts';

const EVENT_STREAM = 'text/event-stream';

const SINCE = {
  says: 'The id of the last event that was seen; 0: all that are kept.',
  schema: { type: 'string', pattern: '^[0-9]{1,16}$' },
};

const LIST = { type: 'array', items: { type: 'string' } };
const TYPE = {
  says: 'Only those of these names, and of these kinds (`backend.*`): several with commas, or once more.',
  schema: LIST,
};
const POOL = {
  says: 'Only those that are about these pools: several with commas, or once more.',
  schema: LIST,
};

export interface EventRoutesOptions {
  readonly followers: EventFollowers;
  /** Whether there is a pool of this name. */
  readonly hasPool: (name: string) => boolean;
}

export function eventRoutes({ followers, hasPool }: EventRoutesOptions): Route[] {
  function follow({ request, query, role, actor }: AdminCall): AdminAnswer {
    const since = readSince(request, query);
    const filter = { names: readNames(query), pools: readPools(query, hasPool) };
    if (request.method === 'HEAD') return { status: 200, contentType: EVENT_STREAM, body: '' };
    const viewer = role === 'viewer' ? (actor.token ?? '') : undefined;
    const follower = followers.admit(since, filter, viewer);
    if (follower === undefined) {
      throw new ProblemError(
        503,
        'ERR_TOO_MANY_FOLLOWERS',
        `${MOST_FOLLOWERS} follow the events already, or ${MOST_OF_A_VIEWER} with this token, or Fairlead is ending.`,
        { headers: { 'Retry-After': '10' } },
      );
    }
    return {
      status: 200,
      contentType: EVENT_STREAM,
      // Proxies hand it on as it comes.
      headers: { 'X-Accel-Buffering': 'no' },
      stream: (response) => follower.begin(response),
    };
  }

  return [
    {
      path: '/events',
      summary: 'what happens, as it happens: server-sent events, resumed by Last-Event-ID',
      methods: {
        GET: {
          says: 'what happens, as it happens',
          query: { since: SINCE, type: TYPE, pool: POOL },
          fields: { 'Last-Event-ID': SINCE },
          answers: {
            200: {
              says: 'Server-sent events, until either side ends it.',
              contentType: EVENT_STREAM,
            },
          },
          problems: [404, 422, 503],
          handle: follow,
        },
      },
    },
  ];
}

/**
 * A browser that comes back says where it was, at the address that it began with: the field wins.
 * @throws ProblemError 422
 */
function readSince({ headers }: AdminCall['request'], query: URLSearchParams): number | undefined {
  const field = headers['last-event-id'];
  const text = typeof field === 'string' && field !== '' ? field : query.get('since');
  if (text === null) return undefined;
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new ProblemError(
    422,
    'ERR_INVALID_VALUE',
    'Last-Event-ID and "since" are the id of an event, or 0 for all that are kept.',
  );
}

/** Undefined: nothing is said of it. */
function listOf(query: URLSearchParams, name: string): string[] | undefined {
  if (!query.has(name)) return undefined;
  return query
    .getAll(name)
    .flatMap((text) => text.split(','))
    .map((one) => one.trim());
}

/** @throws ProblemError 422 */
function readNames(query: URLSearchParams): EventFilter['names'] {
  const wanted = listOf(query, 'type');
  return wanted === undefined ? null : new Set(wanted.flatMap(namesOf));
}

/** @param wanted a name, or a kind. @throws ProblemError 422 */
function namesOf(wanted: string): readonly string[] {
  const names = EVENT_KINDS.includes(wanted)
    ? EVENT_NAMES.filter((name) => name.startsWith(wanted.slice(0, -1)))
    : EVENT_NAMES.filter((name) => name === wanted);
  if (names.length > 0) return names;
  throw new ProblemError(
    422,
    'ERR_UNKNOWN_EVENT',
    `There is no event ${JSON.stringify(clip(wanted))}.`,
    {
      hint: 'a name such as backend.down, or all of a kind: backend.*',
      ...didYouMean(wanted, [...EVENT_NAMES, ...EVENT_KINDS]),
    },
  );
}

/** @throws ProblemError 404 */
function readPools(
  query: URLSearchParams,
  hasPool: EventRoutesOptions['hasPool'],
): EventFilter['pools'] {
  const wanted = listOf(query, 'pool');
  if (wanted === undefined) return null;
  const unknown = wanted.find((name) => !hasPool(name));
  if (unknown === undefined) return new Set(wanted);
  throw unknownPool(`There is no pool ${JSON.stringify(clip(unknown))}.`);
}
