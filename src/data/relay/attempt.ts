/**
 * One try of an exchange at one backend: the stream, what is sent on it, what comes back, and what it cost.
 *
 * It is the stream's user from the moment the backend is picked until it ends; the exchange hears only what it has to act on.
 */
import { performance } from 'node:perf_hooks';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { clientHeader } from '../../net/proxy-header.ts';
import { NO_PASS } from '../../snapshot/counter-cells.ts';
import type { Backend } from '../backend/backend.ts';
import type { BackendConnection } from '../backend/backend-connection.ts';
import type {
  BackendStream,
  BackendStreamUser,
  ConnectionHolder,
  ResponseStart,
  TunnelConnection,
} from '../backend/backend-stream.ts';
import { letGo, type Victim } from '../barrier.ts';
import type { Policies } from '../pool/policies.ts';
import type { PoolView } from '../pool/pool-view.ts';
import { statusOfHead } from '../wire/grpc.ts';
import type { AttemptRecord } from './access-log-entry.ts';
import { recordOf } from './attempt-record.ts';
import type { BackendPin } from './backend-pin.ts';
import type { Chosen } from './chosen.ts';
import type { DataContext } from './context.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { Judgement } from './judgement.ts';
import { describeRefused } from './refused-answers.ts';
import { startFor } from './request-start.ts';
import { silentConnect } from './silence.ts';
import type { AttemptSpan } from './trace.ts';
import type { Upload } from './upload.ts';

/** The exchange, as its attempt sees it. */
export interface AttemptOwner extends Victim {
  readonly context: DataContext;
  /** Of the request's body; null: there is none. */
  readonly upload: Upload | null;
  /** The client does not read as fast as the backend sends. */
  readonly isClientFull: boolean;
  onAttemptConnected(): void;
  /** There will be no complete response, or none that the client should have. */
  onAttemptFailed(code: ErrorCode, detail: string): void;
  /** More of the request may be sent, or none of it any more: either way the client is read on. */
  onUploadRoom(): void;
  /** As what this answer is given up for another attempt: `onAttemptFailed` follows; null: it is not. */
  refuses(start: ResponseStart): ErrorCode | null;
  onInterim(start: ResponseStart): void;
  onResponseHead(start: ResponseStart): void;
  /** `buffer[start, end)`, borrowed for the length of the call. */
  onResponseBody(buffer: Buffer, start: number, end: number): void;
  /** All that has come so far has been told. */
  onResponseFlush(): void;
  /** @param trailers whole field lines */
  onResponseComplete(trailers: string): void;
  /** `rest` is what came behind the head. */
  onSwitched(start: ResponseStart, rest: Buffer, isWebSocket: boolean): void;
}

/** Interim responses before the final one; a backend that sends more is broken. */
const MAX_INTERIM = 32;

/**
 * An idle connection that is used in the moment in which the backend closes it breaks at once: within a round trip, and
 * what a busy backend needs. Later than that, it broke with a request at work.
 */
const IDLE_RACE_MS = 50;

export class Attempt implements BackendStreamUser, ConnectionHolder {
  readonly backend: Backend;
  readonly view: PoolView;
  readonly policies: Policies;
  readonly judgement: Judgement;
  chosen: Chosen = 'strategy';
  /** Time to the open connection in ms; −1 for a pooled one. */
  connectMs = -1;
  span: AttemptSpan | null = null;

  readonly #owner: AttemptOwner;
  /** On the precise clock, for the log; and on the awake one, for the judgement. */
  readonly #startedAt: number;
  readonly #awakeSince: number;
  #stream: BackendStream | null = null;
  #isSent = false;
  #pin: BackendPin | null = null;
  #interim = 0;
  #interimAt = 0;
  /** Counted at its backend as a request in flight. */
  #isCounted = false;

  constructor(
    owner: AttemptOwner,
    view: PoolView,
    backend: Backend,
    policies: Policies,
    startedAt: number,
  ) {
    this.#owner = owner;
    this.view = view;
    this.policies = policies;
    this.backend = backend;
    this.#startedAt = startedAt;
    this.#awakeSince = owner.context.deadlines.at(startedAt);
    this.judgement = new Judgement(owner.context, view, backend, this.#awakeSince);
  }

  /**
   * Takes the newest idle connection, or begins a fresh one (`onAttemptConnected` follows).
   * @param request what it is for: not every connection will do for each.
   * @param pinned what its client has taken already, and goes before both.
   * @returns why not, if the backend has no room, or its circuit breaker lets nothing through; the attempt is void then.
   */
  begin(
    needsFresh: boolean,
    request: Pick<IncomingRequest, 'facts' | 'pin' | 'trace'>,
    pinned: BackendConnection | null = null,
  ): 'ERR_BACKENDS_FULL' | 'ERR_CIRCUIT_OPEN' | null {
    const { backend, view } = this;
    const now = this.#startedAt;
    const { counters } = backend;
    const { maxRequests, maxConnections, proxyVersion } = view.spec;
    if (!counters.tryStartRequest(maxRequests)) return 'ERR_BACKENDS_FULL';
    this.#isCounted = true;
    const pass = counters.takePass();
    if (pass === NO_PASS) {
      this.#uncount();
      return 'ERR_CIRCUIT_OPEN';
    }
    try {
      const header = proxyVersion === null ? null : clientHeader(proxyVersion, request.pin.ends);
      this.#stream =
        pinned === null
          ? backend.acquire(this, request.facts, needsFresh, now, maxConnections, header)
          : backend.acquirePinned(pinned, this);
      if (this.#stream === null) {
        counters.returnPass(pass);
        this.#uncount();
        return 'ERR_BACKENDS_FULL';
      }
      this.judgement.begin();
      if (request.trace !== null) this.span = request.trace.attempt(now);
    } catch (error) {
      counters.returnPass(pass);
      this.giveUp();
      throw error;
    }
    return null;
  }

  #uncount(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.backend.counters.requestFinished();
  }

  /** An exception came out of its handling: gives back what it holds, judges nobody. May be called again. */
  giveUp(): void {
    letGo(() => this.#uncount());
    letGo(() => this.judgement.abandon());
    letGo(() => this.#stream?.giveUp());
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
    this.giveUp();
  }

  /** The connection carried a request before. */
  get isReused(): boolean {
    return this.#open().isReused;
  }

  /** When the request went out, on the awake clock: the last byte of it, once all was sent. */
  get sentAt(): number {
    return this.judgement.sentAt;
  }

  /** The head of the final response is there. @param now on the precise clock */
  headCame(status: number, now: number): void {
    this.judgement.headCame(status, this.#owner.context.deadlines.at(now));
  }

  /** Its answer is given up for that of another attempt: it says of its backend what it says. */
  refused(code: ErrorCode, { head }: ResponseStart): void {
    this.headCame(head.status, performance.now());
    if (code === 'ERR_BACKEND_GRPC_STATUS') this.judgement.callEnded(statusOfHead(head));
  }

  /** @param now on the precise clock */
  interimCame(now: number): void {
    this.#interimAt = this.#owner.context.deadlines.at(now);
  }

  /** Since when the response head is waited for: an interim response shows a backend at work, as in nginx and HAProxy. */
  get silentSince(): number {
    const { perTryTimeoutMs } = this.policies.retries;
    // One try gets no more than its time for that.
    return perTryTimeoutMs === 0 ? Math.max(this.sentAt, this.#interimAt) : this.sentAt;
  }

  /** The request is on its way. */
  get isSent(): boolean {
    return this.#isSent;
  }

  get hasResponse(): boolean {
    return this.#isSent && this.#open().hasAnswered;
  }

  /** The backend takes no more for now. */
  get needsDrain(): boolean {
    return this.#stream?.needsDrain === true;
  }

  /** Memory that waits on the backend's side. */
  get heldBytes(): number {
    return this.#stream === null ? 0 : this.#stream.heldBytes;
  }

  /** Sends the head, and what of the body is at hand. */
  send(request: IncomingRequest, upload: Upload | null): void {
    const stream = this.#open();
    this.#pin = request.pin;
    this.#isSent = true;
    const start = startFor(request, this.backend, this.view, this.#owner.context, this.span);
    stream.sendHead(start, this.#host(request.facts.host), upload?.lengthToSend() ?? 0);
    upload?.sendTo(stream);
    stream.flush();
    this.judgement.isAllSent = upload === null || upload.isSent;
  }

  /** An HTTP/1.0 request may have come without a host. */
  #host(asked: string | null): string {
    const { hostHeader } = this.view.spec;
    if (hostHeader.kind === 'fixed') return hostHeader.value;
    const { authority } = this.backend.spec;
    return hostHeader.kind === 'backend' ? authority : (asked ?? authority);
  }

  sendMore(upload: Upload): void {
    const stream = this.#open();
    const { judgement } = this;
    if (!stream.needsDrain) {
      upload.sendTo(stream);
      stream.flush();
    }
    if (judgement.isAllSent || !upload.isSent) return;
    judgement.isAllSent = true;
    judgement.sentAt = this.#owner.context.deadlines.now();
  }

  /** The client reads again. */
  resume(): void {
    this.#stream?.resume();
  }

  /** The connection goes to a tunnel; the attempt ends with it. */
  giveConnection(): TunnelConnection {
    return this.#open().tunnel();
  }

  /**
   * Lets go of the backend: its counters go down, its connection goes back to the pool or is closed. Called once.
   * @param mayReuse whether the exchange would keep the connection; the response has its own say in it.
   * @param now on the precise clock.
   * @param isRace the request goes on over a fresh connection: see `isKeepAliveRace`.
   */
  end(failure: ErrorCode | null, mayReuse: boolean, now: number, isRace = false): AttemptRecord {
    const stream = this.#open();
    // From here on it is the pool's, or closed.
    this.#stream = null;
    try {
      return this.#letGo(stream, failure, mayReuse, now, isRace);
    } catch (error) {
      this.#uncount();
      stream.giveUp();
      throw error;
    }
  }

  #letGo(
    stream: BackendStream,
    failure: ErrorCode | null,
    mayReuse: boolean,
    now: number,
    isRace: boolean,
  ): AttemptRecord {
    const { view, judgement } = this;
    const awakeMs = this.#owner.context.deadlines.at(now);
    const isSoon = awakeMs - this.#awakeSince < IDLE_RACE_MS;
    const wasIdle = failure === 'ERR_BACKEND_CLOSED' && stream.isReused && isSoon;
    this.#uncount();
    judgement.end(failure, wasIdle, isRace && wasIdle, awakeMs);
    if (mayReuse) {
      const { maxConnections, timeouts } = view.spec;
      stream.finish(now, timeouts, maxConnections, this);
    } else {
      stream.cancel();
    }
    const bodyBytes = failure === null ? 0 : (this.#owner.upload?.sentBytes ?? 0);
    return recordOf(this, stream, failure, now - this.#startedAt, bodyBytes, now);
  }

  /** Only this client has the connection from now on. */
  hold(connection: BackendConnection): void {
    this.#pin?.hold(connection, this.view);
  }

  // ── What the stream says ────────────────────────────────────────────────────────────────────────────────────────

  onMoved(stream: BackendStream): void {
    this.#stream = stream;
  }

  onConnected(): void {
    const now = performance.now();
    this.judgement.sentAt = this.#owner.context.deadlines.at(now);
    this.connectMs = now - this.#startedAt;
    this.#owner.onAttemptConnected();
  }

  connectedTooLate(): void {
    const { authority, socketPath, url } = this.backend.spec;
    const detail = silentConnect(this.policies, socketPath === '' ? authority : url);
    this.onConnectFailed('ERR_BACKEND_CONNECT_TIMEOUT', detail);
  }

  onConnectFailed(code: ErrorCode, detail: string): void {
    // What is short on our side says nothing about the backend.
    if (ERRORS[code].source === 'backend') {
      this.#owner.context.post({
        kind: 'connect-failed',
        backendId: this.backend.id,
        code,
        detail,
      });
    }
    this.#owner.onAttemptFailed(code, detail);
  }

  onHead(start: ResponseStart): void {
    const owner = this.#owner;
    const { status } = start.head;
    if (status < 200) {
      if (++this.#interim <= MAX_INTERIM) owner.onInterim(start);
      else owner.onAttemptFailed('ERR_BACKEND_BAD_RESPONSE', 'too many interim responses');
      return;
    }
    const refused = owner.refuses(start);
    if (refused === null) owner.onResponseHead(start);
    else owner.onAttemptFailed(refused, describeRefused(refused, start));
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    this.#owner.onResponseBody(buffer, start, end);
  }

  onFlush(): void {
    this.#owner.onResponseFlush();
    if (this.#owner.isClientFull) {
      this.#stream?.pause();
      this.#owner.context.heldMemory.paused();
    }
    this.judgement.goesOn(this.#owner.context.nowMs);
  }

  onEnd(trailers: string): void {
    this.#owner.onResponseComplete(trailers);
  }

  onSwitched(start: ResponseStart, rest: Buffer, isWebSocket: boolean): void {
    if (this.judgement.isAllSent) this.#owner.onSwitched(start, rest, isWebSocket);
    else this.onFailed('ERR_BACKEND_UPGRADE', 'a 101 before the end of the request');
  }

  onFailed(code: ErrorCode, detail: string): void {
    this.#owner.onAttemptFailed(code, detail);
  }

  onRoom(): void {
    if (this.#isSent) this.#owner.onUploadRoom();
  }

  onCutOff(): void {
    this.#owner.onAttemptFailed(
      'ERR_CUT_BY_DRAIN',
      'an operator took the backend out of use, and cut what was in flight',
    );
  }

  #open(): BackendStream {
    if (this.#stream === null) throw new Error('the attempt was not begun');
    return this.#stream;
  }
}
