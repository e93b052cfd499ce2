/** What `POST /explain` takes and answers, as schemas. */
import { z } from 'zod';
import { STRATEGY_NAMES } from '../../snapshot/snapshot.ts';
import { form } from './form.ts';

const count = () => z.int().min(0);
const names = () => z.array(z.string());

export const question = form('Question', () =>
  z.strictObject({
    host: z.string().describe('What the Host field says.'),
    method: z.string().default('GET'),
    path: z.string().default('/').describe('With its query, percent-encoded.'),
    headers: z
      .record(z.string(), z.union([z.string(), z.array(z.string())]))
      .optional()
      .describe('Without Host.'),
    client: z.string().default('127.0.0.1').describe('The address that its connection comes from.'),
    scheme: z.enum(['http', 'https']).default('http'),
  }),
);

const changes = form('FieldChanges', () =>
  z.object({ sets: names(), adds: names(), removes: names() }),
);

const draw = form('Draw', () =>
  z.object({
    by: z.enum(['turn', 'further turn', 'hash', 'least', 'two']),
    why: z.string(),
    turn: count().optional(),
    of: count().optional(),
    hash: count().optional(),
    overflowed: z.array(count()).optional(),
    least: z.array(count()).optional(),
    drawn: z.array(count()).optional(),
  }),
);

const candidate = form('Candidate', () =>
  z.object({
    id: count(),
    url: z.string().nullable(),
    picked: z.boolean(),
    role: z.enum(['eligible', 'keeper', 'spare', 'none']),
    weight: count(),
    in_flight: count(),
    latency_ms: z.number().min(0).nullable(),
    has_room: z.boolean(),
    cost: z.number().min(0).nullable().describe('What the strategy compares.'),
    state: z.string().nullable(),
    health: z.string().nullable(),
    why: z.string().nullable(),
  }),
);

const pick = form('Pick', () =>
  z.object({
    name: z.string(),
    strategy: z.enum(STRATEGY_NAMES),
    key: z.object({ by: z.string(), name: z.string(), value: z.string() }).nullable(),
    session: z
      .object({ key: z.string().nullable(), backend: count().nullable(), begins: z.boolean() })
      .nullable(),
    backend: z.object({ id: count(), url: z.string().nullable() }).nullable(),
    chosen_by: z.string(),
    draws: z.array(draw()),
    passed_over: z.array(count()),
    waits: z.boolean(),
    candidates: z.array(candidate()),
    candidates_left_out: count(),
  }),
);

const policies = form('RequestPolicies', () =>
  z.object({
    timeouts: z.record(z.string(), z.union([z.string(), z.literal(false)])),
    attempts: count(),
    retries_on_status: z.array(count()),
    hedge_after: z.union([z.string(), z.literal(false)]),
    body_bytes: count().nullable(),
    rate_limit: z
      .object({
        scope: z.enum(['local', 'shared', 'global']),
        rate: z.number(),
        per: z.string(),
        burst: z.number(),
        by: z.string(),
      })
      .nullable(),
  }),
);

export const explanation = form('Explanation', () =>
  z.object({
    summary: z.string(),
    thread: count(),
    client: z.string().nullable(),
    client_is_trusted_proxy: z.boolean(),
    path: z.string().nullable(),
    route: z.string().nullable(),
    part: z.string().nullable(),
    routes: z.array(z.object({ name: z.string(), matches: z.boolean(), why: z.string() })),
    routes_left_out: count(),
    answer: z
      .object({
        status: z.int(),
        code: z.string().nullable(),
        detail: z.string(),
        location: z.string().nullable(),
      })
      .nullable(),
    needs_login: z.boolean(),
    forwards: z
      .object({
        target: z.string(),
        request: changes().nullable(),
        answer: changes().nullable(),
      })
      .nullable(),
    mirror: z.object({ pool: z.string().nullable(), is_next: z.boolean() }).nullable(),
    policies: policies().nullable(),
    pool: pick().nullable(),
  }),
);
