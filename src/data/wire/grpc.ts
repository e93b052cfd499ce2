/** gRPC as it stands in header fields: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. */
import { GRPC_STATUSES, grpcNumber } from '../../grpc-status.ts';
import { fieldNamed, type Head } from './head.ts';

/** No status was said. */
export const NO_STATUS = -1;

const TYPE = 'application/grpc';
const PLUS = 0x2b;
const SEMICOLON = 0x3b;
const STATUS = 'grpc-status';
const UNKNOWN = grpcNumber('UNKNOWN');

/** gRPC itself, with whatever messages (`+proto`); not gRPC-Web, which is plain HTTP. */
export function isGrpc(contentType: string): boolean {
  if (!contentType.startsWith(TYPE)) return false;
  if (contentType.length === TYPE.length) return true;
  const next = contentType.charCodeAt(TYPE.length);
  return next === PLUS || next === SEMICOLON;
}

// ── The deadline ────────────────────────────────────────────────────────────────────────────────────────────────────

export const TIMEOUT = 'grpc-timeout';
const TIMEOUT_LINE = `${TIMEOUT}:`;
const MOST_DIGITS = 8;
const MOST_VALUE = 99_999_999;

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** The time that a call has, in ms; NaN: it is malformed. */
export function readTimeout(value: string): number {
  const digits = value.length - 1;
  const unitMs = UNIT_MS[value.charAt(digits)];
  if (unitMs === undefined || digits < 1 || digits > MOST_DIGITS) return Number.NaN;
  let count = 0;
  for (let index = 0; index < digits; index++) {
    const digit = value.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    count = count * 10 + digit;
  }
  return count * unitMs;
}

/** As exact as eight digits allow; never none at all, and never longer than there are words for. */
function timeoutText(ms: number): string {
  const microseconds = Math.max(1, Math.round(ms * 1_000));
  if (microseconds <= MOST_VALUE) return `${microseconds}u`;
  if (ms <= MOST_VALUE) return `${Math.floor(ms)}m`;
  return `${Math.min(MOST_VALUE, Math.floor(ms / 1_000))}S`;
}

/** @param fields whole field lines, which say this instead of what they may have said. */
export function withTimeout(fields: string, ms: number): string {
  let kept = fields;
  for (let at = timeoutAt(kept); at !== -1; at = timeoutAt(kept)) {
    kept = kept.slice(0, at) + kept.slice(kept.indexOf('\r\n', at) + 2);
  }
  return `${kept}${TIMEOUT_LINE} ${timeoutText(ms)}\r\n`;
}

function timeoutAt(fields: string): number {
  if (fields.startsWith(TIMEOUT_LINE)) return 0;
  const at = fields.indexOf(`\n${TIMEOUT_LINE}`);
  return at === -1 ? -1 : at + 1;
}

// ── The status ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Of a response that is trailers alone; `NO_STATUS`: it has none. */
export function statusOfHead(head: Head): number {
  const value = fieldNamed(head, STATUS);
  return value === null ? NO_STATUS : readStatus(value);
}

/** @param trailers whole field lines */
export function statusOfTrailers(trailers: string): number {
  let start = 0;
  while (start < trailers.length) {
    const end = trailers.indexOf('\r\n', start);
    const colon = trailers.indexOf(':', start);
    const isStatus =
      colon - start === STATUS.length && trailers.slice(start, colon).toLowerCase() === STATUS;
    if (isStatus) return readStatus(trailers.slice(colon + 1, end).trim());
    start = end + 2;
  }
  return NO_STATUS;
}

/** What is no known status is UNKNOWN to all clients. */
function readStatus(value: string): number {
  if (value.length === 0 || value.length > 2) return UNKNOWN;
  let status = 0;
  for (let index = 0; index < value.length; index++) {
    const digit = value.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return UNKNOWN;
    status = status * 10 + digit;
  }
  return status < GRPC_STATUSES.length ? status : UNKNOWN;
}

/** Whole field lines. */
export function statusLines(status: number, message: string): string {
  return `grpc-status: ${status}\r\ngrpc-message: ${percentEncoded(message)}\r\n`;
}

/** Everything but visible ASCII and the space, and the percent sign itself. */
function percentEncoded(message: string): string {
  let encoded = '';
  for (const byte of Buffer.from(message, 'utf8')) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
