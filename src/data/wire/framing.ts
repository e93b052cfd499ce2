/**
 * Where a body ends: the one place that decides it, for both directions (RFC 9112 §6.3).
 *
 * A message whose end two parsers could see in different places is refused, never repaired: that is request smuggling.
 */
import type { ErrorCode } from '../../errors.ts';
import { LOWER } from './bytes.ts';
import { FIELD_CONTENT_LENGTH, FIELD_TRANSFER_ENCODING } from './fields.ts';
import type { Head, ResponseHead } from './head.ts';

/** No body follows the head. */
export const BODY_NONE = 0;
/** Exactly `length` bytes follow. */
export const BODY_LENGTH = 1;
export const BODY_CHUNKED = 2;
/** Responses only: everything until the connection closes. */
export const BODY_UNTIL_CLOSE = 3;
export type BodyKind =
  | typeof BODY_NONE
  | typeof BODY_LENGTH
  | typeof BODY_CHUNKED
  | typeof BODY_UNTIL_CLOSE;

/** The outcome of the last call; read at once. One object per thread of execution, so that nothing is allocated. */
export interface Framing {
  kind: BodyKind;
  /** Bytes of a BODY_LENGTH body; −1 where no length was given. Set even where no body follows (HEAD, 304). */
  length: number;
  /** The fields speak of a body, whether one follows or not. */
  announcesBody: boolean;
  /**
   * Its fields say different things: a 204 that announces a body, which its sender may send all the same, or a length
   * beside chunks, where that is let through. What comes next on the connection could be anything, and the length is not
   * passed on.
   */
  isContradictory: boolean;
}

export function createFraming(): Framing {
  return { kind: BODY_NONE, length: -1, announcesBody: false, isContradictory: false };
}

/**
 * RFC 9110 §8.6: 1*DIGIT, here at most 2^53 − 1. No sign, no space, no list.
 * @returns −1 for anything else.
 */
function parseContentLength(head: Head, field: number): number {
  const digits = head.valueLength(field);
  if (digits === 0) return -1;
  let value = 0;
  for (let index = 0; index < digits; index++) {
    const digit = head.valueCode(field, index) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
    if (value > Number.MAX_SAFE_INTEGER) return -1;
  }
  return value;
}

const CHUNKED = 'chunked';

function isChunked(head: Head, field: number): boolean {
  if (head.valueLength(field) !== CHUNKED.length) return false;
  for (let index = 0; index < CHUNKED.length; index++) {
    if (LOWER[head.valueCode(field, index)] !== CHUNKED.charCodeAt(index)) return false;
  }
  return true;
}

/**
 * Reads both framing fields; null when each is absent or unambiguous.
 * @param mayRepeatLength a second Content-Length of the same value is none. Old devices send two, and RFC 9110 §8.6 lets a
 * recipient take them for one; a request that says it twice is refused all the same, as RFC 9112 §6.3 allows.
 * @param mayHaveBoth a length beside chunks is wrong, and nothing else (RFC 9112 §6.3 rule 3).
 */
function readFramingFields(
  head: Head,
  framing: Framing,
  mayRepeatLength: boolean,
  mayHaveBoth: boolean,
): ErrorCode | null {
  framing.kind = BODY_NONE;
  framing.length = -1;
  framing.announcesBody = false;
  framing.isContradictory = false;
  for (let field = 0; field < head.fieldCount; field++) {
    const id = head.id(field);
    if (id === FIELD_CONTENT_LENGTH) {
      const length = parseContentLength(head, field);
      if (length === -1) return 'ERR_BAD_CONTENT_LENGTH';
      if (framing.length !== -1 && !(mayRepeatLength && length === framing.length))
        return 'ERR_BAD_CONTENT_LENGTH';
      framing.length = length;
      if (framing.kind === BODY_CHUNKED) framing.isContradictory = true;
      else framing.kind = BODY_LENGTH;
    } else if (id === FIELD_TRANSFER_ENCODING) {
      if (framing.kind === BODY_CHUNKED) return 'ERR_BAD_TRANSFER_ENCODING';
      if (!isChunked(head, field)) return 'ERR_BAD_TRANSFER_ENCODING';
      if (head.versionMinor === 0) return 'ERR_BAD_TRANSFER_ENCODING';
      if (framing.kind === BODY_LENGTH) framing.isContradictory = true;
      framing.kind = BODY_CHUNKED;
    }
    if (framing.isContradictory && !mayHaveBoth) return 'ERR_LENGTH_AND_ENCODING';
  }
  if (framing.isContradictory) framing.length = -1;
  return null;
}

export function frameRequest(head: Head, framing: Framing): ErrorCode | null {
  return readFramingFields(head, framing, false, false);
}

/**
 * @param answersHead whether the request was a HEAD: its response never has a body (RFC 9112 §6.3 rule 1).
 * @param isLenient see `HeadLimits`.
 * @returns an error code of the request side; the caller answers for it as a bad response.
 */
export function frameResponse(
  head: ResponseHead,
  answersHead: boolean,
  framing: Framing,
  isLenient: boolean,
): ErrorCode | null {
  const error = readFramingFields(head, framing, true, isLenient);
  if (error !== null) return error;
  const status = head.status;
  // RFC 9112 §6.1, RFC 9110 §8.6: a 204 has neither field. A HEAD or 304 may have both, and they mean no body.
  framing.announcesBody = framing.kind !== BODY_NONE && framing.length !== 0;
  if (status === 204 && framing.announcesBody) framing.isContradictory = true;
  if (answersHead || status < 200 || status === 204 || status === 304) {
    framing.kind = BODY_NONE;
  } else if (framing.kind === BODY_NONE) {
    framing.kind = BODY_UNTIL_CLOSE;
  }
  return null;
}
