/** In words for the log: what a backend did that was to speak HTTP/2, and what would help. */
import type { ErrorCode } from '../../errors.ts';
import { nameOfError } from '../wire/http2/error-codes.ts';

const REMEDY =
  'with protocol: http1 its pool speaks HTTP/1.1 to it, and with auto what it chooses over TLS';

/** @param chosen by ALPN; empty: nothing. */
export function notHttp2OverTls(chosen: string): string {
  const what = chosen === '' ? 'has not chosen h2' : `has chosen ${chosen}`;
  return `offered h2 (ALPN), the backend ${what}: ${REMEDY}`;
}

/** @param firstBytes that it has sent in place of its SETTINGS. */
export function notHttp2(firstBytes: string): string {
  if (firstBytes === '') return `before a byte of HTTP/2 came: ${REMEDY}`;
  if (firstBytes.startsWith('HTTP/1.')) return `it answers in HTTP/1.1: ${REMEDY}`;
  return `it does not begin as HTTP/2 does: ${REMEDY}`;
}

export function silentPing(pingMs: number): string {
  return `no byte came for twice ${pingMs} ms, and no answer to a PING (timeouts.backend_ping)`;
}

/** It ended the handshake because we offer nothing that it speaks (RFC 7301 §3.2). */
export function refusesHttp2(code: ErrorCode, detail: string): boolean {
  return code === 'ERR_BACKEND_TLS' && /no.application.protocol/i.test(detail);
}

/** @param code of a GOAWAY. */
export function goneUnseen(code: number, detail: string): string {
  const said = detail === '' ? '' : `, ${JSON.stringify(detail)}`;
  return `the backend has ended the connection (GOAWAY: ${nameOfError(code)}${said}) before it has seen the request`;
}
