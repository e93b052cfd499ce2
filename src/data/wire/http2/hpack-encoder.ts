/**
 * Heads of HTTP/1.1 written as header blocks (RFC 7541): names in lower case, and without what is for one connection only
 * (RFC 9113 §8.2.2). One per connection: a block that was encoded must be sent, and in this order.
 *
 * What is met twice goes into the dynamic table; what is secret or differs each time does not (treatments.ts).
 */
import { FieldTable } from './field-table.ts';
import { type HeadLine, type HeadLines, HeadName, type HeadRun, isSpace } from './head-lines.ts';
import { writeInteger, writeRaw } from './hpack-literal.ts';
import { DEFAULT_TABLE_SIZE } from './settings.ts';
import { FIRST_DYNAMIC } from './static-table.ts';
import {
  DROPPED,
  DROPPED_ACCEPT,
  DROPPED_HOST,
  DROPPED_KEY,
  IS_SECRET,
  ONLY_TRAILERS,
} from './treatments.ts';

/** What a request has beside its fields. */
export interface RequestPseudo {
  readonly scheme: 'http' | 'https';
  /** In place of all Host fields. */
  readonly authority: string;
  /** RFC 8441: the request, a GET in HTTP/1.1, becomes an extended CONNECT for this protocol. Empty: it stays what it is. */
  readonly protocol: string;
}

const CR = 0x0d;
const ZERO = 0x30;

const INDEXED = 0x80;
const INDEXED_PREFIX = 0x7f;
const SIZE_UPDATE = 0x20;
const SIZE_UPDATE_PREFIX = 0x1f;

// Of the static table.
const METHOD = 2;
const METHOD_GET = 2;
const METHOD_POST = 3;
const PATH = 4;
const PATH_ROOT = 4;
const SCHEME_HTTP = 6;
const SCHEME_HTTPS = 7;
const STATUS = 8;
const STATUS_INDEXES: ReadonlyMap<number, number> = new Map([
  [200, 8],
  [204, 9],
  [206, 10],
  [304, 11],
  [400, 12],
  [404, 13],
  [500, 14],
]);

const SWITCHING_PROTOCOLS = 101;

/** `HTTP/1.1 200`. */
const STATUS_AT = 9;
const STATUS_END = 12;

const AUTHORITY_NAME = new HeadName(':authority:');
const PROTOCOL_NAME = new HeadName(':protocol:');

/** Places by which a line's entry in the table is found: powers of two. */
const FEWEST_PLACES = 16;
const MOST_PLACES = 256;
/** Of those that have nothing in the table. */
const NO_PLACES: number[] = [0];

export class HpackEncoder {
  readonly #lines: HeadLines;
  readonly #table = new FieldTable<HeadLine>(DEFAULT_TABLE_SIZE);
  /** By a line's number: that of its entry in the table, counted from 1. No more of them than were needed: most have few. */
  #places = NO_PLACES;
  /** What the peer has to be told of the table's size: the smallest since the last block, or −1. */
  #untoldSize = -1;
  #authority: HeadLine | null = null;
  /** Of the head that is being written: what of DROPPED_… goes. */
  #isRequest = false;
  #isHandshake = false;

  constructor(lines: HeadLines) {
    this.#lines = lines;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. We use the default at most. */
  setPeerTableSize(size: number): void {
    const most = Math.min(size, DEFAULT_TABLE_SIZE);
    if (most === this.#table.maxSize) return;
    if (this.#untoldSize === -1 || most < this.#untoldSize) this.#untoldSize = most;
    this.#table.resize(most);
  }

  /**
   * @param head the text of a whole HTTP/1.1 response head, as `forwardResponse` makes it: status line, field lines, and the blank
   * line or the end of the text. 1xx too; a 101 becomes the 200 that answers an extended CONNECT.
   * @param out has room for `blockBytes(head)` from `start` on.
   * @returns where the block ends.
   */
  encodeResponse(out: Buffer, start: number, head: string): number {
    const status = statusOf(head);
    this.#isRequest = false;
    this.#isHandshake = status === SWITCHING_PROTOCOLS;
    let at = this.#begin(out, start);
    const index = STATUS_INDEXES.get(this.#isHandshake ? 200 : status);
    if (index !== undefined) {
      out[at++] = INDEXED | index;
    } else {
      out[at] = STATUS;
      at = writeRaw(out, at + 1, head, STATUS_AT, STATUS_END);
    }
    return this.#writeFields(
      out,
      at,
      head,
      head.indexOf('\r', STATUS_END) + 2,
      this.#lines.beforeHead,
    );
  }

  /**
   * @param head likewise: request line in origin form or `*`, and the field lines, as `forwardRequest` makes them.
   * @param out has room for `blockBytes(head) + authority.length`.
   */
  encodeRequest(out: Buffer, start: number, head: string, pseudo: RequestPseudo): number {
    const { scheme, authority, protocol } = pseudo;
    const lineEnd = head.indexOf('\r');
    const methodEnd = head.indexOf(' ');
    const pathEnd = head.lastIndexOf(' ', lineEnd);
    this.#isRequest = true;
    this.#isHandshake = protocol !== '';
    let at = this.#begin(out, start);
    if (this.#isHandshake) {
      out[at] = METHOD;
      at = writeRaw(out, at + 1, 'CONNECT', 0, 7);
      at = writeStart(out, at, PROTOCOL_NAME.start);
      at = writeRaw(out, at, protocol, 0, protocol.length);
    } else {
      at = writeMethod(out, at, head, methodEnd);
    }
    out[at++] = INDEXED | (scheme === 'https' ? SCHEME_HTTPS : SCHEME_HTTP);
    if (this.#authority === null || this.#authority.value !== authority) {
      this.#authority = this.#lines.lineOf(AUTHORITY_NAME, authority);
    }
    at = this.#writeLine(out, at, this.#authority);
    const pathStart = methodEnd + 1;
    if (pathEnd - pathStart === 1 && head.charCodeAt(pathStart) === 0x2f) {
      out[at++] = INDEXED | PATH_ROOT;
    } else {
      out[at] = PATH;
      at = writeRaw(out, at + 1, head, pathStart, pathEnd);
    }
    return this.#writeFields(out, at, head, lineEnd + 2, this.#lines.beforeHead);
  }

  /** @param lines whole field lines. */
  encodeTrailers(out: Buffer, start: number, lines: string): number {
    this.#isRequest = false;
    this.#isHandshake = false;
    const { beforeTrailers } = this.#lines;
    return this.#writeFields(out, this.#begin(out, start), lines, 0, beforeTrailers);
  }

  /** RFC 7541 §4.2: what has become of the table's size comes first. */
  #begin(out: Buffer, start: number): number {
    this.#lines.begin();
    const untold = this.#untoldSize;
    if (untold === -1) return start;
    this.#untoldSize = -1;
    const { maxSize } = this.#table;
    let at = start;
    if (untold < maxSize) at = writeInteger(out, at, SIZE_UPDATE, SIZE_UPDATE_PREFIX, untold);
    return writeInteger(out, at, SIZE_UPDATE, SIZE_UPDATE_PREFIX, maxSize);
  }

  #writeFields(out: Buffer, start: number, head: string, from: number, before: HeadLine): number {
    const lines = this.#lines;
    let at = start;
    let position = from;
    let previous = before;
    // Whole lines, one after the other, that came as they did the last time.
    let runStart = from;
    let beforeRun = previous;
    let runLength = 0;
    while (position < head.length && head.charCodeAt(position) !== CR) {
      const { run } = previous;
      if (run !== null && hasAt(head, position, run.text)) {
        at = this.#writeRun(out, at, run);
        position += run.text.length;
        previous = run.last;
        runLength = 0;
        continue;
      }
      if (runLength === 0) {
        runStart = position;
        beforeRun = previous;
      }
      let line = previous.next;
      if (line === null || !hasAt(head, position, line.text)) {
        const end = head.indexOf('\r', position);
        if (end === -1) return at;
        line = lines.find(head, position, end);
        previous.next = line;
        runLength = -1;
      }
      if (line.isWhole) {
        at = this.#writeLine(out, at, line);
        position += line.text.length;
        runLength++;
      } else {
        if (runLength > 1) lines.join(beforeRun, head, runStart, position, runLength);
        const valueStart = position + line.text.length;
        const end = head.indexOf('\r', valueStart);
        if (end === -1) return at;
        at = this.#writeAny(out, at, line.named, head, valueStart, end);
        position = end + 2;
        runLength = 0;
      }
      previous = line;
    }
    if (runLength > 1) lines.join(beforeRun, head, runStart, position, runLength);
    return at;
  }

  #writeRun(out: Buffer, start: number, { lines }: HeadRun): number {
    let at = start;
    for (let index = 0; index < lines.length; index++) {
      at = this.#writeLine(out, at, lines[index] as HeadLine);
    }
    return at;
  }

  /** From a table, into one, or neither. */
  #writeLine(out: Buffer, start: number, line: HeadLine): number {
    line.isUsed = true;
    if (line.index !== 0) {
      out[start] = INDEXED | line.index;
      return start + 1;
    }
    const table = this.#table;
    const places = this.#places;
    const index = table.added - (places[line.number & (places.length - 1)] as number);
    if (table.get(index) === line) {
      return writeInteger(out, start, INDEXED, INDEXED_PREFIX, FIRST_DYNAMIC + index);
    }
    line.uses++;
    const place = line.uses < 2 || line.size > table.maxSize ? -1 : this.#freePlace(line);
    if (place === -1) {
      const at = writeStart(out, start, line.named.start);
      return writeRaw(out, at, line.value, 0, line.value.length);
    }
    table.add(line);
    this.#places[place] = table.added;
    return writeStart(out, start, line.literal);
  }

  /** @returns −1: another line has it, to which it is left: taking it away would only put both in again and again. */
  #freePlace(line: HeadLine): number {
    const table = this.#table;
    for (;;) {
      const places = this.#places;
      const place = line.number & (places.length - 1);
      const isFree = table.get(table.added - (places[place] as number)) === null;
      if (isFree && places !== NO_PLACES) return place;
      if (places.length === MOST_PLACES) return -1;
      this.#makePlaces(Math.max(FEWEST_PLACES, places.length * 2));
    }
  }

  /** @param count more than there were: what had one each has one each. */
  #makePlaces(count: number): void {
    const table = this.#table;
    const places: number[] = Array.from({ length: count }, () => 0);
    for (let index = 0; ; index++) {
      const line = table.get(index);
      if (line === null) break;
      places[line.number & (count - 1)] = table.added - index;
    }
    this.#places = places;
  }

  #writeAny(
    out: Buffer,
    at: number,
    named: HeadName,
    head: string,
    lineStart: number,
    lineEnd: number,
  ): number {
    const { treatment } = named;
    if (treatment === DROPPED) return at;
    let start = lineStart;
    let end = lineEnd;
    while (start < end && isSpace(head, start)) start++;
    while (end > start && isSpace(head, end - 1)) end--;
    switch (treatment) {
      case DROPPED_HOST:
        if (this.#isRequest) return at;
        break;
      case DROPPED_KEY:
      case DROPPED_ACCEPT:
        if (this.#isHandshake) return at;
        break;
      case ONLY_TRAILERS:
        return head.slice(start, end).toLowerCase() === 'trailers'
          ? this.#writeLine(out, at, this.#lines.trailers)
          : at;
      default:
    }
    const valueAt = writeStart(out, at, treatment === IS_SECRET ? named.secretStart : named.start);
    return writeRaw(out, valueAt, head, start, end);
  }
}

/** Compares without a look at each character, unlike `startsWith`. */
function hasAt(head: string, at: number, text: string): boolean {
  return head.slice(at, at + text.length) === text;
}

/** A copy of what was encoded once. */
function writeStart(out: Buffer, at: number, start: Buffer): number {
  const { length } = start;
  for (let index = 0; index < length; index++) out[at + index] = start[index] as number;
  return at + length;
}

function statusOf(head: string): number {
  let status = 0;
  for (let at = STATUS_AT; at < STATUS_END; at++) status = status * 10 + head.charCodeAt(at) - ZERO;
  return status;
}

function writeMethod(out: Buffer, at: number, head: string, end: number): number {
  if (end === 3 && head.startsWith('GET')) {
    out[at] = INDEXED | METHOD_GET;
    return at + 1;
  }
  if (end === 4 && head.startsWith('POST')) {
    out[at] = INDEXED | METHOD_POST;
    return at + 1;
  }
  out[at] = METHOD;
  return writeRaw(out, at + 1, head, 0, end);
}

/** The most that the header block of this text takes. */
export function blockBytes(head: string): number {
  return head.length + (head.length >>> 5) + 128;
}
