/** Runs the wire layer's parsers over text or bytes, in one piece or split, and shows what came out as plain values. */

import { CHUNK_DATA, CHUNK_DONE, CHUNK_FAILED, ChunkDecoder } from '../../src/data/wire/chunked.ts';
import { type HeadKind, PARSE_DONE, PARSE_MORE } from '../../src/data/wire/first-line.ts';
import { forwardTrailer } from '../../src/data/wire/forward-response.ts';
import type { Head } from '../../src/data/wire/head.ts';
import { type HeadLimits, HeadParser } from '../../src/data/wire/head-parser.ts';
import { type RequestFacts, type RequestRules, readRequest } from '../../src/data/wire/request.ts';
import type { ErrorCode } from '../../src/errors.ts';

export const LIMITS: HeadLimits = {
  requestLineBytes: 8192,
  headBytes: 32_768,
  fields: 100,
  isLenient: false,
};
/** For the responses of old devices. */
export const LENIENT: HeadLimits = { ...LIMITS, isLenient: true };

export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

export type RawField = readonly [name: string, value: string];

export interface HeadOutcome {
  /** `more`, `done` or the error. */
  readonly outcome: 'more' | 'done' | ErrorCode;
  /** The rest says something only when done. */
  readonly length: number;
  /** `method target minor`, or `status reason minor`. */
  readonly line: string;
  readonly fields: readonly RawField[];
  readonly ids: readonly number[];
}

/** What lies around the bytes under test. A parser that looks there finds a line end, and gives itself away. */
const NEIGHBOUR = latin1('\r\n\r\nGET / HTTP/1.1\r\n\r\n');

/** A copy of `input[0, end)` with strange bytes before and after it. */
function surrounded(input: Buffer, end: number, base: number): Buffer {
  const buffer = Buffer.alloc(base + end + NEIGHBOUR.length, '\n');
  input.copy(buffer, base, 0, end);
  NEIGHBOUR.copy(buffer, base + end);
  return buffer;
}

/**
 * @param splits offsets at which a piece ends, in rising order: the parser is called once for each of them with all that
 * came up to there, each time in another place in memory, and once with everything.
 */
export function parseHead(
  kind: HeadKind,
  input: string | Buffer,
  { limits = LIMITS, splits = [] }: { limits?: HeadLimits; splits?: readonly number[] } = {},
): HeadOutcome {
  const bytes = typeof input === 'string' ? latin1(input) : input;
  const parser = new HeadParser(kind, limits);
  let outcome = parser.parse(Buffer.alloc(0), 0, 0);
  for (const end of [...splits, bytes.length]) {
    const base = (end * 7) % 5;
    outcome = parser.parse(surrounded(bytes, end, base), base, base + end);
    if (outcome !== PARSE_MORE) break;
  }
  if (outcome === PARSE_MORE) return notDone('more');
  if (outcome !== PARSE_DONE) return notDone(parser.error as ErrorCode);
  return { outcome: 'done', length: parser.length, line: lineOf(kind, parser), ...read(parser) };
}

function notDone(outcome: 'more' | ErrorCode): HeadOutcome {
  return { outcome, length: 0, line: '', fields: [], ids: [] };
}

function lineOf(kind: HeadKind, head: HeadParser): string {
  if (kind === 'trailer') return '';
  const { method, target, status, reason, versionMinor } = head;
  return kind === 'request'
    ? `${method} ${target} ${versionMinor}`
    : `${status} ${reason} ${versionMinor}`;
}

function read(head: Head): Pick<HeadOutcome, 'fields' | 'ids'> {
  const indices = Array.from({ length: head.fieldCount }, (_, index) => index);
  return {
    fields: indices.map((field) => [head.name(field), head.value(field)]),
    ids: indices.map((field) => head.id(field)),
  };
}

/** Parses a head that must be complete and good, somewhere in the middle of a buffer. */
export function held(
  kind: HeadKind,
  text: string | Buffer,
  limits: HeadLimits = LIMITS,
): HeadParser {
  const bytes = typeof text === 'string' ? latin1(text) : text;
  const base = 3;
  const buffer = surrounded(bytes, bytes.length, base);
  const head = new HeadParser(kind, limits);
  const outcome = head.parse(buffer, base, base + bytes.length);
  if (outcome !== PARSE_DONE) throw new Error(`${head.error ?? 'incomplete'}: ${String(text)}`);
  return head;
}

/** `GET / HTTP/1.1` with a Host and these field lines. */
export function getWith(...lines: readonly string[]): string {
  return ['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n');
}

export const RULES: RequestRules = { viaName: '', upgrades: ['websocket'] };

export function factsOf(text: string): RequestFacts | ErrorCode {
  const head = held('request', text);
  return readRequest(head, RULES);
}

/** Of a request that must be good. */
export function goodFactsOf(text: string): RequestFacts {
  const facts = factsOf(text);
  if (typeof facts === 'string') throw new Error(`${facts}: ${text}`);
  return facts;
}

export interface ChunkOutcome {
  readonly outcome: 'more' | 'done' | ErrorCode;
  /** Bytes of the input that belong to the body; 0 after an error. */
  readonly consumed: number;
  readonly data: string;
  readonly trailer: readonly RawField[];
  /** The trailer lines that pass. */
  readonly forwarded: string;
}

/** @param splits offsets at which a piece ends, in rising order. Every piece is a buffer of its own. */
export function decodeChunks(
  input: string | Buffer,
  { limits = LIMITS, splits = [] }: { limits?: HeadLimits; splits?: readonly number[] } = {},
): ChunkOutcome {
  const bytes = typeof input === 'string' ? latin1(input) : input;
  const decoder = new ChunkDecoder(limits);
  const data: string[] = [];
  let start = 0;
  for (const end of [...splits, bytes.length]) {
    const base = (end * 7) % 5;
    const piece = surrounded(bytes.subarray(start), end - start, base);
    const pieceEnd = base + end - start;
    let position = base;
    while (position < pieceEnd) {
      const event = decoder.next(piece, position, pieceEnd);
      if (event === CHUNK_FAILED) {
        const failed = { outcome: decoder.error as ErrorCode, consumed: 0, trailer: [] };
        return { ...failed, data: data.join(''), forwarded: '' };
      }
      if (event === CHUNK_DONE) {
        return {
          outcome: 'done',
          consumed: start + decoder.position - base,
          data: data.join(''),
          trailer: trailerOf(decoder),
          forwarded: decoder.trailer === null ? '' : forwardTrailer(decoder.trailer, null),
        };
      }
      if (event === CHUNK_DATA) {
        data.push(piece.toString('latin1', decoder.dataStart, decoder.dataEnd));
      } else if (decoder.position !== pieceEnd) {
        throw new Error('the decoder wants more, but has not taken what there is');
      }
      if (decoder.position <= position) throw new Error('the decoder does not move');
      position = decoder.position;
    }
    start = end;
  }
  return { outcome: 'more', consumed: start, data: data.join(''), trailer: [], forwarded: '' };
}

function trailerOf(decoder: ChunkDecoder): readonly RawField[] {
  if (decoder.trailer === null) return [];
  return read(decoder.trailer).fields;
}
