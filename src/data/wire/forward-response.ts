/**
 * From a backend's head to the head that the client gets, and trailers in both directions.
 */
import {
  FIELD_CONTENT_LENGTH,
  FIELD_DATE,
  FIELD_LOCATION,
  FIELD_REFRESH,
  FIELD_TRAILER,
  HAS_RESPONSE_RULE,
  HOP_BY_HOP,
  NO_TRAILER,
  TRAITS,
} from './fields.ts';
import { isNominated } from './forward-request.ts';
import { FIRST_LINE, type Head, type ResponseHead } from './head.ts';
import { type RedirectRule, rewriteRedirect } from './location.ts';

const SWITCHING_PROTOCOLS = 101;
const NO_CONTENT = 204;
const UPGRADE_REQUIRED = 426;

/** The reason as the backend gave it; the version is ours (RFC 9112 §2.3). */
function statusLine(head: ResponseHead): string {
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
}

/** RFC 9110 §7.6.3: the version that the message was received in. */
const VIA_11 = 'Via: 1.1 fairlead\r\n';
const VIA_10 = 'Via: 1.0 fairlead\r\n';

export interface ResponseShape {
  /** The body follows as chunks, whatever the backend's framing was. */
  readonly isChunked: boolean;
  /** A Content-Length says something else than the message: it goes no further (RFC 9112 §6.3 rule 3). */
  readonly dropsLength: boolean;
  /** The Connection field to send: empty, or a whole line. */
  readonly connectionLine: string;
  /** Whole lines of the proxy's own, such as a session cookie: empty as a rule. */
  readonly addedFields: string;
  /** Redirects to the backend's own address become ours; null: they pass as they came. */
  readonly redirects: RedirectRule | null;
  readonly sendsVia: boolean;
  /** What a final response without a Date gets (RFC 9110 §6.6.1): a whole line. */
  readonly clock: { readonly dateLine: string };
}

/**
 * The complete head for the client, blank line included. For a 101 the Upgrade field passes and Connection says so; a
 * 426 keeps its Upgrade field (RFC 9110 §15.5.22).
 */
export function forwardResponse(
  head: ResponseHead,
  options: { readonly nominated: ReadonlySet<string> | null },
  shape: ResponseShape,
): string {
  const status = head.status;
  const keepsUpgrade = status === SWITCHING_PROTOCOLS || status === UPGRADE_REQUIRED;
  let fields = head.keepsFirstLine ? '' : statusLine(head);
  let runStart = head.keepsFirstLine ? FIRST_LINE : 0;
  let seenDate = status < 200;
  // RFC 9110 §8.6: neither 1xx nor 204 has a Content-Length, and nobody is sent the same one twice.
  let mayHaveLength = status >= 200 && status !== NO_CONTENT && !shape.dropsLength;
  for (let field = 0; field < head.fieldCount; field++) {
    const id = head.id(field);
    const traits = TRAITS[id] as number;
    let isKept = (traits & HOP_BY_HOP) === 0;
    let replaced: string | null = null;
    if ((traits & HAS_RESPONSE_RULE) !== 0) {
      switch (id) {
        case FIELD_CONTENT_LENGTH:
          isKept = mayHaveLength;
          mayHaveLength = false;
          break;
        case FIELD_TRAILER:
          isKept = shape.isChunked;
          break;
        case FIELD_DATE:
          seenDate = true;
          break;
        case FIELD_LOCATION:
        case FIELD_REFRESH:
          if (shape.redirects !== null) replaced = rewriteRedirect(head, field, shape.redirects);
          break;
        default:
          // FIELD_UPGRADE
          isKept = keepsUpgrade;
      }
    }
    if (isKept && options.nominated !== null) {
      isKept = !isNominated(head, field, options.nominated);
    }
    if (isKept && replaced === null) continue;
    if (field > runStart) fields += head.lines(runStart, field);
    runStart = field + 1;
    if (isKept) fields += `${head.name(field)}: ${replaced}\r\n`;
  }
  if (head.fieldCount > runStart) fields += head.lines(runStart, head.fieldCount);
  if (shape.isChunked) fields += 'Transfer-Encoding: chunked\r\n';
  const connectionLine = keepsUpgrade
    ? status === UPGRADE_REQUIRED && shape.connectionLine !== ''
      ? 'Connection: close, Upgrade\r\n'
      : 'Connection: Upgrade\r\n'
    : shape.connectionLine;
  if (shape.sendsVia) fields += head.versionMinor === 1 ? VIA_11 : VIA_10;
  if (!seenDate) fields += shape.clock.dateLine;
  return `${fields}${shape.addedFields}${connectionLine}\r\n`;
}

/**
 * The trailer fields that pass, as whole lines.
 * @param nominated what the Connection field of the message names is for one hop only, wherever it stands
 * (RFC 9110 §7.6.1).
 */
export function forwardTrailer(trailer: Head, nominated: ReadonlySet<string> | null): string {
  let lines = '';
  for (let field = 0; field < trailer.fieldCount; field++) {
    if (((TRAITS[trailer.id(field)] as number) & NO_TRAILER) !== 0) continue;
    if (nominated !== null && isNominated(trailer, field, nominated)) continue;
    lines += trailer.lines(field, field + 1);
  }
  return lines;
}
