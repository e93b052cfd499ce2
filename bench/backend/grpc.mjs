/**
 * A gRPC server over HTTP/2 in the clear (by prior knowledge) that answers every call with its message, which fits into one frame.
 * `node grpc.mjs PORT`
 *
 * It writes frames that it has ready and reads no heads: so the load has most of the core that the two share. Answers are as those of
 * other servers: a head, the message, trailers, the fields of both in the table from the first answer on (RFC 7541 §6.2.1).
 */
import net from 'node:net';
import {
  ACK,
  DATA,
  END_HEADERS,
  END_STREAM,
  FrameSplitter,
  frame,
  HEADERS,
  literal,
  PING,
  PREFACE,
  SETTINGS,
  settings,
  uint32,
  WINDOW_UPDATE,
} from '../http2-frames.mjs';

const MAX_CONCURRENT_STREAMS = 3;
const HEADER_TABLE_SIZE = 1;
/** Two short fields, each with its 32 (RFC 7541 §4.1). */
const NEEDED_TABLE_BYTES = 128;
/** So much is taken before it is given back, a quarter of what a connection may send at first. */
const CREDIT_BYTES = 16 * 1024;

const OK = Buffer.of(0x88);
const CONTENT_TYPE = literal('application/grpc');
/** ":status: 200", and "content-type" (31 of the static table) with a value that is to be kept. */
const FIRST_HEAD = Buffer.concat([OK, Buffer.of(0x40 | 31), CONTENT_TYPE]);
const FIRST_TRAILERS = Buffer.concat([Buffer.of(0x40), literal('grpc-status'), literal('0')]);
/** The two of the table, the later one first. */
const HEAD = Buffer.concat([OK, Buffer.of(0x80 | 63)]);
const TRAILERS = Buffer.of(0x80 | 62);

class Connection {
  #socket;
  #splitter = new FrameSplitter();
  #preface = Buffer.alloc(0);
  #hasBegun = false;
  #hasAnswered = false;
  /** Messages that have begun, by stream. */
  #messages = new Map();
  #owed = 0;
  #out = [];

  constructor(socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes) => this.#read(bytes));
    socket.write(settings([[MAX_CONCURRENT_STREAMS, 1_000]]));
  }

  #read(bytes) {
    let rest = bytes;
    if (!this.#hasBegun) {
      const whole = Buffer.concat([this.#preface, bytes]);
      this.#preface = whole;
      if (whole.length < PREFACE.length) return;
      this.#hasBegun = true;
      rest = whole.subarray(PREFACE.length);
    }
    for (const one of this.#splitter.push(rest)) this.#took(one);
    if (this.#owed >= CREDIT_BYTES) {
      this.#out.push(frame(WINDOW_UPDATE, 0, 0, uint32(this.#owed)));
      this.#owed = 0;
    }
    if (this.#out.length > 0) this.#socket.write(Buffer.concat(this.#out));
    this.#out = [];
  }

  #took({ type, flags, streamId, payload }) {
    const endsStream = (flags & END_STREAM) !== 0;
    if (type === HEADERS) {
      // A GET by which it is asked whether it is there.
      if (endsStream) this.#answer(streamId, Buffer.alloc(0));
    } else if (type === DATA) {
      this.#owed += payload.length;
      const before = this.#messages.get(streamId);
      const message = before === undefined ? payload : Buffer.concat([before, payload]);
      if (endsStream) this.#answer(streamId, message);
      else this.#messages.set(streamId, Buffer.from(message));
    } else if (type === SETTINGS && (flags & ACK) === 0) {
      for (let at = 0; at < payload.length; at += 6) {
        const isTable = payload.readUInt16BE(at) === HEADER_TABLE_SIZE;
        if (isTable && payload.readUInt32BE(at + 2) < NEEDED_TABLE_BYTES) this.#socket.destroy();
      }
      this.#out.push(frame(SETTINGS, ACK, 0));
    } else if (type === PING && (flags & ACK) === 0) {
      this.#out.push(frame(PING, ACK, 0, payload));
    }
  }

  #answer(streamId, message) {
    const head = this.#hasAnswered ? HEAD : FIRST_HEAD;
    const trailers = this.#hasAnswered ? TRAILERS : FIRST_TRAILERS;
    this.#hasAnswered = true;
    this.#messages.delete(streamId);
    this.#out.push(
      frame(HEADERS, END_HEADERS, streamId, head),
      frame(DATA, 0, streamId, message),
      frame(HEADERS, END_HEADERS | END_STREAM, streamId, trailers),
    );
  }
}

net
  .createServer({ noDelay: true }, (socket) => new Connection(socket))
  .listen(Number(process.argv[2]), '127.0.0.1');
