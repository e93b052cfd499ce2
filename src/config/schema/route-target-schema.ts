/** Where the requests of a route go beside one pool: several of them by weight. Part of the schema in route-schema.ts. */
import { z } from 'zod';
import { MAX_WEIGHT } from '../settings.ts';
import { wholeNumber } from './schema-types.ts';

const MOST_PARTS = 100;
const PERCENT = 'must be a number from 0 to 100';

const partName = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, {
  error:
    'must be a name: 1 to 64 of a-z, 0-9, "_" and "-", of which the first is a letter or a digit',
});

const part = z.strictObject(
  {
    pool: z
      .string({ error: 'must be the name of a pool' })
      .describe('Where the requests of this part go.'),
    weight: wholeNumber(0, MAX_WEIGHT)
      .describe(
        'Its share of the clients or requests, beside the weights of the other parts. 0: none but those that carry a session of ' +
          'its pool.',
      )
      .default(1),
    name: partName
      .describe(
        'What it is called in the log; and what clients are assigned by, so that the pool behind it may become another. ' +
          'Default: the name of the pool.',
      )
      .optional(),
  },
  { error: 'must be a mapping, such as { pool: web, weight: 90 }' },
);

export const routeTargets = {
  split: z
    .array(part, {
      error: 'must be a list, such as [{ pool: web, weight: 90 }, { pool: next, weight: 10 }]',
    })
    .min(1, { error: 'must not be empty' })
    .max(MOST_PARTS, { error: `must not have more than ${MOST_PARTS} parts` })
    .describe(
      'In place of `pool`: several pools, each with its share by weight. A client stays with its part where the pools are sticky.',
    )
    .optional(),
  mirror: z
    .strictObject(
      {
        pool: z
          .string({ error: 'must be the name of a pool' })
          .describe('The pool that gets the copies.'),
        percent: z
          .number({ error: PERCENT })
          .min(0, { error: PERCENT })
          .max(100, { error: PERCENT })
          .describe('How many of the requests are copied, in percent; fractions are fine.')
          .default(100),
      },
      { error: 'must be a mapping, such as { pool: shadow, percent: 5 }' },
    )
    .describe(
      'Copies of requests go to another pool, too, and its answers are thrown away. The request itself never waits for it.',
    )
    .optional(),
} as const;
