/**
 * The answers that Fairlead makes itself (protocol.md): short, in text or JSON by Accept, with a Proxy-Status field
 * (RFC 9209) that says what happened.
 */
import { STATUS_CODES } from 'node:http';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { ErrorPages } from '../../snapshot/route-answer.ts';
import type { ReadyAnswer } from '../pool/terms.ts';
import type { DataContext } from './context.ts';
import { failedCall } from './grpc-call.ts';
import type { IncomingRequest } from './incoming-request.ts';

/** What RFC 9110 §15.5.6 wants with a 405: the methods that are relayed without asking. */
const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** With a 503 that nobody knows the end of. */
const RETRY_AFTER_SECONDS = 1;

/** How it is framed, and what becomes of the connection, is said by who sends it. */
export interface OwnAnswer {
  readonly status: number;
  /** Whole field lines. */
  readonly fields: string;
  /** Latin-1 text. */
  readonly body: string;
}

/**
 * @param pages what operators have in place of our text. Whoever wants JSON gets JSON.
 * @param addedFields whole field lines: how long to wait. Empty: as usual with the status
 */
export function errorAnswer(
  code: ErrorCode,
  wantsJson: boolean,
  requestId: string,
  pages: ErrorPages,
  addedFields = '',
): OwnAnswer {
  const { status, message, proxyStatus, source } = ERRORS[code];
  let body: string;
  let contentType = wantsJson ? 'application/json' : 'text/plain; charset=utf-8';
  const page = wantsJson ? undefined : pages.get(status);
  if (page !== undefined) ({ body, contentType } = page);
  else if (wantsJson)
    body = `${JSON.stringify({ status, code, message, source, request_id: requestId })}\n`;
  else body = `${status} ${STATUS_CODES[status]}: ${message} (${code})\n`;
  let fields = `Content-Type: ${contentType}\r\nContent-Length: ${body.length}\r\nCache-Control: no-store\r\nProxy-Status: fairlead; error=${proxyStatus}\r\nX-Request-Id: ${requestId}\r\nDate: ${new Date().toUTCString()}\r\n`;
  if (addedFields !== '') fields += addedFields;
  else if (status === 503) fields += retryAfterField(RETRY_AFTER_SECONDS);
  if (status === 405) fields += `Allow: ${ALLOW}\r\n`;
  return { status, fields, body };
}

/** To a request whose exchange has failed. */
export function failureAnswer(
  { view }: DataContext,
  { facts, requestId, terms, call }: IncomingRequest,
  code: ErrorCode,
  addedFields: string,
): OwnAnswer {
  if (call !== null) return failedCall(code, requestId, addedFields);
  const pages = terms?.pages ?? view.snapshot.errorPages;
  return errorAnswer(code, facts.wantsJson, requestId, pages, addedFields);
}

/** RFC 9110 §10.2.3, as a field line. */
export function retryAfterField(seconds: number): string {
  return `Retry-After: ${seconds}\r\n`;
}

/** What a request gets that needs no backend; null: nothing. */
export function ownAnswer({ dateLine }: DataContext, request: IncomingRequest): OwnAnswer | null {
  const { facts, terms, call } = request;
  if (facts.maxForwards === 0 && facts.method === 'OPTIONS') return optionsAnswer(dateLine);
  if (terms === null || terms.answer === null) return null;
  if (call !== null) return call.answered(terms.answer, request.requestId, dateLine);
  return dated(terms.answer, dateLine);
}

/** RFC 9110 §6.6.1. */
function dated({ status, fields, body }: ReadyAnswer, dateLine: string): OwnAnswer {
  return { status, fields: fields + dateLine, body };
}

/** RFC 9110 §7.6.2: an OPTIONS that has no hops left is answered by whoever has it. */
function optionsAnswer(dateLine: string): OwnAnswer {
  return { status: 204, fields: `Allow: ${ALLOW}\r\n${dateLine}`, body: '' };
}
