/** What the calls about the cluster answer. */
import { z } from 'zod';
import { form } from './form.ts';

const refusal = z.object({
  key: z.string().describe('Of the object in the store.'),
  reason: z.string(),
});

const member = z.object({
  instance: z.string(),
  address: z.string().nullable().describe('Of its admin API.'),
  version: z.string(),
  epoch: z.string().nullable().describe('Which store it has read.'),
  applied: z.number().describe('The revision that it runs on.'),
  refused: z.array(refusal),
  since: z.string().describe('When it was started.'),
});

export const cluster = form('Cluster', () =>
  z.object({
    name: z.string(),
    instance: z.string(),
    state: z
      .enum(['connecting', 'current', 'stale', 'held'])
      .describe(
        '`current`: it runs on what the store has. `stale`: on what was known last. `held`: the store is another one than before.',
      ),
    reason: z.string().nullable(),
    epoch: z.string().nullable(),
    found_epoch: z.string().nullable().describe('Of the store that is held.'),
    revision: z.number().describe('Of the last change that this instance runs on.'),
    config_age_seconds: z.number().describe('Since that was last known to be what the store has.'),
    refused: z.array(refusal).describe('What is not valid, and not run on as it is.'),
    members: z.array(member),
    members_are_known: z.boolean().describe('false: the store can’t be asked; those known last.'),
    health: z.object({
      disagreements: z
        .array(
          z.object({
            pool: z.string(),
            backend: z.string(),
            alive: z.array(z.string()),
            not_alive: z.array(z.string()),
          }),
        )
        .describe('Backends that some instances think alive, and others not.'),
      silent: z.array(z.object({ instance: z.string(), reason: z.string() })),
      partial: z.boolean().describe('true: not all instances have answered.'),
    }),
  }),
);

export const clusterHealth = form('ClusterHealth', () =>
  z.object({
    cluster: z.string(),
    instance: z.string(),
    backends: z.array(z.object({ pool: z.string(), url: z.string(), alive: z.boolean() })),
  }),
);

export const clusterWrite = form('ClusterWrite', () =>
  z.object({ write: z.string(), revision: z.number() }),
);
