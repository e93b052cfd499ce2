/**
 * From the client's head to the head that a backend gets (protocol.md, "Forwarding").
 *
 * Fields that pass are copied as they came: whole runs of raw lines, so order, case, duplicates and latin-1 bytes survive
 * and a typical request costs two slices. Hop-by-hop fields go first, then ours are added: a client can't name a field in
 * Connection to get rid of what the proxy sets.
 */
import {
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_EXPECT,
  FIELD_FORWARDED,
  FIELD_FORWARDED_FOR,
  FIELD_FORWARDED_HOST,
  FIELD_FORWARDED_OTHER,
  FIELD_FORWARDED_PORT,
  FIELD_FORWARDED_PROTO,
  FIELD_HOST,
  FIELD_HTTP2_SETTINGS,
  FIELD_ID_COUNT,
  FIELD_KEEP_ALIVE,
  FIELD_MAX_FORWARDS,
  FIELD_PROXY_AUTHENTICATE,
  FIELD_PROXY_AUTHORIZATION,
  FIELD_PROXY_CONNECTION,
  FIELD_REQUEST_ID,
  FIELD_TE,
  FIELD_TRAILER,
  FIELD_TRANSFER_ENCODING,
  FIELD_UNDERSCORE_TWIN,
  FIELD_UPGRADE,
} from './fields.ts';
import { BODY_CHUNKED } from './framing.ts';
import type { HeadParser } from './head-parser.ts';
import { fieldText, hasToken, type RequestFacts } from './request.ts';

/** What the forwarded head needs to know of the connection it came on; one object per client connection. */
export interface ForwardContext {
  /** The address of the peer, IPv6 without brackets. */
  readonly peerAddress: string;
  readonly scheme: 'http' | 'https';
  /** The port the client connected to. */
  readonly port: number;
  /** The peer is a trusted proxy: its forwarded fields are believed and extended. */
  readonly isTrusted: boolean;
  readonly sendForwarded: boolean;
  /** The Host field is replaced per backend, so the client's is left out. */
  readonly dropsHost: boolean;
  /** For an untrusted peer, the fields that are the same for each of its requests. */
  readonly fixedFields: string;
  /** The same, and the name of X-Forwarded-Host at the end: what follows is the host. */
  readonly fixedFieldsToHost: string;
}

export function createForwardContext(
  peerAddress: string,
  scheme: 'http' | 'https',
  port: number,
  isTrusted: boolean,
  sendForwarded: boolean,
  dropsHost: boolean,
): ForwardContext {
  const fixedFields = `X-Forwarded-For: ${peerAddress}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Port: ${port}\r\n`;
  return {
    peerAddress,
    scheme,
    port,
    isTrusted,
    sendForwarded,
    dropsHost,
    fixedFields,
    fixedFieldsToHost: `${fixedFields}X-Forwarded-Host: `,
  };
}

/** A head in parts: the Host line (if any) and the framing line go between and after them. */
export interface ForwardedRequest {
  /** The request line; empty where `fields` begins with it. */
  readonly startLine: string;
  /** Whole field lines, each ended by CR LF, without Transfer-Encoding; Content-Length is there when it was given. */
  readonly fields: string;
  /** A Host line has to be sent between `startLine` and `fields`. */
  readonly needsHost: boolean;
}

const KEEP = 0;
const DROP = 1;
const DECIDE = 2;
const ACTIONS = new Uint8Array(FIELD_ID_COUNT);
for (const id of [
  FIELD_CONNECTION,
  FIELD_TRANSFER_ENCODING,
  FIELD_KEEP_ALIVE,
  FIELD_PROXY_CONNECTION,
  FIELD_UPGRADE,
  FIELD_PROXY_AUTHORIZATION,
  FIELD_PROXY_AUTHENTICATE,
  FIELD_HTTP2_SETTINGS,
  FIELD_UNDERSCORE_TWIN,
]) {
  ACTIONS[id] = DROP;
}
for (const id of [
  FIELD_HOST,
  FIELD_CONTENT_LENGTH,
  FIELD_TE,
  FIELD_TRAILER,
  FIELD_EXPECT,
  FIELD_MAX_FORWARDS,
  FIELD_FORWARDED,
  FIELD_FORWARDED_FOR,
  FIELD_FORWARDED_HOST,
  FIELD_FORWARDED_OTHER,
  FIELD_FORWARDED_PORT,
  FIELD_FORWARDED_PROTO,
  FIELD_REQUEST_ID,
]) {
  ACTIONS[id] = DECIDE;
}

/** RFC 9110 §7.6.2: only these two methods heed Max-Forwards; TRACE is refused earlier. */
function countsForwards(facts: RequestFacts): boolean {
  return facts.method === 'OPTIONS' && facts.maxForwards > 0;
}

export function forwardRequest(
  head: HeadParser,
  buffer: Buffer,
  base: number,
  facts: RequestFacts,
  context: ForwardContext,
  requestId: string,
): ForwardedRequest {
  const needsHost = context.dropsHost || facts.replacesHost || facts.host === null;
  // A request line in origin form goes out as it came, in one piece with the fields behind it.
  const keepsLine = !needsHost && facts.versionMinor === 1;
  const text = head.text(buffer, base);
  let fields = '';
  let runStart = keepsLine ? head.lineStart : head.fieldsStart;
  let acceptsTrailers = false;
  let seenProto = false;
  let seenHost = false;
  let seenPort = false;
  for (let field = 0; field < head.fieldCount; field++) {
    const id = head.ids[field] as number;
    const action = ACTIONS[id] as number;
    let isKept = action === KEEP;
    if (action === DECIDE) {
      switch (id) {
        case FIELD_HOST:
          isKept = !needsHost;
          break;
        case FIELD_CONTENT_LENGTH:
          // Only `Content-Length: 0012` and the like are written anew (below): the value is checked, digits only.
          isKept =
            head.valueEnd(field) - head.valueStart(field) === 1 ||
            !startsWithZero(head, buffer, base, field);
          break;
        case FIELD_TE:
          acceptsTrailers ||= hasToken(fieldText(head, buffer, base, field), 'trailers');
          break;
        case FIELD_TRAILER:
          isKept = facts.bodyKind === BODY_CHUNKED;
          break;
        case FIELD_EXPECT:
          isKept = facts.versionMinor === 1;
          break;
        case FIELD_MAX_FORWARDS:
          isKept = !countsForwards(facts);
          break;
        case FIELD_REQUEST_ID:
          isKept = facts.requestId !== null;
          break;
        case FIELD_FORWARDED_PROTO:
          isKept = context.isTrusted;
          seenProto ||= isKept;
          break;
        case FIELD_FORWARDED_HOST:
          isKept = context.isTrusted;
          seenHost ||= isKept;
          break;
        case FIELD_FORWARDED_PORT:
          isKept = context.isTrusted;
          seenPort ||= isKept;
          break;
        case FIELD_FORWARDED:
        case FIELD_FORWARDED_OTHER:
          isKept = context.isTrusted;
          break;
        default:
        // FIELD_FORWARDED_FOR: its values are gathered below.
      }
    }
    if (isKept && facts.nominated !== null) {
      isKept = !isNominated(head, buffer, base, field, facts.nominated);
    }
    if (isKept) continue;
    const lineStart = head.nameStart(field);
    if (lineStart > runStart) fields += text.slice(runStart, lineStart);
    runStart = head.fieldLineEnd(field);
    if (id === FIELD_CONTENT_LENGTH) fields += `Content-Length: ${facts.contentLength}\r\n`;
  }
  const fieldsEnd = head.length - 2;
  if (fieldsEnd > runStart) fields += text.slice(runStart, fieldsEnd);

  if (isCommon(facts, context)) {
    // Joined from as few parts as can be.
    fields += `${context.fixedFieldsToHost}${facts.host}\r\nX-Request-Id: ${requestId}\r\nVia: 1.1 fairlead\r\n`;
  } else {
    if (!context.isTrusted) {
      fields += context.fixedFields;
    } else {
      fields += `X-Forwarded-For: ${forwardedForChain(head, buffer, base, context.peerAddress)}\r\n`;
      if (!seenProto) fields += `X-Forwarded-Proto: ${context.scheme}\r\n`;
      if (!seenPort) fields += `X-Forwarded-Port: ${context.port}\r\n`;
    }
    if (!seenHost && facts.host !== null) fields += `X-Forwarded-Host: ${facts.host}\r\n`;
    if (context.sendForwarded) fields += forwardedField(facts, context);
    if (facts.requestId === null) fields += `X-Request-Id: ${requestId}\r\n`;
    if (countsForwards(facts)) fields += `Max-Forwards: ${facts.maxForwards - 1}\r\n`;
    fields += facts.versionMinor === 1 ? 'Via: 1.1 fairlead\r\n' : 'Via: 1.0 fairlead\r\n';
  }
  if (facts.upgradesToWebSocket) {
    fields += 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
  } else if (acceptsTrailers) {
    // RFC 9110 §10.1.4: TE is for one hop and must be named in Connection.
    fields += 'TE: trailers\r\nConnection: TE\r\n';
  }
  const startLine = keepsLine ? '' : `${facts.method} ${facts.path} HTTP/1.1\r\n`;
  return { startLine, fields, needsHost };
}

/** Nearly every request: what is added to it differs by host and request id alone. */
function isCommon(facts: RequestFacts, context: ForwardContext): boolean {
  return (
    facts.requestId === null &&
    facts.host !== null &&
    facts.versionMinor === 1 &&
    facts.maxForwards === -1 &&
    !context.isTrusted &&
    !context.sendForwarded
  );
}

function startsWithZero(head: HeadParser, buffer: Buffer, base: number, field: number): boolean {
  return buffer[base + head.valueStart(field)] === 0x30;
}

export function isNominated(
  head: HeadParser,
  buffer: Buffer,
  base: number,
  field: number,
  nominated: ReadonlySet<string>,
): boolean {
  const name = head.text(buffer, base).slice(head.nameStart(field), head.nameEnd(field));
  return nominated.has(name.toLowerCase());
}

/** All X-Forwarded-For values in order, joined, with the peer at the end. */
function forwardedForChain(
  head: HeadParser,
  buffer: Buffer,
  base: number,
  peerAddress: string,
): string {
  let chain = '';
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.ids[field] !== FIELD_FORWARDED_FOR) continue;
    const value = fieldText(head, buffer, base, field);
    if (value !== '') chain += `${value}, `;
  }
  return chain + peerAddress;
}

/** RFC 7239 §4; an IPv6 address is bracketed and quoted (§6). */
function forwardedField(facts: RequestFacts, context: ForwardContext): string {
  const node = context.peerAddress.includes(':')
    ? `"[${context.peerAddress}]"`
    : context.peerAddress;
  const host = facts.host === null ? '' : `;host="${facts.host}"`;
  return `Forwarded: for=${node}${host};proto=${context.scheme}\r\n`;
}
