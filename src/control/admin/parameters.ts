/** Parameters that several calls have. */
import { SESSIONS_WHILE_DRAINING } from '../drains.ts';
import type { Parameter } from './form.ts';

export const ID: Parameter = {
  says: 'Of a backend, as the list of them has it.',
  schema: { type: 'integer', minimum: 0 },
};

export const PERSIST: Parameter = {
  says: 'false: the change is made, and nothing is written for it.',
  schema: { type: 'boolean', default: true },
};

export const DRAINING: Readonly<Record<string, Parameter>> = {
  drain: {
    says: 'How long requests and upgraded connections may go on: `30s`. Empty: `timeouts.drain` of the config.',
    schema: { type: 'string' },
  },
  sessions: {
    says: 'Whether clients with a session keep coming until then.',
    schema: { type: 'string', enum: SESSIONS_WHILE_DRAINING },
  },
  cut: {
    says: 'true: requests that are left at the deadline are cut.',
    schema: { type: 'boolean', default: false },
  },
};
