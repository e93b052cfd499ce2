/**
 * One watch, from `created` until it ends, however it does: following on is its user's business.
 *
 * - Begins at the revision asked for, and at no other: what `created` says of a revision is where the store is, not what we have.
 * - `created` behind the revision asked for: the store went back, and would be silent for ever.
 * - Events up to what was told before are dropped: a watch that goes over several members may deliver older ones (etcd #20221).
 * - A connection that is half open says nothing, and can't be asked: HTTP/1.1 of the gateway answers nothing before the request has
 *   ended. So its user asks for the newest revision on another connection, again and again.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { Watch, WatchEnd, Watcher } from '../registry-store.ts';
import { reasonOf } from './endpoint.ts';
import type { Gateway } from './gateway.ts';
import { changeOf, prefixRange, WATCHED } from './wire-format.ts';

/** From asking until `created`. */
const LONGEST_START_MS = 3_000;
/** More than etcd takes in a commit. */
const MOST_LINE_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;
const NEEDS_LOGIN = /permission ?denied|auth token|unauthenticated/i;

type Watched = NonNullable<z.output<typeof WATCHED>['result']>;

export class EtcdWatch implements Watch {
  readonly #gateway: Gateway;
  readonly #prefix: string;
  readonly #watcher: Watcher;
  /** The last revision that was told. */
  #told: number;
  #request: ClientRequest | undefined;
  #isOver = false;
  #isStarted = false;
  readonly #startTimer: NodeJS.Timeout;
  /** Of a line that is not whole yet. */
  #parts: Buffer[] = [];
  #length = 0;

  constructor(gateway: Gateway, prefix: string, after: number, watcher: Watcher) {
    this.#gateway = gateway;
    this.#prefix = prefix;
    this.#told = after;
    this.#watcher = watcher;
    const late = `no watch within ${LONGEST_START_MS} ms`;
    this.#startTimer = setTimeout(() => this.#failed(late), LONGEST_START_MS);
    this.#startTimer.unref();
    void this.#open();
  }

  close(): void {
    this.#isOver = true;
    clearTimeout(this.#startTimer);
    this.#request?.destroy();
  }

  async #open(): Promise<void> {
    try {
      const headers = await this.#gateway.headers(LONGEST_START_MS);
      if (this.#isOver) return;
      const range = prefixRange(this.#prefix);
      const body = { create_request: { ...range, start_revision: String(this.#told + 1) } };
      const request = this.#gateway.preferred.stream('/v3/watch', body, headers);
      this.#request = request;
      request.on('error', (error) => this.#failed(reasonOf(error)));
      request.on('response', (response) => this.#follow(response));
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  #follow(response: IncomingMessage): void {
    const { statusCode: status = 0 } = response;
    if (status === 401) this.#gateway.forgetToken();
    if (status !== 200) {
      this.#failed(`the watch was refused with status ${status}`);
      return;
    }
    response.on('data', (part: Buffer) => this.#read(part));
    response.on('error', (error) => this.#failed(reasonOf(error)));
    response.on('close', () => this.#failed('the watch was cut'));
  }

  /** One response is one line. */
  #read(part: Buffer): void {
    let from = 0;
    for (let end = part.indexOf(NEWLINE); end >= 0; end = part.indexOf(NEWLINE, from)) {
      this.#parts.push(part.subarray(from, end));
      const line = Buffer.concat(this.#parts).toString();
      this.#parts = [];
      this.#length = 0;
      from = end + 1;
      if (this.#isOver) return;
      if (line !== '') this.#take(line);
    }
    if (from === part.length) return;
    this.#parts.push(part.subarray(from));
    this.#length += part.length - from;
    if (this.#length > MOST_LINE_BYTES) this.#failed('a response that is too long');
  }

  #take(line: string): void {
    let watched: z.output<typeof WATCHED>;
    try {
      watched = WATCHED.parse(JSON.parse(line));
    } catch {
      this.#failed('the watch does not answer as etcd does');
      return;
    }
    const { result, error } = watched;
    if (result === undefined) {
      this.#failed(error?.message ?? 'the watch does not answer as etcd does');
      return;
    }
    if (result.created && !result.canceled && !this.#begin(result.header.revision)) return;
    if (result.compact_revision > 0) this.#end({ kind: 'compacted' });
    else if (result.canceled) {
      if (NEEDS_LOGIN.test(result.cancel_reason)) this.#gateway.forgetToken();
      this.#failed(`etcd has ended the watch: ${result.cancel_reason || 'no reason given'}`);
    } else this.#tell(result.events);
  }

  /** False: it has ended with that. */
  #begin(revision: number): boolean {
    if (revision < this.#told) {
      this.#end({ kind: 'went-back', revision });
      return false;
    }
    clearTimeout(this.#startTimer);
    this.#isStarted = true;
    this.#watcher.started();
    return !this.#isOver;
  }

  #tell(events: Watched['events']): void {
    const fresh = events.filter(({ kv }) => kv.mod_revision > this.#told);
    if (fresh.length === 0) return;
    this.#told = Math.max(...fresh.map(({ kv }) => kv.mod_revision));
    this.#watcher.changed(fresh.map(changeOf), this.#told);
  }

  #failed(reason: string): void {
    if (this.#isOver) return;
    if (!this.#isStarted) this.#gateway.preferNext();
    this.#end({ kind: 'failed', reason });
  }

  #end(why: WatchEnd): void {
    if (this.#isOver) return;
    this.close();
    this.#watcher.ended(why);
  }
}
