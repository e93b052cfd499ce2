/**
 * The config of a Fairlead that runs inside another program: the same keys, and a few values more, since whoever has the object can
 * ask it. Its defaults leave alone what is the program's: its standard output, and its threads.
 */
import { z } from 'zod';
import { configSchema } from './schema.ts';
import { wholeNumber } from './schema-types.ts';

const { access_log: accessLog } = configSchema.shape;
const threads = 'must be auto or a whole number from 0 to 64';

export const embeddedSchema = configSchema.extend({
  port: wholeNumber(0, 65_535).describe('0: any that is free.').default(8080),
  admin_port: wholeNumber(0, 65_535).describe('0: any that is free.').default(9000),
  threads: z
    .union([z.literal('auto'), z.int().min(0, { error: threads }).max(64, { error: threads })], {
      error: threads,
    })
    .describe("Data threads; 0: requests are served in the caller's own.")
    .default(0),
  access_log: accessLog.unwrap().default(false),
});
