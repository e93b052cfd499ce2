/** A client of HTTP/2 that sends the frames that it is told to send, also those that nobody sends who means well. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import tls from 'node:tls';
import { FieldCache } from '../../src/data/wire/http2/field-cache.ts';
import { FieldList } from '../../src/data/wire/http2/field-list.ts';
import { HpackDecoder } from '../../src/data/wire/http2/hpack-decoder.ts';
import { afterTest } from './after-test.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
} from './http2-frames.ts';
import { LONG_MS, waitFor } from './wait-for.ts';

const FRAME_BYTES = 16 * 1024;
const LIMITS = { headBytes: 1024 * 1024, fields: 1000 };

export type Fields = readonly (readonly [name: string, value: string])[];

/** Literals without indexing, as RFC 7541 §6.2.2 has them. */
export function block(fields: Fields): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]),
  );
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  if (bytes.length < 127) length.push(bytes.length);
  else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

export function request(path = '/', more: Fields = [], method = 'GET'): Fields {
  return [
    [':method', method],
    [':scheme', 'http'],
    [':authority', 'test'],
    [':path', path],
    ...more,
  ];
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = pairs.map(([id, value]) => {
    const pair = Buffer.alloc(6);
    pair.writeUInt16BE(id);
    pair.writeUInt32BE(value, 2);
    return pair;
  });
  return frame(SETTINGS, 0, 0, Buffer.concat(payload));
}

export class FrameClient {
  readonly socket: Socket;
  /** All but the answers to what it has asked for to know that it was read: see `settled`. */
  readonly frames: Frame[] = [];
  isEnded = false;
  /** SETTINGS, by itself: it would be in the way of a frame that is sent in parts. */
  acknowledges = true;
  #rest = Buffer.alloc(0);
  #pings = 0;
  readonly #decoder = new HpackDecoder(new FieldCache(), 4096);
  readonly #list = new FieldList();
  readonly #heads = new Map<number, Map<string, string>[]>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        this.isEnded = true;
      });
    }
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const rest = this.#rest;
      if (rest.length < 9) return;
      const length = rest.readUIntBE(0, 3);
      if (rest.length < 9 + length) return;
      this.#rest = rest.subarray(9 + length);
      const [type = 0, flags = 0] = rest.subarray(3, 5);
      const payload = Buffer.from(rest.subarray(9, 9 + length));
      this.#took({ type, flags, streamId: rest.readUInt32BE(5), payload });
    }
  }

  #took(one: Frame): void {
    this.frames.push(one);
    if (one.type === SETTINGS && one.flags === 0 && this.acknowledges) {
      this.send(frame(SETTINGS, ACK, 0));
    }
    if (one.type !== HEADERS) return;
    this.#decoder.decode(one.payload, 0, one.payload.length, this.#list, LIMITS);
    const { fields, count } = this.#list;
    const head = new Map(fields.slice(0, count).map(({ name, value }) => [name, value]));
    const heads = this.#heads.get(one.streamId) ?? [];
    this.#heads.set(one.streamId, [...heads, head]);
  }

  send(...frames: readonly (Uint8Array | string)[]): void {
    if (this.socket.writable) {
      this.socket.write(Buffer.concat(frames.map((one) => Buffer.from(one as string, 'latin1'))));
    }
  }

  /** A head, in as many frames as it needs. */
  #head(streamId: number, flags: number, fields: Fields): void {
    const bytes = block(fields);
    for (let start = 0; start < bytes.length; start += FRAME_BYTES) {
      const end = start + FRAME_BYTES;
      const isLast = end >= bytes.length ? END_HEADERS : 0;
      const part = bytes.subarray(start, end);
      if (start === 0) this.send(frame(HEADERS, flags | isLast, streamId, part));
      else this.send(frame(CONTINUATION, isLast, streamId, part));
    }
  }

  /** A request without a body. */
  get(streamId: number, path = '/', more: Fields = []): void {
    this.#head(streamId, END_STREAM, request(path, more));
  }

  /** The head of one with a body. */
  post(streamId: number, path = '/', more: Fields = []): void {
    this.#head(streamId, 0, request(path, more, 'POST'));
  }

  of(type: number, streamId = 0): Frame[] {
    return this.frames.filter((one) => one.type === type && one.streamId === streamId);
  }

  /** The heads that came on a stream, interim ones and trailers among them. */
  heads(streamId: number): readonly ReadonlyMap<string, string>[] {
    return this.#heads.get(streamId) ?? [];
  }

  body(streamId: number): string {
    return Buffer.concat(this.of(DATA, streamId).map(({ payload }) => payload)).toString('latin1');
  }

  hasEnded(streamId: number): boolean {
    return this.frames.some(
      ({ type, flags, streamId: id }) =>
        id === streamId && (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0,
    );
  }

  /** The status and the body of an answer, once it is complete. */
  async answer(streamId: number): Promise<string> {
    await waitFor(() => this.hasEnded(streamId), LONG_MS, `the answer on stream ${streamId}`);
    const status = this.heads(streamId).map((head) => head.get(':status'));
    return `${status.filter((one) => one !== undefined).join(' ')} ${this.body(streamId)}`;
  }

  /** The code of the RST_STREAM that comes. */
  async resetOf(streamId: number): Promise<number> {
    const one = await waitFor(
      () => this.of(RST_STREAM, streamId)[0],
      LONG_MS,
      `RST_STREAM on stream ${streamId}`,
    );
    return one.payload.readUInt32BE(0);
  }

  /** The code of the GOAWAY that comes, behind which the connection ends. */
  async goneWith(): Promise<number> {
    await waitFor(() => this.isEnded, LONG_MS, 'the end of the connection');
    return this.of(GOAWAY).at(-1)?.payload.readUInt32BE(4) ?? -1;
  }

  /** All that was sent before has been read. */
  async settled(): Promise<void> {
    const data = Buffer.alloc(8);
    data.writeUInt32BE(++this.#pings);
    this.send(frame(PING, 0, 0, data));
    const answered = (): boolean =>
      this.of(PING).some(({ flags, payload }) => flags === ACK && payload.equals(data));
    await waitFor(() => answered() || this.isEnded, LONG_MS, 'the answer to a PING');
  }
}

/** Connects to a port of this machine, and says the preface and its settings. With `isTls`, any certificate is believed. */
export async function frameClient(
  port: number,
  {
    isTls = false,
    said = [PREFACE, settings()],
    servername,
  }: {
    readonly isTls?: boolean;
    readonly said?: readonly (Uint8Array | string)[];
    readonly servername?: string;
  } = {},
): Promise<FrameClient> {
  const host = '127.0.0.1';
  const socket = isTls
    ? tls.connect({
        host,
        port,
        rejectUnauthorized: false,
        ALPNProtocols: ['h2'],
        ...(servername !== undefined && { servername }),
      })
    : connect({ host, port });
  afterTest(() => void socket.destroy());
  socket.setNoDelay(true);
  const client = new FrameClient(socket);
  await once(socket, isTls ? 'secureConnect' : 'connect');
  client.send(...said);
  return client;
}
