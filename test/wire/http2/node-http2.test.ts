/** Against nghttp2, by node:http2 in both roles: what it writes is read, and it reads what is written. */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  sensitiveHeaders,
} from 'node:http2';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  connect as tcp,
} from 'node:net';
import { expect, test } from 'vitest';
import { FieldCache } from '../../../src/data/wire/http2/field-cache.ts';
import { FieldList } from '../../../src/data/wire/http2/field-list.ts';
import { FrameReader, type FrameReaderRole } from '../../../src/data/wire/http2/frame-reader.ts';
import { FRAME_HEADER_BYTES } from '../../../src/data/wire/http2/frame-types.ts';
import {
  frameHeaderBlock,
  headerFrameBytes,
  writeDataHeader,
  writePing,
  writeSettings,
  writeSettingsAck,
} from '../../../src/data/wire/http2/frame-writer.ts';
import { HeadLines } from '../../../src/data/wire/http2/head-lines.ts';
import { HpackDecoder } from '../../../src/data/wire/http2/hpack-decoder.ts';
import { blockBytes, HpackEncoder } from '../../../src/data/wire/http2/hpack-encoder.ts';
import { Http2Head } from '../../../src/data/wire/http2/http2-head.ts';
import { PREFACE } from '../../../src/data/wire/http2/preface.ts';
import { PeerSettings } from '../../../src/data/wire/http2/settings.ts';
import { afterTest } from '../../support/after-test.ts';
import { LIMITS } from './blocks.ts';
import { FRAME_LIMITS, Recorder } from './frames.ts';

const cache = new FieldCache();
const lines = new HeadLines();

/** The least that speaks HTTP/2 on a socket. */
class Peer extends Recorder {
  readonly role: FrameReaderRole;
  readonly socket: Socket;
  readonly settings = new PeerSettings();
  readonly encoder = new HpackEncoder(lines);
  readonly #decoder = new HpackDecoder(cache, 4096);
  /** Is given each head, as the lines of HTTP/1.1; an error is its only line. */
  onHead: (streamId: number, endsStream: boolean, head: string[]) => void = () => {};
  readonly failures: string[] = [];
  #isFinal = false;

  constructor(role: FrameReaderRole, socket: Socket, ownSettings: readonly number[] = []) {
    super();
    this.role = role;
    this.socket = socket;
    const reader = new FrameReader(role, this, FRAME_LIMITS);
    const out = Buffer.alloc(100);
    socket.setNoDelay();
    if (role === 'client') socket.write(PREFACE);
    socket.write(Buffer.from(out.subarray(0, writeSettings(out, 0, ownSettings))));
    // In pieces that are no frames.
    socket.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += 1000) {
        reader.read(bytes, at, Math.min(bytes.length, at + 1000));
      }
    });
    socket.on('error', () => {});
  }

  override onHeaders(
    streamId: number,
    endsStream: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const list = new FieldList();
    const outcome = this.#decoder.decode(buffer, start, end, list, LIMITS);
    if (outcome !== 0) this.failures.push(`decoded: ${outcome}`);
    const head = new Http2Head();
    const reading = { endsStream, requestLineBytes: 100_000, webSocketKey: '' };
    const error =
      this.role === 'server'
        ? head.readRequest(list, reading)
        : this.#isFinal
          ? head.readTrailers(list)
          : head.readResponse(list, endsStream, false);
    if (error !== null) this.failures.push(`${error} ${head.detail}`);
    const first = this.#isFinal ? 0 : -1;
    if (this.role === 'client')
      this.#isFinal = !endsStream && (this.#isFinal || head.status >= 200);
    this.onHead(
      streamId,
      endsStream,
      head.lines(first, head.fieldCount).split('\r\n').slice(0, -1),
    );
  }

  override onSetting(id: number, value: number): void {
    this.settings.set(id, value);
  }

  override onSettingsEnd(): void {
    this.encoder.setPeerTableSize(this.settings.headerTableSize);
    this.write(9, (out) => writeSettingsAck(out, 0));
  }

  override onPing(isAck: boolean, buffer: Buffer, start: number): void {
    if (!isAck) this.write(17, (out) => writePing(out, 0, true, buffer, start));
  }

  override onConnectionError(code: number, detail = ''): void {
    this.failures.push(`connection error ${code} ${detail}`);
  }

  write(room: number, write: (out: Buffer) => number): void {
    const out = Buffer.alloc(room);
    this.socket.write(out.subarray(0, write(out)));
  }

  /** A block, as the encoder makes it. */
  writeHead(
    streamId: number,
    endsStream: boolean,
    text: string,
    encode: (out: Buffer, at: number) => number,
  ): void {
    const { maxFrameSize } = this.settings;
    this.write(headerFrameBytes(blockBytes(text) + 100, maxFrameSize), (out) => {
      const length = encode(out, FRAME_HEADER_BYTES) - FRAME_HEADER_BYTES;
      return frameHeaderBlock(out, 0, length, streamId, endsStream, maxFrameSize);
    });
  }

  writeData(streamId: number, text: string, endsStream: boolean): void {
    this.write(9 + text.length, (out) => {
      const at = writeDataHeader(out, 0, streamId, text.length, endsStream);
      return at + out.latin1Write(text, at);
    });
  }
}

async function listening(
  server: ReturnType<typeof createTcpServer> | Http2Server,
): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** The lines that node:http2 gives for these: lists are fields of their own. */
function asLines(headers: OutgoingHttpHeaders | IncomingHttpHeaders): string[] {
  return Object.entries(headers)
    .filter(([name]) => !name.startsWith(':'))
    .flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`))
    .toSorted();
}

const long = (length: number) => 'abcdefghij0123456789/-'.repeat(Math.ceil(length / 22));

const REQUESTS: readonly OutgoingHttpHeaders[] = [
  { ':path': '/', accept: '*/*', 'accept-encoding': 'gzip, deflate' },
  { ':path': '/', accept: '*/*', 'user-agent': 'peer/1', 'x-some': 'thing' },
  { ':path': '/a?b=%20', accept: '*/*', 'user-agent': 'peer/1', 'x-some': 'thing', 'x-empty': '' },
  { ':path': '/secret', authorization: 'Basic YTpi', [sensitiveHeaders]: ['authorization'] },
  { ':path': '/high', 'x-high': '\xe9\xff\x80 ~', te: 'trailers' },
  // Several frames.
  { ':path': '/long', 'x-long': long(30_000), 'x-some': 'thing' },
  ...Array.from({ length: 60 }, (_, index) => ({
    ':path': `/evict/${index}`,
    [`x-${index}`]: `${index}`.repeat(40),
    'x-some': 'thing',
    'user-agent': 'peer/1',
  })),
  { ':path': '/', accept: '*/*', 'user-agent': 'peer/1', 'x-some': 'thing' },
];

/** Heads as a backend gives them; each is answered twice. */
const RESPONSES: readonly string[] = [
  'Server: a\r\nContent-Type: text/plain\r\n',
  'Server: a\r\nContent-Type: text/plain\r\nETag: "1"\r\nX-High: \xe9\xff\r\nX-Empty:\r\n',
  `Server: a\r\nX-Long: ${long(40_000)}\r\n`,
  'Server: a\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nVary: Accept\r\nVary: Cookie\r\n',
];

function linesOf(text: string): string[] {
  return text
    .split('\r\n')
    .slice(0, -1)
    .map((line) => {
      const colon = line.indexOf(':');
      return `${line.slice(0, colon).toLowerCase()}: ${line.slice(colon + 1).trim()}`;
    })
    .toSorted();
}

test.each([4096, 0, 100, 65536])(
  'a client of node:http2 whose table has %i bytes',
  async (headerTableSize) => {
    const got: string[][] = [];
    const peers: Peer[] = [];
    const port = await listening(
      createTcpServer((socket) => {
        afterTest(() => {
          socket.destroy();
        });
        const peer = new Peer('server', socket);
        peers.push(peer);
        peer.onHead = (streamId, _endsStream, head) => {
          got.push(head);
          const fields = RESPONSES[got.length % RESPONSES.length] as string;
          const text = `HTTP/1.1 200 OK\r\n${fields}\r\n`;
          peer.writeHead(streamId, false, text, (out, at) =>
            peer.encoder.encodeResponse(out, at, text),
          );
          peer.writeData(streamId, 'hello', false);
          const trailers = 'Grpc-Status: 0\r\nX-Trailer: \xe9\r\n';
          peer.writeHead(streamId, true, trailers, (out, at) =>
            peer.encoder.encodeTrailers(out, at, trailers),
          );
        };
      }),
    );
    const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`, {
      settings: { headerTableSize, enablePush: false },
      maxSendHeaderBlockLength: 100_000,
    });
    afterTest(() => {
      session.destroy();
    });
    for (const [index, headers] of REQUESTS.entries()) {
      const stream = session.request(headers);
      const answer: { head?: IncomingHttpHeaders; trailers?: IncomingHttpHeaders } = {};
      stream.on('response', (head) => {
        answer.head = head;
      });
      stream.on('trailers', (trailers) => {
        answer.trailers = trailers;
      });
      stream.setEncoding('latin1');
      let body = '';
      for await (const chunk of stream) body += chunk;
      expect(body).toBe('hello');
      expect(answer.head?.[':status']).toBe(200);
      const fields = RESPONSES[(index + 1) % RESPONSES.length] as string;
      expect(valuesOf(answer.head)).toEqual(joined(linesOf(fields)));
      expect(valuesOf(answer.trailers)).toEqual(['grpc-status: 0', 'x-trailer: \xe9']);
    }
    expect(peers.flatMap(({ failures }) => failures)).toEqual([]);
    expect(got).toHaveLength(REQUESTS.length);
    for (const [index, headers] of REQUESTS.entries()) {
      const [line, host, ...fields] = got[index] as string[];
      expect(line).toBe(`GET ${headers[':path']} HTTP/1.1`);
      expect(host).toBe(`host: 127.0.0.1:${port}`);
      expect(fields.toSorted()).toEqual(asLines(headers));
    }
  },
);

/** node:http2 joins what stands there twice, but cookies. */
function joined(fields: readonly string[]): string[] {
  return fields.includes('vary: Accept')
    ? [...fields.filter((line) => !line.startsWith('vary')), 'vary: Accept, Cookie'].toSorted()
    : [...fields];
}

function valuesOf(headers: IncomingHttpHeaders | undefined): string[] {
  return headers === undefined ? [] : asLines(headers);
}

test.each([4096, 0, 100])(
  'a server of node:http2 whose table has %i bytes',
  async (headerTableSize) => {
    const got: { path: string; method: string; authority: string; fields: string[] }[] = [];
    const server = createServer({ settings: { headerTableSize } });
    server.on('stream', (stream, headers) => {
      got.push({
        path: String(headers[constants.HTTP2_HEADER_PATH]),
        method: String(headers[':method']),
        authority: String(headers[':authority']),
        fields: asLines(headers),
      });
      stream.on('error', () => {});
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond(
        { ':status': 201, 'x-some': 'thing', 'x-number': `${got.length}` },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end('hello');
    });
    const port = await listening(server);
    const socket = tcp(port, '127.0.0.1');
    afterTest(() => {
      socket.destroy();
    });
    await once(socket, 'connect');
    const peer = new Peer('client', socket, [2, 0]);
    const answers: string[][] = [];
    for (let round = 0; round < 30; round++) {
      const method = ['GET', 'POST', 'PROPFIND'][round % 3] as string;
      const text = `${method} /a/${round} HTTP/1.1\r\nHost: x\r\nUser-Agent: peer\r\nCookie: a=b\r\nX-Some: thing\r\nConnection: keep-alive\r\nX-${round % 5}: ${'y'.repeat(300)}\r\nX-High: \xe9\r\nX-Long: ${long(round === 7 ? 20_000 : 10)}\r\n\r\n`;
      const ended = new Promise<void>((resolve) => {
        peer.onHead = (_streamId, endsStream, head) => {
          answers.push(head);
          if (endsStream) resolve();
        };
      });
      peer.writeHead(round * 2 + 1, true, text, (out, at) =>
        peer.encoder.encodeRequest(out, at, text, {
          scheme: 'http',
          authority: `host-${round % 2}`,
          protocol: '',
        }),
      );
      await ended;
      expect(peer.failures).toEqual([]);
      expect(got.at(-1)).toEqual({
        path: `/a/${round}`,
        method,
        authority: `host-${round % 2}`,
        fields: [
          'cookie: a=b',
          'user-agent: peer',
          `x-${round % 5}: ${'y'.repeat(300)}`,
          'x-high: \xe9',
          `x-long: ${long(round === 7 ? 20_000 : 10)}`,
          'x-some: thing',
        ].toSorted(),
      });
      const [interim, final, trailers] = answers.splice(0);
      expect(interim).toEqual(['HTTP/1.1 103 Early Hints', 'link: </a>']);
      expect(final?.filter((line) => !line.startsWith('date: '))).toEqual([
        'HTTP/1.1 201 Created',
        'x-some: thing',
        `x-number: ${round + 1}`,
      ]);
      expect(trailers).toEqual(['grpc-status: 0']);
    }
    // What it did not like it would have said.
    expect(peer.told.filter((text) => /goaway|reset/.test(text))).toEqual([]);
  },
);
