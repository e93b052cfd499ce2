/** What several instances have in common: the key `cluster` of the schema in schema.ts. */
import { z } from 'zod';
import { orFalse, wholeNumber } from './schema-types.ts';

const MAPPING = 'must be false or a mapping, such as { instances: 3 }';
const MOST_INSTANCES = 1000;

const mapping = z.strictObject(
  {
    instances: wholeNumber(1, MOST_INSTANCES)
      .describe(
        'How many instances there are, this one among them: what `rate_limit` has with `scope: shared` is divided by it.',
      )
      .default(1),
  },
  { error: MAPPING },
);

export const cluster = orFalse(mapping, MAPPING);
