/**
 * The responses that come on one HTTP/1.1 connection, one after the other: where each begins and ends, and whether another
 * one may follow it. One object per connection.
 *
 * The user may finish or cancel the stream in whatever it is told, and the connection's next request may be on its way
 * before that call returns: after each of them, `#user` tells whether this is still about the same response.
 */
import type { ErrorCode } from '../../errors.ts';
import { challengesConnection } from '../wire/authentication.ts';
import { CHUNK_DATA, CHUNK_DONE, CHUNK_FAILED, ChunkDecoder } from '../wire/chunked.ts';
import {
  type ConnectionOptions,
  createConnectionOptions,
  isPersistent,
  readConnectionOptions,
} from '../wire/connection-options.ts';
import { FIELD_KEEP_ALIVE } from '../wire/fields.ts';
import { PARSE_FAILED, PARSE_MORE } from '../wire/first-line.ts';
import { forwardTrailer } from '../wire/forward-response.ts';
import {
  BODY_CHUNKED,
  BODY_LENGTH,
  BODY_NONE,
  BODY_UNTIL_CLOSE,
  createFraming,
  frameResponse,
} from '../wire/framing.ts';
import { findField, type ResponseHead } from '../wire/head.ts';
import type { HeadLimits, HeadParser } from '../wire/head-parser.ts';
import { isAnswerTo, isWebSocket, readUpgrade } from '../wire/upgrade.ts';
import type { BackendConnection } from './backend-connection.ts';
import { type BackendStreamUser, type ResponseStart, UNKNOWN_LENGTH } from './backend-stream.ts';

/** Lends parsers: one is needed only while a head is coming. */
export interface ResponseParsers {
  borrowResponseParser(limits: HeadLimits): HeadParser;
  returnResponseParser(parser: HeadParser): void;
}

const AT_HEAD = 0;
const AT_BODY = 1;
const IS_COMPLETE = 2;

const SWITCHING_PROTOCOLS = 101;

const framing = createFraming();
const options: ConnectionOptions = createConnectionOptions();

export class Http1Response {
  /** Bytes of any response head have come from the backend. */
  hasBytes = false;
  /** The connection may carry another request afterwards. */
  isReusable = false;

  readonly #connection: BackendConnection;
  readonly #parsers: ResponseParsers;
  /** Who the response is for; null between two. */
  #user: BackendStreamUser | null = null;
  #answersHead = false;
  #upgrade = '';
  #state = AT_HEAD;
  #parser: HeadParser | null = null;
  #partial: Buffer | null = null;
  #partialLength = 0;
  #bodyKind: number = BODY_NONE;
  #isLenient = false;
  #remaining = 0;
  #decoder: ChunkDecoder | null = null;
  /** Of a chunked response: fields that its trailer section must not have either. */
  #nominated: ReadonlySet<string> | null = null;

  constructor(connection: BackendConnection, parsers: ResponseParsers) {
    this.#connection = connection;
    this.#parsers = parsers;
  }

  /** The request is about to go out. @param upgrade see `RequestFacts` */
  begin(user: BackendStreamUser, answersHead: boolean, upgrade: string): void {
    this.hasBytes = false;
    this.isReusable = false;
    this.#user = user;
    this.#answersHead = answersHead;
    this.#upgrade = upgrade;
    this.#state = AT_HEAD;
    this.#decoder = null;
    this.#nominated = null;
  }

  /** The user is told nothing any more. */
  stop(): void {
    this.#user = null;
    this.#releaseParser();
    this.#partial = null;
    this.#decoder = null;
  }

  /** As `stop`, after an exception: a parser that was left in the middle is not lent out again. */
  giveUp(): void {
    this.#user = null;
    this.#parser = null;
  }

  /** Of a head that is not complete yet. */
  get heldBytes(): number {
    return this.#partial === null ? 0 : this.#partial.length;
  }

  get isHeadDone(): boolean {
    return this.#state !== AT_HEAD;
  }

  /** Takes `buffer[0, length)`, borrowed. */
  receive(buffer: Buffer, length: number): void {
    const user = this.#user as BackendStreamUser;
    this.hasBytes = true;
    if (this.#state === AT_HEAD) this.#receiveHead(user, buffer, length);
    else this.#receiveBody(user, buffer, 0, length);
    if (this.#user === user && this.#state !== IS_COMPLETE) user.onFlush();
  }

  /** The backend's FIN. @returns whether the response is complete by that. */
  receiveEnd(): boolean {
    if (this.#state !== AT_BODY || this.#bodyKind !== BODY_UNTIL_CLOSE) {
      return this.#state === IS_COMPLETE;
    }
    // RFC 9112 §9.8: over TLS this end must be the backend's own.
    if (this.#connection.hasBareEnd && !this.#isLenient) return false;
    this.#complete(this.#user as BackendStreamUser, false, '');
    return true;
  }

  #receiveHead(user: BackendStreamUser, chunk: Buffer, chunkLength: number): void {
    let buffer = chunk;
    let length = chunkLength;
    if (this.#partial !== null) {
      buffer = this.#append(chunk, chunkLength);
      length = this.#partialLength;
    }
    let base = 0;
    for (;;) {
      const parser = (this.#parser ??= this.#borrowParser());
      const outcome = parser.parse(buffer, base, length);
      if (outcome === PARSE_MORE) {
        this.#keepPartial(buffer, base, length);
        return;
      }
      if (outcome === PARSE_FAILED) {
        user.onFailed(
          parser.error === 'ERR_HEAD_TOO_LARGE'
            ? 'ERR_BACKEND_HEAD_TOO_LARGE'
            : 'ERR_BACKEND_BAD_RESPONSE',
          described('malformed response head', parser.error, parser.limits.isLenient),
        );
        return;
      }
      const headEnd = base + parser.length;
      const error = frameResponse(parser, this.#answersHead, framing, parser.limits.isLenient);
      if (error !== null) {
        const detail = described('ambiguous response framing', error, parser.limits.isLenient);
        user.onFailed('ERR_BACKEND_BAD_RESPONSE', detail);
        return;
      }
      readConnectionOptions(parser, options);
      if (parser.status >= 200) {
        this.#takeFinal(parser);
        user.onHead(startOf(parser));
        if (this.#user !== user) return;
        this.#releaseParser();
        this.#partial = null;
        this.#receiveBody(user, buffer, headEnd, length);
        return;
      }
      if (parser.status === SWITCHING_PROTOCOLS) {
        this.#switch(user, parser, buffer.subarray(headEnd, length));
        return;
      }
      user.onHead(startOf(parser));
      if (this.#user !== user) return;
      base = headEnd;
      parser.reset();
    }
  }

  #switch(user: BackendStreamUser, head: ResponseHead, rest: Buffer): void {
    const upgrade = readUpgrade(head);
    if (!isAnswerTo(this.#upgrade, upgrade)) {
      user.onFailed('ERR_BACKEND_UPGRADE', 'a 101 to what was not asked for');
      return;
    }
    this.#state = IS_COMPLETE;
    user.onSwitched(startOf(head), Buffer.from(rest), isWebSocket(upgrade));
    // A tunnel may last for days.
    this.#releaseParser();
    this.#partial = null;
  }

  #takeFinal(head: HeadParser): void {
    const connection = this.#connection;
    const { kind } = framing;
    this.isReusable =
      isPersistent(head.versionMinor, options) &&
      kind !== BODY_UNTIL_CLOSE &&
      !framing.isContradictory;
    if (this.isReusable) connection.keepAliveLimitMs = readKeepAlive(head);
    if (challengesConnection(head)) connection.isPrivate = true;
    connection.isBodyless = kind === BODY_NONE;
    connection.announcesBody = framing.announcesBody;
    this.#bodyKind = kind;
    this.#isLenient = head.limits.isLenient;
    this.#remaining = framing.length;
    if (kind === BODY_CHUNKED) {
      this.#decoder = new ChunkDecoder(head.limits);
      this.#nominated = options.nominated;
    }
    this.#state = AT_BODY;
  }

  #receiveBody(user: BackendStreamUser, buffer: Buffer, start: number, end: number): void {
    switch (this.#bodyKind) {
      case BODY_NONE:
        this.#complete(user, start === end, '');
        break;
      case BODY_LENGTH: {
        const length = Math.min(end - start, this.#remaining);
        this.#remaining -= length;
        if (length > 0) user.onBody(buffer, start, start + length);
        if (this.#remaining === 0) this.#complete(user, start + length === end, '');
        break;
      }
      case BODY_UNTIL_CLOSE:
        if (start < end) user.onBody(buffer, start, end);
        break;
      default:
        this.#receiveChunks(user, this.#decoder as ChunkDecoder, buffer, start, end);
    }
  }

  #receiveChunks(
    user: BackendStreamUser,
    decoder: ChunkDecoder,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    let position = start;
    while (position < end) {
      const event = decoder.next(buffer, position, end);
      if (event === CHUNK_FAILED) {
        const detail = described('malformed response body', decoder.error, decoder.isLenient);
        user.onFailed('ERR_BACKEND_BAD_RESPONSE', detail);
        return;
      }
      position = decoder.position;
      if (event === CHUNK_DATA) {
        user.onBody(buffer, decoder.dataStart, decoder.dataEnd);
      } else if (event === CHUNK_DONE) {
        const { trailer } = decoder;
        const trailers = trailer === null ? '' : forwardTrailer(trailer, this.#nominated);
        this.#complete(user, position === end, trailers);
        return;
      }
    }
  }

  /** RFC 9112 §9.2: what follows a complete response belongs to nothing; the connection can't be trusted any more. */
  #complete(user: BackendStreamUser, hasNoStrayBytes: boolean, trailers: string): void {
    if (!hasNoStrayBytes) this.isReusable = false;
    this.#state = IS_COMPLETE;
    user.onEnd(trailers);
  }

  #borrowParser(): HeadParser {
    return this.#parsers.borrowResponseParser(this.#connection.backend.headLimits);
  }

  #releaseParser(): void {
    if (this.#parser !== null) this.#parsers.returnResponseParser(this.#parser);
    this.#parser = null;
  }

  #append(chunk: Buffer, length: number): Buffer {
    let partial = this.#partial as Buffer;
    const total = this.#partialLength + length;
    if (total > partial.length) {
      const grown = Buffer.allocUnsafe(Math.max(total, partial.length * 2));
      partial.copy(grown, 0, 0, this.#partialLength);
      partial = grown;
      this.#partial = partial;
    }
    chunk.copy(partial, this.#partialLength, 0, length);
    this.#partialLength = total;
    return partial;
  }

  #keepPartial(buffer: Buffer, base: number, end: number): void {
    if (buffer === this.#partial) {
      if (base > 0) buffer.copyWithin(0, base, end);
    } else {
      this.#partial = Buffer.allocUnsafe(Math.max(1024, (end - base) * 2));
      buffer.copy(this.#partial, 0, base, end);
    }
    this.#partialLength = end - base;
  }
}

/** What the user is told of a head: good until the next one is read. One object, so that nothing is allocated. */
const told: { -readonly [Key in keyof ResponseStart]: ResponseStart[Key] } = {
  head: null as unknown as ResponseHead,
  options,
  bodyLength: 0,
  misstatesLength: false,
};

function startOf(head: ResponseHead): ResponseStart {
  told.head = head;
  // RFC 9110 §8.6: neither 1xx nor 204 has one.
  told.misstatesLength = head.status < 200 || framing.isContradictory;
  if (framing.kind === BODY_NONE) told.bodyLength = 0;
  else told.bodyLength = framing.kind === BODY_LENGTH ? framing.length : UNKNOWN_LENGTH;
  return told;
}

/** `Keep-Alive: timeout=5`: the backend will close after 5 s, so we stop using the connection a second earlier. */
function readKeepAlive(head: ResponseHead): number {
  const value = findField(head, FIELD_KEEP_ALIVE);
  const at = value === null ? -1 : value.indexOf('timeout=');
  if (value === null || at === -1) return Number.POSITIVE_INFINITY;
  const seconds = Number.parseInt(value.slice(at + 'timeout='.length), 10);
  return seconds >= 0 ? (seconds - 1) * 1000 : Number.POSITIVE_INFINITY;
}

/** What `lenient_responses` lets through, at least in some forms. */
const FORGIVABLE: ReadonlySet<ErrorCode | null> = new Set<ErrorCode>([
  'ERR_BAD_LINE_END',
  'ERR_BAD_CHUNK',
  'ERR_LENGTH_AND_ENCODING',
]);

function described(what: string, error: ErrorCode | null, isLenient: boolean): string {
  const remedy =
    FORGIVABLE.has(error) && !isLenient ? ' (lenient_responses may let it through)' : '';
  return `${what}: ${error}${remedy}`;
}
