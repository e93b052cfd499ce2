/**
 * A second attempt beside the first, for a request that may be repeated and whose answer is late: whoever has its response
 * head first goes on, the other is called off. It cuts the tail of slow answers for a few more requests (J. Dean and
 * L. A. Barroso, "The Tail at Scale", 2013, "hedged requests").
 *
 * It stands between its attempt and the exchange until that is settled, so that the exchange has one attempt at a time.
 */
import { performance } from 'node:perf_hooks';
import type { ErrorCode } from '../../errors.ts';
import type { ResponseStart } from '../backend/backend-stream.ts';
import type { Attempt, AttemptOwner } from './attempt.ts';
import type { DataContext } from './context.ts';
import { isFaultStatus } from './faults.ts';
import type { IncomingRequest } from './incoming-request.ts';

/** Who is told how the race ends. */
export interface HedgeOwner {
  /** The hedge has the first response head: it is the exchange's attempt from now on. */
  onHedgeWon(attempt: Attempt): void;
  /** The hedge failed; its attempt has not been ended. */
  onHedgeFailed(attempt: Attempt, code: ErrorCode): void;
}

export class Hedge implements AttemptOwner {
  attempt: Attempt | null = null;
  readonly #race: HedgeOwner;
  readonly #owner: AttemptOwner;
  readonly #request: IncomingRequest;
  #isAdopted = false;

  /** @param owner the exchange, which gets all that the attempt says once it is the exchange's. */
  constructor(race: HedgeOwner, owner: AttemptOwner, request: IncomingRequest) {
    this.#race = race;
    this.#owner = owner;
    this.#request = request;
  }

  /** The attempt has begun: a connection from the pool takes the request at once. */
  start(): void {
    const attempt = this.attempt as Attempt;
    if (attempt.isReused) attempt.send(this.#request, null);
  }

  /** The first attempt is out of the race: this one is the exchange's. */
  adopt(): Attempt {
    this.#isAdopted = true;
    return this.attempt as Attempt;
  }

  get context(): DataContext {
    return this.#owner.context;
  }

  get upload(): null {
    return null;
  }

  get isClientFull(): boolean {
    return this.#owner.isClientFull;
  }

  onAttemptConnected(): void {
    if (this.#isAdopted) this.#owner.onAttemptConnected();
    else (this.attempt as Attempt).send(this.#request, null);
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
  }

  onAttemptFailed(code: ErrorCode, detail: string): void {
    if (this.#isAdopted) this.#owner.onAttemptFailed(code, detail);
    else this.#race.onHedgeFailed(this.attempt as Attempt, code);
  }

  refuses(start: ResponseStart): ErrorCode | null {
    if (this.#isAdopted) return this.#owner.refuses(start);
    // Nothing that is worth another attempt wins: the first one may still do better.
    const attempt = this.attempt as Attempt;
    const { onStatus } = this.#request.policies.retries;
    const { status } = start.head;
    if (!isFaultStatus(status) && !onStatus.includes(status)) return null;
    attempt.headCame(status, performance.now());
    return 'ERR_BACKEND_STATUS';
  }

  onUploadRoom(): void {}

  onResponseHead(start: ResponseStart): void {
    if (!this.#isAdopted) {
      this.#isAdopted = true;
      this.#race.onHedgeWon(this.attempt as Attempt);
    }
    this.#owner.onResponseHead(start);
  }

  onResponseBody(buffer: Buffer, start: number, end: number): void {
    this.#owner.onResponseBody(buffer, start, end);
  }

  onResponseFlush(): void {
    if (this.#isAdopted) this.#owner.onResponseFlush();
  }

  /** Interim responses of an attempt that has not won are left out. */
  onInterim(start: ResponseStart): void {
    if (this.#isAdopted) this.#owner.onInterim(start);
    else (this.attempt as Attempt).interimCame(performance.now());
  }

  onSwitched(start: ResponseStart, rest: Buffer, isWebSocket: boolean): void {
    this.#owner.onSwitched(start, rest, isWebSocket);
  }

  onResponseComplete(trailers: string): void {
    this.#owner.onResponseComplete(trailers);
  }
}
