/**
 * A header block as a head of HTTP/1.1: what the rules read, and what an HTTP/1.1 peer is sent. `:authority` is the Host field,
 * cookie crumbs are one Cookie field (RFC 9113 §8.2.3), and a body without a length comes as chunks. One object is used for one
 * head after the other: it is good until the next one is read.
 *
 * Nothing becomes a head before it is checked as strictly as HTTP/1.1 is parsed: each field by itself when it is made
 * (field.ts), here what they are together.
 */
import type { ErrorCode } from '../../../errors.ts';
import {
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_CONTENT_TYPE,
  FIELD_COOKIE,
  FIELD_HOST,
  FIELD_OTHER,
  FIELD_TRANSFER_ENCODING,
  FIELD_UPGRADE,
} from '../fields.ts';
import { isGrpc } from '../grpc.ts';
import type { RequestHead, ResponseHead } from '../head.ts';
import {
  Field,
  FieldName,
  fieldOf,
  PSEUDO_AUTHORITY,
  PSEUDO_METHOD,
  PSEUDO_NONE,
  PSEUDO_PATH,
  PSEUDO_PROTOCOL,
  PSEUDO_SCHEME,
  PSEUDO_STATUS,
} from './field.ts';
import type { FieldList } from './field-list.ts';
import { reasonOf } from './reason-phrases.ts';

export interface RequestReading {
  /** The block ended the stream: no body follows. Else, one without Content-Length is told as `Transfer-Encoding: chunked`. */
  readonly endsStream: boolean;
  /** Longest `METHOD path HTTP/1.1`: over it, ERR_TARGET_TOO_LONG. As `HeadLimits` has it. */
  readonly requestLineBytes: number;
  /**
   * For an extended CONNECT (RFC 8441), which is told as the GET that HTTP/1.1 would have: its Sec-WebSocket-Key, a fresh one.
   * Empty: our SETTINGS don't offer extended CONNECT, and one is malformed.
   */
  readonly webSocketKey: string;
}

const WEBSOCKET = 'websocket';
const WEBSOCKET_KEY = 'sec-websocket-key';
const PRIORITY = 'priority';
const VERSION = ' HTTP/1.1';
const TARGET_PARTS = (1 << PSEUDO_SCHEME) | (1 << PSEUDO_PATH);

const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

const CHUNKED = new Field(
  new FieldName('transfer-encoding', FIELD_TRANSFER_ENCODING, PSEUDO_NONE, null),
  'chunked',
  null,
);
const NO_LENGTH = fieldOf('content-length', '0');
const COOKIE = fieldOf('cookie', '').named;
const KEY = fieldOf(WEBSOCKET_KEY, '').named;
/** Names that no HTTP/2 message may have, and the handshake of HTTP/1.1 must. */
const HANDSHAKE: readonly Field[] = [
  new Field(new FieldName('connection', FIELD_CONNECTION, PSEUDO_NONE, null), 'Upgrade', null),
  new Field(new FieldName('upgrade', FIELD_UPGRADE, PSEUDO_NONE, null), WEBSOCKET, null),
];

export class Http2Head implements RequestHead, ResponseHead {
  readonly versionMinor = 1;
  readonly keepsFirstLine = true;
  fieldCount = 0;
  /** What an error is about, for logs. */
  detail = '';

  method = '';
  target = '';
  status = 0;
  reason = '';
  /** Of a request, as it said: `http` or `https`. */
  scheme = '';
  /** `:authority`, else the Host field; empty: neither. */
  authority = '';
  /** `:protocol` of an extended CONNECT, or empty. */
  protocol = '';
  /** The value of its Priority field (RFC 9218 §5), or empty. */
  priority = '';
  /** A request that is a call of gRPC. */
  isCall = false;

  /** The first `fieldCount` are of this head. */
  readonly #fields: Field[] = [];

  #begin(): void {
    this.fieldCount = 0;
    this.detail = '';
    this.method = '';
    this.target = '';
    this.status = 0;
    this.reason = '';
    this.scheme = '';
    this.authority = '';
    this.protocol = '';
    this.priority = '';
    this.isCall = false;
  }

  #add(field: Field): void {
    this.#fields[this.fieldCount++] = field;
  }

  #fail(error: ErrorCode, detail: string): ErrorCode {
    this.detail = detail;
    return error;
  }

  // ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes what was decoded. @returns what is wrong with it, or null. Wrong is RFC 9113 §8.1.1 "malformed": a stream error
   * PROTOCOL_ERROR, before which the code's status may be answered.
   */
  readRequest(list: FieldList, reading: RequestReading): ErrorCode | null {
    this.#begin();
    const { fields, count } = list;
    let at = 0;
    let seen = 0;
    let authority: Field | null = null;
    for (; at < count; at++) {
      const field = fields[at] as Field;
      const { pseudo } = field;
      if (pseudo === PSEUDO_NONE) break;
      if (field.error !== null) return this.#fail(field.error, field.name);
      if ((seen & (1 << pseudo)) !== 0 || pseudo === PSEUDO_STATUS) {
        return this.#fail('ERR_BAD_REQUEST_LINE', `${field.name} does not belong there`);
      }
      seen |= 1 << pseudo;
      if (pseudo === PSEUDO_METHOD) this.method = field.value;
      else if (pseudo === PSEUDO_PATH) this.target = field.value;
      else if (pseudo === PSEUDO_SCHEME) this.scheme = field.value;
      else if (pseudo === PSEUDO_PROTOCOL) this.protocol = field.value;
      else authority = field;
    }
    const error = this.#checkPseudo(seen, reading);
    if (error !== null) return error;
    if (authority !== null) {
      this.authority = authority.value;
      this.#add(authority.host);
    }
    return this.#readFields(fields, at, count, authority !== null) ?? this.#tellBody(reading);
  }

  /** RFC 9113 §8.3.1, §8.5; RFC 8441 §4. */
  #checkPseudo(seen: number, reading: RequestReading): ErrorCode | null {
    const hasProtocol = (seen & (1 << PSEUDO_PROTOCOL)) !== 0;
    const hasTarget = (seen & TARGET_PARTS) === TARGET_PARTS;
    if (this.method === 'CONNECT' && !hasProtocol) {
      if ((seen & TARGET_PARTS) !== 0 || (seen & (1 << PSEUDO_AUTHORITY)) === 0) {
        return this.#fail('ERR_BAD_REQUEST_LINE', 'a CONNECT has an :authority alone');
      }
      // Whoever reads the head refuses it.
      return null;
    }
    if (this.method === '' || !hasTarget) {
      return this.#fail('ERR_BAD_REQUEST_LINE', ':method, :scheme or :path is missing');
    }
    if (this.method.length + this.target.length + VERSION.length + 1 > reading.requestLineBytes) {
      return this.#fail('ERR_TARGET_TOO_LONG', ':path');
    }
    if (!hasProtocol) return null;
    if (this.method !== 'CONNECT' || reading.webSocketKey === '') {
      return this.#fail('ERR_BAD_REQUEST_LINE', ':protocol was not asked for');
    }
    if ((seen & (1 << PSEUDO_AUTHORITY)) === 0) return this.#fail('ERR_NO_HOST', ':protocol');
    if (this.protocol === WEBSOCKET) this.method = 'GET';
    return null;
  }

  #readFields(
    fields: readonly Field[],
    start: number,
    end: number,
    hasAuthority: boolean,
  ): ErrorCode | null {
    let cookieAt = -1;
    let cookie = '';
    let hosts = 0;
    for (let at = start; at < end; at++) {
      const field = fields[at] as Field;
      if (field.error !== null) return this.#fail(field.error, field.name);
      switch (field.id) {
        case FIELD_OTHER:
          if (field.pseudo !== PSEUDO_NONE) {
            return this.#fail('ERR_BAD_REQUEST_LINE', `${field.name} behind fields`);
          }
          if (field.name === PRIORITY && this.priority === '') this.priority = field.value;
          this.#add(field);
          break;
        case FIELD_COOKIE:
          if (cookieAt === -1) {
            cookieAt = this.fieldCount;
            this.#add(field);
            cookie = field.value;
          } else {
            cookie += `; ${field.value}`;
          }
          break;
        case FIELD_CONTENT_TYPE:
          this.isCall ||= this.method === 'POST' && isGrpc(field.value);
          this.#add(field);
          break;
        case FIELD_HOST:
          hosts++;
          if (hosts > 1) return this.#fail('ERR_DUPLICATE_HOST', field.name);
          if (!hasAuthority) {
            this.authority = field.value;
            this.#add(field);
          } else if (!isSameHost(this.authority, field.value)) {
            return this.#fail('ERR_BAD_HOST', 'host is not the :authority');
          }
          break;
        default:
          this.#add(field);
      }
    }
    if (cookieAt !== -1 && (this.#fields[cookieAt] as Field).value !== cookie) {
      this.#fields[cookieAt] = new Field(COOKIE, cookie, null);
    }
    return null;
  }

  #tellBody({ endsStream, webSocketKey }: RequestReading): ErrorCode | null {
    if (this.method === 'CONNECT') return null;
    if (this.protocol !== '') return this.#tellHandshake(webSocketKey);
    if (endsStream && !meansBody(this.method)) return null;
    if (!this.#hasLength()) this.#add(endsStream ? NO_LENGTH : CHUNKED);
    return null;
  }

  #tellHandshake(key: string): ErrorCode | null {
    let kept = 0;
    for (let at = 0; at < this.fieldCount; at++) {
      const field = this.#fields[at] as Field;
      // RFC 9110 §9.3.6: a CONNECT has no body.
      if (field.id === FIELD_CONTENT_LENGTH) return this.#fail('ERR_BAD_CONTENT_LENGTH', 'CONNECT');
      if (field.name !== WEBSOCKET_KEY) this.#fields[kept++] = field;
    }
    this.fieldCount = kept;
    for (const field of HANDSHAKE) this.#add(field);
    this.#add(new Field(KEY, key, null));
    return null;
  }

  #hasLength(): boolean {
    for (let at = 0; at < this.fieldCount; at++) {
      if ((this.#fields[at] as Field).id === FIELD_CONTENT_LENGTH) return true;
    }
    return false;
  }

  // ── Responses and trailers ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * As `readRequest`. A body that ends with the block, where one might follow, is told as `Content-Length: 0`.
   * @param answersHead the request was a HEAD.
   * @returns codes of the request side, as the head parser does: whoever asked answers with ERR_BACKEND_BAD_RESPONSE.
   */
  readResponse(list: FieldList, endsStream: boolean, answersHead: boolean): ErrorCode | null {
    this.#begin();
    const first = list.count === 0 ? null : (list.fields[0] as Field);
    if (first === null || first.pseudo !== PSEUDO_STATUS) {
      return this.#fail('ERR_BAD_REQUEST_LINE', 'no :status');
    }
    if (first.error !== null) return this.#fail(first.error, first.name);
    const status = Number(first.value);
    const isInterim = status < 200;
    // RFC 9113 §8.1, §8.6: nothing is switched to, and an interim response is not the last.
    if (status === 101 || (isInterim && endsStream)) {
      return this.#fail('ERR_BAD_REQUEST_LINE', `:status ${status}`);
    }
    this.status = status;
    this.reason = reasonOf(status);
    const error = this.#readPlain(list, 1);
    if (error !== null) return error;
    const mayHaveBody =
      !isInterim && !answersHead && status !== NO_CONTENT && status !== NOT_MODIFIED;
    if (endsStream && mayHaveBody && !this.#hasLength()) this.#add(NO_LENGTH);
    return null;
  }

  /** Of either side: see `forwardTrailer`. */
  readTrailers(list: FieldList): ErrorCode | null {
    this.#begin();
    return this.#readPlain(list, 0);
  }

  #readPlain(list: FieldList, start: number): ErrorCode | null {
    for (let at = start; at < list.count; at++) {
      const field = list.fields[at] as Field;
      if (field.error !== null) return this.#fail(field.error, field.name);
      if (field.pseudo !== PSEUDO_NONE) {
        return this.#fail('ERR_BAD_REQUEST_LINE', `${field.name} does not belong there`);
      }
      this.#add(field);
    }
    return null;
  }

  // ── As a head ───────────────────────────────────────────────────────────────────────────────────────────────────

  id(field: number): number {
    return (this.#fields[field] as Field).id;
  }

  name(field: number): string {
    return (this.#fields[field] as Field).name;
  }

  value(field: number): string {
    return (this.#fields[field] as Field).value;
  }

  valueLength(field: number): number {
    return (this.#fields[field] as Field).value.length;
  }

  valueCode(field: number, index: number): number {
    return (this.#fields[field] as Field).value.charCodeAt(index);
  }

  isValue(field: number, text: string): boolean {
    return (this.#fields[field] as Field).value === text;
  }

  isNamed(field: number, name: string): boolean {
    return (this.#fields[field] as Field).name === name;
  }

  lines(from: number, to: number): string {
    let lines = from < 0 ? this.#firstLine() : '';
    for (let at = from < 0 ? 0 : from; at < to; at++) lines += (this.#fields[at] as Field).line;
    return lines;
  }

  #firstLine(): string {
    return this.status === 0
      ? `${this.method} ${this.target} HTTP/1.1\r\n`
      : `HTTP/1.1 ${this.status} ${this.reason}\r\n`;
  }
}

/** RFC 9110 §8.6: without a body, its length should be said, and some who speak HTTP/1.1 insist on it (411). */
function meansBody(method: string): boolean {
  return method !== 'GET' && (method === 'POST' || method === 'PUT' || method === 'PATCH');
}

/** RFC 9113 §8.3.1: they have to name the same. */
function isSameHost(authority: string, host: string): boolean {
  return authority === host || authority.toLowerCase() === host.toLowerCase();
}
