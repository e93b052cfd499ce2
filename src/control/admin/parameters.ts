/** Parameters that several calls have. */

import { SESSIONS_WHILE_DRAINING } from '../operator-words.ts';
import type { Parameter } from './form.ts';

export const ID: Parameter = {
  says: 'Of a backend, as the list of them has it.',
  schema: { type: 'integer', minimum: 0 },
};

export const KEEPING: Readonly<Record<string, Parameter>> = {
  persist: {
    says: 'false: the change is made, and nothing is written for it. In a cluster: it is made at this instance alone.',
    schema: { type: 'boolean', default: true },
  },
  wait: {
    says: 'all: in a cluster, the answer comes when all instances run on the change.',
    schema: { type: 'string', enum: ['all'] },
  },
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
