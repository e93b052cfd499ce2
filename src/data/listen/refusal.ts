/** The answer to a request that never became an exchange. */
import type { ErrorCode } from '../../errors.ts';
import type { DataContext } from '../context.ts';
import { recordRefusal } from '../relay/ledger.ts';
import { errorAnswer } from '../relay/own-answers.ts';
import type { HeadParser } from '../wire/head-parser.ts';
import { isHeadMethod, readRequestLine } from '../wire/request.ts';

/** What has come of it: `buffer[base, end)`, as far as the parser has read it. */
export interface RefusedHead {
  readonly parser: HeadParser | null;
  readonly buffer: Buffer;
  readonly base: number;
  readonly end: number;
}

/** Counts and logs it. @returns the answer to send. */
export function refusal(
  context: DataContext,
  code: ErrorCode,
  detail: string,
  clientAddress: string,
  { parser, buffer, base, end }: RefusedHead,
): string {
  const requestId = context.nextRequestId();
  const text = errorAnswer(code, {
    wantsJson: false,
    // RFC 9110 §9.3.2: nothing follows the head of an answer to a HEAD, even if its fields were wrong.
    isHead: isHeadMethod(parser, buffer, base),
    closes: true,
    keepsAlive10: false,
    requestId,
    addedFields: '',
  });
  recordRefusal(context, code, detail, {
    clientAddress,
    requestId,
    // What the request line said, as far as it could be read.
    ...readRequestLine(parser, buffer, base),
    bytesIn: end - base,
    bytesOut: text.length,
  });
  return text;
}
