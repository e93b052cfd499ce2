/** What calls answer. That they do is tested by calling them: test/behaviour/openapi.test.ts. */
import { z } from 'zod';
import { SOURCE_KINDS } from '../../config/discovery-settings.ts';
import { STRATEGY_NAMES } from '../../snapshot/snapshot.ts';
import { ADMIN_STATES, OVERRIDABLE, SESSIONS_WHILE_DRAINING } from '../operator-words.ts';
import { form } from './form.ts';

const count = () => z.int().min(0);
const time = () => z.string().meta({ format: 'date-time' });
const breaker = () => z.enum(['closed', 'open', 'half-open']);
const strategy = () => z.enum(STRATEGY_NAMES);
const source = () => z.enum(['config', 'api']);
/** Whatever stands in a config. */
const values = () => z.record(z.string(), z.unknown());

const draining = form('Draining', () =>
  z.object({
    since: time().nullable(),
    deadline: time().nullable(),
    in_flight: count(),
    tunnels: count(),
    cut: count(),
    cut_requests: count(),
    sessions: z.enum(SESSIONS_WHILE_DRAINING),
  }),
);

export const backend = form('Backend', () =>
  z.object({
    id: count().describe('Given in order, and to no other backend while Fairlead runs.'),
    url: z.string(),
    weight: count(),
    effective_weight: z.number().min(0).describe('What the weight counts for now.'),
    backup: z.boolean(),
    alive: z.boolean().describe('Can take requests.'),
    eligible: z.boolean().describe('New clients go there, as far as it has room.'),
    why: z.string().describe('Why they do, or why not, in words.'),
    state: z.enum(ADMIN_STATES),
    health: z.enum(['unknown', 'healthy', 'unhealthy']),
    breaker: breaker(),
    ejected_until: time().nullable(),
    conns: count().describe('Requests in flight there now.'),
    current_connections: count(),
    requests: count(),
    errors: count(),
    latency_ms: z.number().min(0),
    last_check: time().nullable(),
    last_change: time(),
    reason: z.string().nullable(),
    hint: z.string().optional(),
    source: z.enum(['config', 'api', 'discovery']),
    found_by: z
      .enum(SOURCE_KINDS)
      .optional()
      .describe('Where `source` is `discovery`: the source.'),
    kept: z.literal(false).optional().describe('The next start makes something else of it.'),
    drained: z.boolean().optional(),
    draining: draining().optional(),
  }),
);

export const backends = form('Backends', () => z.array(backend()));

const leaving = form('Leaving', () =>
  z.object({
    id: count(),
    pool: z.string(),
    url: z.string(),
    since: time(),
    in_flight: count(),
    tunnels: count(),
  }),
);

export const status = form('Status', () =>
  z.object({
    strategy: strategy(),
    strategy_source: source(),
    total_backends: count(),
    active_backends: count(),
    uptime_seconds: z.number().min(0),
    generation: count().describe('Grows with every change by an operator.'),
    panic: z.boolean(),
    breaker: breaker(),
    queued: count(),
    client_protocols: z.array(z.enum(['HTTP/1.1', 'HTTP/2.0'])),
    backend_protocol: z.enum(['http1', 'h2', 'auto']),
    leaving: z.array(leaving()),
    not_kept: z
      .array(
        z.object({
          value: z.enum(['strategy', 'backend']),
          backend: z.string().nullable(),
          now: z.string(),
          after_restart: z.string(),
        }),
      )
      .optional()
      .describe('Changes that end with the process; left out where there are none.'),
    rate_limit_engine: z
      .object({
        url: z.string(),
        state: z.enum(['up', 'down']),
        last_error: z.string().nullable(),
        last_error_at: time().nullable(),
        on_engine_down: z
          .array(z.enum(['local', 'open', 'closed']))
          .describe('What the global limits of all pools and routes do while it is down.'),
        calls: count(),
        failed_calls: count(),
      })
      .optional()
      .describe('What counts for all instances: `cluster.redis`.'),
    refused_reload: z
      .object({ at: time(), reason: z.string() })
      .optional()
      .describe('The last reload, where it was refused.'),
    backends: backends(),
  }),
);

export const strategyInForce = form('Strategy', () =>
  z.object({ strategy: strategy(), source: source(), kept: z.literal(false).optional() }),
);

const discovery = form('Discovery', () =>
  z.object({
    source: z.enum(SOURCE_KINDS),
    asks: z.string().describe('What is asked, in words.'),
    failing: z.boolean().describe('The last answer was none: the one before holds.'),
    found: count().describe('Backends in the last good answer.'),
    kept_from: time()
      .nullable()
      .describe('That is of this time, kept from before the start: there was none since.'),
    last_success: time().nullable(),
    age_seconds: z.number().min(0).nullable().describe('Since the last good answer.'),
    last_fault: time().nullable(),
    fault: z.string().nullable().describe('What the last fault was.'),
    left_out: z
      .array(z.string())
      .describe('What can’t be a backend as it is, and what would help.'),
  }),
);

export const pool = form('Pool', () =>
  z.object({
    name: z.string(),
    routed: z.boolean().describe('A route of the config leads there.'),
    strategy: strategy(),
    strategy_source: source(),
    total_backends: count(),
    active_backends: count(),
    panic: z.boolean(),
    breaker: breaker(),
    queued: count(),
    discovery: discovery().nullable().describe('Null: its backends are listed.'),
  }),
);

export const pools = form('Pools', () => z.array(pool()));

export const routesInForce = form('Routes', () =>
  z.array(
    z.object({
      name: z.string(),
      pools: z.array(z.string()),
      config: values().describe('In the words of the config; secrets are hidden.'),
    }),
  ),
);

export const listeners = form('Listeners', () =>
  z.array(
    z.object({
      id: count(),
      name: z.string(),
      url: z.string(),
      host: z.string().optional(),
      port: count().optional(),
      unix: z.string().optional(),
      mode: z.string().optional(),
      fd: z.string().optional(),
      inherited: z.boolean(),
      tls: z.boolean(),
      http2: z.boolean(),
      redirects_to_https: z.boolean(),
      proxy_protocol: z.boolean(),
    }),
  ),
);

export const certificates = form('Certificates', () =>
  z.object({
    certificates: z.array(
      z.object({
        listener: z.string(),
        names: z.array(z.string()),
        served_names: z.array(z.string()),
        default: z.boolean(),
        not_before: time(),
        not_after: time(),
        days_left: z.int(),
        subject: z.string(),
        issuer: z.string(),
        serial: z.string(),
        fingerprint_sha256: z.string(),
        key_type: z.string(),
        cert_file: z.string(),
        key_file: z.string(),
        must_staple: z.boolean(),
        stapled: z.boolean(),
      }),
    ),
    faults: z.array(z.object({ file: z.string(), message: z.string() })),
    acme: z
      .array(
        z.object({
          name: z.string(),
          ca: z.string().describe('The directory of the authority.'),
          challenge: z.string(),
          state: z.enum(['good', 'awaited', 'ordering', 'failing']),
          not_after: time().nullable().describe('Of the certificate that there is.'),
          renew_at: time().nullable(),
          renewal_explanation: z
            .string()
            .nullable()
            .describe('A page of the authority that says why it is to be renewed then.'),
          next_try: time().nullable(),
          failures: count().describe('In a row.'),
          problem: z
            .object({
              time: time(),
              type: z.string().nullable().describe('As RFC 8555 §6.7 calls it.'),
              detail: z.string(),
              hint: z.string().nullable().describe('What to change.'),
            })
            .nullable(),
        }),
      )
      .describe('Certificates that are fetched, and how that goes.'),
  }),
);

const totalsOfBackend = form('BackendTotals', () =>
  backend().extend({
    server_errors: count().describe('Its answers of 500 and above.'),
    open_connections: count(),
  }),
);

/** By status; 600 stands for everything above 599. */
const statuses = () => z.record(z.string(), count());

export const totals = form('Totals', () =>
  z.object({
    version: z.string(),
    pid: count(),
    uptime_seconds: z.number().min(0).describe('Where it goes back, counters have begun anew.'),
    generation: count(),
    client_connections: count(),
    duration_bounds_seconds: z.array(z.number()),
    statuses: statuses().describe('Of requests that were for no pool.'),
    errors: z.record(z.string(), count()).describe('By code, of all pools.'),
    pools: z.array(
      z.object({
        name: z.string(),
        routed: z.boolean(),
        strategy: strategy(),
        strategy_source: source(),
        panic: z.boolean(),
        breaker: breaker(),
        queued: count(),
        statuses: statuses(),
        durations: z.array(count()).describe('Requests up to each bound, and above the last one.'),
        backends: z.array(totalsOfBackend()),
      }),
    ),
    left_out: z.object({ pools: count(), backends: count() }),
    leaving: z.array(leaving()),
  }),
);

export const whoami = form('Whoami', () =>
  z.object({
    role: z.enum(['viewer', 'operator']),
    token: z.string().nullable().describe('Its name; null: none was asked for.'),
    version: z.string(),
  }),
);

export const config = form('Config', () =>
  z.object({
    config: values(),
    origins: z.record(z.string(), z.string()).describe('Where each value came from.'),
    notes: z.array(z.string()).optional(),
  }),
);

const override = form('Override', () =>
  z.object({
    pool: z.string(),
    value: z.enum([...OVERRIDABLE, 'backend']),
    backend: z.string().nullable(),
    api: z.union([z.string(), z.number(), z.boolean()]),
    config: z.union([z.string(), z.number(), z.boolean()]).nullable(),
  }),
);

export const overrides = form('Overrides', () => z.array(override()));

export const dropped = form('Dropped', () => z.object({ dropped: overrides() }));

export const upgraded = form('Upgraded', () => z.object({ pid: count() }));

export const reloaded = form('Reloaded', () =>
  z.object({
    changed: z.boolean(),
    changes: z.array(z.string()),
    generation: count(),
    api_changes: count(),
    overrides: overrides(),
    notes: z.array(z.string()),
  }),
);

/** Of a config: with the place where it stands. */
const fault = form('ConfigProblem', () =>
  z.object({
    origin: z.enum(['default', 'file', 'store', 'environment', 'flag']),
    file: z.string().optional(),
    line: z.int().optional(),
    column: z.int().optional(),
    name: z.string().optional(),
    path: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    excerpt: z.string().optional(),
  }),
);

export const validated = form('Validated', () =>
  z.object({
    valid: z.literal(true),
    changed: z.boolean(),
    changes: z.array(
      z.object({
        path: z.string(),
        change: z.enum(['added', 'removed', 'changed', 'moved']),
        before: z.unknown().optional(),
        after: z.unknown().optional(),
      }),
    ),
    changes_left_out: count(),
    needs_restart: z.array(z.string()),
    refused: z.array(fault()),
    overrides: overrides(),
    notes: z.array(z.string()),
  }),
);

export const index = form('Index', () =>
  z.object({
    name: z.literal('fairlead'),
    calls: z.array(
      z.object({ path: z.string(), methods: z.array(z.string()), summary: z.string() }),
    ),
  }),
);

export const live = form('Live', () => z.object({ status: z.literal('live') }));
export const ready = form('Ready', () =>
  z.object({
    status: z.literal('ready'),
    degraded: z.literal(true).optional().describe('In a cluster: what is served may be old.'),
    why: z.string().optional(),
  }),
);

/** Documents of other standards. */
export const document = form('Document', () => values());

export const problem = form('Problem', () =>
  z
    .object({
      type: z.string().describe('`urn:fairlead:problem:` and the code.'),
      title: z.string(),
      status: z.int(),
      detail: z.string().describe('For people.'),
      code: z.string().describe('Stable: see docs/errors.md.'),
      hint: z.string().optional(),
      problems: z.array(fault()).optional(),
      strategies: z.array(z.string()).optional(),
      keys: z.array(z.string()).optional(),
    })
    .describe('RFC 9457 problem details.'),
);

/** All of them, with those that are parts of others: what stands beside each other in the document. */
export const PARTS = [discovery, draining, leaving, override, fault, totalsOfBackend] as const;
