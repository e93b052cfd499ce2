/**
 * The connection under an HTTP/2 session of `fairlead try`, which sees on its way what ends streams. node:http2 does not tell an answer
 * that is complete from one that its server has given up with RST_STREAM and NO_ERROR: both have an end, and no error.
 */
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';

/** What a request fails with where the server has chosen another protocol, or says something else. */
export const NO_HTTP2 = 'NO_HTTP2';

const FRAME_HEADER_BYTES = 9;
const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const END_STREAM = 1;

type Done = (error?: Error | null) => void;

export class Http2Wire extends Duplex {
  readonly #socket: net.Socket;
  /** Of the frame that is coming, as far as it is here. */
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** What is to come of its payload. */
  #payloadBytes = 0;
  #hasBegun = false;
  readonly #ended = new Set<number>();

  constructor(url: URL, terms: tls.ConnectionOptions) {
    super();
    const socket = connect(url, terms);
    this.#socket = socket;
    // A WINDOW_UPDATE that waits for others keeps the server waiting.
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      this.#look(bytes);
      if (!this.destroyed && !this.push(bytes)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    if (!(socket instanceof tls.TLSSocket)) return;
    socket.on('secureConnect', () => {
      if (socket.alpnProtocol === 'h2') return;
      this.#isOther();
    });
  }

  /** Whether the server has ended this stream with its answer. To be asked once. */
  hasEnded(streamId: number | undefined): boolean {
    return streamId !== undefined && this.#ended.delete(streamId);
  }

  #isOther(): void {
    this.destroy(Object.assign(new Error('The server does not speak HTTP/2.'), { code: NO_HTTP2 }));
  }

  /** RFC 9113 §4.1: END_STREAM is a flag of DATA and HEADERS. */
  #look(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      const passed = Math.min(this.#payloadBytes, bytes.length - at);
      this.#payloadBytes -= passed;
      at += passed;
      const from = this.#headerBytes;
      const taken = Math.min(FRAME_HEADER_BYTES - from, bytes.length - at);
      bytes.copy(this.#header, from, at, at + taken);
      at += taken;
      this.#headerBytes += taken;
      if (this.#headerBytes < FRAME_HEADER_BYTES) return;
      this.#headerBytes = 0;
      this.#frame(this.#header);
    }
  }

  #frame(header: Buffer): void {
    this.#payloadBytes = header.readUIntBE(0, 3);
    const [type, flags = 0] = header.subarray(3, 5);
    // RFC 9113 §3.4: what a server begins with.
    if (!this.#hasBegun && type !== SETTINGS) this.#isOther();
    this.#hasBegun = true;
    const ends = (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0;
    if (ends) this.#ended.add(header.readUInt32BE(5));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: Done): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    done(error);
  }
}

function connect({ protocol, hostname, port }: URL, terms: tls.ConnectionOptions): net.Socket {
  // Of an IPv6 address, a URL has brackets around it.
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (protocol !== 'https:') return net.connect({ host, port: Number(port || 80) });
  return tls.connect({
    host,
    port: Number(port || 443),
    ALPNProtocols: ['h2'],
    ...terms,
    // No name, where it is an address (RFC 6066 §3).
    ...(net.isIP(host) === 0 && { servername: host }),
  });
}
