/** `GET /events`: what happens, as it happens. */
import { type EventFollowers, MOST_FOLLOWERS } from '../events/event-followers.ts';
import { ProblemError } from './problem.ts';
import type { AdminAnswer, AdminCall, Route } from './router.ts';

const EVENT_STREAM = 'text/event-stream';

const SINCE = {
  says: 'The id of the last event that was seen; 0: all that are kept.',
  schema: { type: 'string', pattern: '^[0-9]{1,16}$' },
};

export function eventRoutes(followers: EventFollowers): Route[] {
  function follow({ request, query }: AdminCall): AdminAnswer {
    const since = readSince(request, query);
    if (request.method === 'HEAD') return { status: 200, contentType: EVENT_STREAM, body: '' };
    const follower = followers.admit(since);
    if (follower === undefined) {
      throw new ProblemError(
        503,
        'ERR_TOO_MANY_FOLLOWERS',
        `${MOST_FOLLOWERS} follow the events already, or Fairlead is ending.`,
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
          query: { since: SINCE },
          fields: { 'Last-Event-ID': SINCE },
          answers: {
            200: {
              says: 'Server-sent events, until either side ends it.',
              contentType: EVENT_STREAM,
            },
          },
          problems: [422, 503],
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
