/** Whether a request may begin at all: the checks before a backend is picked, cheapest first. */
import type { Login } from '../limit/basic-auth.ts';
import { clientNetwork } from '../limit/client-network.ts';
import type { LoginWaiter } from '../limit/logins.ts';
import { rateLimitFields } from '../limit/rate-limit.ts';
import { notLoggedIn } from '../pool/terms.ts';
import type { DataContext } from './context.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { Failure } from './silence.ts';

/** Its password is being checked. */
export const CHECKING = 'checking';

/**
 * @param waiter hears of the password, where it is being checked; `refusalOfLogin` says then what follows.
 * @returns why it may not; null when it may.
 */
export function refusal(
  context: DataContext,
  request: IncomingRequest,
  waiter: LoginWaiter,
): Failure | typeof CHECKING | null {
  const { terms } = request;
  const refused = refusedAtOnce(request) ?? refusedByRate(context, request, false);
  if (refused !== null) return refused;
  if (terms === null || terms.login === null) return null;
  return refusalOfUser(context, terms.login, request.clientAddress, waiter);
}

/** By what its head says alone. */
export function refusedAtOnce({ facts, policies, terms }: IncomingRequest): Failure | null {
  if (terms !== null && terms.refused !== null) return terms.refused;
  const { bodyBytes } = policies;
  if (bodyBytes !== 0 && facts.contentLength > bodyBytes) {
    const detail = `${facts.contentLength} bytes announced, of ${bodyBytes} (limits.body)`;
    return { code: 'ERR_BODY_TOO_LARGE', detail };
  }
  return null;
}

/** @param isPreview it is only asked whether it would be, and counts for nothing. */
export function refusedByRate(
  context: DataContext,
  { keys, pool, policies: { rateLimiter } }: IncomingRequest,
  isPreview: boolean,
): Failure | null {
  if (rateLimiter === null || keys === null) return null;
  const nowMs = context.processNowMs();
  const waitMs = isPreview
    ? rateLimiter.foresee(keys.rate, nowMs)
    : rateLimiter.take(keys.rate, nowMs);
  if (waitMs <= 0) return null;
  if (!isPreview) pool.counters.rateLimited();
  const { limit } = rateLimiter;
  return {
    code: 'ERR_RATE_LIMITED',
    detail: `over ${limit.rate} requests in ${limit.perMs} ms`,
    fields: rateLimitFields(limit, waitMs),
  };
}

function refusalOfUser(
  { logins }: DataContext,
  login: Login,
  clientAddress: string,
  waiter: LoginWaiter,
): Failure | typeof CHECKING | null {
  const isRight = logins.isRight(login);
  if (isRight !== null) return refusalOfLogin(login, isRight);
  if (logins.check(login, clientNetwork(clientAddress), waiter)) return CHECKING;
  return { code: 'ERR_LOGINS_BUSY', detail: 'too many passwords of this client, or of all' };
}

/** @param isRight as `LoginWaiter` hears it. */
export function refusalOfLogin({ challenge }: Login, isRight: boolean | null): Failure | null {
  if (isRight === true) return null;
  if (isRight === false) return notLoggedIn(challenge, 'no user has this name and this password');
  return { code: 'ERR_LOGINS_BUSY', detail: 'the password could not be checked' };
}
