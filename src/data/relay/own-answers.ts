/**
 * The answers that Fairlead makes itself (protocol.md): short, in text or JSON by Accept, with a Proxy-Status field
 * (RFC 9209) that says what happened.
 */
import { STATUS_CODES } from 'node:http';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { IncomingRequest } from './incoming-request.ts';

/** What RFC 9110 §15.5.6 wants with a 405: the methods that are relayed without asking. */
const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** With a 503 that nobody knows the end of. */
const RETRY_AFTER_SECONDS = 1;

export interface AnswerShape {
  readonly wantsJson: boolean;
  /** The request was a HEAD: the head is the same, the body is left out. */
  readonly isHead: boolean;
  readonly closes: boolean;
  /** An HTTP/1.0 client that asked for it is told that the connection stays. */
  readonly keepsAlive10: boolean;
  readonly requestId: string;
  /** Whole field lines: how long to wait. Empty: as usual with the status. */
  readonly addedFields: string;
}

/** To a request that was read whole. @param fields whole field lines; empty: as usual with the status */
export function failureAnswer(
  code: ErrorCode,
  { facts, requestId }: IncomingRequest,
  closes: boolean,
  fields: string,
): string {
  return errorAnswer(code, {
    wantsJson: facts.wantsJson,
    isHead: facts.method === 'HEAD',
    closes,
    keepsAlive10: facts.versionMinor === 0,
    requestId,
    addedFields: fields,
  });
}

/** A complete response, head and body, as latin-1 text. */
export function errorAnswer(code: ErrorCode, shape: AnswerShape): string {
  const { status, message, proxyStatus, source } = ERRORS[code];
  const body = shape.wantsJson
    ? `${JSON.stringify({ status, code, message, source, request_id: shape.requestId })}\n`
    : `${status} ${STATUS_CODES[status]}: ${message} (${code})\n`;
  const contentType = shape.wantsJson ? 'application/json' : 'text/plain; charset=utf-8';
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${contentType}\r\nContent-Length: ${body.length}\r\nCache-Control: no-store\r\nProxy-Status: fairlead; error=${proxyStatus}\r\nX-Request-Id: ${shape.requestId}\r\nDate: ${new Date().toUTCString()}\r\n`;
  if (shape.addedFields !== '') head += shape.addedFields;
  else if (status === 503) head += retryAfterField(RETRY_AFTER_SECONDS);
  if (status === 405) head += `Allow: ${ALLOW}\r\n`;
  return `${head}${connectionLine(shape.closes, shape.keepsAlive10)}\r\n${shape.isHead ? '' : body}`;
}

/** RFC 9110 §10.2.3, as a field line. */
export function retryAfterField(seconds: number): string {
  return `Retry-After: ${seconds}\r\n`;
}

/** RFC 9110 §7.6.2: an OPTIONS that has no hops left is answered by whoever has it. */
export function optionsAnswer(closes: boolean, keepsAlive10: boolean): string {
  return `HTTP/1.1 204 No Content\r\nAllow: ${ALLOW}\r\nDate: ${new Date().toUTCString()}\r\n${connectionLine(closes, keepsAlive10)}\r\n`;
}

/** The Connection field that a response needs: none where the version says it already. */
export function connectionLine(closes: boolean, keepsAlive10: boolean): string {
  if (closes) return 'Connection: close\r\n';
  return keepsAlive10 ? 'Connection: keep-alive\r\n' : '';
}
