/** The answer of a listener that speaks in the clear only to send its clients to the one that speaks TLS. */
import { STATUS_CODES } from 'node:http';
import type { DataContext } from '../relay/context.ts';
import { recordAnswered } from '../relay/ledger.ts';
import { FIELD_FORWARDED_PROTO } from '../wire/fields.ts';
import { type ForwardContext, isSecureScheme } from '../wire/forward-request.ts';
import { findField, type RequestHead } from '../wire/head.ts';
import type { RequestFacts } from '../wire/request.ts';
import { forwardedClient } from './client-address.ts';
import { refusal } from './refusal.ts';

/** RFC 9110 §15.4.9: for good, and with the same method. */
const STATUS = 308;
const HTTPS_PORT = 443;

/**
 * Counts and logs it.
 * @param port of the listener that speaks TLS.
 * @param bytesIn of the head.
 * @returns the answer, behind which nothing follows; null: a trusted proxy has spoken TLS with the client.
 */
export function httpsRedirect(
  context: DataContext,
  facts: RequestFacts,
  head: RequestHead,
  { isTrusted, peerAddress, protocol }: ForwardContext,
  port: number,
  bytesIn: number,
): string | null {
  const clientAddress = isTrusted
    ? forwardedClient(head, peerAddress, context.view.trustedProxies)
    : peerAddress;
  if (isTrusted && isSecureScheme(findField(head, FIELD_FORWARDED_PROTO) ?? '')) return null;
  if (facts.host === null) {
    const { method, target, versionMinor } = head;
    const known = { hasFirstLine: true, method, target, versionMinor };
    const detail = 'which host of https it is for';
    return refusal(context, 'ERR_NO_HOST', detail, clientAddress, known, bytesIn);
  }
  const authority = `${withoutPort(facts.host)}${port === HTTPS_PORT ? '' : `:${port}`}`;
  // RFC 9110 §7.1: an asterisk is no path.
  const path = facts.path === '*' ? '/' : facts.path;
  const requestId = facts.requestId ?? context.nextRequestId();
  const text = `HTTP/1.1 ${STATUS} ${STATUS_CODES[STATUS]}\r\nLocation: https://${authority}${path}\r\nContent-Length: 0\r\nX-Request-Id: ${requestId}\r\n${context.dateLine}Connection: close\r\n\r\n`;
  recordAnswered(context, STATUS, facts, {
    clientAddress,
    requestId,
    method: facts.method,
    path: facts.path,
    protocol: facts.versionMinor === 1 ? protocol : 'HTTP/1.0',
    bytesIn,
    bytesOut: text.length,
    isCall: false,
  });
  return text;
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':');
  return colon > host.lastIndexOf(']') ? host.slice(0, colon) : host;
}
