/** Whether a request may begin at all: the checks before a backend is picked, cheapest first. */
import type { SessionWaiter } from '../balance/session-asks.ts';
import type { Victim } from '../barrier.ts';
import type { Login } from '../limit/basic-auth.ts';
import { clientNetwork } from '../limit/client-network.ts';
import { ASK_ENGINE, type GlobalRateLimiter, NOT_COUNTED } from '../limit/global-rate-limit.ts';
import type { LoginWaiter } from '../limit/logins.ts';
import type { RateWaiter } from '../limit/rate-asks.ts';
import { rateLimitFields } from '../limit/rate-limit.ts';
import { notLoggedIn } from '../pool/terms.ts';
import type { DataContext } from './context.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { Failure } from './silence.ts';

/** It is being found out. */
export const CHECKING = 'checking';

/** Whose request it is. */
export interface Applicant extends Victim {
  /** False: nobody waits for the answer any more. */
  readonly awaitsAdmission: boolean;
  /** @param refused why it may not begin; null: it may. */
  onAdmission(refused: Failure | null): void;
}

/** @returns why it may not begin; null when it may; `CHECKING`: the applicant hears of it. */
export function refusal(
  context: DataContext,
  request: IncomingRequest,
  applicant: Applicant,
): Failure | typeof CHECKING | null {
  const refused = refusedAtOnce(request);
  if (refused !== null) return refused;
  const { rateLimiter } = request.policies;
  if (rateLimiter !== null && request.keys !== null) {
    const waitMs = rateLimiter.take(request.keys.rate, context.processNowMs());
    if (waitMs > 0) {
      if (waitMs !== ASK_ENGINE) return refusalOfRate(request, waitMs);
      const inquiry = new Inquiry(context, request, applicant);
      context.rateAsks.wait(rateLimiter as GlobalRateLimiter, request.keys.rate, inquiry);
      return CHECKING;
    }
  }
  const login = request.terms?.login ?? null;
  const refusedUser = login === null ? null : refusalOfUser(context, login, request, applicant);
  return refusedUser ?? sessionToFind(context, request, applicant, 0);
}

/**
 * The last step: where its session is, as far as other instances know that.
 * @param waitedMs for the same engine already.
 */
function sessionToFind(
  context: DataContext,
  request: IncomingRequest,
  applicant: Applicant | Inquiry,
  waitedMs: number,
): typeof CHECKING | null {
  const { keys, pool, terms } = request;
  if (keys === null || (terms !== null && terms.answer !== null)) return null;
  const question = pool.view.sessions?.question?.(keys.session) ?? null;
  if (question === null) return null;
  const waiter =
    applicant instanceof Inquiry ? applicant : new Inquiry(context, request, applicant);
  return context.sessionAsks.wait(question, waiter, waitedMs) ? CHECKING : null;
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

/** Whether its client would be refused now; it counts for nothing. */
export function foreseenRefusal(
  context: DataContext,
  { keys, policies: { rateLimiter } }: IncomingRequest,
): Failure | null {
  if (rateLimiter === null || keys === null) return null;
  const waitMs = rateLimiter.foresee(keys.rate, context.processNowMs());
  return waitMs <= 0 ? null : failureOfRate(rateLimiter, waitMs);
}

function refusalOfRate({ pool, policies }: IncomingRequest, waitMs: number): Failure {
  if (waitMs !== NOT_COUNTED) pool.counters.rateLimited();
  return failureOfRate(policies.rateLimiter as RateLimiters, waitMs);
}

type RateLimiters = NonNullable<IncomingRequest['policies']['rateLimiter']>;

function failureOfRate({ limit }: RateLimiters, waitMs: number): Failure {
  if (waitMs === NOT_COUNTED) {
    const detail = 'rate_limit.on_engine_down is closed, and the engine that counts is not there';
    return { code: 'ERR_NOT_COUNTED', detail, fields: 'Retry-After: 1\r\n' };
  }
  return {
    code: 'ERR_RATE_LIMITED',
    detail: `over ${limit.rate} requests in ${limit.perMs} ms`,
    fields: rateLimitFields(limit, waitMs),
  };
}

/** What takes time: first its client's requests are counted, then its password is checked, then its session is looked for, where they have to be. */
class Inquiry implements LoginWaiter, RateWaiter, SessionWaiter {
  readonly #context: DataContext;
  readonly #request: IncomingRequest;
  readonly #applicant: Applicant;
  readonly #sinceMs: number;
  /** For the engine, to be counted. */
  #waitedMs = 0;

  constructor(context: DataContext, request: IncomingRequest, applicant: Applicant) {
    this.#context = context;
    this.#request = request;
    this.#applicant = applicant;
    this.#sinceMs = context.deadlines.now();
  }

  get awaitsCount(): boolean {
    return this.#applicant.awaitsAdmission;
  }

  get awaitsLogin(): boolean {
    return this.#applicant.awaitsAdmission;
  }

  get awaitsSession(): boolean {
    return this.#applicant.awaitsAdmission;
  }

  onCounted(waitMs: number): void {
    if (!this.awaitsCount) return;
    this.#waitedMs = this.#context.deadlines.now() - this.#sinceMs;
    const login = this.#request.terms?.login ?? null;
    if (waitMs > 0) {
      this.#applicant.onAdmission(refusalOfRate(this.#request, waitMs));
    } else if (login === null) {
      this.#goOn(null);
    } else {
      this.#goOn(refusalOfUser(this.#context, login, this.#request, this));
    }
  }

  onLoginChecked(isRight: boolean | null): void {
    if (!this.awaitsLogin) return;
    this.#goOn(refusalOfLogin(this.#request.terms?.login as Login, isRight));
  }

  onSessionKnown(): void {
    this.#applicant.onAdmission(null);
  }

  #goOn(refused: Failure | typeof CHECKING | null): void {
    const next = refused ?? sessionToFind(this.#context, this.#request, this, this.#waitedMs);
    if (next !== CHECKING) this.#applicant.onAdmission(next);
  }

  onCrashed(error: unknown): void {
    this.#applicant.onCrashed(error);
  }
}

/** @param applicant or who asks for one. */
function refusalOfUser(
  context: DataContext,
  login: Login,
  request: IncomingRequest,
  applicant: Applicant | Inquiry,
): Failure | typeof CHECKING | null {
  const { logins } = context;
  const isRight = logins.isRight(login);
  if (isRight !== null) return refusalOfLogin(login, isRight);
  const waiter =
    applicant instanceof Inquiry ? applicant : new Inquiry(context, request, applicant);
  if (logins.check(login, clientNetwork(request.clientAddress), waiter)) return CHECKING;
  return { code: 'ERR_LOGINS_BUSY', detail: 'too many passwords of this client, or of all' };
}

/** @param isRight as `LoginWaiter` hears it. */
function refusalOfLogin({ challenge }: Login, isRight: boolean | null): Failure | null {
  if (isRight === true) return null;
  if (isRight === false) return notLoggedIn(challenge, 'no user has this name and this password');
  return { code: 'ERR_LOGINS_BUSY', detail: 'the password could not be checked' };
}
