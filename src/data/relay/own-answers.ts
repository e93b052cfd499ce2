/**
 * The answers that Fairlead makes itself (protocol.md): short, in text or JSON by Accept, with a Proxy-Status field
 * (RFC 9209) that says what happened.
 */
import { STATUS_CODES } from 'node:http';
import { ERRORS, type ErrorCode } from '../../errors.ts';

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

/** @param addedFields whole field lines: how long to wait. Empty: as usual with the status */
export function errorAnswer(
  code: ErrorCode,
  wantsJson: boolean,
  requestId: string,
  addedFields = '',
): OwnAnswer {
  const { status, message, proxyStatus, source } = ERRORS[code];
  const body = wantsJson
    ? `${JSON.stringify({ status, code, message, source, request_id: requestId })}\n`
    : `${status} ${STATUS_CODES[status]}: ${message} (${code})\n`;
  const contentType = wantsJson ? 'application/json' : 'text/plain; charset=utf-8';
  let fields = `Content-Type: ${contentType}\r\nContent-Length: ${body.length}\r\nCache-Control: no-store\r\nProxy-Status: fairlead; error=${proxyStatus}\r\nX-Request-Id: ${requestId}\r\nDate: ${new Date().toUTCString()}\r\n`;
  if (addedFields !== '') fields += addedFields;
  else if (status === 503) fields += retryAfterField(RETRY_AFTER_SECONDS);
  if (status === 405) fields += `Allow: ${ALLOW}\r\n`;
  return { status, fields, body };
}

/** RFC 9110 §10.2.3, as a field line. */
export function retryAfterField(seconds: number): string {
  return `Retry-After: ${seconds}\r\n`;
}

/** RFC 9110 §7.6.2: an OPTIONS that has no hops left is answered by whoever has it. */
export function optionsAnswer(): OwnAnswer {
  return {
    status: 204,
    fields: `Allow: ${ALLOW}\r\nDate: ${new Date().toUTCString()}\r\n`,
    body: '',
  };
}
