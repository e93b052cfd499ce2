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
import type { RequestHead } from './head.ts';
import { isValidHost, parseTarget } from './target.ts';
import { allowedOf, readUpgrade } from './upgrade.ts';

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
  /** The protocols that it asks to go on in and may have, as a list; empty: none. See upgrade.ts. */
  readonly upgrade: string;
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

/** What the settings say that a head is read by. */
export interface RequestRules {
  /** What this instance calls itself in Via: a request that has it is on its way round in a circle. Empty: none. */
  readonly viaName: string;
  /** The protocols that a connection may be upgraded to, in lower case. */
  readonly upgrades: readonly string[];
}

/** Reads a parsed head. Returns an error code for anything ambiguous or malformed (protocol.md, 400 and friends). */
export function readRequest(
  head: RequestHead,
  { viaName, upgrades }: RequestRules,
): RequestFacts | ErrorCode {
  const framingError = frameRequest(head, framing);
  if (framingError !== null) return framingError;
  let hostField = -1;
  let expectsContinue = false;
  let hasUpgrade = false;
  let maxForwards = -1;
  let requestId: string | null = null;
  let requestIds = 0;
  let wantsJson = false;
  let authenticatesConnection = false;
  for (let field = 0; field < head.fieldCount; field++) {
    switch (head.id(field)) {
      case FIELD_HOST:
        if (hostField !== -1) return 'ERR_DUPLICATE_HOST';
        hostField = field;
        break;
      case FIELD_EXPECT:
        expectsContinue ||= head.value(field).toLowerCase() === '100-continue';
        break;
      case FIELD_UPGRADE:
        hasUpgrade = true;
        break;
      case FIELD_MAX_FORWARDS:
        maxForwards = parseMaxForwards(head.value(field));
        break;
      case FIELD_ACCEPT:
        wantsJson ||= mentionsJson(head, field);
        break;
      case FIELD_AUTHORIZATION:
        authenticatesConnection ||= isConnectionScheme(head, field);
        break;
      case FIELD_VIA:
        if (viaName !== '' && head.value(field).includes(viaName)) {
          return 'ERR_LOOP';
        }
        break;
      case FIELD_REQUEST_ID:
        requestIds++;
        requestId = head.value(field);
        break;
      default:
    }
  }
  const { method } = head;
  // Refused before the target is looked at: the target of a CONNECT has a form of its own.
  if (method === 'CONNECT' || method === 'TRACE') return 'ERR_METHOD_REFUSED';
  const target = parseTarget(method, head.target);
  if (target === null) return 'ERR_BAD_TARGET';
  let host: string | null = null;
  if (hostField !== -1) {
    host = head.value(hostField);
    if (!isValidHost(host)) return 'ERR_BAD_HOST';
  } else if (head.versionMinor === 1) {
    return 'ERR_NO_HOST';
  }
  readConnectionOptions(head, options);
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
    upgrade:
      hasUpgrade && options.upgrade && isVersion11
        ? // A handshake with a body has no agreed meaning: it is forwarded as an ordinary request.
          allowedOf(
            readUpgrade(head),
            upgrades,
            method === 'GET' && (framing.kind === BODY_NONE || framing.length === 0),
          )
        : '',
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

/** Our answers are a sentence long: whoever lists JSON at all can read it as JSON, whatever the weights say. */
function mentionsJson(head: RequestHead, field: number): boolean {
  if (head.valueLength(field) < 'text/json'.length) return false;
  return head.value(field).toLowerCase().includes('json');
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
