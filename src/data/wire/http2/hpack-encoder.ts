/**
 * Heads of HTTP/1.1 written as header blocks (RFC 7541): names in lower case, and without what is for one connection only
 * (RFC 9113 §8.2.2). One per connection: a block that was encoded must be sent, and in this order.
 *
 * What is met twice goes into the dynamic table; what is secret or differs each time does not.
 */
import type { HeadLines } from './head-lines.ts';

/** What a request has beside its fields. */
export interface RequestPseudo {
  readonly scheme: 'http' | 'https';
  /** In place of all Host fields. */
  readonly authority: string;
  /** RFC 8441: the request, a GET in HTTP/1.1, becomes an extended CONNECT for this protocol. Empty: it stays what it is. */
  readonly protocol: string;
}

export class HpackEncoder {
  constructor(_lines: HeadLines) {}

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. We may use less. */
  setPeerTableSize(_size: number): void {}

  /**
   * @param head the text of a whole HTTP/1.1 response head, as `forwardResponse` makes it: status line, field lines, and the blank
   * line or the end of the text. 1xx too; a 101 becomes the 200 that answers an extended CONNECT.
   * @param out has room for `blockBytes(head)` from `at` on.
   * @returns where the block ends.
   */
  encodeResponse(_out: Buffer, at: number, _head: string): number {
    return at;
  }

  /**
   * @param head likewise: request line in origin form or `*`, and the field lines, as `forwardRequest` makes them.
   * @param out has room for `blockBytes(head) + authority.length`.
   */
  encodeRequest(_out: Buffer, at: number, _head: string, _pseudo: RequestPseudo): number {
    return at;
  }

  /** @param lines whole field lines. */
  encodeTrailers(_out: Buffer, at: number, _lines: string): number {
    return at;
  }
}

/** The most that the header block of this text takes. */
export function blockBytes(head: string): number {
  return head.length + (head.length >>> 5) + 128;
}
