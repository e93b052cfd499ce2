/**
 * What is different about a request that is a call of gRPC: it ends with a status of its own, in the trailers of its answer or in
 * its head where there is nothing else, and that is what an answer of ours has to have as well.
 */
import { STATUS_CODES } from 'node:http';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { grpcNumber, grpcOf } from '../../grpc-status.ts';
import {
  type RequestStart,
  type ResponseStart,
  UNKNOWN_LENGTH,
} from '../backend/backend-stream.ts';
import type { ReadyAnswer } from '../pool/terms.ts';
import type { FieldChanges } from '../route/field-changes.ts';
import { withFieldsOf } from '../wire/forward-request.ts';
import {
  isGrpc,
  NO_STATUS,
  readTimeout,
  statusLines,
  statusOfHead,
  statusOfTrailers,
  TIMEOUT,
  withTimeout,
} from '../wire/grpc.ts';
import { fieldNamed } from '../wire/head.ts';

const NOTHING_SENT = 499;
const OF_TIMEOUT = new RegExp(`^${TIMEOUT}:`, 'im');

/** Who is told how a call has gone. */
interface CallJudge {
  callEnded(grpcStatus: number): void;
}

export class GrpcCall {
  /** How long its client waits for it, in ms; Infinity: for ever, as far as we know. */
  readonly timeoutMs: number;
  /** The client's field; null: it sent none. */
  readonly #timeout: string | null;
  /** Backends are told in our words how much time there is. */
  #saysTimeout: boolean;
  /** When it must be over, on the awake clock. */
  #endsByMs = Number.POSITIVE_INFINITY;
  /** Of HTTP, as the backend has answered; 0 before. */
  #status = 0;
  /** What it ended with; `NO_STATUS`: that was not said, or not yet. */
  #ended = NO_STATUS;
  /** The backend speaks gRPC: what it answered is of that type. */
  #isAnswered = false;
  /** An answer of gRPC has begun, and no length says where it has to end. */
  #mayEnd = false;

  /** @param timeout the value of its grpc-timeout field. One that is malformed means nothing to us, and is the backend's to refuse. */
  constructor(timeout: string | null) {
    const ms = timeout === null ? Number.POSITIVE_INFINITY : readTimeout(timeout);
    this.#timeout = timeout;
    this.#saysTimeout = !Number.isNaN(ms);
    this.timeoutMs = this.#saysTimeout ? ms : Number.POSITIVE_INFINITY;
  }

  /** For another pool. */
  copy(): GrpcCall {
    const copy = new GrpcCall(this.#timeout);
    copy.#saysTimeout = this.#saysTimeout;
    return copy;
  }

  /** What its route says of the fields that backends get: where it has a word for this one, that stands. */
  heed({ dropped, lines }: FieldChanges): void {
    if (dropped?.has(TIMEOUT) === true || OF_TIMEOUT.test(lines)) this.#saysTimeout = false;
  }

  /** @param totalMs what the policies allow. @returns by when it must be over, on the awake clock */
  begins(nowMs: number, totalMs: number): number {
    this.#endsByMs = nowMs + Math.min(totalMs, this.timeoutMs);
    return this.#endsByMs;
  }

  /** As it goes to a backend: with the time that is left. */
  reduced(start: RequestStart, nowMs: number): RequestStart {
    const { facts, forwarded } = start;
    if (!this.#saysTimeout || this.#endsByMs === Number.POSITIVE_INFINITY) return start;
    const fields = withTimeout(forwarded.fields, this.#endsByMs - nowMs);
    return { facts, forwarded: withFieldsOf(forwarded, fields) };
  }

  /** The head of the final response is there. */
  headCame({ head, bodyLength }: ResponseStart): void {
    this.#status = head.status;
    this.#isAnswered = isGrpc(fieldNamed(head, 'content-type') ?? '');
    this.#mayEnd = this.#isAnswered && bodyLength === UNKNOWN_LENGTH;
    this.#ended = bodyLength === 0 ? statusOfHead(head) : NO_STATUS;
  }

  /**
   * The response is complete. What is no answer of gRPC is judged by its status of HTTP alone, as any other: a site that knows nothing of
   * gRPC is not to blame for a client that takes it for such a server.
   * @param trailers whole field lines
   */
  ended(trailers: string, judge: CallJudge): void {
    if (this.#ended === NO_STATUS) this.#ended = statusOfTrailers(trailers);
    if (this.#isAnswered || this.#ended !== NO_STATUS) {
      judge.callEnded(this.result(null, this.#status));
    }
  }

  /**
   * What an answer that has begun ends with when it can't go on: whole field lines; empty: nothing would say it.
   * A client that has left, or does not read, gets no more of it.
   */
  lastWords(code: ErrorCode): string {
    const { status, grpc, message } = ERRORS[code];
    if (!this.#mayEnd || status === NOTHING_SENT) return '';
    return statusLines(grpcNumber(grpc), `${message} (${code})`);
  }

  /** An answer of a route's in the place of one: what a client would make of its status, said as a status of gRPC. */
  answered(
    { status, fields, body }: ReadyAnswer,
    requestId: string,
    dateLine: string,
  ): ReadyAnswer {
    if (status < 300) {
      this.#ended = statusOfTrailers(fields);
      return { status, fields: fields + dateLine, body };
    }
    this.#ended = grpcNumber(grpcOf(status));
    const lines = statusLines(this.#ended, `${status} ${STATUS_CODES[status] ?? ''}`.trimEnd());
    return trailersOnly(`${lines}X-Request-Id: ${requestId}\r\n${dateLine}`);
  }

  /** What it has come to, as its client sees it. @param error that it ended with. @param status of HTTP */
  result(error: ErrorCode | null, status: number): number {
    if (error !== null) return grpcNumber(ERRORS[error].grpc);
    if (this.#ended !== NO_STATUS) return this.#ended;
    // Nothing says it: a client goes by the status of HTTP, and 200 says nothing.
    return grpcNumber(grpcOf(this.#status || status));
  }
}

/** In place of the answer of HTTP that says the same: see `errorAnswer`. @param addedFields whole field lines */
export function failedCall(code: ErrorCode, requestId: string, addedFields = ''): ReadyAnswer {
  const { grpc, message, proxyStatus } = ERRORS[code];
  const lines = statusLines(grpcNumber(grpc), `${message} (${code})`);
  return trailersOnly(
    `${lines}Proxy-Status: fairlead; error=${proxyStatus}\r\nX-Request-Id: ${requestId}\r\nDate: ${new Date().toUTCString()}\r\n${addedFields}`,
  );
}

/** A head that is all of the answer. */
function trailersOnly(fields: string): ReadyAnswer {
  return { status: 200, fields: `Content-Type: application/grpc\r\n${fields}`, body: '' };
}
