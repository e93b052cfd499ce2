/**
 * Calls of the JSON gateway: which member is asked, for how long, as whom, and what a failure means.
 *
 * A read goes from one member to the next until one has answered. A write does so only as long as it has certainly been in vain:
 * otherwise it might be made twice.
 */
import type { z } from 'zod';
import { StoreError } from '../registry-store.ts';
import { type Answer, Endpoint, type EtcdTls, NoAnswer } from './endpoint.ts';
import { LOGGED_IN, REFUSAL } from './wire-format.ts';

/** A member that has lost its leader says so, in place of waiting for one: etcd would wait for 7 s. */
const ONLY_WITH_LEADER = { 'Grpc-Metadata-hasleader': 'true' };

/** gRPC's, as the gateway gives them in its refusals. */
const INVALID_ARGUMENT = 3;
const UNAUTHENTICATED = 16;
/** No token, or one from before users have changed. */
const NEEDS_LOGIN = /user name is empty|revision of auth store is old/;
/** Said before anything was proposed to the other members. */
const IN_VAIN = /no leader|too many requests|server stopped/;

export interface GatewayOptions {
  /** At least one: `http://` or `https://`, host and port. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
  readonly login?: { readonly user: string; readonly password: string };
}

interface Call<T> {
  /** `read`: may be done twice. */
  readonly use: 'read' | 'write';
  readonly path: string;
  readonly body: object;
  readonly answer: z.ZodType<T>;
  readonly deadlineMs: number;
}

export class Gateway {
  readonly #endpoints: readonly Endpoint[];
  readonly #login: GatewayOptions['login'];
  /** The one that is asked first. */
  #preferred = 0;
  #token: Promise<string> | undefined;

  constructor({ endpoints, tls, login }: GatewayOptions) {
    this.#endpoints = endpoints.map((url) => new Endpoint(url, tls));
    this.#login = login;
  }

  /** @throws StoreError */
  async call<T>(call: Call<T>): Promise<T> {
    const until = performance.now() + call.deadlineMs;
    const reasons: string[] = [];
    const count = this.#endpoints.length;
    const first = this.#preferred;
    for (let tried = 0; tried < count; tried++) {
      const leftMs = until - performance.now();
      if (leftMs <= 0) break;
      try {
        return await this.#callOne(this.#at(first + tried), call, leftMs / (count - tried));
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        reasons.push(error.message);
        if (this.#preferred === (first + tried) % count) this.preferNext();
        if (call.use === 'write' && error.mayBeDone) {
          throw new StoreError('outcome-unknown', `etcd may or may not have it: ${error.message}`);
        }
      }
    }
    throw new StoreError('unreachable', `etcd can't be reached: ${reasons.join('; ')}`);
  }

  /** With who we are in them. @throws StoreError, NoAnswer */
  async headers(deadlineMs: number): Promise<Record<string, string>> {
    if (this.#login === undefined) return ONLY_WITH_LEADER;
    this.#token ??= this.#logIn(this.#login, deadlineMs).catch((error: unknown) => {
      this.#token = undefined;
      throw error;
    });
    return { ...ONLY_WITH_LEADER, Authorization: await this.#token };
  }

  /** The next call logs in anew. */
  forgetToken(): void {
    this.#token = undefined;
  }

  get preferred(): Endpoint {
    return this.#at(this.#preferred);
  }

  /** The one that is asked first has failed. */
  preferNext(): void {
    this.#preferred = (this.#preferred + 1) % this.#endpoints.length;
  }

  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  #at(index: number): Endpoint {
    return this.#endpoints[index % this.#endpoints.length] as Endpoint;
  }

  async #callOne<T>(endpoint: Endpoint, call: Call<T>, deadlineMs: number): Promise<T> {
    const { use, path, body } = call;
    const until = performance.now() + deadlineMs;
    for (let isSecond = false; ; isSecond = true) {
      const headers = await this.headers(deadlineMs);
      const leftMs = Math.max(1, until - performance.now());
      const answer = await endpoint.call(use, path, body, headers, leftMs);
      if (answer.status === 200) return parsed(call.answer, answer.text, endpoint.url);
      const { code, message } = refusalIn(answer);
      const mayLogIn = this.#login !== undefined && !isSecond;
      if (!mayLogIn || !needsLogin(code, message)) throw faultOf(endpoint.url, answer, message);
      this.forgetToken();
    }
  }

  async #logIn(
    { user, password }: { readonly user: string; readonly password: string },
    deadlineMs: number,
  ): Promise<string> {
    const endpoint = this.preferred;
    const path = '/v3/auth/authenticate';
    const body = { name: user, password };
    try {
      const answer = await endpoint.call('read', path, body, ONLY_WITH_LEADER, deadlineMs);
      if (answer.status === 200) return parsed(LOGGED_IN, answer.text, endpoint.url).token;
      const { code, message } = refusalIn(answer);
      if (code !== INVALID_ARGUMENT) throw faultOf(endpoint.url, answer, message);
      throw new StoreError('refused', `etcd does not let the user ${user} in: ${message}`);
    } catch (error) {
      // What it was for has not even been asked.
      throw error instanceof NoAnswer ? new NoAnswer(error.message, false) : error;
    }
  }
}

function needsLogin(code: number, message: string): boolean {
  return code === UNAUTHENTICATED || (code === INVALID_ARGUMENT && NEEDS_LOGIN.test(message));
}

/** @returns a NoAnswer where another member may have a better one. */
function faultOf(url: string, { status }: Answer, message: string): Error {
  if (/database space exceeded/.test(message)) {
    return new StoreError('full', `etcd takes no writes until it has room: ${message}`);
  }
  if (status < 500 && status !== 429) return new StoreError('refused', `etcd refuses: ${message}`);
  return new NoAnswer(`${url}: ${message}`, !IN_VAIN.test(message));
}

function refusalIn({ status, text }: Answer): { code: number; message: string } {
  try {
    const { code = 0, message = `status ${status}` } = REFUSAL.parse(JSON.parse(text));
    return { code, message };
  } catch {
    return { code: 0, message: `status ${status}` };
  }
}

/** What can't be understood may come from another server than etcd. */
function parsed<T>(schema: z.ZodType<T>, text: string, url: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new NoAnswer(`${url} does not answer as etcd does`, true);
  }
}
