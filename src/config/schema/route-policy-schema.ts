/**
 * The policies that a route may have of its own: those of a pool that concern one request. What is not given is as the pool has
 * it. Part of the schema in route-schema.ts; compiled in compile-route-policies.ts.
 */
import { z } from 'zod';
import { rateLimit, retries } from './policy-schema.ts';
import { bodyLimit, poolTimeouts } from './pool-schema.ts';
import { orFalse } from './schema-types.ts';

type WithDefault = z.ZodPrefault | z.ZodDefault;
type WithoutDefaults<Keys extends Record<string, WithDefault>> = {
  [Key in keyof Keys]: z.ZodOptional<ReturnType<Keys[Key]['unwrap']>>;
};

function withoutDefaults<Keys extends Record<string, WithDefault>>(
  keys: Keys,
): WithoutDefaults<Keys> {
  const entries = Object.entries(keys).map(([key, one]) => [key, z.optional(one.unwrap())]);
  return Object.fromEntries(entries) as WithoutDefaults<Keys>;
}

const { connect, response, idle, tunnel, total } = poolTimeouts;

export const routePolicies = {
  timeouts: z
    .strictObject(withoutDefaults({ connect, response, idle, tunnel, total }), {
      error: 'must be a mapping of timeouts, such as { total: 5s }',
    })
    .describe('How long its requests may take, where that is not as their pool has it.')
    .optional(),
  limits: z
    .strictObject(
      { body: bodyLimit().describe('As `limits.body`, for its requests.').optional() },
      { error: 'must be a mapping, such as { body: 100MiB }' },
    )
    .describe('What is too much for it, where that is not as for all.')
    .optional(),
  rate_limit: orFalse(rateLimit, 'must be false or a mapping, such as { rate: 100, burst: 20 }')
    .describe(
      'How many requests one client may send to this route. It takes the place of the limit of the pool, and is counted ' +
        'apart from it and from other routes. false: none.',
    )
    .optional(),
  retries: orFalse(
    z.strictObject(withoutDefaults(retries.shape), { error: 'must be a mapping' }),
    'must be false or a mapping, such as { attempts: 3 }',
  )
    .describe(
      'Whether and how its requests are tried again, where that is not as their pool has it. The budget is the pool’s: ' +
        '`budget_percent` is up to which share of its requests those of this route may still be tried again.',
    )
    .optional(),
} as const;
