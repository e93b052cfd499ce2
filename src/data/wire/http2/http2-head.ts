/**
 * A header block as a head of HTTP/1.1: what the rules read, and what an HTTP/1.1 peer is sent. `:authority` is the Host field,
 * cookie crumbs are one Cookie field (RFC 9113 §8.2.3), and a body without a length comes as chunks. One object is used for one
 * head after the other: it is good until the next one is read.
 *
 * Nothing becomes a head before it is checked as strictly as HTTP/1.1 is parsed: see head-checks.ts.
 */
import type { ErrorCode } from '../../../errors.ts';
import type { RequestHead, ResponseHead } from '../head.ts';
import type { FieldList } from './field-list.ts';

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

export declare class Http2Head implements RequestHead, ResponseHead {
  readonly versionMinor: number;
  readonly keepsFirstLine: boolean;
  readonly fieldCount: number;
  /** What an error is about, for logs. */
  readonly detail: string;

  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly reason: string;
  /** Of a request, as it said: `http` or `https`. */
  readonly scheme: string;
  /** `:authority`, else the Host field; empty: neither. */
  readonly authority: string;
  /** `:protocol` of an extended CONNECT, or empty. */
  readonly protocol: string;
  /** The value of its Priority field (RFC 9218 §5), or empty. */
  readonly priority: string;

  /**
   * Each takes what was decoded, and says what is wrong with it, or null. Wrong is RFC 9113 §8.1.1 "malformed": a stream error
   * PROTOCOL_ERROR, which may be told as an answer with the code's status before.
   */
  readRequest(list: FieldList, reading: RequestReading): ErrorCode | null;
  /**
   * A body that ends with the block, where one might follow, is told as `Content-Length: 0`.
   * @param answersHead the request was a HEAD.
   * @returns codes of the request side, as the head parser does: whoever asked answers with ERR_BACKEND_BAD_RESPONSE.
   */
  readResponse(
    list: FieldList,
    endsStream: boolean,
    answersHead: boolean,
  ): ErrorCode | null;
  /** Of either side: see `forwardTrailer`. */
  readTrailers(list: FieldList): ErrorCode | null;

  id(field: number): number;
  name(field: number): string;
  value(field: number): string;
  valueLength(field: number): number;
  valueCode(field: number, index: number): number;
  isValue(field: number, text: string): boolean;
  isNamed(field: number, name: string): boolean;
  lines(from: number, to: number): string;
}
