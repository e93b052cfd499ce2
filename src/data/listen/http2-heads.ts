/** Heads of answers on an HTTP/2 stream, in the text of HTTP/1.1 that the encoder takes. */
import { STATUS_CODES } from 'node:http';
import { type ResponseStart, UNKNOWN_LENGTH } from '../backend/backend-stream.ts';
import type { DataContext } from '../relay/context.ts';
import type { OwnAnswer } from '../relay/own-answers.ts';
import { droppedOf, type FieldChanges, FieldNames } from '../route/field-changes.ts';
import { forwardResponse } from '../wire/forward-response.ts';
import type { RedirectRule } from '../wire/location.ts';

const SWITCHING_PROTOCOLS = 101;
const BAD_GATEWAY = 502;
/** RFC 8441 §5: it answers a key, and there is none. */
const OF_HANDSHAKE = new FieldNames(['sec-websocket-accept']);

export function responseHead(
  context: DataContext,
  { head, options, bodyLength, misstatesLength }: ResponseStart,
  addedFields: string,
  redirects: RedirectRule | null,
  changes: FieldChanges | null,
): string {
  let { nominated }: { nominated: ReadonlySet<string> | null } = options;
  if (changes !== null) nominated = droppedOf(changes, nominated);
  if (head.status === SWITCHING_PROTOCOLS) nominated = OF_HANDSHAKE.with(nominated);
  return forwardResponse(
    head,
    { nominated },
    {
      isChunked: bodyLength === UNKNOWN_LENGTH,
      dropsLength: misstatesLength,
      connectionLine: '',
      addedFields: changes === null ? addedFields : addedFields + changes.lines,
      redirects,
      sendsVia: context.view.snapshot.forwarding.sendVia,
      clock: context,
    },
  );
}

export function answerHead({ status, fields }: OwnAnswer): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields}\r\n`;
}

/**
 * To an extended CONNECT, a 2xx would say that the tunnel is open (RFC 8441 §5): who has not switched protocols has not said so.
 * @param head one with this status.
 */
export function noYes(head: string, status: number): string {
  if (status < 200 || status >= 300) return head;
  const line = `HTTP/1.1 ${BAD_GATEWAY} ${STATUS_CODES[BAD_GATEWAY]}`;
  return line + head.slice(head.indexOf('\r\n'));
}
