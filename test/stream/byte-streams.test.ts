/** What every ByteStream does, whatever carries it: the same cases for TCP handles and for Node's sockets. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as netConnect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { ByteStream } from '../../src/data/stream/byte-stream.ts';
import { type ConnectUser, connect } from '../../src/data/stream/connect.ts';
import { SocketStream } from '../../src/data/stream/socket-stream.ts';
import { TcpStream } from '../../src/data/stream/tcp-stream.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { afterTest } from '../support/after-test.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;

/** Writes down what a stream says. */
class Recorder implements ConnectUser {
  readonly events: string[] = [];
  readonly #chunks: Buffer[] = [];
  bytes = 0;
  onEachRead: ((buffer: Buffer, length: number) => void) | null = null;

  onBytes(buffer: Buffer, length: number): void {
    this.bytes += length;
    if (this.onEachRead !== null) this.onEachRead(buffer, length);
    else this.#chunks.push(Buffer.from(buffer.subarray(0, length)));
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
}

type OpenStream = (port: number, user: Recorder, io: ThreadIo) => Promise<ByteStream>;

const openOnHandle: OpenStream = (port, user, io) =>
  new Promise((resolve) => {
    user.onConnected = (stream: ByteStream = {} as ByteStream) => {
      expect(stream).toBeInstanceOf(TcpStream);
      resolve(stream);
    };
    connect({ host: '127.0.0.1', port, tls: false }, user, io);
  });

const openOnSocket: OpenStream = async (port, user) => {
  const socket = netConnect({ host: '127.0.0.1', port, allowHalfOpen: true });
  await once(socket, 'connect');
  return new SocketStream(socket, user, false);
};

async function pair(open: OpenStream, io = new ThreadIo()): Promise<Pair> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const user = new Recorder();
  const stream = await open((server.address() as AddressInfo).port, user, io);
  const [peer] = await accepted;
  peer.on('error', () => {});
  afterTest(() => {
    stream.destroy();
    peer.destroy();
    server.close();
  });
  return { stream, user, peer };
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

describe.each([
  ['on a TCP handle', openOnHandle],
  ['on a socket', openOnSocket],
])('a stream %s', (_name, open) => {
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
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(stream.needsDrain).toBe(true);
    expect(stream.unsentBytes).toBeGreaterThan(0);
    expect(user.events).toEqual([]);
    const sent = gather(peer);
    await waitFor(() => user.events.includes('drain'));
    expect(stream.needsDrain).toBe(false);
    stream.end();
    await sent.ended;
    const all = Buffer.concat(Array.from({ length: pieces }, () => piece));
    expect(digest(sent.bytes())).toBe(digest(all));
  });

  test('reads nothing while it is paused', async () => {
    const { stream, user, peer } = await pair(open);
    stream.pause();
    const isFlushed = new Promise((resolve) => peer.write('later', resolve));
    await isFlushed;
    await new Promise((resolve) => setImmediate(resolve));
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
    await new Promise((resolve) => setImmediate(resolve));
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
    const failed = once(peer, 'error');
    peer.resume();
    stream.reset();
    const [error] = (await failed) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
  });

  test('tells a reset from an end', async () => {
    const { stream, user, peer } = await pair(open);
    expect(stream.isReset).toBe(false);
    peer.resetAndDestroy();
    await waitFor(() => user.events.length > 0);
    expect(user.events).toEqual(['closed: read ECONNRESET']);
  });

  test('tells of a failed write later, never within it, and once', async () => {
    const { stream, user, peer } = await pair(open);
    stream.pause();
    peer.resetAndDestroy();
    await once(peer, 'close');
    for (let round = 0; round < 100 && user.events.length === 0; round++) {
      stream.writeBytes(Buffer.alloc(1024));
      stream.writeText('more');
      expect(user.events).toEqual([]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    stream.writeText('and more');
    await new Promise((resolve) => setImmediate(resolve));
    expect(user.events.filter((event) => event.startsWith('write failed'))).toHaveLength(1);
    expect(user.events[0]).toMatch(/^write failed: write (EPIPE|ECONNRESET)$/);
  });
});

/** Relays as the data path does: what can't be sent stops the reading. */
async function relay(bytes: Buffer, peerReads: (peer: Socket) => void): Promise<Buffer> {
  const io = new ThreadIo();
  const from = await pair(openOnHandle, io);
  const to = await pair(openOnHandle, io);
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
    const from = await pair(openOnHandle, io);
    const to = await pair(openOnHandle, io);
    const others = await Promise.all([1, 2, 3].map(() => pair(openOnHandle, io)));
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
  const { stream, user, peer } = await pair(openOnHandle, io);
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
  const { stream, user, peer } = await pair(openOnHandle, io);
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
