/** A request on an HTTP/2 stream, from its header block to its exchange, or to the answer that it gets without one. */
import { randomBytes } from 'node:crypto';
import type { ErrorCode } from '../../errors.ts';
import type { DataContext } from '../relay/context.ts';
import { Exchange } from '../relay/exchange.ts';
import { failedCall, GrpcCall } from '../relay/grpc-call.ts';
import { recordRefusal } from '../relay/ledger.ts';
import { errorAnswer } from '../relay/own-answers.ts';
import { TIMEOUT } from '../wire/grpc.ts';
import { fieldNamed } from '../wire/head.ts';
import type { FieldLimits, FieldList } from '../wire/http2/field-list.ts';
import { Http2Head } from '../wire/http2/http2-head.ts';
import { readRequest } from '../wire/request.ts';
import type { ConnectionContext } from './connection-context.ts';
import { answerHead } from './http2-heads.ts';
import type { Http2Stream } from './http2-stream.ts';
import { incomingRequest } from './incoming-request.ts';

/** Of this thread: good for the length of a call. */
const head = new Http2Head();
const reading = { endsStream: false, requestLineBytes: 0, webSocketKey: '' };
let webSocketKey = makeKey();

/** RFC 6455 §4.1: for a backend that speaks HTTP/1.1, what HTTP/2 has no use for. */
function makeKey(): string {
  return randomBytes(16).toString('base64');
}

/** Of the fields of one head, as SETTINGS_MAX_HEADER_LIST_SIZE counts them. */
export function fieldLimits({ view }: DataContext): FieldLimits {
  const { headBytes, fields } = view.snapshot.limits;
  return { headBytes: headBytes + 32 * fields, fields };
}

/** Whether clients may open WebSockets (RFC 8441). */
export function takesWebSockets({ view }: DataContext): boolean {
  return view.forwardRules.upgrades.includes('websocket');
}

/**
 * Begins the exchange of a request.
 * @param list its fields; null: there are too many.
 * @param refused what all requests of this connection are answered; null: they are served.
 * @returns whether it is malformed: its stream has an error (RFC 9113 §8.1.1), though it may have been answered.
 */
export function beginRequest(
  context: DataContext,
  stream: Http2Stream,
  peer: ConnectionContext,
  list: FieldList | null,
  headBytes: number,
  refused: { readonly code: ErrorCode; readonly detail: string } | null,
): boolean {
  const { view } = context;
  const forward = peer.under(view);
  const refuse = (code: ErrorCode, detail: string, isMalformed = false): void => {
    const { peerAddress } = forward;
    if (isMalformed) stream.isMalformed();
    answerRefusal(context, stream, code, detail, peerAddress, list !== null, headBytes);
  };
  if (list === null) {
    refuse('ERR_HEAD_TOO_LARGE', '');
    return false;
  }
  reading.endsStream = stream.isRemoteEnded;
  reading.requestLineBytes = view.snapshot.limits.requestLineBytes;
  reading.webSocketKey = takesWebSockets(context) ? webSocketKey : '';
  const error = head.readRequest(list, reading);
  if (error !== null) {
    const isMalformed = error !== 'ERR_TARGET_TOO_LONG' && error !== 'ERR_METHOD_REFUSED';
    refuse(error, head.detail, isMalformed);
    return isMalformed;
  }
  if (head.protocol !== '') webSocketKey = makeKey();
  const facts = readRequest(head, view.forwardRules);
  if (typeof facts === 'string') {
    refuse(facts, '');
    return false;
  }
  if (stream.isRemoteEnded && facts.contentLength > 0) {
    refuse('ERR_BAD_CONTENT_LENGTH', 'the request ends before its body', true);
    return true;
  }
  if (refused !== null) {
    refuse(refused.code, refused.detail);
    return false;
  }
  if (!peer.isFor(facts.host)) {
    refuse('ERR_MISDIRECTED', `${facts.host} is not what the certificate is for`);
    return false;
  }
  const alone = peer.answeredAlone(context, facts, head, headBytes);
  if (alone !== null) {
    stream.begin(facts, null);
    stream.answerAlone(alone.head, alone.body);
    return false;
  }
  const call = head.isCall ? new GrpcCall(fieldNamed(head, TIMEOUT)) : null;
  const request = incomingRequest(context, head, facts, forward, stream.pin, headBytes, call);
  if (head.priority !== '') stream.prioritize(head.priority);
  stream.begin(request.facts, request.answerChanges);
  const exchange = new Exchange(context, stream, request);
  stream.exchange = exchange;
  return false;
}

/** Counts and logs a request that never became an exchange, and answers it. */
function answerRefusal(
  context: DataContext,
  stream: Http2Stream,
  code: ErrorCode,
  detail: string,
  clientAddress: string,
  isRead: boolean,
  bytesIn: number,
): void {
  const requestId = context.nextRequestId();
  const isCall = isRead && head.isCall;
  const answer = isCall
    ? failedCall(code, requestId)
    : errorAnswer(code, false, requestId, context.view.snapshot.errorPages);
  const method = isRead && head.method !== '' ? head.method : null;
  stream.answerAlone(answerHead(answer), method === 'HEAD' ? '' : answer.body);
  recordRefusal(context, code, detail, {
    clientAddress,
    requestId,
    method,
    path: isRead && head.target !== '' ? head.target : null,
    protocol: 'HTTP/2.0',
    bytesIn,
    bytesOut: stream.bytesOut,
    isCall,
  });
}
