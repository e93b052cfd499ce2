/**
 * What a request says, checked as a whole once its head is parsed: target, host, framing, connection options.
 */
import type { ErrorCode } from '../../errors.ts';
import { isConnectionScheme } from './authentication.ts';
import {
  type ConnectionOptions,
  createConnectionOptions,
  isPersistent,
  readConnectionOptions,
} from './connection-options.ts';
import {
  FIELD_ACCEPT,
  FIELD_AUTHORIZATION,
  FIELD_EXPECT,
  FIELD_HOST,
  FIELD_MAX_FORWARDS,
  FIELD_REQUEST_ID,
  FIELD_UPGRADE,
  FIELD_VIA,
} from './fields.ts';
import { BODY_NONE, type BodyKind, createFraming, frameRequest } from './framing.ts';
import type { HeadParser } from './head-parser.ts';
import { isValidHost, parseTarget } from './target.ts';

export interface RequestFacts {
  readonly method: string;
  /** Origin form or `*`: what is forwarded and what routing sees. */
  readonly path: string;
  /** The host asked for, from the target or the Host field; null only for HTTP/1.0 without one. */
  readonly host: string | null;
  /** The target named an authority: the Host field must be replaced by it. */
  readonly replacesHost: boolean;
  readonly versionMinor: number;
  /** The client would keep the connection open. */
  readonly mayPersist: boolean;
  readonly bodyKind: BodyKind;
  /** −1 when unknown. */
  readonly contentLength: number;
  /** A WebSocket handshake: the one upgrade that passes (h2c smuggling). */
  readonly upgradesToWebSocket: boolean;
  readonly expectsContinue: boolean;
  /** −1 when absent or not a number. */
  readonly maxForwards: number;
  /** The client's X-Request-Id if it is sane, else null. */
  readonly requestId: string | null;
  readonly nominated: ReadonlySet<string> | null;
  /** It proves who sent it for all that comes on the same connection: see backend-pin.ts. */
  readonly authenticatesConnection: boolean;
  /** Our own answers should be JSON. */
  readonly wantsJson: boolean;
}

// Scratch space of one call; a thread runs one call at a time.
const framing = createFraming();
const options: ConnectionOptions = createConnectionOptions();

/**
 * Reads a parsed head. Returns an error code for anything ambiguous or malformed (protocol.md, 400 and friends).
 * @param ownVia what this instance calls itself in Via: a request that has it is on its way round in a circle. Empty: none.
 */
export function readRequest(
  head: HeadParser,
  buffer: Buffer,
  base: number,
  ownVia = '',
): RequestFacts | ErrorCode {
  const framingError = frameRequest(head, buffer, base, framing);
  if (framingError !== null) return framingError;
  let hostField = -1;
  let expectsContinue = false;
  let hasWebSocketUpgrade = false;
  let maxForwards = -1;
  let requestId: string | null = null;
  let requestIds = 0;
  let wantsJson = false;
  let authenticatesConnection = false;
  for (let field = 0; field < head.fieldCount; field++) {
    switch (head.ids[field]) {
      case FIELD_HOST:
        if (hostField !== -1) return 'ERR_DUPLICATE_HOST';
        hostField = field;
        break;
      case FIELD_EXPECT:
        expectsContinue ||= fieldText(head, buffer, base, field).toLowerCase() === '100-continue';
        break;
      case FIELD_UPGRADE:
        hasWebSocketUpgrade ||= hasToken(fieldText(head, buffer, base, field), 'websocket');
        break;
      case FIELD_MAX_FORWARDS:
        maxForwards = parseMaxForwards(fieldText(head, buffer, base, field));
        break;
      case FIELD_ACCEPT:
        wantsJson ||= mentionsJson(head, buffer, base, field);
        break;
      case FIELD_AUTHORIZATION:
        authenticatesConnection ||= isConnectionScheme(head, buffer, base, field);
        break;
      case FIELD_VIA:
        if (ownVia !== '' && fieldText(head, buffer, base, field).includes(ownVia)) {
          return 'ERR_LOOP';
        }
        break;
      case FIELD_REQUEST_ID:
        requestIds++;
        requestId = fieldText(head, buffer, base, field);
        break;
      default:
    }
  }
  const text = head.text(buffer, base);
  const method = methodText(head, text);
  // Refused before the target is looked at: the target of a CONNECT has a form of its own.
  if (method === 'CONNECT' || method === 'TRACE') return 'ERR_METHOD_REFUSED';
  const target = parseTarget(method, text.slice(head.targetStart, head.targetEnd));
  if (target === null) return 'ERR_BAD_TARGET';
  let host: string | null = null;
  if (hostField !== -1) {
    host = fieldText(head, buffer, base, hostField);
    if (!isValidHost(host)) return 'ERR_BAD_HOST';
  } else if (head.versionMinor === 1) {
    return 'ERR_NO_HOST';
  }
  readConnectionOptions(head, buffer, base, options);
  const isVersion11 = head.versionMinor === 1;
  return {
    method,
    path: target.path,
    host: target.authority ?? host,
    replacesHost: target.authority !== null,
    versionMinor: head.versionMinor,
    mayPersist: isPersistent(head.versionMinor, options),
    bodyKind: framing.kind,
    contentLength: framing.length,
    // A handshake with a body has no agreed meaning: it is forwarded as an ordinary request.
    upgradesToWebSocket:
      hasWebSocketUpgrade &&
      options.upgrade &&
      isVersion11 &&
      method === 'GET' &&
      (framing.kind === BODY_NONE || framing.length === 0),
    // RFC 9110 §10.1.1: an HTTP/1.0 client's expectation is ignored.
    expectsContinue: expectsContinue && isVersion11 && framing.kind !== BODY_NONE,
    maxForwards,
    requestId:
      requestIds === 1 && requestId !== null && isSaneRequestId(requestId) ? requestId : null,
    nominated: options.nominated,
    authenticatesConnection,
    wantsJson,
  };
}

/** Whether a head that was refused, or is not complete yet, is of a HEAD request: as soon as its method has come. */
export function isHeadMethod(head: HeadParser | null, buffer: Buffer, base: number): boolean {
  if (head === null || head.methodEnd - head.lineStart !== 'HEAD'.length) return false;
  return buffer.latin1Slice(base + head.lineStart, base + head.methodEnd) === 'HEAD';
}

/** Method and target of a head that was refused later on; null for what did not come so far. */
export function readRequestLine(
  head: HeadParser | null,
  buffer: Buffer,
  base: number,
): {
  readonly method: string | null;
  readonly path: string | null;
  readonly protocol: string | null;
} {
  if (head === null || head.fieldsStart === 0) return { method: null, path: null, protocol: null };
  return {
    method: buffer.latin1Slice(base + head.lineStart, base + head.methodEnd),
    path: buffer.latin1Slice(base + head.targetStart, base + head.targetEnd),
    protocol: `HTTP/1.${head.versionMinor}`,
  };
}

export function fieldText(head: HeadParser, buffer: Buffer, base: number, field: number): string {
  return head.text(buffer, base).slice(head.valueStart(field), head.valueEnd(field));
}

const COMMON_METHODS: readonly string[] = [
  'GET',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
];

/** Nearly all requests have a method whose text exists already. */
function methodText(head: HeadParser, text: string): string {
  const { lineStart } = head;
  const length = head.methodEnd - lineStart;
  for (let index = 0; index < COMMON_METHODS.length; index++) {
    const method = COMMON_METHODS[index] as string;
    if (method.length === length && text.startsWith(method, lineStart)) return method;
  }
  return text.slice(lineStart, head.methodEnd);
}

/** Our answers are a sentence long: whoever lists JSON at all can read it as JSON, whatever the weights say. */
function mentionsJson(head: HeadParser, buffer: Buffer, base: number, field: number): boolean {
  if (head.valueEnd(field) - head.valueStart(field) < 'text/json'.length) return false;
  return fieldText(head, buffer, base, field).toLowerCase().includes('json');
}

/** Text of the first field with this id, or null. */
export function findField(
  head: HeadParser,
  buffer: Buffer,
  base: number,
  id: number,
): string | null {
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.ids[field] === id) return fieldText(head, buffer, base, field);
  }
  return null;
}

/** Whether a comma-separated list holds `token` (lower case). */
export function hasToken(list: string, token: string): boolean {
  if (list === token) return true;
  return list.split(',').some((part) => part.trim().toLowerCase() === token);
}

function parseMaxForwards(text: string): number {
  if (text.length === 0 || text.length > 9) return -1;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return -1;
  }
  return Number(text);
}

const MAX_REQUEST_ID = 128;

/** Letters, digits and `-_.:/+=@~`: safe in any log and header. */
function isSaneRequestId(text: string): boolean {
  if (text.length === 0 || text.length > MAX_REQUEST_ID) return false;
  for (let index = 0; index < text.length; index++) {
    const character = text.charCodeAt(index);
    const isAlphanumeric =
      (character >= 0x30 && character <= 0x3a) ||
      (character >= 0x40 && character <= 0x5a) ||
      (character >= 0x61 && character <= 0x7a);
    const isMark =
      character === 0x2d ||
      character === 0x2e ||
      character === 0x2f ||
      character === 0x2b ||
      character === 0x3d ||
      character === 0x5f ||
      character === 0x7e;
    if (!isAlphanumeric && !isMark) return false;
  }
  return true;
}
