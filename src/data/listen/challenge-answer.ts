/**
 * The answer to a certificate authority that asks whether a name leads here: HTTP-01, RFC 8555 §8.3. It comes before any redirect, route,
 * block or login, and only for tokens that it has been given: what else has such a path goes the way of all requests.
 */
import { STATUS_CODES } from 'node:http';
import type { HttpChallenges } from '../../snapshot/challenges.ts';
import type { DataContext } from '../relay/context.ts';
import { recordAnswered } from '../relay/ledger.ts';
import type { ForwardContext } from '../wire/forward-request.ts';
import type { RequestFacts } from '../wire/request.ts';

const PLACE = '/.well-known/acme-challenge/';
const STATUS = 200;

/** Nothing follows behind it. */
export interface LoneAnswer {
  readonly head: string;
  readonly body: string;
}

/** Counts and logs it. @returns null: it asks for no token that is out. */
export function challengeAnswer(
  context: DataContext,
  challenges: HttpChallenges,
  facts: RequestFacts,
  { peerAddress, protocol }: ForwardContext,
  bytesIn: number,
): LoneAnswer | null {
  const { method, path, versionMinor } = facts;
  if (!path.startsWith(PLACE) || (method !== 'GET' && method !== 'HEAD')) return null;
  const text = challenges.get(path.slice(PLACE.length));
  if (text === undefined) return null;
  const requestId = facts.requestId ?? context.nextRequestId();
  const head = `HTTP/1.1 ${STATUS} ${STATUS_CODES[STATUS]}\r\nContent-Type: application/octet-stream\r\nContent-Length: ${text.length}\r\nCache-Control: no-store\r\nX-Request-Id: ${requestId}\r\n${context.dateLine}Connection: close\r\n\r\n`;
  const body = method === 'HEAD' ? '' : text;
  recordAnswered(context, STATUS, facts, {
    clientAddress: peerAddress,
    requestId,
    method,
    path,
    protocol: versionMinor === 1 ? protocol : 'HTTP/1.0',
    bytesIn,
    bytesOut: head.length + body.length,
    isCall: false,
  });
  return { head, body };
}
