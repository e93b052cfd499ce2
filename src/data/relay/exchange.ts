/**
 * One request and its response, from the parsed head to the log line: the attempts, and what happens when one fails.
 *
 * An exchange has one owner for everything that must not leak: the attempt in flight, the backend's connection, the
 * upload and the download. However it ends, `#settle` runs exactly once.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { Backend } from '../backend/backend.ts';
import type { BackendConnection, ConnectionUser } from '../backend/backend-connection.ts';
import type { DataContext } from '../context.ts';
import type { View } from '../view.ts';
import type { ForwardContext, ForwardedRequest } from '../wire/forward-request.ts';
import { BODY_NONE } from '../wire/framing.ts';
import type { RequestFacts } from '../wire/request.ts';
import type { AccessLogEntry, AttemptRecord } from './access-log.ts';
import { Download, type DownloadOwner } from './download.ts';
import { connectionLine, errorAnswer, optionsAnswer } from './own-answers.ts';
import { isIdempotent, mayRetry } from './retry-rules.ts';
import { Tunnel, type TunnelClient } from './tunnel.ts';
import { Upload } from './upload.ts';

/** The client's connection, as its exchange sees it. */
export interface ExchangeClient extends TunnelClient {
  /** The client's own address: the peer's, or what a trusted proxy said. */
  readonly forwardContext: ForwardContext;
  /** Bytes written on this connection so far. */
  readonly bytesOut: number;
  /** Bytes that wait in user space for the client to read; shrinks as it does. */
  readonly unsentBytes: number;
  readonly needsDrain: boolean;
  /** When `onDeadline` is called, on the thread's clock. */
  deadlineMs: number;
  /** Latin-1 text. @returns false when the caller should wait for `onClientDrain`. */
  sendText(text: string): boolean;
  /** Bytes that came early and wait; they are the caller's from now on. */
  takeInput(): Buffer | null;
  /** Closes so that the client can't take what it has for a complete response. */
  reset(): void;
  /** The response is complete. `closes`: nothing may follow it. */
  exchangeDone(closes: boolean): void;
}

const IS_HOLDING = 0;
const IS_CONNECTING = 1;
const IS_SENDING = 2;
const IS_RESPONDING = 3;
const IS_TUNNEL = 4;
const IS_OVER = 5;

/** How long a chunked body may gather before it is sent on unchecked: see Upload.mayStart. */
const HOLD_MS = 100;
/** Head and body up to here go out in one write. */
const SMALL_BODY_BYTES = 16 * 1024;
const SWITCHING_PROTOCOLS = 101;

export class Exchange implements ConnectionUser, DownloadOwner {
  readonly context: DataContext;
  readonly isHead: boolean;
  readonly clientVersionMinor: number;

  readonly #client: ExchangeClient;
  /** The view of the current attempt: a retry runs on what is in force by then. */
  #view: View;
  readonly #facts: RequestFacts;
  readonly #forwarded: ForwardedRequest;
  readonly #clientAddress: string;
  readonly #requestId: string;
  readonly #upload: Upload | null;
  readonly #startedAt: number;
  readonly #bytesOutAtStart: number;
  readonly #headBytes: number;
  readonly #logFields: {
    readonly userAgent: string | null;
    readonly referer: string | null;
  } | null;

  #phase = IS_HOLDING;
  #backend: Backend | null = null;
  #connection: BackendConnection | null = null;
  #download: Download | null = null;
  #tunnel: Tunnel | null = null;
  #tried: Backend[] | null = null;
  /** An idle connection turned out dead: the next attempt gets a new one. */
  #needsFresh = false;
  #lastDetail = '';
  #attempts: AttemptRecord[] = [];
  #attemptStartedAt = 0;
  #sentAt = 0;
  #connectMs = -1;
  #firstByteMs = -1;
  #status = 0;
  #closesClient = false;
  /** Bytes of the final response went to the client: it can't be taken back. */
  #hasSentHead = false;
  #lastUnsentBytes = 0;

  constructor(
    context: DataContext,
    client: ExchangeClient,
    facts: RequestFacts,
    forwarded: ForwardedRequest,
    request: {
      readonly clientAddress: string;
      readonly requestId: string;
      readonly headBytes: number;
      readonly logFields: {
        readonly userAgent: string | null;
        readonly referer: string | null;
      } | null;
    },
  ) {
    this.context = context;
    this.isHead = facts.method === 'HEAD';
    this.clientVersionMinor = facts.versionMinor;
    this.#client = client;
    this.#view = context.view;
    this.#facts = facts;
    this.#forwarded = forwarded;
    this.#clientAddress = request.clientAddress;
    this.#requestId = request.requestId;
    this.#headBytes = request.headBytes;
    this.#logFields = request.logFields;
    this.#startedAt = performance.now();
    this.#attemptStartedAt = this.#startedAt;
    this.#bytesOutAtStart = client.bytesOut;
    this.#upload =
      facts.bodyKind === BODY_NONE
        ? null
        : new Upload(
            facts.bodyKind,
            facts.contentLength,
            this.#view.snapshot.limits.bodyBytes,
            this.#view.headLimits,
            isIdempotent(facts.method),
          );
  }

  get mayUpgrade(): boolean {
    return this.#facts.upgradesToWebSocket;
  }

  /** Bytes that come before the response is complete are this exchange's body, or wait for the next one. */
  get wantsClientBytes(): boolean {
    if (this.#phase === IS_TUNNEL) return true;
    return this.#phase !== IS_OVER && this.#upload !== null && !this.#upload.isComplete;
  }

  /** Starts the exchange; bytes of its body that came with the head follow by `onClientBytes`. */
  begin(): void {
    const { bodyBytes } = this.#view.snapshot.limits;
    if (bodyBytes !== 0 && this.#facts.contentLength > bodyBytes) {
      this.#fail('ERR_BODY_TOO_LARGE', `${this.#facts.contentLength} bytes announced`);
      return;
    }
    if (this.#facts.maxForwards === 0 && this.#facts.method === 'OPTIONS') {
      this.#answerOptions();
      return;
    }
    const upload = this.#upload;
    if (upload !== null && !upload.mayStart && !this.#facts.expectsContinue) {
      this.#client.deadlineMs = this.context.nowMs + HOLD_MS;
      return;
    }
    this.#attempt();
  }

  // ── What the client does ────────────────────────────────────────────────────────────────────────────────────────

  /** @returns the offset of the first byte in `buffer[start, end)` that is not this exchange's. */
  onClientBytes(buffer: Buffer, start: number, end: number): number {
    if (this.#tunnel !== null) {
      this.#touch();
      this.#tunnel.fromClient(Buffer.from(buffer.subarray(start, end)));
      return end;
    }
    const upload = this.#upload;
    if (upload === null) return start;
    const consumed = upload.receive(buffer, start, end);
    if (upload.error !== null) {
      this.#fail(upload.error, `after ${upload.bytesIn} bytes of body`);
      return consumed;
    }
    if (this.#phase === IS_HOLDING) {
      if (upload.mayStart) this.#attempt();
      return consumed;
    }
    if (this.#connection !== null && this.#phase >= IS_SENDING) this.#pumpUpload();
    else if (upload.isHeldFull) this.#client.pause();
    return consumed;
  }

  onClientDrain(): void {
    this.#touch();
    if (this.#tunnel !== null) this.#tunnel.clientDrained();
    else this.#connection?.resume();
  }

  /** The client closed, or its connection broke. */
  onClientGone(detail: string): void {
    if (this.#phase === IS_OVER) return;
    this.#endAttempt('ERR_CLIENT_GONE', false);
    if (this.#phase === IS_TUNNEL) this.#settle(SWITCHING_PROTOCOLS, null, '');
    else this.#settle(ERRORS.ERR_CLIENT_GONE.status, 'ERR_CLIENT_GONE', detail);
  }

  /** The client sent FIN. In a tunnel that ends one direction; everywhere else it means that the client has left. */
  onClientEnd(): void {
    if (this.#tunnel === null) {
      this.onClientGone('the client closed the connection');
      this.#client.reset();
      return;
    }
    this.#tunnel.clientEnded();
    if (this.#tunnel.isOver) this.#endTunnel();
  }

  onDeadline(): void {
    const { timeouts } = this.#view.snapshot;
    switch (this.#phase) {
      case IS_HOLDING:
        this.#attempt();
        break;
      case IS_CONNECTING: {
        const backend = this.#backend as Backend;
        this.onBackendConnectFailed(
          'ERR_BACKEND_CONNECT_TIMEOUT',
          `no connection to ${backend.spec.authority} within ${timeouts.connectMs} ms`,
        );
        break;
      }
      case IS_SENDING:
        if (
          this.#upload !== null &&
          !this.#upload.isComplete &&
          this.#connection?.needsDrain === false
        ) {
          this.#fail('ERR_BODY_TIMEOUT', `no byte of the body for ${timeouts.idleMs} ms`);
        } else {
          this.#failAttempt(
            'ERR_BACKEND_RESPONSE_TIMEOUT',
            `no response head within ${timeouts.responseMs} ms`,
          );
        }
        break;
      case IS_RESPONDING:
        this.#onBodySilence(timeouts.idleMs);
        break;
      case IS_TUNNEL:
        this.#endTunnel();
        break;
      default:
    }
  }

  #onBodySilence(idleMs: number): void {
    const client = this.#client;
    if (!client.needsDrain) {
      this.#failAttempt('ERR_BACKEND_BODY_TIMEOUT', `no byte of the body for ${idleMs} ms`);
      return;
    }
    // A slow reader is no dead one: part of what waits may have left without a drain event.
    const unsent = client.unsentBytes;
    if (unsent !== this.#lastUnsentBytes) {
      this.#lastUnsentBytes = unsent;
      this.#touch();
      return;
    }
    this.#endAttempt('ERR_CLIENT_TIMEOUT', false);
    this.#settle(this.#status, 'ERR_CLIENT_TIMEOUT', `nothing read for ${idleMs} ms`);
    client.reset();
  }

  // ── Attempts ────────────────────────────────────────────────────────────────────────────────────────────────────

  #attempt(): void {
    const { view } = this.context;
    this.#view = view;
    const { maxConnections } = view.snapshot.pool;
    let full: Backend[] | null = null;
    for (;;) {
      const avoid: readonly Backend[] | null = full ?? this.#tried;
      const backend = view.strategy.pick(this.#clientAddress, avoid);
      // A backend comes back from the avoided only when nothing else is left.
      if (backend === null || (avoid !== null && avoid.includes(backend))) {
        this.#onNobodyLeft(full !== null);
        return;
      }
      const connection = this.#needsFresh ? null : backend.takeIdle(this.context.nowMs);
      this.#attemptStartedAt = this.#attempts.length === 0 ? this.#startedAt : performance.now();
      if (connection !== null) {
        this.#enter(backend, connection);
        connection.assign(this);
        this.#sentAt = this.#attemptStartedAt;
        this.#send();
        return;
      }
      const fresh = backend.connect(this, maxConnections);
      if (fresh !== null) {
        this.#enter(backend, fresh);
        this.#phase = IS_CONNECTING;
        this.#client.deadlineMs = this.context.nowMs + view.snapshot.timeouts.connectMs;
        return;
      }
      full = [...(full ?? this.#tried ?? []), backend];
    }
  }

  #enter(backend: Backend, connection: BackendConnection): void {
    this.#backend = backend;
    this.#connection = connection;
    backend.counters.requestStarted();
    this.#view.strategy.onStart?.(backend);
  }

  /** No backend is eligible, all are full, or all have been tried: the last failure is the best explanation. */
  #onNobodyLeft(areFull: boolean): void {
    const last = this.#attempts.at(-1);
    if (last !== undefined) this.#fail(last.outcome as ErrorCode, this.#lastDetail);
    else if (areFull) this.#fail('ERR_BACKENDS_FULL', '');
    else this.#fail('ERR_NO_BACKEND', '');
  }

  onBackendConnected(): void {
    this.#sentAt = performance.now();
    this.#connectMs = this.#sentAt - this.#attemptStartedAt;
    this.#send();
  }

  onBackendConnectFailed(code: ErrorCode, detail: string): void {
    const backend = this.#backend as Backend;
    if (ERRORS[code].source === 'backend') {
      this.context.post({ kind: 'connect-failed', backendId: backend.id, code, detail });
    }
    this.#failAttempt(code, detail);
  }

  #send(): void {
    const connection = this.#connection as BackendConnection;
    const backend = this.#backend as Backend;
    const upload = this.#upload;
    this.#phase = IS_SENDING;
    this.#download = new Download(this, connection);
    const forwarded = this.#forwarded;
    let text = forwarded.startLine;
    if (forwarded.needsHost) text += `Host: ${this.#hostFor(backend)}\r\n`;
    text += forwarded.fields;
    if (upload === null) {
      connection.writeText(`${text}\r\n`);
    } else {
      text += `${upload.framingLine()}\r\n`;
      const body = upload.takeSmall(SMALL_BODY_BYTES);
      if (body === null) {
        connection.cork();
        connection.writeText(text);
        upload.flush(connection);
        connection.uncork();
      } else {
        connection.writeText(text + body);
      }
      this.#pumpUpload();
    }
    this.#touch();
  }

  #hostFor(backend: Backend): string {
    const { hostHeader } = this.#view.snapshot.forwarding;
    if (hostHeader.kind === 'fixed') return hostHeader.value;
    if (hostHeader.kind === 'backend') return backend.spec.authority;
    return this.#facts.host ?? backend.spec.authority;
  }

  #pumpUpload(): void {
    const upload = this.#upload as Upload;
    const connection = this.#connection as BackendConnection;
    this.#touch();
    if (!connection.needsDrain) upload.flush(connection);
    if (connection.needsDrain || upload.isHeldFull) this.#client.pause();
    else this.#client.resume();
  }

  /** Silence is measured from here on. What counts as silence depends on who has to move next. */
  #touch(): void {
    const { timeouts } = this.#view.snapshot;
    const isUploading = this.#upload !== null && !this.#upload.isSent;
    let silenceMs = timeouts.idleMs;
    if (this.#phase === IS_SENDING && !isUploading) silenceMs = timeouts.responseMs;
    else if (this.#phase === IS_TUNNEL) silenceMs = timeouts.tunnelMs;
    else if (this.#phase < IS_SENDING) return;
    this.#client.deadlineMs = this.context.nowMs + silenceMs;
  }

  // ── What the backend does ───────────────────────────────────────────────────────────────────────────────────────

  onBackendBytes(buffer: Buffer, length: number): void {
    if (this.#tunnel !== null) {
      this.#touch();
      this.#tunnel.fromBackend(Buffer.from(buffer.subarray(0, length)));
      return;
    }
    const download = this.#download as Download;
    download.receive(buffer, length);
    if (this.#phase !== IS_RESPONDING) return;
    this.#touch();
    if (this.#client.needsDrain) this.#connection?.pause();
  }

  onBackendDrain(): void {
    if (this.#tunnel !== null) this.#tunnel.backendDrained();
    else if (this.#upload !== null && this.#connection !== null) this.#pumpUpload();
  }

  /** The response may already be on its way (an early 413): stop writing, go on reading. */
  onBackendWriteFailed(_detail: string): void {
    this.#client.resume();
  }

  onBackendEnd(detail: string, isBroken: boolean): void {
    if (this.#tunnel !== null) {
      if (isBroken) {
        this.#fail('ERR_BACKEND_TRUNCATED', detail);
        return;
      }
      this.#tunnel.backendEnded();
      if (this.#tunnel.isOver) this.#endTunnel();
      return;
    }
    const download = this.#download;
    // RFC 9112 §8: a body that ends with the connection is complete only if the connection ended in order.
    if (!isBroken && download?.receiveEnd() === true) return;
    const code = download?.isHeadDone === true ? 'ERR_BACKEND_TRUNCATED' : 'ERR_BACKEND_CLOSED';
    this.#failAttempt(code, detail);
  }

  // ── What the download finds ─────────────────────────────────────────────────────────────────────────────────────

  onInterim(): void {
    this.#touch();
  }

  onResponseHead(status: number): void {
    const now = performance.now();
    this.#firstByteMs = now - this.#startedAt;
    this.#backend?.counters.responseHeadAfter(now - this.#sentAt);
    this.#status = status;
    this.#phase = IS_RESPONDING;
  }

  decideConnection(bodyNeedsClose: boolean): string {
    this.#closesClient =
      bodyNeedsClose ||
      !this.#facts.mayPersist ||
      this.context.isDraining ||
      // Where the client's next request begins is not known before its body has ended.
      (this.#upload !== null && !this.#upload.isComplete);
    return connectionLine(this.#closesClient, this.clientVersionMinor === 0);
  }

  sendText(text: string): void {
    this.#noteSent();
    this.#client.sendText(text);
  }

  sendBytes(bytes: Buffer): void {
    this.#noteSent();
    this.#client.sendBytes(bytes);
  }

  #noteSent(): void {
    if (this.#phase === IS_RESPONDING) this.#hasSentHead = true;
  }

  onResponseComplete(): void {
    const isReusable =
      this.#download?.isReusable === true &&
      (this.#upload === null || this.#upload.isSent) &&
      this.#connection?.hasWriteFailed === false;
    this.#endAttempt(null, isReusable);
    const closes = this.#closesClient;
    this.#settle(this.#status, null, '');
    this.#client.exchangeDone(closes);
  }

  onBadResponse(code: ErrorCode, detail: string): void {
    this.#failAttempt(code, detail);
  }

  onSwitched(rest: Buffer): void {
    const connection = this.#connection as BackendConnection;
    this.#firstByteMs = performance.now() - this.#startedAt;
    this.#status = SWITCHING_PROTOCOLS;
    this.#phase = IS_TUNNEL;
    this.#tunnel = new Tunnel(this.#client, connection);
    this.#touch();
    this.#client.resume();
    this.#tunnel.fromBackend(rest);
    // What the client sent ahead of the 101 has waited for it.
    const early = this.#client.takeInput();
    if (early !== null) this.#tunnel.fromClient(early);
  }

  #endTunnel(): void {
    this.#endAttempt(null, false);
    this.#settle(SWITCHING_PROTOCOLS, null, '');
    this.#client.exchangeDone(true);
  }

  // ── Endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The attempt failed; another one may save the exchange. */
  #failAttempt(code: ErrorCode, detail: string): void {
    const wasReused = this.#connection?.isReused === true;
    const hasResponse = this.#download?.hasBytes === true;
    const backend = this.#backend as Backend;
    this.#lastDetail = detail;
    this.#endAttempt(code, false);
    const isRetried = mayRetry({
      code,
      method: this.#facts.method,
      attempts: this.#attempts.length,
      hasResponse,
      isReplayable: this.#upload === null || this.#upload.isReplayable,
    });
    if (!isRetried) {
      this.#fail(code, detail);
      return;
    }
    backend.counters.attemptRetried();
    this.#upload?.rewind();
    // A connection that had grown old says nothing about its backend: a fresh one to the same backend is fine.
    if (wasReused) this.#needsFresh = true;
    else this.#tried = [...(this.#tried ?? []), backend];
    this.#attempt();
  }

  /** Lets go of the backend: its connection goes back to the pool or is closed, its counters go down. */
  #endAttempt(failure: ErrorCode | null, isReusable: boolean): void {
    this.#download?.dispose();
    this.#download = null;
    const connection = this.#connection;
    const backend = this.#backend;
    if (connection === null || backend === null) return;
    this.#connection = null;
    const hasFailed = failure !== null && ERRORS[failure].source === 'backend';
    this.#attempts.push({
      backendUrl: backend.spec.url,
      outcome: failure ?? 'ok',
      durationMs: performance.now() - this.#attemptStartedAt,
    });
    backend.counters.requestFinished();
    if (hasFailed) backend.counters.attemptFailed();
    this.#view.strategy.onFinish?.(backend, hasFailed);
    if (isReusable && !this.context.isDraining) {
      const { backendKeepAliveMs } = this.#view.snapshot.timeouts;
      backend.putIdle(connection, this.context.nowMs, backendKeepAliveMs);
    } else {
      connection.destroy();
    }
  }

  /** The exchange failed for good: answered if nothing was sent yet, else cut so that nobody takes it for complete. */
  #fail(code: ErrorCode, detail: string): void {
    this.#endAttempt(code, false);
    const client = this.#client;
    if (this.#hasSentHead || this.#phase === IS_TUNNEL) {
      this.#settle(this.#status, code, detail);
      client.reset();
      return;
    }
    const closes =
      !this.#facts.mayPersist ||
      this.context.isDraining ||
      (this.#upload !== null && !this.#upload.isComplete);
    client.sendText(
      errorAnswer(code, {
        wantsJson: this.#facts.wantsJson,
        isHead: this.isHead,
        closes,
        keepsAlive10: this.clientVersionMinor === 0,
        requestId: this.#requestId,
      }),
    );
    this.#settle(ERRORS[code].status, code, detail);
    client.exchangeDone(closes);
  }

  #answerOptions(): void {
    const closes = !this.#facts.mayPersist || this.context.isDraining || this.wantsClientBytes;
    this.#client.sendText(optionsAnswer(closes, this.clientVersionMinor === 0));
    this.#settle(204, null, '');
    this.#client.exchangeDone(closes);
  }

  /** Counts and logs. The one place where an exchange ends. */
  #settle(status: number, error: ErrorCode | null, errorDetail: string): void {
    if (this.#phase === IS_OVER) return;
    this.#phase = IS_OVER;
    const { context } = this;
    const { snapshot } = this.#view;
    const durationMs = performance.now() - this.#startedAt;
    const bytesIn =
      this.#headBytes +
      (this.#upload?.bytesIn ?? 0) +
      (this.#tunnel === null ? 0 : this.#tunnel.bytesIn);
    const bytesOut = this.#client.bytesOut - this.#bytesOutAtStart;
    const backend = this.#backend;
    if (backend === null) context.counters.answeredAlone(status);
    else backend.counters.requestCompleted(status, durationMs / 1000, bytesIn, bytesOut);
    if (error !== null) context.countError(error);
    if (!snapshot.accessLog.isEnabled) return;
    const facts = this.#facts;
    const entry: AccessLogEntry = {
      clientAddress: this.#clientAddress,
      method: facts.method,
      host: facts.host,
      path: facts.path,
      protocol: facts.versionMinor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
      status,
      bytesIn,
      bytesOut,
      durationMs,
      connectMs: this.#connectMs,
      firstByteMs: this.#firstByteMs,
      pool: snapshot.pool.name,
      backendUrl: backend === null ? null : backend.spec.url,
      attempts: this.#attempts,
      requestId: this.#requestId,
      error,
      errorDetail,
      userAgent: this.#logFields === null ? null : this.#logFields.userAgent,
      referer: this.#logFields === null ? null : this.#logFields.referer,
    };
    context.accessLog.record(entry, snapshot.accessLog.format);
  }
}
