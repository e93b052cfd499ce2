/**
 * The frames of a client's HTTP/2 connection as they come: what each means for which stream (RFC 9113 §5.1, §6), and whether the
 * client costs more than it may (http2-limits.ts).
 */
import type { ErrorCode } from '../../errors.ts';
import type { DataContext } from '../relay/context.ts';
import type { Http2Output } from '../stream/http2-output.ts';
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  nameOfError,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
} from '../wire/http2/error-codes.ts';
import { FieldCache } from '../wire/http2/field-cache.ts';
import { FieldList } from '../wire/http2/field-list.ts';
import type { FrameHandler } from '../wire/http2/frame-handler.ts';
import {
  DECODE_FAILED,
  DECODED,
  type DecodeOutcome,
  HpackDecoder,
} from '../wire/http2/hpack-decoder.ts';
import { Http2Head } from '../wire/http2/http2-head.ts';
import { DEFAULT_TABLE_SIZE, SETTING_INITIAL_WINDOW_SIZE } from '../wire/http2/settings.ts';
import type { ConnectionContext } from './connection-context.ts';
import type { Http2Bodies } from './http2-bodies.ts';
import type { Http2Limits } from './http2-limits.ts';
import { OpenedStreams } from './http2-opened.ts';
import { beginRequest, fieldLimits } from './http2-request.ts';
import { STREAM_WINDOW_BYTES } from './http2-settings.ts';
import { Http2Stream, type StreamOwner } from './http2-stream.ts';
import type { Http2Streams } from './http2-streams.ts';

/** The connection. */
export interface FramesOwner extends StreamOwner {
  readonly context: DataContext;
  readonly peer: ConnectionContext;
  readonly output: Http2Output;
  readonly streams: Http2Streams;
  readonly limits: Http2Limits;
  readonly bodies: Http2Bodies;
  /** What all requests are answered; null: they are served. */
  readonly refused: { readonly code: ErrorCode; readonly detail: string } | null;
  /** What comes above is not served. */
  readonly lastServedId: number;
  streamOpened(stream: Http2Stream): void;
  /** Its window grows. @param increment 0: not by now */
  creditConnection(increment: number): void;
  clientLeaves(): void;
  /** It ends, for an error of the client. */
  failed(code: number, detail: string): void;
}

/** Of this thread: fields that came before, and those of one block, which are good for the length of a call. */
const cache = new FieldCache();
const list = new FieldList();
const trailers = new Http2Head();

export class Http2Frames implements FrameHandler {
  /** Of the last stream that the client has opened. */
  lastId = 0;

  readonly #owner: FramesOwner;
  readonly #decoder = new HpackDecoder(cache, DEFAULT_TABLE_SIZE);
  /** Of the DATA frame that is coming; null: nobody takes it. */
  #data: Http2Stream | null = null;
  #dataLength = 0;
  #dataSeen = 0;
  /** Of those that were sent. */
  #dataFramesPaid = 0;
  readonly #opened = new OpenedStreams();
  /** It has been told something of its body, and not that this was all for now: small DATA frames are handed on together. */
  #unflushed: Http2Stream | null = null;
  /** Of whole frames, with their padding. */
  #unflushedBytes = 0;
  /** It knows how many streams it may have. */
  #knowsSettings = false;

  constructor(owner: FramesOwner) {
    this.#owner = owner;
  }

  /** All that has been read was told. */
  flush(): void {
    this.#opened.proceedAll();
    this.#flushBody();
  }

  #flushBody(): void {
    const stream = this.#unflushed;
    if (stream === null) return;
    const bytes = this.#unflushedBytes;
    this.#unflushed = null;
    this.#unflushedBytes = 0;
    stream.flushBody();
    if (bytes > 0) stream.received(bytes);
  }

  // ── Header blocks ───────────────────────────────────────────────────────────────────────────────────────────────

  onHeaders(
    streamId: number,
    endsStream: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const { context, streams } = this.#owner;
    this.#flushBody();
    // Whatever becomes of it: the table must be the client's.
    const outcome = this.#decoder.decode(buffer, start, end, list, fieldLimits(context));
    if (outcome === DECODE_FAILED) {
      this.#owner.failed(COMPRESSION_ERROR, 'a header block can not be read');
      return;
    }
    const stream = streams.get(streamId);
    if (stream !== undefined) this.#trailersCame(stream, endsStream, outcome);
    else if (streamId > this.lastId && streamId % 2 === 1) {
      this.lastId = streamId;
      this.#open(streamId, endsStream, outcome, end - start);
    } else if (streams.wasReset(streamId)) {
      // It may have been on its way; who goes on sends what is read, answered by nobody and logged nowhere.
      this.#countControlFrame();
    } else {
      // RFC 9113 §5.1.1: ids only grow.
      const isLast = streamId === this.lastId;
      this.#owner.failed(
        isLast ? STREAM_CLOSED : PROTOCOL_ERROR,
        `HEADERS on stream ${streamId}, which is not open`,
      );
    }
  }

  #open(streamId: number, endsStream: boolean, outcome: DecodeOutcome, bytes: number): void {
    const owner = this.#owner;
    const { context, streams, limits, output } = owner;
    if (streamId > owner.lastServedId) {
      streams.noteReset(streamId);
      this.#countControlFrame();
      return;
    }
    if (streams.size >= limits.streams) {
      streams.noteReset(streamId);
      output.reset(streamId, REFUSED_STREAM);
      // Who never says that it knows how many it may have is not free to ask on.
      if (this.#knowsSettings) this.#owner.clientErred();
      else this.#countControlFrame();
      return;
    }
    limits.request();
    const stream = new Http2Stream(context, owner, owner.peer, streamId, STREAM_WINDOW_BYTES);
    stream.isRemoteEnded = endsStream;
    owner.streamOpened(stream);
    const fields = outcome === DECODED ? list : null;
    const isMalformed = beginRequest(context, stream, owner.peer, fields, bytes, owner.refused);
    if (isMalformed) this.#owner.clientErred();
    else if (stream.exchange !== null) this.#opened.add(stream);
  }

  #trailersCame(stream: Http2Stream, endsStream: boolean, outcome: DecodeOutcome): void {
    this.#opened.proceed(stream);
    if (stream.isRemoteEnded) {
      this.#failStream(stream, STREAM_CLOSED, 'HEADERS behind the end of the stream');
    } else if (!endsStream) {
      // RFC 9113 §8.1: a second head that is no trailer section.
      this.#failStream(stream, PROTOCOL_ERROR, 'trailers that do not end the stream');
    } else if (outcome !== DECODED || trailers.readTrailers(list) !== null) {
      stream.isRemoteEnded = true;
      stream.malformed('ERR_BAD_TRAILER');
    } else {
      stream.remoteEnded(trailers);
    }
  }

  /** The client's fault. */
  #failStream(stream: Http2Stream, code: number, detail: string): void {
    stream.isRemoteEnded = false;
    stream.fail(code, detail);
    this.#owner.clientErred();
  }

  #countControlFrame(): void {
    const { limits, context, output } = this.#owner;
    limits.dataSent(output.dataFrames - this.#dataFramesPaid);
    this.#dataFramesPaid = output.dataFrames;
    if (limits.controlFrame(context.nowMs)) this.#tooManyFrames();
  }

  #tooManyFrames(): void {
    this.#owner.failed(ENHANCE_YOUR_CALM, 'too many frames (limits.http2_control_frames)');
  }

  /** Nobody has opened it: RFC 9113 §5.1, "idle". */
  #isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId > this.lastId;
  }

  // ── Bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────

  onDataStart(streamId: number, length: number): void {
    const { streams, bodies } = this.#owner;
    if (this.#unflushed !== null && this.#unflushed.id !== streamId) this.#flushBody();
    this.#data = null;
    this.#dataLength = length;
    this.#dataSeen = 0;
    const stream = streams.get(streamId);
    if (stream !== undefined) this.#opened.proceed(stream);
    if (!bodies.take(length)) {
      this.#owner.failed(FLOW_CONTROL_ERROR, 'more DATA than the connection may have');
    } else if (stream === undefined) {
      if (this.#isIdle(streamId)) {
        this.#owner.failed(PROTOCOL_ERROR, `DATA on stream ${streamId}, which is idle`);
      } else if (!streams.wasReset(streamId)) {
        this.#owner.failed(STREAM_CLOSED, `DATA on stream ${streamId}, which is closed`);
      }
    } else if (stream.isRemoteEnded) {
      this.#failStream(stream, STREAM_CLOSED, 'DATA behind the end of the stream');
    } else if (!stream.receiveWindow.take(length)) {
      this.#failStream(stream, FLOW_CONTROL_ERROR, 'more DATA than the stream may have');
    } else {
      this.#data = stream;
    }
  }

  onData(_streamId: number, buffer: Buffer, start: number, end: number): void {
    this.#dataSeen += end - start;
    const stream = this.#data;
    if (stream === null) return;
    stream.receive(buffer, start, end);
    this.#unflushed = stream;
  }

  onDataEnd(_streamId: number, endsStream: boolean): void {
    const { limits, context, bodies } = this.#owner;
    const stream = this.#data;
    this.#data = null;
    if (stream === null) {
      this.#owner.creditConnection(bodies.dropped(this.#dataLength));
    } else {
      this.#owner.creditConnection(bodies.arrived(this.#dataLength));
      this.#unflushed = stream;
      this.#unflushedBytes += this.#dataLength;
      if (endsStream) {
        stream.remoteEnded(null);
        this.#flushBody();
      }
    }
    if (limits.data(context.nowMs, this.#dataSeen, endsStream)) this.#tooManyFrames();
  }

  // ── All others ──────────────────────────────────────────────────────────────────────────────────────────────────

  onReset(streamId: number, code: number): void {
    const stream = this.#owner.streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) {
        this.#owner.failed(PROTOCOL_ERROR, `RST_STREAM on stream ${streamId}, which is idle`);
      } else {
        this.#countControlFrame();
      }
      return;
    }
    stream.wasReset(`the client reset the stream (${nameOfError(code)})`);
    this.#owner.clientErred();
  }

  onSetting(id: number, value: number): void {
    const { output, streams } = this.#owner;
    this.#countControlFrame();
    const before = output.peer.initialWindowSize;
    output.setPeer(id, value);
    if (id !== SETTING_INITIAL_WINDOW_SIZE || value === before) return;
    for (const { sending } of streams.all()) {
      if (sending.window.shift(value - before)) continue;
      this.#owner.failed(FLOW_CONTROL_ERROR, 'a window is more than there can be');
      return;
    }
  }

  onSettingsEnd(): void {
    this.#countControlFrame();
    this.#owner.output.settingsAck();
    this.#owner.streams.giveTurns(this.#owner.output);
  }

  onSettingsAck(): void {
    this.#knowsSettings = true;
    this.#countControlFrame();
  }

  onPing(isAck: boolean, buffer: Buffer, start: number): void {
    this.#countControlFrame();
    if (!isAck) this.#owner.output.ping(true, buffer, start);
  }

  onGoaway(): void {
    this.#countControlFrame();
    this.#owner.clientLeaves();
  }

  onWindowUpdate(streamId: number, increment: number): void {
    const { output, streams } = this.#owner;
    this.#countControlFrame();
    if (streamId === 0) {
      if (output.window.add(increment)) streams.giveTurns(output);
      else this.#owner.failed(FLOW_CONTROL_ERROR, 'a window is more than there can be');
      return;
    }
    const stream = streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) {
        this.#owner.failed(PROTOCOL_ERROR, `WINDOW_UPDATE on stream ${streamId}, which is idle`);
      }
    } else if (stream.sending.window.add(increment)) {
      streams.unblock(stream);
    } else {
      this.#failStream(stream, FLOW_CONTROL_ERROR, 'a window is more than there can be');
    }
  }

  onPriorityUpdate(streamId: number, value: string): void {
    this.#countControlFrame();
    this.#owner.streams.get(streamId)?.prioritize(value);
  }

  onIgnored(): void {
    this.#countControlFrame();
  }

  onStreamError(streamId: number, code: number, detail: string): void {
    const { streams, output } = this.#owner;
    const stream = streams.get(streamId);
    if (stream !== undefined) {
      this.#failStream(stream, code, detail);
    } else if (this.#isIdle(streamId)) {
      this.#owner.failed(code, detail);
    } else {
      output.reset(streamId, code);
      this.#owner.clientErred();
    }
  }

  onConnectionError(code: number, detail: string): void {
    this.#owner.failed(code, detail);
  }
}
