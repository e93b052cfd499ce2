/** The answer to a request that never became an exchange. */
import type { ErrorCode } from '../../errors.ts';
import type { DataContext } from '../relay/context.ts';
import { recordRefusal } from '../relay/ledger.ts';
import { errorAnswer } from '../relay/own-answers.ts';
import type { RequestHead } from '../wire/head.ts';
import { answerText } from './http1-responder.ts';

/** A head as far as it has come. */
interface RefusedHead extends Pick<RequestHead, 'method' | 'target' | 'versionMinor'> {
  readonly hasFirstLine: boolean;
}

/**
 * Counts and logs it.
 * @param head as far as it has come and was read: perhaps not even to the end of its first line.
 * @returns the answer to send.
 */
export function refusal(
  context: DataContext,
  code: ErrorCode,
  detail: string,
  clientAddress: string,
  head: RefusedHead | null,
  bytesIn: number,
): string {
  const requestId = context.nextRequestId();
  const line = head?.hasFirstLine === true ? head : null;
  // RFC 9110 §9.3.2: nothing follows the head of an answer to a HEAD, even if its fields were wrong.
  const { errorPages } = context.view.snapshot;
  const text = answerText(errorAnswer(code, false, requestId, errorPages), head?.method === 'HEAD');
  recordRefusal(context, code, detail, {
    clientAddress,
    requestId,
    method: line?.method ?? null,
    path: line?.target ?? null,
    protocol: line === null ? null : `HTTP/1.${line.versionMinor}`,
    bytesIn,
    bytesOut: text.length,
    isCall: false,
  });
  return text;
}
