/** What a route has to say to a request beside the pool: whether it may ask, who it must be from, what it gets in place of a pool. */
import type { ErrorCode } from '../../errors.ts';
import type { RouteSnapshot } from '../../snapshot/route.ts';
import type { ErrorPages, FixedAnswer, RouteAccess } from '../../snapshot/route-answer.ts';
import type { PathRules } from '../../snapshot/snapshot.ts';
import { AddressBlocks } from '../limit/address-blocks.ts';
import { type Login, LoginUsers } from '../limit/basic-auth.ts';
import { CorsRules } from '../route/cors.ts';
import { RedirectTemplate, type TemplateSource } from '../route/template.ts';

export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
  /** Whole field lines for the answer. */
  readonly fields: string;
}

/** An answer that needs no backend, but for the time of day. */
export interface ReadyAnswer {
  readonly status: number;
  /** Whole field lines. */
  readonly fields: string;
  /** Latin-1 text. */
  readonly body: string;
}

/** For one request, or for all of a route alike. */
export interface Terms {
  readonly refused: Refusal | null;
  /** Who it must be from, before anything else is done. */
  readonly login: Login | null;
  /** What it gets. Null: what a pool has for it. */
  readonly answer: ReadyAnswer | null;
  /** Null: those of the snapshot. */
  readonly pages: ErrorPages | null;
  /** A pool would have served it. */
  readonly hasPool: boolean;
}

const NO_DETAIL = new Map<ErrorCode, Terms>();

/** Of a request that is for no route. */
export function termsOfNone(code: ErrorCode): Terms {
  const known = NO_DETAIL.get(code);
  if (known !== undefined) return known;
  const refused = { code, detail: '', fields: '' };
  const terms = { refused, login: null, answer: null, pages: null, hasPool: false };
  NO_DETAIL.set(code, terms);
  return terms;
}

/** The same terms, of a request that is refused if it was not. */
export function refusedBeside(terms: Terms | null, code: ErrorCode, detail: string): Terms {
  const refused = { code, detail, fields: '' };
  if (terms === null) return { refused, login: null, answer: null, pages: null, hasPool: false };
  return terms.refused === null ? { ...terms, refused, hasPool: false } : terms;
}

export class RouteTerms {
  /** The backend gets no Authorization field. */
  readonly keepsAuthorization: boolean;
  /** What is said to pages of other origins; null: nothing. */
  readonly cors: CorsRules | null;
  /** For whoever may ask. */
  readonly #welcome: Terms;
  readonly #denied: Terms;
  readonly #allow: AddressBlocks | null;
  readonly #deny: AddressBlocks | null;
  readonly #users: LoginUsers | null;
  readonly #redirect: RedirectTemplate | null;
  /** Of the redirect. */
  readonly #status: number;

  constructor(route: RouteSnapshot, pathRules: PathRules) {
    const { access, action, cors, errorPages: pages } = route;
    this.cors = cors === null ? null : new CorsRules(cors);
    const basicAuth = action.kind === 'maintenance' ? null : (access?.basicAuth ?? null);
    this.keepsAuthorization = basicAuth === null || basicAuth.forwardsAuthorization;
    this.#welcome = {
      refused: action.kind === 'maintenance' ? underMaintenance(action.retryAfterSeconds) : null,
      login: null,
      answer: action.kind === 'answer' ? readyAnswer(action.answer) : null,
      pages,
      hasPool: leadsToPool(action),
    };
    const refused = { code: 'ERR_ADDRESS_REFUSED', detail: '', fields: '' } as const;
    this.#denied = { ...this.#welcome, refused };
    this.#allow = blocksOf(access?.allow);
    this.#deny = blocksOf(access?.deny);
    this.#users = basicAuth === null ? null : new LoginUsers(basicAuth);
    this.#redirect = action.kind === 'redirect' ? new RedirectTemplate(action.to, pathRules) : null;
    this.#status = action.kind === 'redirect' ? action.status : 0;
  }

  of(source: TemplateSource): Terms {
    const { head, clientAddress } = source;
    if (this.#deny?.has(clientAddress) === true) return this.#denied;
    if (this.#allow?.has(clientAddress) === false) return this.#denied;
    // A browser sends it without credentials, and before it asks anything that could be refused or redirected.
    const answer = this.cors === null ? null : this.cors.preflight(source);
    if (answer !== null) return { ...this.#welcome, refused: null, answer };
    const welcome =
      this.#redirect === null ? this.#welcome : this.#redirected(this.#redirect, source);
    if (this.#users === null) return welcome;
    const login = this.#users.loginOf(head);
    if (login !== null) return { ...welcome, login };
    return { ...welcome, refused: notLoggedIn(this.#users.challenge, 'no credentials were sent') };
  }

  #redirected(template: RedirectTemplate, source: TemplateSource): Terms {
    const location = template.text(source);
    if (location === null) {
      return refusedBeside(this.#welcome, 'ERR_BAD_PATH', 'what its route makes of it (redirect)');
    }
    const fields = `Location: ${location}\r\nContent-Length: 0\r\n`;
    return { ...this.#welcome, answer: { status: this.#status, fields, body: '' } };
  }
}

/** Whether a route has anything to say but where it leads. */
export function hasTerms({ access, action, cors, errorPages }: RouteSnapshot): boolean {
  const hasOwn = errorPages !== null || cors !== null;
  return !leadsToPool(action) || hasOwn || asksAnything(access);
}

function leadsToPool({ kind }: RouteSnapshot['action']): boolean {
  return kind === 'pool' || kind === 'split';
}

/** Null: it has not. */
export function createTerms(route: RouteSnapshot, pathRules: PathRules): RouteTerms | null {
  return hasTerms(route) ? new RouteTerms(route, pathRules) : null;
}

function asksAnything(access: RouteAccess | null): boolean {
  if (access === null) return false;
  const { allow, deny, basicAuth } = access;
  return allow.length + deny.length > 0 || basicAuth !== null;
}

/** @param challenge as a whole field line (RFC 9110 §15.5.2). */
export function notLoggedIn(challenge: string, detail: string): Refusal {
  return { code: 'ERR_LOGIN_NEEDED', detail, fields: challenge };
}

function underMaintenance(seconds: number): Refusal {
  return { code: 'ERR_MAINTENANCE', detail: '', fields: `Retry-After: ${seconds}\r\n` };
}

/** RFC 9110 §8.6: a 204 has no length; that of a 304 would be the one of another answer. */
export function readyAnswer({ status, headers, body }: FixedAnswer): ReadyAnswer {
  let fields = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  if (status !== 204 && status !== 304) fields += `Content-Length: ${body.length}\r\n`;
  return { status, fields, body };
}

function blocksOf(blocks: readonly string[] | undefined): AddressBlocks | null {
  return blocks === undefined || blocks.length === 0 ? null : new AddressBlocks(blocks);
}
