/**
 * The response on its way from a backend to the client: head, interim heads, body, trailers.
 *
 * Bytes of one read that belong together leave in one write: the head and a small body as one latin-1 string, which is a
 * copy by nature, so the shared read buffer is free again when the call returns.
 */
import type { ErrorCode } from '../../errors.ts';
import type { BackendConnection } from '../backend/backend-connection.ts';
import type { DataContext } from '../context.ts';
import { challengesConnection } from '../wire/authentication.ts';
import {
  CHUNK_DATA,
  CHUNK_DONE,
  CHUNK_FAILED,
  ChunkDecoder,
  chunkSizeLine,
  lastChunk,
} from '../wire/chunked.ts';
import {
  type ConnectionOptions,
  createConnectionOptions,
  isPersistent,
  readConnectionOptions,
} from '../wire/connection-options.ts';
import { FIELD_KEEP_ALIVE, FIELD_UPGRADE } from '../wire/fields.ts';
import { PARSE_FAILED, PARSE_MORE } from '../wire/first-line.ts';
import { forwardResponse, forwardTrailer, type ResponseShape } from '../wire/forward-response.ts';
import {
  BODY_CHUNKED,
  BODY_LENGTH,
  BODY_NONE,
  BODY_UNTIL_CLOSE,
  createFraming,
  frameResponse,
} from '../wire/framing.ts';
import { findField, hasToken, type ResponseHead } from '../wire/head.ts';
import type { HeadParser } from '../wire/head-parser.ts';

/** What the download needs of its exchange. */
export interface DownloadOwner {
  readonly context: DataContext;
  /** The request was a HEAD. */
  readonly isHead: boolean;
  readonly clientVersionMinor: number;
  /** A protocol switch was asked for. */
  readonly mayUpgrade: boolean;
  /** Called when the final head is there, before it is written: how the connection goes on. */
  decideConnection(bodyNeedsClose: boolean): string;
  sendText(text: string): void;
  /** Sends `buffer[start, end)`, borrowed for the length of the call. */
  sendBytes(buffer: Buffer, start: number, end: number): void;
  /** Whether an answer with this status is given up for another attempt: `onAttemptFailed` follows. */
  refuses(status: number): boolean;
  /** Whole field lines that the client gets beside those of the backend; empty as a rule. */
  addedFields(): string;
  onResponseHead(status: number): void;
  /** An interim response was relayed. */
  onInterim(status: number): void;
  /** The 101 was relayed; `rest` is what came after it. */
  onSwitched(rest: Buffer): void;
  onResponseComplete(): void;
  /** The response is refused; what it has sent so far was well-formed. */
  onAttemptFailed(code: ErrorCode, detail: string): void;
}

const AT_HEAD = 0;
const AT_BODY = 1;
const IS_COMPLETE = 2;

/** Up to here a body is relayed as text, in one write with what comes before it. */
const TEXT_BYTES = 16 * 1024;
/** Interim responses before the final one; a backend that sends more is broken. */
const MAX_INTERIM = 32;
const SWITCHING_PROTOCOLS = 101;

const framing = createFraming();
const options: ConnectionOptions = createConnectionOptions();

export class Download {
  /** Bytes of any response head have come from the backend. */
  hasBytes = false;
  /** The connection may carry another request afterwards. */
  isReusable = false;

  readonly #owner: DownloadOwner;
  readonly #connection: BackendConnection;
  #state = AT_HEAD;
  #parser: HeadParser | null = null;
  #partial: Buffer | null = null;
  #partialLength = 0;
  #interim = 0;
  #bodyKind: number = BODY_NONE;
  #remaining = 0;
  #decoder: ChunkDecoder | null = null;
  /** Of a chunked response: fields that its trailer section must not have either. */
  #nominated: ReadonlySet<string> | null = null;
  #sendsChunks = false;
  /** Text that waits to be written together. */
  #text = '';

  constructor(owner: DownloadOwner, connection: BackendConnection) {
    this.#owner = owner;
    this.#connection = connection;
  }

  get isComplete(): boolean {
    return this.#state === IS_COMPLETE;
  }

  get isHeadDone(): boolean {
    return this.#state !== AT_HEAD;
  }

  /** Takes `buffer[0, length)`, borrowed. */
  receive(buffer: Buffer, length: number): void {
    this.hasBytes = true;
    if (this.#state === AT_HEAD) this.#receiveHead(buffer, length);
    else this.#receiveBody(buffer, 0, length);
  }

  /** The backend's FIN. @returns whether the response is complete by that. */
  receiveEnd(): boolean {
    if (this.#state === AT_BODY && this.#bodyKind === BODY_UNTIL_CLOSE) {
      if (this.#sendsChunks) this.#owner.sendText(lastChunk(''));
      this.#complete(false);
    }
    return this.#state === IS_COMPLETE;
  }

  /** Gives borrowed parts back; called once, however the attempt ended. */
  dispose(): void {
    if (this.#parser !== null) this.#owner.context.returnResponseParser(this.#parser);
    this.#parser = null;
    this.#partial = null;
  }

  #receiveHead(chunk: Buffer, chunkLength: number): void {
    let buffer = chunk;
    let length = chunkLength;
    if (this.#partial !== null) {
      buffer = this.#append(chunk, chunkLength);
      length = this.#partialLength;
    }
    let base = 0;
    for (;;) {
      const parser = (this.#parser ??= this.#owner.context.borrowResponseParser());
      const outcome = parser.parse(buffer, base, length);
      if (outcome === PARSE_MORE) {
        this.#keepPartial(buffer, base, length);
        return;
      }
      if (outcome === PARSE_FAILED) {
        this.#owner.onAttemptFailed(
          parser.error === 'ERR_HEAD_TOO_LARGE'
            ? 'ERR_BACKEND_HEAD_TOO_LARGE'
            : 'ERR_BACKEND_BAD_RESPONSE',
          `malformed response head: ${parser.error}`,
        );
        return;
      }
      const headLength = parser.length;
      const isFinal = this.#takeHead(parser);
      if (isFinal === null) return;
      if (isFinal) {
        this.#releaseParser();
        this.#partial = null;
        this.#receiveBody(buffer, base + headLength, length);
        return;
      }
      if (this.#owner.mayUpgrade && parser.status === SWITCHING_PROTOCOLS) {
        this.#releaseParser();
        this.#flushText();
        this.#state = IS_COMPLETE;
        this.#owner.onSwitched(Buffer.from(buffer.subarray(base + headLength, length)));
        return;
      }
      base += headLength;
      parser.reset();
    }
  }

  #releaseParser(): void {
    if (this.#parser !== null) this.#owner.context.returnResponseParser(this.#parser);
    this.#parser = null;
  }

  /** @returns true for a final head, false for an interim one, null when the response was refused. */
  #takeHead(head: HeadParser): boolean | null {
    const owner = this.#owner;
    const error = frameResponse(head, owner.isHead, framing, head.limits.isLenient);
    if (error !== null) {
      owner.onAttemptFailed('ERR_BACKEND_BAD_RESPONSE', `ambiguous response framing: ${error}`);
      return null;
    }
    readConnectionOptions(head, options);
    if (head.status < 200) return this.#takeInterim(head);
    if (owner.refuses(head.status)) {
      owner.onAttemptFailed('ERR_BACKEND_STATUS', `status ${head.status}`);
      return null;
    }

    this.isReusable =
      isPersistent(head.versionMinor, options) &&
      framing.kind !== BODY_UNTIL_CLOSE &&
      !framing.isContradictory;
    if (this.isReusable) this.#readKeepAlive(head);
    if (challengesConnection(head)) this.#connection.isPrivate = true;
    this.#connection.isBodyless = framing.kind === BODY_NONE;
    this.#connection.announcesBody = framing.announcesBody;
    this.#bodyKind = framing.kind;
    this.#remaining = framing.length;
    const hasUnknownLength = framing.kind === BODY_CHUNKED || framing.kind === BODY_UNTIL_CLOSE;
    // RFC 9112 §6.1: no chunks to an HTTP/1.0 client; the end of the connection is the end of the body.
    this.#sendsChunks = hasUnknownLength && owner.clientVersionMinor === 1;
    if (framing.kind === BODY_CHUNKED) {
      this.#decoder = new ChunkDecoder(head.limits);
      this.#nominated = options.nominated;
    }
    owner.onResponseHead(head.status);
    const shape: ResponseShape = {
      isChunked: this.#sendsChunks,
      dropsLength: framing.isContradictory,
      connectionLine: owner.decideConnection(hasUnknownLength && !this.#sendsChunks),
      addedFields: owner.addedFields(),
      sendsVia: owner.context.view.snapshot.forwarding.sendVia,
      clock: owner.context,
    };
    this.#text += forwardResponse(head, options, shape);
    this.#state = AT_BODY;
    return true;
  }

  #takeInterim(head: ResponseHead): false | null {
    const owner = this.#owner;
    if (head.status === SWITCHING_PROTOCOLS && !this.#isWantedSwitch(head)) {
      owner.onAttemptFailed('ERR_BACKEND_UPGRADE', 'a 101 that answers no WebSocket handshake');
      return null;
    }
    if (++this.#interim > MAX_INTERIM) {
      owner.onAttemptFailed('ERR_BACKEND_BAD_RESPONSE', 'too many interim responses');
      return null;
    }
    // RFC 9110 §15.2: an HTTP/1.0 client knows no interim responses.
    if (owner.clientVersionMinor === 1) {
      this.#text += forwardResponse(head, options, {
        isChunked: false,
        dropsLength: true,
        connectionLine: '',
        addedFields: head.status === SWITCHING_PROTOCOLS ? owner.addedFields() : '',
        sendsVia: owner.context.view.snapshot.forwarding.sendVia,
        clock: owner.context,
      });
      if (head.status !== SWITCHING_PROTOCOLS) {
        this.#flushText();
        owner.onInterim(head.status);
      }
    }
    return false;
  }

  #isWantedSwitch(head: ResponseHead): boolean {
    const upgrade = findField(head, FIELD_UPGRADE);
    return this.#owner.mayUpgrade && upgrade !== null && hasToken(upgrade, 'websocket');
  }

  /** `Keep-Alive: timeout=5`: the backend will close after 5 s, so we stop using the connection a second earlier. */
  #readKeepAlive(head: ResponseHead): void {
    const value = findField(head, FIELD_KEEP_ALIVE);
    if (value === null) return;
    const at = value.indexOf('timeout=');
    if (at === -1) return;
    const seconds = Number.parseInt(value.slice(at + 'timeout='.length), 10);
    if (seconds >= 0) this.#connection.keepAliveLimitMs = (seconds - 1) * 1000;
  }

  #receiveBody(buffer: Buffer, start: number, end: number): void {
    let isComplete = false;
    let position = start;
    switch (this.#bodyKind) {
      case BODY_NONE:
        isComplete = true;
        break;
      case BODY_LENGTH: {
        const length = Math.min(end - position, this.#remaining);
        this.#remaining -= length;
        this.#emit(buffer, position, position + length);
        position += length;
        isComplete = this.#remaining === 0;
        break;
      }
      case BODY_UNTIL_CLOSE:
        this.#emit(buffer, position, end);
        position = end;
        break;
      default: {
        const decoder = this.#decoder as ChunkDecoder;
        while (position < end && !isComplete) {
          const event = decoder.next(buffer, position, end);
          if (event === CHUNK_FAILED) {
            // What waits unsent is dropped: if that is all there was, the client gets a 502 in its place.
            this.#owner.onAttemptFailed(
              'ERR_BACKEND_BAD_RESPONSE',
              `malformed response body: ${decoder.error}`,
            );
            return;
          }
          position = decoder.position;
          if (event === CHUNK_DATA) {
            this.#emit(buffer, decoder.dataStart, decoder.dataEnd);
          } else if (event === CHUNK_DONE) {
            isComplete = true;
            if (this.#sendsChunks) this.#text += lastChunk(this.#trailerOf(decoder));
          }
        }
      }
    }
    this.#flushText();
    // RFC 9112 §9.2: what follows a complete response belongs to nothing; the connection can't be trusted any more.
    if (isComplete) this.#complete(position === end);
  }

  #trailerOf({ trailer }: ChunkDecoder): string {
    return trailer === null ? '' : forwardTrailer(trailer, this.#nominated);
  }

  #complete(hasNoStrayBytes: boolean): void {
    if (!hasNoStrayBytes) this.isReusable = false;
    this.#state = IS_COMPLETE;
    this.#owner.onResponseComplete();
  }

  #emit(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length === 0) return;
    if (this.#sendsChunks) this.#text += chunkSizeLine(length);
    if (length <= TEXT_BYTES) {
      this.#text += buffer.latin1Slice(start, end);
    } else {
      this.#flushText();
      this.#owner.sendBytes(buffer, start, end);
    }
    if (this.#sendsChunks) this.#text += '\r\n';
  }

  #flushText(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#owner.sendText(text);
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
