/** A call of the admin API from within the process: the same routes, checks and answers, without a socket. */
import type { Actor } from '../audit.ts';
import { explainError } from './explain.ts';
import { ProblemError } from './problem.ts';
import { checkParameters, findOperation, findRoute, parseTarget, type Route } from './router.ts';

const PROGRAM: Actor = { program: true };

/**
 * @param target path and query.
 * @param body undefined: none.
 * @returns the body of the answer. @throws ProblemError, with the text of the answer that a caller of the API would get.
 */
export async function callLocally(
  routes: readonly Route[],
  method: string,
  target: string,
  body?: object,
): Promise<unknown> {
  const { segments, query } = parseTarget(target);
  const { route, params } = findRoute(routes, segments);
  const { handle } = findOperation(route, method);
  checkParameters(route, method, query);
  const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body));
  try {
    const request = { method, headers: {} };
    const answer = await handle({
      request,
      actor: PROGRAM,
      role: 'operator',
      params,
      query,
      body: bytes,
    });
    return answer.body;
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw explainError(error) ?? error;
  }
}
