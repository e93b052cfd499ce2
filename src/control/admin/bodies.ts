/** The objects that calls take. Their keys are read from here; what is wrong with a value, each call says in its own words. */
import { z } from 'zod';
import { MAX_WEIGHT } from '../../config/settings.ts';
import { STRATEGY_ALIASES } from '../../config/values/strategy-name.ts';
import { STRATEGY_NAMES } from '../../snapshot/snapshot.ts';
import { ADMIN_STATES } from '../operator-words.ts';
import { form } from './form.ts';

const weight = () =>
  z
    .int()
    .min(0)
    .max(MAX_WEIGHT)
    .describe('Its share beside the weights of the others; 0: no new clients.');
const backup = () => z.boolean().describe('Used only while no other backend is eligible.');
const url = () =>
  z.string().describe('`http://localhost:3001`, `https://…`, or `unix:/run/app.sock`.');

export const newBackend = form('NewBackend', () =>
  z.strictObject({
    url: url(),
    weight: weight().default(1),
    backup: backup().default(false),
    state: z.enum(ADMIN_STATES).default('enabled'),
    id: z
      .int()
      .min(0)
      .optional()
      .describe(
        'Of the backend with this URL that was removed a while ago: it comes back as the same one, with its counters and sessions.',
      ),
  }),
);

export const backendUrl = form('BackendUrl', () => z.strictObject({ url: url() }));

export const backendChange = form('BackendChange', () =>
  z
    .strictObject({
      weight: weight().optional(),
      state: z.enum(ADMIN_STATES).optional(),
      backup: backup().optional(),
    })
    .meta({ minProperties: 1 }),
);

export const backendStatus = form('BackendStatus', () =>
  z.strictObject({
    alive: z.boolean().describe('false: no new requests, until it is true again.'),
  }),
);

export const strategyChoice = form('StrategyChoice', () =>
  z.strictObject({
    strategy: z.enum([...STRATEGY_NAMES, ...Object.keys(STRATEGY_ALIASES)] as [
      string,
      ...string[],
    ]),
  }),
);
