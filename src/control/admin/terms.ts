/** What a call says about the change that it asks for, whichever that is. */
import type { Terms } from '../change-terms.ts';
import type { Operator } from '../operator.ts';
import { preconditionOf } from './etag.ts';
import { ProblemError } from './problem.ts';
import type { AdminCall } from './router.ts';

/** The precondition, and `?persist=false`: nothing is written for this change. @throws ProblemError 422 */
function termsOf({ request, actor, query }: AdminCall): Terms {
  const persist = query.get('persist') ?? 'true';
  if (persist !== 'true' && persist !== 'false') {
    throw new ProblemError(422, 'ERR_INVALID_VALUE', '"persist" must be true or false.');
  }
  const wait = query.get('wait') ?? '';
  if (wait !== '' && wait !== 'all') {
    throw new ProblemError(422, 'ERR_INVALID_VALUE', '"wait" must be all.');
  }
  return {
    precondition: preconditionOf(request),
    isToBeKept: persist === 'true',
    waitsForAll: wait === 'all',
    actor,
  };
}

/** Makes a change, and then waits for all instances where the call asks for that. @throws ProblemError 422; NotEverywhere once it is made */
export async function inForce<T>(
  operator: Operator,
  call: AdminCall,
  change: (terms: Terms) => Promise<T>,
): Promise<T> {
  const terms = termsOf(call);
  const result = await change(terms);
  await operator.everywhere(terms);
  return result;
}
