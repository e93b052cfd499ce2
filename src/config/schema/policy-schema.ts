/**
 * The keys of the policies: who keeps which backend, what is done about backends that fail, and how much is let through.
 * Part of the schema in schema.ts; what contradicts what is found in compile-policies.ts.
 */
import { z } from 'zod';
import { GRPC_STATUSES, grpcNumber } from '../../grpc-status.ts';
import {
  cookieDomain,
  cookiePath,
  duration,
  durationOrNone,
  nonEmptyText,
  oneOf,
  orFalse,
  orNone,
  secret,
  size,
  trueOrFalse,
  wholeNumber,
} from './schema-types.ts';

const MIB = 1024 * 1024;
/** Enough for any signature, and more than anybody types by accident. */
const SHORTEST_SECRET = 16;
const NUMBER_OR_NONE = 'must be a whole number, or 0 for no limit';

/** What is called so depends on `by`, so what it may hold is checked in compile-policies.ts. */
function keyName(description: string) {
  return nonEmptyText('a name').describe(description).optional();
}

function percent(min: number) {
  return wholeNumber(min, 100);
}

/** 0 and `false` are off. */
function percentOrNone() {
  return orNone(percent(0), 'must be a whole number from 0 to 100, or false for off');
}

function requests() {
  return wholeNumber(1, 1_000_000);
}

export const hash = z.strictObject(
  {
    by: oneOf(['ip', 'header', 'cookie', 'path', 'query'])
      .describe(
        'What is hashed: the client’s address, a header field, a cookie, the path, or a query parameter.',
      )
      .default('ip'),
    name: keyName('Of the header field, the cookie or the query parameter.'),
  },
  { error: 'must be a mapping with by and name, such as { by: header, name: X-User }' },
);

const stickyKeys = {
  by: oneOf(['ip', 'cookie', 'header', 'query', 'learn', 'socket.io'])
    .describe(
      'What a client is known by: its address, a cookie that Fairlead sets, a header field, or a query parameter. Or by ' +
        'the session that a backend has given it: `learn` reads that from a cookie that the backends set, `socket.io` ' +
        'from the answer that opens it.',
    )
    .optional(),
  name: keyName(
    'Of the cookie that Fairlead sets (default: `fairlead`, and of another pool than `default` that, `-` and the name of the pool), the header field or the query parameter.',
  ),
  cookie: keyName('For `learn`: the cookie by which the backends know their sessions.'),
  ttl: duration()
    .describe(
      'How long a client stays with its backend after its last request; by cookie: the Max-Age of the cookie, from ' +
        'when it was set, which clients keep to and nobody checks. Default: `sticky_session_ttl`.',
    )
    .optional(),
  scope: oneOf(['local', 'global'])
    .describe(
      'Of several instances: `local`: each knows the sessions that it has seen; `global`: all of them know all, by `cluster.redis`. ' +
        'Not for `cookie`, which clients carry to any of them. See [operations.md](operations.md#sessions-over-several-instances). Default: `local`.',
    )
    .optional(),
  secret: secret(SHORTEST_SECRET)
    .describe(
      'Signs the cookie. Default: one that is made and kept in `state_file`; without that file, a new one at every ' +
        'start, which ends all sessions.',
    )
    .optional(),
  same_site: oneOf(['lax', 'strict', 'none'])
    .describe(
      'SameSite of the cookie: whether clients send it with requests that other sites make. Default: `lax`.',
    )
    .optional(),
  secure: z
    .union([z.boolean(), z.literal('auto')], { error: 'must be true, false or auto' })
    .describe(
      'Secure of the cookie: clients send it over TLS only. Default: `auto`, which is where they have come by TLS: ' +
        'to Fairlead, or to one of the `trusted_proxies` that says so by `X-Forwarded-Proto: https`.',
    )
    .optional(),
  domain: cookieDomain()
    .describe(
      'Domain of the cookie: clients send it to that host and those below it. Default: to the host they asked, only.',
    )
    .optional(),
  path: cookiePath()
    .describe('Path of the cookie: clients send it with requests below that path. Default: `/`.')
    .optional(),
};

function noneTwice(codes: readonly (number | string)[], context: z.RefinementCtx): void {
  for (const [index, code] of codes.entries()) {
    if (codes.indexOf(code) === index) continue;
    context.addIssue({ code: 'custom', path: [index], message: `${code} stands here twice` });
  }
}

const onStatus = z
  .array(wholeNumber(400, 599), { error: 'must be a list of status codes from 400 to 599' })
  .superRefine(noneTwice);

const [, ...grpcFailures] = GRPC_STATUSES;

const onGrpcStatus = z
  .array(oneOf(grpcFailures), {
    error: 'must be a list of statuses of gRPC, such as [UNAVAILABLE]',
  })
  .superRefine(noneTwice)
  .transform((names) => names.map(grpcNumber));

export const retries = z.strictObject(
  {
    attempts: wholeNumber(1, 10)
      .describe('Tries of one request, the first included; 1: no retries.')
      .default(3),
    per_try_timeout: durationOrNone()
      .describe(
        'How long one try may wait for the response head, before the next begins; one that can’t be repeated is answered 504. false: `timeouts.response`.',
      )
      .prefault(false),
    on_status: onStatus
      .describe('Answers with these status codes are tried again, where the method allows it.')
      .prefault([]),
    on_grpc_status: onGrpcStatus
      .describe(
        'Calls of gRPC that a backend ends with these statuses, before it has sent anything else, are tried again, as long as their messages are at hand.',
      )
      .prefault([]),
    budget_percent: percent(0)
      .describe(
        'Retries, as a percentage of the requests; a few are always allowed. 0: none but those on a fresh connection, after an idle one was closed.',
      )
      .default(20),
    replay_buffer: orNone(
      size(0, 16 * MIB),
      'must be a size from 0 to 16MiB, such as 64KiB, or false for none',
    )
      .describe(
        'Bytes of a request’s body that are kept for another try. A longer body is not tried again.',
      )
      .prefault('64KiB'),
    backoff: durationOrNone()
      .describe(
        'The longest pause before the second retry; twice as long before each further one. The first has none.',
      )
      .prefault('25ms'),
    hedge_after: durationOrNone()
      .describe(
        'Without a response head for so long, a second try of an idempotent request starts beside the first.',
      )
      .prefault(false),
    non_idempotent: trueOrFalse()
      .describe('Try POST and PATCH again, too, after they were sent. They may be done twice.')
      .default(false),
  },
  { error: 'must be a mapping' },
);

const outlierDetection = z.strictObject(
  {
    enabled: trueOrFalse().describe('Eject backends that fail requests.').default(true),
    consecutive_failures: orNone(
      wholeNumber(0, 1000),
      'must be a whole number from 0 to 1000, or false for off',
    )
      .describe(
        'So many failed connections and connections that broke, in a row, eject a backend. 0 or false: off.',
      )
      .prefault(5),
    consecutive_5xx: orNone(
      wholeNumber(0, 1000),
      'must be a whole number from 0 to 1000, or false for off',
    )
      .describe(
        'So many failures of any kind in a row eject a backend, 5xx answers among them, and calls of gRPC that end with UNKNOWN, INTERNAL, UNAVAILABLE or DATA_LOSS. 0 or false: off.',
      )
      .prefault(false),
    failure_percent: percentOrNone()
      .describe(
        'So many failures in percent of the requests of an interval eject a backend. 0 or false: off.',
      )
      .prefault(50),
    min_requests: requests()
      .describe('Requests of an interval below which no percentage is judged.')
      .default(20),
    interval: duration(10).describe('What the percentage is taken over.').prefault('10s'),
    base_ejection: duration()
      .describe(
        'How long the first ejection lasts; the second twice, the third three times as long.',
      )
      .prefault('30s'),
    max_ejection: duration().describe('How long any ejection lasts at most.').prefault('300s'),
    max_ejection_percent: percent(0)
      .describe('Of the backends, at most so many are ejected at once, and never the last.')
      .default(50),
    slow_call: durationOrNone()
      .describe('A response head that comes later than this counts as a failure.')
      .prefault(false),
  },
  { error: 'must be a mapping' },
);

const circuitBreaker = z.strictObject(
  {
    enabled: trueOrFalse().describe('Stop sending requests where most of them fail.').default(true),
    failure_percent: percent(1)
      .describe('So many failures in percent of the requests of an interval open it.')
      .default(50),
    min_requests: requests()
      .describe('Requests of an interval below which it stays closed.')
      .default(20),
    interval: duration(10).describe('What the percentage is taken over.').prefault('10s'),
    open: duration()
      .describe('How long it stays open, before it is half-open and lets a few requests through.')
      .prefault('30s'),
    half_open_requests: wholeNumber(1, 1000)
      .describe('How many those are: when all succeed it closes, when one fails it opens again.')
      .default(5),
  },
  { error: 'must be a mapping' },
);

const queue = z.strictObject(
  {
    size: requests()
      .describe('Requests that wait at once; one more is answered 503.')
      .default(1000),
    timeout: duration().describe('How long one waits, before it is answered 503.').prefault('5s'),
  },
  { error: 'must be a mapping' },
);

export const rateLimit = z.strictObject(
  {
    rate: requests().describe('Requests of one client in every `per`, evenly spread.').optional(),
    per: duration().describe('What `rate` is counted over.').prefault('1s'),
    burst: requests()
      .describe('Requests that may come at once. Default: `rate`, so that a quiet client has all.')
      .optional(),
    by: oneOf(['ip', 'header', 'cookie'])
      .describe(
        'What a client is known by: its address (IPv6: its /64), a header field, or a cookie. Without the field or ' +
          'the cookie: its address.',
      )
      .default('ip'),
    name: keyName('Of the header field or the cookie. Not for `ip`.'),
    scope: oneOf(['local', 'shared', 'global'])
      .describe(
        'Of several instances: `local`: each allows as much as this says; `shared`: each allows its part of it, one of `cluster.instances`; ' +
          '`global`: all of them together, counted by `cluster.redis`. See [operations.md](operations.md#limits-over-several-instances).',
      )
      .default('local'),
    on_engine_down: oneOf(['local', 'open', 'closed'])
      .describe(
        'Where a global limit can’t be counted: `local`: each instance allows its part, as with `shared`; `open`: there is no limit; ' +
          '`closed`: requests are answered 503. Default: `local`.',
      )
      .optional(),
  },
  { error: 'must be a mapping' },
);

function sticky<Keys extends z.ZodRawShape>(keys: Keys) {
  const mapping = z.strictObject(keys, { error: 'must be a mapping' });
  return orFalse(mapping, 'must be false or a mapping, such as { by: cookie }')
    .describe(
      'Clients keep the backend that they had. Other than by cookie there is room for 65,536 of them; ' +
        'without room, those whose time ends first are forgotten.',
    )
    .prefault(false);
}

/** In the order of their headings in the documentation and of `fairlead print-config`. */
export const policies = {
  max_connections: orNone(wholeNumber(0, 1_000_000), NUMBER_OR_NONE)
    .describe(
      'Open connections to one backend. 0 or false: no limit. Below the number of data threads, none stays open for the next request.',
    )
    .prefault(0),
  max_requests: orNone(wholeNumber(0, 1_000_000), NUMBER_OR_NONE)
    .describe('Requests in flight at one backend. 0 or false: no limit.')
    .prefault(0),
  queue: orFalse(queue, 'must be false or a mapping, such as { size: 1000, timeout: 5s }')
    .describe('Where requests wait while every backend is full. false: they are answered 503.')
    .prefault(false),
  enable_sticky_sessions: trueOrFalse()
    .describe('true is short for `sticky: { by: ip }`, false for `sticky: false`.')
    .default(false),
  sticky_session_ttl: duration().describe('The same as `sticky.ttl`.').prefault('1h'),
  sticky: sticky(stickyKeys),
  retries: orFalse(retries, 'must be false or a mapping, such as { attempts: 3 }')
    .describe('Requests that a backend did not answer are tried again, at another one if possible.')
    .prefault({}),
  outlier_detection: z
    .union([z.boolean(), outlierDetection], {
      error: 'must be true, false or a mapping, such as { consecutive_failures: 5 }',
    })
    .describe('Backends that fail requests get none for a while, whatever their health checks say.')
    .prefault({}),
  circuit_breaker: z
    .union([z.boolean(), circuitBreaker], {
      error: 'must be true, false or a mapping, such as { failure_percent: 50 }',
    })
    .describe(
      'Of a backend, or of all of them, that fails most requests: none are sent to it for a while, then a few.',
    )
    .prefault(false),
  rate_limit: orFalse(rateLimit, 'must be false or a mapping, such as { rate: 100, burst: 20 }')
    .describe(
      'How many requests one client may send; one too many is answered 429. There is room for 65,536 clients that have ' +
        'used some of it; without room, those that owe least are forgotten first.',
    )
    .prefault(false),
  slow_start: durationOrNone()
    .describe('A backend that is new or healthy again gets its full share only after so long.')
    .prefault(false),
  panic_threshold_percent: percentOrNone()
    .describe(
      'When fewer of the backends than this may get requests, unhealthy and ejected ones get them too, as long as one passes its check. Of fewer than four, the last one takes all. 0 or false: never.',
    )
    .prefault(50),
} as const;

const { enable_sticky_sessions: _switch, sticky_session_ttl: _ttl, ...others } = policies;

/** The same inside of `pools`: without the older names of what `sticky` holds. */
export const policiesOfPools = {
  ...others,
  sticky: sticky({
    ...stickyKeys,
    ttl: duration()
      .describe(
        'How long a client stays with its backend after its last request; by cookie: its Max-Age.',
      )
      .prefault('1h'),
  }),
} as const;
