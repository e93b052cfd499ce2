/**
 * From a backend's head to the head that the client gets, and trailers in both directions.
 */
import type { ConnectionOptions } from './connection-options.ts';
import {
  FIELD_AUTHORIZATION,
  FIELD_CONNECTION,
  FIELD_CONTENT_ENCODING,
  FIELD_CONTENT_LENGTH,
  FIELD_CONTENT_RANGE,
  FIELD_CONTENT_TYPE,
  FIELD_COOKIE,
  FIELD_DATE,
  FIELD_EXPECT,
  FIELD_FORWARDED,
  FIELD_FORWARDED_FOR,
  FIELD_FORWARDED_HOST,
  FIELD_FORWARDED_OTHER,
  FIELD_FORWARDED_PORT,
  FIELD_FORWARDED_PROTO,
  FIELD_HOST,
  FIELD_ID_COUNT,
  FIELD_KEEP_ALIVE,
  FIELD_MAX_FORWARDS,
  FIELD_PROXY_AUTHENTICATE,
  FIELD_PROXY_AUTHORIZATION,
  FIELD_PROXY_CONNECTION,
  FIELD_REQUEST_ID,
  FIELD_SET_COOKIE,
  FIELD_TE,
  FIELD_TRAILER,
  FIELD_TRANSFER_ENCODING,
  FIELD_UNDERSCORE_TWIN,
  FIELD_UPGRADE,
  FIELD_VIA,
} from './fields.ts';
import { isNominated } from './forward-request.ts';
import type { HeadParser } from './head-parser.ts';

const SWITCHING_PROTOCOLS = 101;
const NO_CONTENT = 204;
const UPGRADE_REQUIRED = 426;

const HOP_BY_HOP = new Uint8Array(FIELD_ID_COUNT);
for (const id of [
  FIELD_CONNECTION,
  FIELD_KEEP_ALIVE,
  FIELD_PROXY_CONNECTION,
  FIELD_PROXY_AUTHENTICATE,
  FIELD_TRANSFER_ENCODING,
  FIELD_TE,
  FIELD_UPGRADE,
]) {
  HOP_BY_HOP[id] = 1;
}

/** The reason as the backend gave it; the version is ours (RFC 9112 §2.3). */
function statusLine(head: HeadParser, text: string): string {
  return `HTTP/1.1 ${head.status} ${text.slice(head.reasonStart, head.reasonEnd)}\r\n`;
}

/** RFC 9110 §7.6.3: the version that the message was received in. */
const VIA_11 = 'Via: 1.1 fairlead\r\n';
const VIA_10 = 'Via: 1.0 fairlead\r\n';

export interface ResponseShape {
  /** The body follows as chunks, whatever the backend's framing was. */
  readonly isChunked: boolean;
  /** The Connection field to send: empty, or a whole line. */
  readonly connectionLine: string;
  /** Whole lines of the proxy's own, such as a session cookie: empty as a rule. */
  readonly addedFields: string;
  readonly sendsVia: boolean;
  /** What a final response without a Date gets (RFC 9110 §6.6.1): a whole line. */
  readonly clock: { readonly dateLine: string };
}

/**
 * The complete head for the client, blank line included. For a 101 the Upgrade field passes and Connection says so; a
 * 426 keeps its Upgrade field (RFC 9110 §15.5.22).
 */
export function forwardResponse(
  head: HeadParser,
  buffer: Buffer,
  base: number,
  options: ConnectionOptions,
  shape: ResponseShape,
): string {
  const status = head.status;
  const keepsUpgrade = status === SWITCHING_PROTOCOLS || status === UPGRADE_REQUIRED;
  const text = head.text(buffer, base);
  // In our own version, and with the space that some leave out, the status line goes out as it came.
  const keepsLine = head.saysVersion11 && head.reasonEnd > head.reasonStart;
  let fields = keepsLine ? '' : statusLine(head, text);
  let runStart = keepsLine ? head.lineStart : head.fieldsStart;
  let seenDate = status < 200;
  // RFC 9110 §8.6: neither 1xx nor 204 has a Content-Length, and nobody is sent the same one twice.
  let mayHaveLength = status >= 200 && status !== NO_CONTENT;
  for (let field = 0; field < head.fieldCount; field++) {
    const id = head.ids[field] as number;
    let isKept = HOP_BY_HOP[id] === 0 || (keepsUpgrade && id === FIELD_UPGRADE);
    if (id === FIELD_CONTENT_LENGTH) {
      isKept = mayHaveLength;
      mayHaveLength = false;
    } else if (id === FIELD_TRAILER) isKept = shape.isChunked;
    else if (id === FIELD_DATE) seenDate = true;
    if (isKept && options.nominated !== null) {
      isKept = !isNominated(head, buffer, base, field, options.nominated);
    }
    if (isKept) continue;
    const lineStart = head.nameStart(field);
    if (lineStart > runStart) fields += text.slice(runStart, lineStart);
    runStart = head.fieldLineEnd(field);
  }
  const fieldsEnd = head.length - 2;
  if (fieldsEnd > runStart) fields += text.slice(runStart, fieldsEnd);
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
 * Fields that must not come as trailers: framing, routing, authentication, payload processing, and what the proxy sets
 * (RFC 9110 §6.5.1). They are left out; the others pass as they came.
 */
const NO_TRAILER = new Uint8Array(FIELD_ID_COUNT);
for (const id of [
  FIELD_HOST,
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_TRANSFER_ENCODING,
  FIELD_KEEP_ALIVE,
  FIELD_PROXY_CONNECTION,
  FIELD_TE,
  FIELD_TRAILER,
  FIELD_UPGRADE,
  FIELD_PROXY_AUTHORIZATION,
  FIELD_PROXY_AUTHENTICATE,
  FIELD_EXPECT,
  FIELD_MAX_FORWARDS,
  FIELD_VIA,
  FIELD_FORWARDED,
  FIELD_FORWARDED_FOR,
  FIELD_FORWARDED_HOST,
  FIELD_FORWARDED_OTHER,
  FIELD_FORWARDED_PORT,
  FIELD_FORWARDED_PROTO,
  FIELD_REQUEST_ID,
  FIELD_AUTHORIZATION,
  FIELD_CONTENT_ENCODING,
  FIELD_CONTENT_TYPE,
  FIELD_CONTENT_RANGE,
  FIELD_COOKIE,
  FIELD_SET_COOKIE,
  FIELD_UNDERSCORE_TWIN,
]) {
  NO_TRAILER[id] = 1;
}

/**
 * The trailer fields that pass, as whole lines.
 * @param nominated what the Connection field of the message names is for one hop only, wherever it stands
 * (RFC 9110 §7.6.1).
 */
export function forwardTrailer(
  { bytes, fields }: { readonly bytes: Buffer; readonly fields: HeadParser },
  nominated: ReadonlySet<string> | null,
): string {
  const text = fields.text(bytes, 0);
  let lines = '';
  for (let field = 0; field < fields.fieldCount; field++) {
    if (NO_TRAILER[fields.ids[field] as number] === 1) continue;
    if (nominated !== null && isNominated(fields, bytes, 0, field, nominated)) continue;
    lines += text.slice(fields.nameStart(field), fields.fieldLineEnd(field));
  }
  return lines;
}
