/** Answers that are given up for another attempt's, where the rules allow one: nobody has seen anything of them yet. */
import type { ErrorCode } from '../../errors.ts';
import type { ResponseStart } from '../backend/backend-stream.ts';
import { statusOfHead } from '../wire/grpc.ts';
import type { IncomingRequest } from './incoming-request.ts';

type RefusedAnswer = 'ERR_BACKEND_STATUS' | 'ERR_BACKEND_GRPC_STATUS';

/** As what it may be refused; null: it is the client's, whatever it is. */
export function refusalOf(
  { head, bodyLength }: ResponseStart,
  { call, policies }: IncomingRequest,
): RefusedAnswer | null {
  const { status } = head;
  if (status >= 400) {
    return policies.retries.onStatus.includes(status) ? 'ERR_BACKEND_STATUS' : null;
  }
  // Of a call only a head that is all of the answer: once a message has come, it may have been acted on.
  if (call === null || bodyLength !== 0) return null;
  const isListed = policies.retries.onGrpcStatus.includes(statusOfHead(head));
  return isListed ? 'ERR_BACKEND_GRPC_STATUS' : null;
}

export function isRefusedAnswer(code: ErrorCode | null): code is RefusedAnswer {
  return code === 'ERR_BACKEND_STATUS' || code === 'ERR_BACKEND_GRPC_STATUS';
}

/** What the log says of it. */
export function describeRefused(code: ErrorCode, { head }: ResponseStart): string {
  return code === 'ERR_BACKEND_STATUS'
    ? `status ${head.status}`
    : `grpc-status ${statusOfHead(head)}`;
}
