/** What a pool is made of, the pool `default` of the short form as well as those below `pools`. Part of the schema in schema.ts. */
import { z } from 'zod';
import { STRATEGY_NAMES, type StrategyName } from '../../snapshot/snapshot.ts';
import { MAX_WEIGHT } from '../settings.ts';
import { canonicalStrategy, STRATEGY_ALIASES } from '../values/strategy-name.ts';
import { backendTls } from './backend-tls-schema.ts';
import { discover } from './discover-schema.ts';
import { healthCheck } from './health-check-schema.ts';
import { hash, policiesOfPools } from './policy-schema.ts';
import {
  backendUrl,
  duration,
  durationOrNone,
  hostHeader,
  oneOf,
  orNone,
  size,
  trueOrFalse,
  wholeNumber,
} from './schema-types.ts';

const STRATEGY_INPUTS = [
  ...STRATEGY_NAMES,
  ...(Object.keys(STRATEGY_ALIASES) as (keyof typeof STRATEGY_ALIASES)[]),
] as const;

const strategy = oneOf(STRATEGY_INPUTS).transform(
  (name): StrategyName => canonicalStrategy(name) as StrategyName,
);

const backend = z
  .union(
    [
      backendUrl().transform((address) => ({ ...address, weight: 1, isBackup: false })),
      z
        .strictObject({
          url: backendUrl().describe(
            'Scheme, host and port: `http://localhost:3001`, perhaps with a path that is put before those of requests; or a Unix socket: `unix:/run/app.sock`.',
          ),
          weight: wholeNumber(0, MAX_WEIGHT)
            .describe(
              'Its share of the requests, beside the weights of the others. 0: no new clients; those that are sticky ' +
                'stay.',
            )
            .default(1),
          backup: trueOrFalse()
            .describe(
              'Used only while no other backend may get requests, or for a request that all others have failed.',
            )
            .default(false),
        })
        .transform(({ url, weight, backup }) => ({ ...url, weight, isBackup: backup })),
    ],
    { error: 'must be a URL or { url, weight }' },
  )
  .describe(
    'A URL, or a mapping with a URL. `http://:3001` means localhost:3001, `unix:/run/app.sock` a Unix socket.',
  );

/** Those of `timeouts` that are of a pool; the others are of clients, and of the process. */
export const poolTimeouts = {
  connect: duration().describe('TCP connect and TLS handshake with a backend.').prefault('2s'),
  response: duration()
    .describe('From the end of sending the request to the head of the backend’s response.')
    .prefault('10s'),
  idle: duration()
    .describe('Silence in the middle of a body, in either direction.')
    .prefault('60s'),
  backend_keep_alive: duration()
    .describe('An idle pooled connection to a backend.')
    .prefault('60s'),
  backend_max_age: durationOrNone()
    .describe(
      'A pooled connection to a backend, since it was opened, give or take a tenth: an older one is closed when it is idle or its request is over, so that new machines behind a name or an address get their share. 0 or false: no limit.',
    )
    .prefault('5m'),
  backend_ping: durationOrNone()
    .describe(
      'Silence on an HTTP/2 connection to a backend while a request waits there for its answer: after it the backend is asked for a sign of life (PING), and after as long again without one the connection is given up. 0 or false: never.',
    )
    .prefault('5s'),
  tunnel: duration()
    .describe('Silence on an upgraded connection, such as a WebSocket.')
    .prefault('1h'),
  total: durationOrNone()
    .describe('A whole exchange, retries and waiting included. 0 or false: no limit.')
    .prefault(false),
};

/** Of one request, whatever pool it is for. */
export function bodyLimit() {
  return orNone(
    size(0, Number.MAX_SAFE_INTEGER),
    'must be a size, such as 1MiB, or 0 for no limit',
  );
}

/** The same at the top level, for the pool `default`, and inside of `pools`. */
export const poolKeys = {
  strategy: strategy.describe('How a backend is picked for a request.').prefault('round-robin'),
  hash: hash.describe('What the strategy `consistent-hash` goes by.').prefault({}),
  backends: z
    .array(backend, { error: 'must be a list of backends' })
    .describe('The servers that requests are forwarded to.')
    .prefault([]),
  discover,
  // Its names are too much alike for one to be meant by another.
  protocol: z
    .union([z.literal('http1'), z.literal('h2'), z.literal('auto')], {
      error: 'must be http1, h2 or auto',
    })
    .describe(
      'What its backends are spoken to in, by requests and by health checks. `http1`: HTTP/1.1, a connection for each request ' +
        'that is under way. `h2`: HTTP/2, many requests on one connection; over `https` the backend has to choose it (ALPN `h2`), ' +
        'over `http` and Unix sockets it has to know that it comes (h2c by prior knowledge), as servers of gRPC do. `auto`: over ' +
        '`https` HTTP/2 where the backend chooses it, and else HTTP/1.1; over `http`, HTTP/1.1.',
    )
    .default('http1'),
  host_header: hostHeader()
    .describe(
      'The Host field that a backend sees: the client’s, the backend’s own, or a fixed one.',
    )
    .prefault('client'),
  send_proxy_protocol: z
    .union([z.literal(false), z.enum(['v1', 'v2'])], { error: 'must be v1, v2 or false' })
    .describe(
      'Say who the client is in a PROXY protocol header at the beginning of each connection to a backend, before TLS. Such a ' +
        'connection is for one request: no other client may have it. Health checks say that they are our own.',
    )
    .default(false),
  lenient_responses: trueOrFalse()
    .describe(
      'Take answers of old devices that break HTTP: lines that end with LF alone, spaces behind the size of a chunk, ' +
        'and a Content-Length beside chunks, which is dropped; the connection is closed after it. And over TLS, a body ' +
        'without a length that ends with no close_notify. Clients get all of it in proper form. Requests are read ' +
        'strictly, always.',
    )
    .default(false),
};

/** Also part of the paths of the admin API, and of the names of cookies. */
const poolName = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, {
  error:
    'must be the name of a pool: 1 to 64 of a-z, 0-9, "_" and "-", of which the first is a letter or a digit',
});

const { protocol, host_header, send_proxy_protocol, lenient_responses, ...first } = poolKeys;

const pool = z
  .strictObject(
    {
      ...first,
      health_check: z
        .strictObject(healthCheck, {
          error: 'must be a mapping, such as { path: /health, frequency: 10s }',
        })
        .describe('How its backends are checked.')
        .prefault({}),
      timeouts: z
        .strictObject(poolTimeouts, {
          error: 'must be a mapping of timeouts, such as { connect: 2s }',
        })
        .describe('How long Fairlead waits for its backends.')
        .prefault({}),
      ...policiesOfPools,
      tls: backendTls,
      protocol,
      host_header,
      send_proxy_protocol,
      lenient_responses,
    },
    { error: 'must be a mapping, such as { backends: [http://localhost:3001] }' },
  )
  .describe('A pool: its backends, and its policies.');

export const pools = z.record(poolName, pool, {
  error:
    'must be a mapping of names to pools, such as { api: { backends: [http://localhost:3001] } }',
});
