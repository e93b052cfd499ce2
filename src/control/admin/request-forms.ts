/** What `/requests` answers, as schemas. */
import { z } from 'zod';
import { PHASES } from '../../snapshot/phase.ts';
import { form } from './form.ts';

const ms = () => z.number().min(0);
const text = () => z.string().nullable();

const shape = () => ({
  id: z.string(),
  time: z.string().meta({ format: 'date-time' }),
  client: z.string(),
  method: text(),
  host: text(),
  path: text(),
  status: z.int(),
  ended: text(),
  error: text(),
  phase: z.enum(PHASES).describe('How far it has come.'),
  duration_ms: ms(),
  pool: z.string(),
  backend: text(),
});

const attempt = form('KeptAttempt', () =>
  z.object({
    backend: z.string(),
    protocol: z.enum(['HTTP/1.1', 'HTTP/2.0']),
    reused: z.boolean(),
    chosen_by: z.string(),
    status: z.int().nullable(),
    outcome: z.string(),
    duration_ms: ms(),
    connect_ms: ms().nullable().optional(),
    connection_age_ms: ms().nullable().optional(),
    request_sent: z.boolean().optional(),
    body_bytes_sent: z.int().min(0).optional(),
  }),
);

export const keptRequests = form('KeptRequests', () => z.array(z.object(shape())));

export const keptRequest = form('KeptRequest', () =>
  z.object({
    ...shape(),
    protocol: text(),
    route: text(),
    part: text(),
    bytes_in: z.int().min(0),
    bytes_out: z.int().min(0),
    queue_ms: ms().nullable(),
    connect_ms: ms().nullable(),
    first_byte_ms: ms().nullable(),
    error_source: text(),
    error_detail: text(),
    attempts: z.array(attempt()),
    no_retry: text().describe('Why no further attempt followed.'),
    hint: text().describe('What to look at, or to change.'),
    thread: z.int().min(0),
  }),
);
