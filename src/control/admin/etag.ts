/** Lost-update protection: reads carry the version as ETag, writes may ask for it with If-Match (RFC 9110 §13.1.1). */
import { randomBytes } from 'node:crypto';
import type { Precondition, Versioned } from '../change-terms.ts';
import { ProblemError } from './problem.ts';
import type { AdminCall } from './router.ts';

/** Generations begin anew with the process: what was read of the one before is out of date. */
const PROCESS = randomBytes(4).toString('hex');

/** In a cluster it is the revision of the store: the same at all instances. */
export function etagOf({ generation, sharedRevision }: Versioned): string {
  return sharedRevision === undefined ? `"${PROCESS}-${generation}"` : `"r${sharedRevision}"`;
}

/** Undefined: any version will do. The precondition throws ProblemError 412. */
export function preconditionOf(request: AdminCall['request']): Precondition | undefined {
  const field = request.headers['if-match'];
  if (field === undefined || field.trim() === '*') return undefined;
  const tags = new Set(field.split(',').map((tag) => tag.trim()));
  return (now) => {
    if (tags.has(etagOf(now))) return;
    throw new ProblemError(412, 'ERR_GENERATION_CHANGED', 'Something changed since you read it.', {
      hint: 'read again, then repeat the change with the new ETag',
      headers: { ETag: etagOf(now) },
    });
  };
}
