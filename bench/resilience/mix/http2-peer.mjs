/**
 * One end of an HTTP/2 connection, client or backend, that does what is allowed and unusual: pads, cuts heads and bodies, opens its
 * windows late and by odd amounts, changes its SETTINGS on the way. It watches that Fairlead keeps to what it was told.
 */
import { FieldCache } from '../../../build/data/wire/http2/field-cache.js';
import { FieldList } from '../../../build/data/wire/http2/field-list.js';
import { HpackDecoder } from '../../../build/data/wire/http2/hpack-decoder.js';
import {
  ACK,
  block,
  CONTINUATION,
  DATA,
  ENABLE_PUSH,
  END_HEADERS,
  END_STREAM,
  FrameSplitter,
  frame,
  GOAWAY,
  HEADER_TABLE_SIZE,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_FRAME_SIZE,
  PADDED,
  PING,
  PREFACE,
  padded,
  RST_STREAM,
  SETTINGS,
  settings,
  uint32,
  WINDOW_UPDATE,
} from '../../http2-frames.mjs';
import { PeerStream } from './http2-peer-stream.mjs';
import { DEFAULT_WINDOW, WINDOWS } from './plan.mjs';

const DEFAULT_FRAME = 16_384;
const LIMITS = { headBytes: 1024 * 1024, fields: 1000 };
const MOST_CONTINUATIONS = 6;
const CHANGES = [0, 1, 100, 20_000, 200_000, 1 << 20];
const FRAME_SIZES = [DEFAULT_FRAME, 20_000, 1 << 20];
const TABLE_SIZES = [0, 100, 4096, 4096, 65_536];

export class Http2Peer {
  window = DEFAULT_WINDOW;
  frameSize = DEFAULT_FRAME;
  /** Rules that Fairlead has broken. */
  violations = [];
  isOver = false;
  isLeaving = false;
  streams = new Map();
  socket;
  #draw;
  #profile;
  #handler;
  #splitter = new FrameSplitter();
  #decoder;
  #list = new FieldList();
  #initialWindow = DEFAULT_WINDOW;
  #ownWindow;
  #mostStreams;
  #largestFrame;
  #owed = 0;
  #room = DEFAULT_WINDOW;
  #head = null;
  #lastId = 0;
  #refusedAbove = Number.POSITIVE_INFINITY;
  #isCorked = false;
  #isPumping = false;
  #frames = 0;
  #timers = new Set();
  #isServer;

  /**
   * @param {import('node:net').Socket} socket
   * @param {{ isServer: boolean, profile: string, draw: import('./plan.mjs').Draw, handler: object }} options
   */
  constructor(socket, { isServer, profile, draw, handler }) {
    this.socket = socket;
    this.#draw = draw;
    this.#profile = profile;
    this.#handler = handler;
    this.#isServer = isServer;
    this.#ownWindow = WINDOWS[profile];
    const tableSize = draw.of(TABLE_SIZES);
    this.#largestFrame = draw.of(FRAME_SIZES);
    this.#decoder = new HpackDecoder(new FieldCache(), tableSize);
    this.pads = draw.percent(40);
    this.cuts = draw.percent(40);
    this.#mostStreams = draw.of([3, 20, 100, 1000]);
    if (!isServer) this.send(PREFACE);
    if (isServer) this.#begins = PREFACE.length;
    this.send(
      settings([
        [HEADER_TABLE_SIZE, tableSize],
        ...(isServer ? [[MAX_CONCURRENT_STREAMS, this.#mostStreams]] : [[ENABLE_PUSH, 0]]),
        [INITIAL_WINDOW_SIZE, this.#ownWindow],
        [MAX_FRAME_SIZE, this.#largestFrame],
      ]),
    );
    if (profile === 'large') this.#credit(0, 1 << 21);
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('error', () => {});
    socket.on('close', () => this.#closed());
  }

  /** Bytes of the preface that are to come. */
  #begins = 0;

  // ── Sending ─────────────────────────────────────────────────────────────────────────────────────────────────────

  send(bytes) {
    if (this.isOver) return;
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.socket.cork();
      setImmediate(() => {
        this.#isCorked = false;
        this.socket.uncork();
      });
    }
    this.socket.write(bytes);
  }

  open(id) {
    const stream = new PeerStream(this, id, this.#initialWindow, this.#ownWindow);
    this.streams.set(id, stream);
    return stream;
  }

  /** A stream of ours. */
  begin(fields, isEnd) {
    const id = this.#lastId === 0 ? 1 : this.#lastId + 2;
    this.#lastId = id;
    const stream = this.open(id);
    this.sendHead(id, fields, isEnd);
    stream.hasEnded = isEnd;
    return stream;
  }

  get lastId() {
    return this.#lastId;
  }

  sendHead(id, fields, isEnd) {
    const bytes = block(fields);
    const draw = this.#draw;
    const count = this.cuts && draw.percent(40) ? 1 + draw.below(MOST_CONTINUATIONS) : 0;
    const least = Math.ceil(bytes.length / DEFAULT_FRAME);
    const size = Math.ceil(bytes.length / (Math.max(count, least - 1) + 1));
    for (let at = 0; at < bytes.length; at += size) {
      const part = bytes.subarray(at, at + size);
      const isLast = at + size >= bytes.length ? END_HEADERS : 0;
      const padding = at === 0 && part.length < 8000 ? this.padding(300) : -1;
      const flags = isLast | (at === 0 && isEnd ? END_STREAM : 0) | (padding < 0 ? 0 : PADDED);
      this.send(frame(at === 0 ? HEADERS : CONTINUATION, flags, id, padded(part, padding)));
    }
  }

  /** @returns −1: none */
  padding(room) {
    if (!this.pads || room < 2 || !this.#draw.percent(40)) return -1;
    return this.#draw.below(Math.min(256, room - 1));
  }

  sendData(stream, part, padding) {
    const payload = padded(part, padding);
    stream.window -= payload.length;
    this.window -= payload.length;
    this.send(frame(DATA, padding < 0 ? 0 : PADDED, stream.id, payload));
  }

  sendEnd(id) {
    this.send(frame(DATA, END_STREAM, id));
  }

  /** A frame of each stream in turn, until no window is left. */
  pump() {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let hasSent = true; hasSent; ) {
      hasSent = false;
      for (const stream of this.streams.values()) {
        if (stream.wants && stream.sendOne()) hasSent = true;
      }
    }
    this.#isPumping = false;
  }

  /** Streams above `lastId` are not looked at any more. */
  goAway(lastId = this.#lastId) {
    this.isLeaving = true;
    this.#refusedAbove = Math.min(this.#refusedAbove, lastId);
    this.send(frame(GOAWAY, 0, 0, Buffer.concat([uint32(this.#refusedAbove), uint32(0)])));
    for (const stream of this.streams.values()) {
      if (stream.id <= this.#refusedAbove) continue;
      stream.handler?.unseen();
      stream.over();
    }
    this.#closeIfDone();
  }

  forget(stream) {
    this.streams.delete(stream.id);
    this.#closeIfDone();
  }

  #closeIfDone() {
    if (this.isLeaving && this.streams.size === 0) this.socket.end();
  }

  kill() {
    this.isLeaving = true;
    this.socket.destroy();
    this.#closed();
  }

  #closed() {
    if (this.isOver) return;
    this.isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const stream of this.streams.values()) {
      stream.over();
      stream.handler?.broken('the connection ended');
    }
    this.#handler.closed?.();
  }

  #later(ms, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  // ── Receiving ───────────────────────────────────────────────────────────────────────────────────────────────────

  #read(bytes) {
    if (this.#begins > 0) {
      const skipped = Math.min(this.#begins, bytes.length);
      this.#begins -= skipped;
      bytes = bytes.subarray(skipped);
    }
    for (const one of this.#splitter.push(bytes)) {
      if (this.isOver) return;
      this.#take(one);
    }
    this.pump();
  }

  #take({ type, flags, streamId, payload }) {
    if (payload.length > this.#largestFrame) this.violations.push(`a frame of ${payload.length}`);
    const stream = this.streams.get(streamId);
    switch (type) {
      case DATA:
        this.#takeData(stream, flags, payload, streamId);
        break;
      case HEADERS:
        this.#head = { streamId, flags, parts: [payload] };
        if ((flags & END_HEADERS) !== 0) this.#takeHead();
        break;
      case CONTINUATION:
        this.#head.parts.push(payload);
        if ((flags & END_HEADERS) !== 0) this.#takeHead();
        break;
      case RST_STREAM:
        stream?.over();
        stream?.handler?.broken(`reset with ${payload.readUInt32BE(0)}`);
        break;
      case SETTINGS:
        if ((flags & ACK) === 0) this.#takeSettings(payload);
        break;
      case PING:
        if ((flags & ACK) === 0) this.send(frame(PING, ACK, 0, payload));
        break;
      case GOAWAY:
        this.isLeaving = true;
        if (payload.readUInt32BE(4) !== 0)
          this.violations.push(`GOAWAY ${payload.readUInt32BE(4)} ${payload.subarray(8)}`);
        this.#closeIfDone();
        break;
      case WINDOW_UPDATE:
        if (streamId === 0) this.window += payload.readUInt32BE(0);
        else if (stream !== undefined) stream.window += payload.readUInt32BE(0);
        break;
      default:
    }
  }

  #takeSettings(payload) {
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      switch (payload.readUInt16BE(at)) {
        case INITIAL_WINDOW_SIZE:
          for (const stream of this.streams.values()) stream.window += value - this.#initialWindow;
          this.#initialWindow = value;
          break;
        case MAX_FRAME_SIZE:
          this.frameSize = value;
          break;
        default:
      }
    }
    this.send(frame(SETTINGS, ACK, 0));
  }

  #takeHead() {
    const { streamId, flags, parts } = this.#head;
    this.#head = null;
    const bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    const outcome = this.#decoder.decode(bytes, 0, bytes.length, this.#list, LIMITS);
    if (outcome !== 0) {
      this.violations.push('a header block that is none');
      this.kill();
      return;
    }
    const fields = new Map();
    for (const { name, value } of this.#list.fields.slice(0, this.#list.count)) {
      fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
    }
    const isEnd = (flags & END_STREAM) !== 0;
    let stream = this.streams.get(streamId);
    if (stream === undefined && this.#isServer && streamId > this.#lastId) {
      this.#lastId = streamId;
      stream = this.open(streamId);
      stream.hasRemoteEnded = isEnd;
      if (this.streams.size > this.#mostStreams) this.violations.push('more streams than it may');
      this.#handler.begins(stream, fields, isEnd, streamId > this.#refusedAbove);
      return;
    }
    if (stream === undefined) return;
    if (isEnd) stream.hasRemoteEnded = true;
    stream.handler?.head(fields, isEnd);
    if (isEnd && stream.hasEnded) stream.over();
  }

  #takeData(stream, flags, payload, streamId) {
    this.#room -= payload.length;
    if (this.#room < 0) this.violations.push('past the window of the connection');
    if (stream !== undefined) {
      stream.owed += payload.length;
      stream.room -= payload.length;
      if (stream.room < 0 && this.#profile !== 'changing')
        this.violations.push('past the window of a stream');
      const isEnd = (flags & END_STREAM) !== 0;
      if (isEnd) stream.hasRemoteEnded = true;
      const data =
        (flags & PADDED) === 0 ? payload : payload.subarray(1, payload.length - payload[0]);
      if (data.length > 0) stream.handler?.data(data);
      if (isEnd) {
        stream.handler?.end(new Map());
        if (stream.hasEnded) stream.over();
      }
    } else if (streamId > this.#lastId) this.violations.push('DATA on a stream that is not open');
    this.#owed += payload.length;
    if (++this.#frames % 60 === 0) this.send(frame(PING, 0, 0, Buffer.alloc(8, this.#frames)));
    if (this.#profile === 'changing' && this.#frames % 25 === 0) this.#change();
    this.#giveBack(stream);
  }

  /** At once or in a while; for least and small windows, more than has come. */
  #giveBack(stream) {
    const draw = this.#draw;
    const isLate = draw.percent(10);
    const give = () => {
      if (this.isOver) return;
      if (this.#owed > 0) this.#credit(0, this.#owed);
      this.#owed = 0;
      if (stream === undefined || stream.isOver || stream.owed === 0) return;
      const more = this.#profile === 'least' ? draw.below(40) : 0;
      const all = stream.owed + (this.#profile === 'small' ? draw.below(1000) : more);
      stream.owed = 0;
      stream.room += all;
      this.#credit(stream.id, all);
    };
    if (isLate) this.#later(draw.below(6), give);
    else give();
  }

  #credit(id, increment) {
    if (id === 0) this.#room += increment;
    this.send(frame(WINDOW_UPDATE, 0, id, uint32(increment)));
  }

  /** Windows become smaller than what is on its way, and are opened again in a while. */
  #change() {
    const draw = this.#draw;
    this.#largestFrame = Math.max(this.#largestFrame, draw.of(FRAME_SIZES));
    this.send(
      settings([
        [INITIAL_WINDOW_SIZE, draw.of(CHANGES)],
        [MAX_FRAME_SIZE, this.#largestFrame],
      ]),
    );
    this.#later(1 + draw.below(15), () =>
      this.send(settings([[INITIAL_WINDOW_SIZE, DEFAULT_WINDOW]])),
    );
  }
}
