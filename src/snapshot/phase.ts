/** How far a request has come: the same in the access log and in `GET /requests`. */
import type { RequestRecord } from './kept-request.ts';

/** In their order. */
export const PHASES = ['request', 'queue', 'connect', 'wait', 'response', 'done'] as const;
export type Phase = (typeof PHASES)[number];

export function phaseOf({ error, ended, attempts, queueMs, firstByteMs }: RequestRecord): Phase {
  if (error === null && ended === null) return 'done';
  const last = attempts.at(-1);
  if (last === undefined) return queueMs >= 0 ? 'queue' : 'request';
  if (firstByteMs >= 0) return 'response';
  return last.failure === null || last.failure.isSent ? 'wait' : 'connect';
}
