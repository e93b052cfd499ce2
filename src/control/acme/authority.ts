/**
 * An authority as one account sees it: its directory, its nonces, and requests that are signed (RFC 8555 §6, §7.1–7.3). A nonce that it
 * does not like is replaced by another one, as often as it takes within bounds; whatever else it refuses is thrown.
 */
import { z } from 'zod';
import type { ExternalAccount } from '../../config/acme-settings.ts';
import type { AccountKey } from './account-key.ts';
import { type AcmeProblem, problemOf } from './acme-problem.ts';
import { type AcmeAnswer, ask, retryAfterMs } from './acme-request.ts';

const MOST_NONCES = 10;

const DIRECTORY = z.object({
  newNonce: z.url(),
  newAccount: z.url(),
  newOrder: z.url(),
  renewalInfo: z.url().optional(),
});

export type Directory = z.output<typeof DIRECTORY>;

export interface AuthorityOptions {
  readonly directoryUrl: string;
  readonly caFile: string;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

export interface Said {
  readonly body: unknown;
  readonly text: string;
  /** `Location`; empty: there is none. */
  readonly location: string;
  readonly retryAfterMs: number | undefined;
}

export class Authority {
  readonly #options: AuthorityOptions;
  readonly #key: AccountKey;
  #accountUrl: string | undefined;
  #directory: Directory | undefined;
  #nonce: string | undefined;

  constructor(key: AccountKey, accountUrl: string | undefined, options: AuthorityOptions) {
    this.#key = key;
    this.#accountUrl = accountUrl;
    this.#options = options;
  }

  get accountUrl(): string | undefined {
    return this.#accountUrl;
  }

  get key(): AccountKey {
    return this.#key;
  }

  /** @throws Error, AcmeProblem */
  async directory(): Promise<Directory> {
    this.#directory ??= await readDirectory(this.#options);
    return this.#directory;
  }

  /** Makes the account, or finds the one that this key has: RFC 8555 §7.3. @throws Error, AcmeProblem */
  async makeAccount(email: string, external: ExternalAccount | null): Promise<string> {
    const { newAccount } = await this.directory();
    this.#accountUrl = undefined;
    const { location } = await this.post(newAccount, {
      termsOfServiceAgreed: true,
      ...(email !== '' && { contact: [`mailto:${email}`] }),
      ...(external !== null && { externalAccountBinding: this.#key.bound(newAccount, external) }),
    });
    if (location === '')
      throw new Error(`${newAccount}: it does not say which account it has made`);
    this.#accountUrl = location;
    return location;
  }

  /** @param payload null: only to read (RFC 8555 §6.3). @throws Error, AcmeProblem */
  async post(url: string, payload: object | null): Promise<Said> {
    for (let tries = 1; ; tries++) {
      const nonce = this.#nonce ?? (await this.#newNonce());
      // Each is good once.
      this.#nonce = undefined;
      const body = this.#key.signed(url, nonce, payload, this.#accountUrl);
      const answer = await this.#ask('POST', url, body);
      if (answer.status >= 200 && answer.status < 300) return this.#said(answer);
      const problem = refusalOf(url, answer, this.#options.nowMs());
      if (problem.kind !== 'badNonce' || tries === MOST_NONCES) throw problem;
    }
  }

  async #newNonce(): Promise<string> {
    const { newNonce } = await this.directory();
    const answer = await this.#ask('HEAD', newNonce);
    if (answer.status !== 200 && answer.status !== 204) {
      throw refusalOf(newNonce, answer, this.#options.nowMs());
    }
    if (this.#nonce === undefined) throw new Error(`${newNonce}: it answers without a nonce`);
    return this.#nonce;
  }

  async #ask(method: 'HEAD' | 'POST', url: string, body?: string): Promise<AcmeAnswer> {
    const { caFile, signal } = this.#options;
    const answer = await ask({ method, url, caFile, signal, ...(body !== undefined && { body }) });
    const { 'replay-nonce': nonce } = answer.headers;
    if (typeof nonce === 'string' && /^[\w-]+$/.test(nonce)) this.#nonce = nonce;
    return answer;
  }

  #said({ headers, text }: AcmeAnswer): Said {
    return {
      body: parsed(text),
      text,
      location: headers.location ?? '',
      retryAfterMs: retryAfterMs(headers, this.#options.nowMs()),
    };
  }
}

/** @throws Error, AcmeProblem */
export async function readDirectory(options: AuthorityOptions): Promise<Directory> {
  const { directoryUrl, caFile, signal, nowMs } = options;
  const answer = await ask({ method: 'GET', url: directoryUrl, caFile, signal });
  if (answer.status !== 200) throw refusalOf(directoryUrl, answer, nowMs());
  const read = DIRECTORY.safeParse(parsed(answer.text));
  if (read.success) return read.data;
  throw new Error(`GET ${directoryUrl}: that is no directory of an ACME server: look at ca`);
}

export function refusalOf(
  url: string,
  { status, headers, text }: AcmeAnswer,
  nowMs: number,
): AcmeProblem {
  const more = { status, retryAfterMs: retryAfterMs(headers, nowMs) };
  return problemOf(parsed(text), `${url} answers ${status}`, more);
}

/** Undefined: it is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
