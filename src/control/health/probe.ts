/**
 * One health check of one backend, over a connection of its own. Says what was tried, what came, and after how long;
 * never rejects and never throws, whatever the backend does, and is bounded in time, bytes and reads.
 */
import type net from 'node:net';
import { ownHeader } from '../../net/proxy-header.ts';
import {
  codeOf,
  errorsIn,
  messageOf,
  shortageOf,
  tellingCode,
} from '../../snapshot/own-shortage.ts';
import {
  checkedAddress,
  checkRequest,
  describeCheck,
  isExpected,
  type ProbeRequest,
} from './check-request.ts';
import { HealthAnswer } from './health-answer.ts';
import { type Patience, waitPatiently } from './patience.ts';
import { askHealth, type GrpcHealthListener } from './probe-grpc.ts';
import { askInHttp2, type Http2Listener, speaksHttp2 } from './probe-http2.ts';
import { type OpeningUser, ProbeOpening } from './probe-opening.ts';

export interface ProbeResult {
  readonly isPassed: boolean;
  /** `GET http://localhost:3001/health: 200 after 3 ms` */
  readonly detail: string;
  /** Of the answer, if one came. */
  readonly status: number | undefined;
  /** There was a connection (over TLS, a secure one), whatever came of it. */
  readonly hasConnected: boolean;
  /** What failed, as the system or TLS calls it, or one of `ProbeFault`. */
  readonly code: string | undefined;
  /** It failed for want of something on our side: no verdict on the backend. */
  readonly isInconclusive: boolean;
}

/** What failed where no system call did. */
export type ProbeFault =
  | 'TIMEOUT'
  | 'NOT_HTTP'
  | 'NOT_HTTP2'
  | 'NOT_GRPC'
  | 'NOT_SERVING'
  | 'OTHER_BODY'
  | 'RESET'
  | 'CLOSED'
  | 'CALLED_OFF';

export type Probe = (request: ProbeRequest, signal: AbortSignal) => Promise<ProbeResult>;

/** More of an answer is not read. */
const MAX_BYTES = 64 * 1024;
/** Nor in more pieces: each costs a turn of the loop, be it of one byte. */
const MAX_READS = 256;
/** Once the verdict stands, the backend may end its answer in peace, for so long. */
const LINGER_MS = 1000;
const SWITCHING_PROTOCOLS = 101;
/** What a server answers that speaks nothing of what it was offered (RFC 7301 §3.2). */
const NO_PROTOCOL = 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';

export const probe: Probe = (request, signal) =>
  new Promise((resolve) => {
    new Check(request, signal, resolve).start();
  });

class Check implements OpeningUser, Http2Listener, GrpcHealthListener {
  readonly #request: ProbeRequest;
  readonly #signal: AbortSignal;
  readonly #resolve: (result: ProbeResult) => void;
  readonly #startedAt = performance.now();
  readonly #opening: ProbeOpening;
  readonly #answer: HealthAnswer;
  readonly #abort = (): void => this.#giveUp('called off', 'CALLED_OFF');
  #socket: net.Socket | undefined;
  #patience: Patience | undefined;
  #linger: NodeJS.Timeout | undefined;
  #hasConnected = false;
  #isDecided = false;
  #bytes = 0;
  #reads = 0;

  constructor(request: ProbeRequest, signal: AbortSignal, resolve: (result: ProbeResult) => void) {
    // There is no gRPC over HTTP/1.1.
    this.#request = request.method === 'grpc' ? { ...request, protocol: 'h2' } : request;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#opening = new ProbeOpening(
      checkedAddress(request),
      this.#request,
      request.proxyVersion && ownHeader(request.proxyVersion),
      this,
    );
    this.#answer = new HealthAnswer(request.isLenient, request.expectBody);
  }

  start(): void {
    if (this.#signal.aborted) {
      this.#abort();
      return;
    }
    this.#patience = waitPatiently(this.#request.timeoutMs, () => this.#timedOut());
    this.#signal.addEventListener('abort', this.#abort, { once: true });
    this.#opening.begin();
  }

  onSocket(socket: net.Socket): void {
    this.#socket = socket;
    socket.on('error', (error) => this.#failed(error));
    socket.on('close', () => {
      this.onAnswerEnd();
      this.#end();
    });
    if (this.#request.address.tls) socket.on('secureConnect', () => this.#connected(socket));
    else this.#connected(socket);
  }

  #connected(socket: net.Socket): void {
    this.#hasConnected = true;
    if (this.#request.method === 'tcp') {
      this.#decide(true, 'connected');
      socket.destroy();
      return;
    }
    const isHttp2 = speaksHttp2(this.#request, socket);
    if (isHttp2 === undefined) {
      this.#giveUp('it does not choose HTTP/2 (ALPN)', this.#notHttp2);
    } else if (this.#request.method === 'grpc') {
      askHealth(this.#request, socket, this);
    } else if (isHttp2) {
      askInHttp2(this.#request, socket, this);
    } else {
      socket.on('data', (bytes: Buffer) => this.onAnswerBytes(bytes));
      socket.write(checkRequest(this.#request), 'latin1');
    }
  }

  onAnswerFailed(error: Error): void {
    const code = codeOf(error);
    // Who resets a stream speaks HTTP/2.
    if (code === 'ERR_HTTP2_STREAM_ERROR') this.#giveUp(error.message, 'RESET');
    else if (code.startsWith('ERR_HTTP2_'))
      this.#giveUp(`not HTTP/2 (${error.message})`, this.#notHttp2);
    else this.#failed(error);
  }

  get #notHttp2(): ProbeFault {
    return this.#request.method === 'grpc' ? 'NOT_GRPC' : 'NOT_HTTP2';
  }

  onHealth(isServing: boolean, came: string, status?: number): void {
    this.#decide(isServing, came, status, isServing ? undefined : 'NOT_SERVING');
    this.#socket?.destroy();
  }

  onAnswerEnd(): void {
    if (this.#answer.status !== undefined) this.#lacksText(this.#answer.status, '');
    else this.#giveUp('the connection closed without an answer', 'CLOSED');
    this.#socket?.destroy();
  }

  onAnswerBytes(bytes: Buffer): void {
    const answer = this.#answer;
    this.#reads++;
    this.#bytes += bytes.length;
    answer.receive(bytes);
    if (answer.fault !== undefined) this.#giveUp(answer.fault, 'NOT_HTTP');
    else if (answer.status !== undefined) this.#answered(answer.status);
    if (answer.isComplete) this.#socket?.destroy();
    if (this.#bytes > MAX_BYTES || this.#reads > MAX_READS) {
      if (answer.status !== undefined) this.#lacksText(answer.status, ' in its first 64 KiB');
      this.#giveUp('an answer of too many pieces', 'NOT_HTTP');
    }
  }

  #answered(status: number): void {
    if (this.#isDecided) return;
    const what = status === SWITCHING_PROTOCOLS ? 'switched protocols' : String(status);
    const isGood = isExpected(status, this.#request);
    if (isGood && !this.#answer.hasText) {
      if (this.#answer.isComplete) this.#lacksText(status, '');
      return;
    }
    this.#decide(isGood, what, status);
    this.#linger = setTimeout(() => this.#socket?.destroy(), LINGER_MS);
  }

  /** Its status was good. */
  #lacksText(status: number, where: string): void {
    const text = JSON.stringify(this.#request.expectBody);
    this.#decide(false, `${status} without ${text}${where}`, status, 'OTHER_BODY');
  }

  onOpeningFailed(error: Error): void {
    this.#failed(error);
  }

  #failed(error: Error): void {
    const errors = errorsIn(error);
    const telling = tellingCode(errors.map(codeOf)) || codeOf(error);
    const isOther = telling === NO_PROTOCOL && this.#request.method === 'grpc';
    const code = isOther ? 'NOT_GRPC' : telling;
    // Names every address that was tried: happy eyeballs report several failures as one error without a text.
    this.#giveUp(errors.map(messageOf).join(', '), code);
  }

  #timedOut(): void {
    const { method, timeoutMs, address } = this.#request;
    if (!this.#opening.isResolved) {
      // Whoever knows the address does not answer. That is not the backend.
      this.#giveUp(`${address.host} did not resolve within ${timeoutMs} ms`, 'EAI_AGAIN');
      return;
    }
    const isBegun = this.#answer.status !== undefined;
    const what = method === 'tcp' ? 'connection' : isBegun ? 'end of the answer' : 'answer';
    this.#giveUp(`no ${what} within ${timeoutMs} ms`, 'TIMEOUT');
  }

  #giveUp(came: string, code: ProbeFault | (string & {})): void {
    this.#decide(false, came, undefined, code);
    this.#opening.giveUp();
    // It ends with its socket.
    if (this.#socket === undefined) this.#end();
    else this.#socket.destroy();
  }

  #end(): void {
    this.#patience?.cancel();
    clearTimeout(this.#linger);
    this.#signal.removeEventListener('abort', this.#abort);
  }

  /** The first decision stands. */
  #decide(isPassed: boolean, came: string, status?: number, code?: string): void {
    if (this.#isDecided) return;
    this.#isDecided = true;
    this.#patience?.cancel();
    const ms = Math.round(performance.now() - this.#startedAt);
    this.#resolve({
      isPassed,
      detail: `${describeCheck(this.#request)}: ${came} after ${ms} ms`,
      status,
      hasConnected: this.#hasConnected,
      code,
      isInconclusive: code !== undefined && shortageOf(code) !== undefined,
    });
  }
}
