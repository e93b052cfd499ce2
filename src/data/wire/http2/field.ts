/**
 * A header field as tables and lists hold it: made once, read often, never changed. Whatever follows from its bytes alone is
 * known from then on: which field it is, whether a message may have it, its line in HTTP/1.1.
 */
import type { ErrorCode } from '../../../errors.ts';
import { FIELD_VALUE, HTAB, SP, TARGET, TOKEN, TOKEN_UNDERSCORE } from '../bytes.ts';
import {
  FIELD_CONNECTION,
  FIELD_HOST,
  FIELD_KEEP_ALIVE,
  FIELD_OTHER,
  FIELD_TE,
  FIELD_TRANSFER_ENCODING,
  FIELD_UPGRADE,
  identifyField,
  idOfName,
} from '../fields.ts';

export const PSEUDO_NONE = 0;
export const PSEUDO_AUTHORITY = 1;
export const PSEUDO_METHOD = 2;
export const PSEUDO_PATH = 3;
export const PSEUDO_SCHEME = 4;
export const PSEUDO_STATUS = 5;
export const PSEUDO_PROTOCOL = 6;
const PSEUDO_UNKNOWN = 7;

/** RFC 7541 §4.1: what an entry costs beside its bytes. */
export const FIELD_OVERHEAD = 32;

const FIELD_PROXY_CONNECTION = idOfName('proxy-connection');
const MAX_METHOD_BYTES = 32;
const COLON = 0x3a;
const ASTERISK = 0x2a;
const SLASH = 0x2f;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;

/** A field's name, and what follows from it; the fields of a table that have it share one. */
export class FieldName {
  /** As it came, Latin-1. */
  readonly text: string;
  /** Of wire/fields.ts; FIELD_OTHER for a pseudo-header. */
  readonly id: number;
  readonly pseudo: number;
  /** No message may have a field with this name (RFC 9113 §8.2). */
  readonly error: ErrorCode | null;

  constructor(text: string, id: number, pseudo: number, error: ErrorCode | null) {
    this.text = text;
    this.id = id;
    this.pseudo = pseudo;
    this.error = error;
  }
}

export class Field {
  /** As it came: Latin-1; lower case, if it is well-formed. */
  readonly name: string;
  readonly value: string;
  /** Of wire/fields.ts; FIELD_OTHER for a pseudo-header. */
  readonly id: number;
  readonly pseudo: number;
  /** In tables and lists (RFC 7541 §4.1). */
  readonly size: number;
  /** Why no message may have it, wherever it stands; null: one may. */
  readonly error: ErrorCode | null;
  readonly named: FieldName;
  #line: string | null = null;
  #host: Field | null = null;

  constructor(named: FieldName, value: string, error: ErrorCode | null) {
    this.name = named.text;
    this.value = value;
    this.id = named.id;
    this.pseudo = named.pseudo;
    this.size = named.text.length + value.length + FIELD_OVERHEAD;
    this.error = error;
    this.named = named;
  }

  /** In HTTP/1.1, ended by CR LF. */
  get line(): string {
    return (this.#line ??= `${this.name}: ${this.value}\r\n`);
  }

  /** What an `:authority` is in HTTP/1.1. */
  get host(): Field {
    return (this.#host ??= new Field(HOST_NAME, this.value, null));
  }
}

const HOST_NAME = new FieldName('host', FIELD_HOST, PSEUDO_NONE, null);

// ── From the wire ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Of the name `buffer[start, end)`. */
export function readName(buffer: Buffer, start: number, end: number): FieldName {
  const text = buffer.latin1Slice(start, end);
  if (buffer[start] === COLON && end > start) return pseudoName(text);
  let flags = 0;
  let isName = end > start;
  for (let at = start; at < end; at++) {
    const byte = buffer[at] as number;
    const token = TOKEN[byte] as number;
    if (token === 0 || (byte >= UPPER_A && byte <= UPPER_Z)) isName = false;
    flags |= token;
  }
  if (!isName) return new FieldName(text, FIELD_OTHER, PSEUDO_NONE, 'ERR_BAD_FIELD_NAME');
  const id = identifyField(buffer, start, end, (flags & TOKEN_UNDERSCORE) !== 0);
  return new FieldName(text, id, PSEUDO_NONE, errorOfId(id));
}

/** RFC 9113 §8.2.2: what is for one connection only is not said in fields. */
function errorOfId(id: number): ErrorCode | null {
  switch (id) {
    case FIELD_TRANSFER_ENCODING:
      return 'ERR_BAD_TRANSFER_ENCODING';
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_UPGRADE:
      return 'ERR_BAD_FIELD_NAME';
    default:
      return null;
  }
}

function pseudoName(text: string): FieldName {
  const pseudo = PSEUDO_NAMES.indexOf(text);
  if (pseudo > PSEUDO_NONE) return new FieldName(text, FIELD_OTHER, pseudo, null);
  return new FieldName(text, FIELD_OTHER, PSEUDO_UNKNOWN, 'ERR_BAD_FIELD_NAME');
}

const PSEUDO_NAMES = ['', ':authority', ':method', ':path', ':scheme', ':status', ':protocol'];

/** The field with this name and the value `buffer[start, end)`. */
export function readField(name: FieldName, buffer: Buffer, start: number, end: number): Field {
  const value = buffer.latin1Slice(start, end);
  return new Field(name, value, name.error ?? errorOfValue(name, value, buffer, start, end));
}

function errorOfValue(
  name: FieldName,
  value: string,
  buffer: Buffer,
  start: number,
  end: number,
): ErrorCode | null {
  switch (name.pseudo) {
    case PSEUDO_METHOD:
      return isToken(buffer, start, end) && end - start <= MAX_METHOD_BYTES
        ? null
        : 'ERR_BAD_METHOD';
    case PSEUDO_PATH:
      return isPath(buffer, start, end) ? null : 'ERR_BAD_TARGET';
    case PSEUDO_STATUS:
      return isStatus(value) ? null : 'ERR_BAD_REQUEST_LINE';
    case PSEUDO_SCHEME:
      // Others have no meaning for us: what they name is not HTTP's.
      return value === 'https' || value === 'http' ? null : 'ERR_BAD_TARGET';
    default:
  }
  // RFC 9113 §8.2.1: no NUL, CR, LF; and other control characters no more than in HTTP/1.1. No space around it.
  for (let at = start; at < end; at++) {
    if (FIELD_VALUE[buffer[at] as number] !== 1) return 'ERR_BAD_FIELD_VALUE';
  }
  if (end > start && (isSpace(buffer[start]) || isSpace(buffer[end - 1]))) {
    return 'ERR_BAD_FIELD_VALUE';
  }
  if (name.id === FIELD_TE && value.toLowerCase() !== 'trailers') return 'ERR_BAD_FIELD_VALUE';
  return null;
}

function isSpace(byte: number | undefined): boolean {
  return byte === SP || byte === HTAB;
}

function isToken(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (TOKEN[buffer[at] as number] === 0) return false;
  }
  return end > start;
}

/** Origin form or `*`: whether the method may have that is asked where HTTP/1.1 does (RFC 9113 §8.3.1). */
function isPath(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (TARGET[buffer[at] as number] !== 1) return false;
  }
  return buffer[start] === SLASH ? end > start : end - start === 1 && buffer[start] === ASTERISK;
}

/** As in HTTP/1.1: three digits, 100 at least. */
function isStatus(value: string): boolean {
  if (value.length !== 3) return false;
  const status = Number(value);
  return status >= 100 && status <= 999 && String(status) === value;
}

/** One that we say. */
export function fieldOf(name: string, value: string): Field {
  const bytes = Buffer.from(name + value, 'latin1');
  const nameEnd = name.length;
  return readField(readName(bytes, 0, nameEnd), bytes, nameEnd, bytes.length);
}
