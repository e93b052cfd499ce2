/** What every ByteStream does, whatever carries it: the same cases for TCP handles and for Node's sockets. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as netConnect, type Socket } from 'node:net';
import tls from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { ByteStream } from '../../src/data/stream/byte-stream.ts';
import { type ConnectUser, connect, takeHandle } from '../../src/data/stream/connect.ts';
import { awaitFirstBytes } from '../../src/data/stream/first-bytes.ts';
import { SocketStream } from '../../src/data/stream/socket-stream.ts';
import { TcpStream } from '../../src/data/stream/tcp-stream.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { hasTlsHandles, type TlsHandle } from '../../src/data/stream/tls-handles.ts';
import {
  type AcceptTerms,
  acceptTls,
  beginTls,
  encodeProtocols,
} from '../../src/data/stream/tls-handshake.ts';
import { TlsStream } from '../../src/data/stream/tls-stream.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;

/** Writes down what a stream says. */
class Recorder implements ConnectUser {
  readonly events: string[] = [];
  readonly #chunks: Buffer[] = [];
  bytes = 0;
  onEachRead: ((buffer: Buffer, length: number) => void) | null = null;
  mayConnect = true;

  mayHave(): boolean {
    return this.mayConnect;
  }

  onBytes(buffer: Buffer, length: number): void {
    this.bytes += length;
    if (this.onEachRead !== null) this.onEachRead(buffer, length);
    else this.#chunks.push(Buffer.from(buffer.subarray(0, length)));
  }
  clear(): void {
    this.bytes = 0;
    this.events.length = 0;
    this.#chunks.length = 0;
  }
  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }
  onEnd(): void {
    this.events.push('end');
  }
  onDrain(): void {
    this.events.push('drain');
  }
  onWriteFailed(detail: string): void {
    this.events.push(`write failed: ${detail}`);
  }
  onClosed(detail: string): void {
    this.events.push(`closed: ${detail}`);
  }
  onCrashed(error: unknown): void {
    throw error;
  }
  onConnected(): void {}
  onConnectFailed(error: Error): void {
    this.events.push(`connect failed: ${error.message}`);
  }
}

interface Pair {
  readonly stream: ByteStream;
  readonly user: Recorder;
  /** The other side, paused. */
  readonly peer: Socket;
  /** What the peer's bytes go through: over TLS a socket of its own. */
  readonly carrier: Socket;
}

type Open = (io: ThreadIo) => Promise<Pair>;

async function listening(): Promise<{ port: number; accepted: Promise<Socket> }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const accepted = once(server, 'connection').then(([socket]) => socket as Socket);
  return { port: (server.address() as AddressInfo).port, accepted };
}

function ready(stream: ByteStream, user: Recorder, peer: Socket, carrier: Socket): Pair {
  for (const socket of [peer, carrier]) socket.on('error', () => {});
  afterTest(() => {
    stream.destroy();
    peer.destroy();
    carrier.destroy();
  });
  return { stream, user, peer, carrier };
}

async function connected(io: ThreadIo): Promise<Pair> {
  const { port, accepted } = await listening();
  const user = new Recorder();
  const stream = await new Promise<ByteStream>((resolve) => {
    user.onConnected = (made?: ByteStream) => made && resolve(made);
    connect({ host: '127.0.0.1', port, tls: false }, user, io);
  });
  expect(stream).toBeInstanceOf(TcpStream);
  const peer = await accepted;
  return ready(stream, user, peer, peer);
}

async function connectedOnSocket(): Promise<Pair> {
  const { port, accepted } = await listening();
  const user = new Recorder();
  const socket = netConnect({ host: '127.0.0.1', port, allowHalfOpen: true });
  await once(socket, 'connect');
  const stream = new SocketStream(socket, user, false);
  const peer = await accepted;
  return ready(stream, user, peer, peer);
}

/** A TLS client, and what its server has accepted. */
async function tlsClient(): Promise<{ peer: tls.TLSSocket; carrier: Socket; accepted: Socket }> {
  const { port, accepted } = await listening();
  const carrier = netConnect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const peer = tls.connect({ socket: carrier, rejectUnauthorized: false });
  return { peer, carrier, accepted: await accepted };
}

function contextOf(): tls.SecureContext {
  const { cert_file, key_file } = makeCertificate();
  return tls.createSecureContext({ cert: readFileSync(cert_file), key: readFileSync(key_file) });
}

async function acceptedOverTls(io: ThreadIo): Promise<Pair> {
  const context = contextOf();
  const { peer, carrier, accepted } = await tlsClient();
  const handle = takeHandle(accepted);
  if (handle === null || !hasTlsHandles()) throw new Error('no handles');
  const user = new Recorder();
  const secured = new Promise<ByteStream>((resolve, reject) => {
    const onCrashed = reject;
    const onHandshakeFailed = () => reject(new Error('the handshake failed'));
    const onSecure = (secure: TlsHandle) => resolve(new TlsStream(secure, user, io));
    const onFirstBytes = (bytes: Buffer) => {
      const terms: AcceptTerms = {
        context,
        protocols: encodeProtocols(['http/1.1']),
        clientCertificates: 'none',
        staple: null,
      };
      acceptTls(handle, terms, Buffer.from(bytes), io, { onSecure, onHandshakeFailed, onCrashed });
    };
    awaitFirstBytes(handle, io, { onFirstBytes, onNothing: onHandshakeFailed, onCrashed });
  });
  const [stream] = await Promise.all([secured, once(peer, 'secureConnect')]);
  await settled(stream, user, peer);
  return ready(stream, user, peer, carrier);
}

async function acceptedOverTlsOnSocket(): Promise<Pair> {
  const secureContext = contextOf();
  const { peer, carrier, accepted } = await tlsClient();
  const user = new Recorder();
  const socket = new tls.TLSSocket(accepted, { isServer: true, secureContext });
  await Promise.all([once(socket, 'secure'), once(peer, 'secureConnect')]);
  const stream = new SocketStream(socket, user, false);
  await settled(stream, user, peer);
  return ready(stream, user, peer, carrier);
}

/** A TLS server's side of a connection that is made to it, and what that must trust. */
async function tlsServer(): Promise<{
  port: number;
  peer: Promise<Pick<Pair, 'peer' | 'carrier'>>;
  ca: Buffer;
}> {
  const { cert_file, key_file } = makeCertificate();
  const ca = readFileSync(cert_file);
  const secureContext = tls.createSecureContext({ cert: ca, key: readFileSync(key_file) });
  const { port, accepted } = await listening();
  const peer = accepted.then(async (carrier) => {
    const socket = new tls.TLSSocket(carrier, { isServer: true, secureContext });
    await once(socket, 'secure');
    return { peer: socket, carrier };
  });
  return { port, peer, ca };
}

async function connectedOverTls(io: ThreadIo): Promise<Pair> {
  const { port, peer: accepted, ca } = await tlsServer();
  const socket = netConnect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  const carrier = takeHandle(socket);
  if (carrier === null || !hasTlsHandles()) throw new Error('no handles');
  const user = new Recorder();
  const terms = {
    context: tls.createSecureContext({ ca }),
    protocols: encodeProtocols(['http/1.1']),
    verifies: true,
    scope: '',
    nameOf: (name: string) => name,
  };
  const secured = new Promise<ByteStream>((resolve, reject) => {
    const onSecure = (secure: TlsHandle) => resolve(new TlsStream(secure, user, io));
    const handshake = { onSecure, onHandshakeFailed: reject, onCrashed: reject };
    beginTls(carrier, terms, { host: 'localhost', port }, io, handshake);
  });
  const [stream, { peer, carrier: below }] = await Promise.all([secured, accepted]);
  await settled(stream, user, peer);
  return ready(stream, user, peer, below);
}

async function connectedOverTlsOnSocket(): Promise<Pair> {
  const { port, peer: accepted, ca } = await tlsServer();
  const socket = tls.connect({
    host: 'localhost',
    port,
    ca,
    allowHalfOpen: true,
  } as tls.ConnectionOptions);
  await once(socket, 'secureConnect');
  const user = new Recorder();
  const stream = new SocketStream(socket, user, false);
  const { peer, carrier } = await accepted;
  await settled(stream, user, peer);
  return ready(stream, user, peer, carrier);
}

/** Out of the handshake's last step, and either side has read its tickets. */
async function settled(stream: ByteStream, user: Recorder, peer: Socket): Promise<void> {
  await soon();
  stream.writeText('ready');
  await once(peer, 'readable');
  peer.read();
  peer.write('ready');
  await waitFor(() => user.bytes === 5);
  user.clear();
}

function pair(open: Open, io = new ThreadIo()): Promise<Pair> {
  return open(io);
}

function soon(): Promise<unknown> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Also where TLS runs over it: then the socket itself ends in order. */
function reset(carrier: Socket): void {
  (carrier as unknown as { _handle: { reset: () => void } })._handle.reset();
}

function gather(peer: Socket): { bytes: () => Buffer; ended: Promise<unknown> } {
  const chunks: Buffer[] = [];
  peer.on('data', (chunk: Buffer) => chunks.push(chunk));
  peer.resume();
  return { bytes: () => Buffer.concat(chunks), ended: once(peer, 'end') };
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const WRITE_FAILED = /^write failed: write (EPIPE|ECONNRESET)$/;

describe.each<readonly [string, Open, string, RegExp]>([
  ['on a TCP handle', connected, 'ECONNRESET', WRITE_FAILED],
  ['on a socket', connectedOnSocket, 'ECONNRESET', WRITE_FAILED],
  ['over TLS on a handle, connected,', connectedOverTls, 'ECONNRESET', WRITE_FAILED],
  ['over TLS on a handle, accepted,', acceptedOverTls, 'ECONNRESET', WRITE_FAILED],
  // It ends without close_notify; and once it has read, it goes on for a read although it is paused.
  ['over TLS on a socket, connected,', connectedOverTlsOnSocket, 'end', /ECONNRESET|EPIPE/],
  ['over TLS on a socket, accepted,', acceptedOverTlsOnSocket, 'end', /ECONNRESET|EPIPE/],
])('a stream %s', (_name, open, resetAs, failsAs) => {
  test('sends texts, bytes and corked pieces in the order they were written', async () => {
    const { stream, peer } = await pair(open);
    const sent = gather(peer);
    stream.writeText('a');
    stream.writeText('\xe9');
    stream.writeBytes(Buffer.from('b'));
    stream.writeText('c');
    stream.cork();
    stream.writeText('d');
    stream.writeBytes(Buffer.from('e'));
    stream.writeText('f');
    stream.uncork();
    const borrowed = Buffer.from('-g-');
    stream.writeBorrowed(borrowed, 1, 2);
    borrowed.fill(0);
    stream.cork();
    stream.writeText('h');
    stream.uncork();
    stream.end();
    await sent.ended;
    expect(sent.bytes().toString('latin1')).toBe('a\xe9bcdefgh');
  });

  test('hands over what arrives, then the end, and can still write', async () => {
    const { stream, user, peer } = await pair(open);
    const answer = gather(peer);
    peer.end('all of it');
    await waitFor(() => user.events.includes('end'));
    expect(user.received.toString()).toBe('all of it');
    stream.writeText('and an answer');
    stream.end();
    await answer.ended;
    expect(answer.bytes().toString()).toBe('and an answer');
    await waitFor(() => user.events.length === 2);
    expect(user.events).toEqual(['end', 'closed: the connection closed']);
  });

  test('asks to stop while the peer does not read, says when to go on, and loses nothing', async () => {
    const { stream, user, peer } = await pair(open);
    const piece = randomBytes(256 * 1024);
    let pieces = 0;
    while (!stream.needsDrain && pieces < 400) {
      stream.writeBytes(piece);
      pieces++;
      await soon();
    }
    expect(stream.needsDrain).toBe(true);
    expect(stream.unsentBytes).toBeGreaterThan(0);
    // A socket's own buffer may have been full, and empty again.
    expect(user.events.filter((event) => event !== 'drain')).toEqual([]);
    user.events.length = 0;
    const sent = gather(peer);
    await waitFor(() => user.events.includes('drain'));
    expect(stream.needsDrain).toBe(false);
    stream.end();
    await sent.ended;
    const all = Buffer.concat(Array.from({ length: pieces }, () => piece));
    expect(digest(sent.bytes())).toBe(digest(all));
  });

  test('asks to stop as well where what the peer does not read comes in short texts', async () => {
    const { stream, user, peer } = await pair(open);
    const piece = 'a short piece: '.repeat(256);
    let pieces = 0;
    while (!stream.needsDrain && pieces < 16_000) {
      stream.writeText(piece);
      pieces++;
      await soon();
    }
    expect(stream.needsDrain).toBe(true);
    expect(stream.heldBytes).toBeLessThan(MIB);
    user.events.length = 0;
    const sent = gather(peer);
    await waitFor(() => user.events.includes('drain'));
    expect(stream.needsDrain).toBe(false);
    stream.end();
    await sent.ended;
    expect(sent.bytes().length).toBe(pieces * piece.length);
  });

  test('reads nothing while it is paused', async () => {
    const { stream, user, peer } = await pair(open);
    stream.pause();
    const isFlushed = new Promise((resolve) => peer.write('later', resolve));
    await isFlushed;
    await soon();
    expect(user.bytes).toBe(0);
    stream.resume();
    await waitFor(() => user.bytes === 5);
  });

  test('says nothing any more once it has been destroyed in the middle of a read', async () => {
    const { stream, user, peer } = await pair(open);
    user.onEachRead = () => stream.destroy();
    peer.write('x');
    const closed = once(peer, 'end');
    peer.resume();
    await closed;
    peer.destroy();
    await soon();
    expect(user.events).toEqual([]);
    expect(user.bytes).toBe(1);
  });

  test('sends what was written before it is destroyed', async () => {
    const { stream, peer } = await pair(open);
    const sent = gather(peer);
    stream.writeText('last words');
    stream.destroy();
    stream.writeText('too late');
    await sent.ended;
    expect(sent.bytes().toString()).toBe('last words');
  });

  test('resets', async () => {
    const { stream, peer } = await pair(open);
    const outcome = new Promise((resolve) => {
      peer.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
      peer.on('end', () => resolve('end'));
    });
    peer.resume();
    stream.reset();
    expect(await outcome).toBe(resetAs);
  });

  test('tells a reset from an end', async () => {
    const { stream, user, carrier } = await pair(open);
    expect(stream.isReset).toBe(false);
    reset(carrier);
    await waitFor(() => user.events.length > 0);
    expect(user.events).toEqual(['closed: read ECONNRESET']);
  });

  test('tells of a failed write later, never within it, and once', async () => {
    const { stream, user, carrier } = await pair(open);
    stream.pause();
    reset(carrier);
    await soon();
    for (let round = 0; round < 100 && user.events.length === 0; round++) {
      stream.writeBytes(Buffer.alloc(1024));
      stream.writeText('more');
      expect(user.events).toEqual([]);
      await soon();
    }
    stream.writeText('and more');
    await soon();
    expect(user.events.filter((event) => failsAs.test(event))).toHaveLength(1);
    expect(user.events[0]).toMatch(failsAs);
  });
});

/** Relays as the data path does: what can't be sent stops the reading. */
async function relay(bytes: Buffer, peerReads: (peer: Socket) => void): Promise<Buffer> {
  const io = new ThreadIo();
  const from = await pair(connected, io);
  const to = await pair(connected, io);
  from.user.onEachRead = (buffer, length) => {
    to.stream.writeBorrowed(buffer, 0, length);
    if (to.stream.needsDrain) from.stream.pause();
  };
  to.user.onDrain = () => from.stream.resume();
  from.user.onEnd = () => to.stream.end();
  const sent = gather(to.peer);
  peerReads(to.peer);
  from.peer.end(bytes);
  await sent.ended;
  return sent.bytes();
}

describe('a large body from one stream to another', () => {
  test('arrives whole at a peer that keeps up', async () => {
    const bytes = randomBytes(24 * MIB);
    expect(digest(await relay(bytes, () => {}))).toBe(digest(bytes));
  });

  test('arrives whole at a peer that stops and goes on: what waits is not overwritten', async () => {
    const bytes = randomBytes(24 * MIB);
    const received = await relay(bytes, (peer) => {
      let reads = 0;
      peer.on('data', () => {
        if (reads++ % 20 !== 0) return;
        peer.pause();
        setImmediate(() => setImmediate(() => peer.resume()));
      });
    });
    expect(digest(received)).toBe(digest(bytes));
  });

  test('does not mix with what other connections read meanwhile', async () => {
    const io = new ThreadIo();
    const from = await pair(connected, io);
    const to = await pair(connected, io);
    const others = await Promise.all([1, 2, 3].map(() => pair(connected, io)));
    from.user.onEachRead = (buffer, length) => {
      to.stream.writeBorrowed(buffer, 0, length);
      if (to.stream.needsDrain) from.stream.pause();
    };
    to.user.onDrain = () => from.stream.resume();
    from.user.onEnd = () => to.stream.end();
    const noise = randomBytes(2 * MIB);
    const bytes = randomBytes(12 * MIB);
    for (const { peer } of others) peer.end(noise);
    from.peer.end(bytes);
    // Nobody reads for now: everything that can wait, waits.
    await waitFor(() => others.every(({ user }) => user.events.includes('end')));
    const sent = gather(to.peer);
    await sent.ended;
    expect(digest(sent.bytes())).toBe(digest(bytes));
    for (const { user } of others) expect(digest(user.received)).toBe(digest(noise));
  });
});

test('a connection that cannot be made says why, once', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const user = new Recorder();
  connect({ host: '127.0.0.1', port, tls: false }, user, new ThreadIo());
  await waitFor(() => user.events.length > 0);
  expect(user.events).toEqual([`connect failed: connect ECONNREFUSED 127.0.0.1:${port}`]);
});

test('a connection that is given up says nothing', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const user = new Recorder();
  const { port } = server.address() as AddressInfo;
  connect({ host: '127.0.0.1', port, tls: false }, user, new ThreadIo()).cancel();
  const probe = netConnect(port, '127.0.0.1');
  await once(probe, 'connect');
  probe.destroy();
  expect(user.events).toEqual([]);
});

test('a stream that is destroyed in the middle of a large read gives its memory back, once', async () => {
  const io = new ThreadIo();
  const { stream, user, peer } = await pair(connected, io);
  let reads = 0;
  user.onEachRead = () => {
    if (++reads === 5) stream.destroy();
  };
  peer.write(Buffer.alloc(4 * MIB));
  await waitFor(() => reads === 5);
  expect(io.chunksInUse).toBe(0);
  const chunks = [io.take(), io.take(), io.take()];
  expect(new Set(chunks).size).toBe(3);
});

async function readLarge(onEachRead: (stream: ByteStream) => void): Promise<ThreadIo> {
  const io = new ThreadIo();
  const { stream, user, peer } = await pair(connected, io);
  user.onEachRead = () => onEachRead(stream);
  const bytes = Buffer.alloc(4 * MIB);
  peer.write(bytes);
  await waitFor(() => user.bytes === bytes.length);
  return io;
}

describe('memory lent to a connection that has carried a large body', () => {
  test('is given back when it rests, after whichever read', async () => {
    const io = await readLarge((stream) => stream.rest());
    expect(io.chunksInUse).toBe(0);
  });

  test('stays while more is expected', async () => {
    const io = await readLarge(() => {});
    expect(io.chunksInUse).toBeLessThanOrEqual(1);
  });
});
