/**
 * A sender that is faster than we are was read up to 32 times in one turn of the event loop. With chunks of one byte, whose
 * reads take long, everybody else waited for all of them: six such senders made a small request take 400 ms.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { ByteStream } from '../../src/data/stream/byte-stream.ts';
import { type ConnectUser, connect } from '../../src/data/stream/connect.ts';
import { LONG_MS } from '../../src/data/stream/reading.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { afterTest } from '../support/after-test.ts';
import { waitFor } from '../support/wait-for.ts';

const BYTES = 16 * 1024 * 1024;

class Reader implements ConnectUser {
  bytes = 0;
  stream: ByteStream | null = null;
  readonly #onRead: (length: number) => void;

  constructor(onRead: (length: number) => void) {
    this.#onRead = onRead;
  }

  mayHave(): boolean {
    return true;
  }
  onConnected(stream: ByteStream): void {
    this.stream = stream;
  }
  onConnectFailed(error: Error): void {
    throw error;
  }
  onBytes(_buffer: Buffer, length: number): void {
    this.bytes += length;
    this.#onRead(length);
  }
  onEnd(): void {}
  onDrain(): void {}
  onWriteFailed(): void {}
  onClosed(): void {}
  onCrashed(error: unknown): void {
    throw error;
  }
}

function spin(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

test('long reads come one in a turn, and all bytes come', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    socket.end(Buffer.alloc(BYTES));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const io = new ThreadIo();
  let isOver = false;
  const readsInTurns: number[] = [];
  let reads = 0;
  const nextTurn = (): void => {
    readsInTurns.push(reads);
    reads = 0;
    if (!isOver) setImmediate(nextTurn);
  };
  const readers = Array.from({ length: 3 }, () => {
    const reader = new Reader((length) => {
      if (length < 4 * 1024) return;
      reads++;
      spin(2 * LONG_MS);
    });
    connect({ host: '127.0.0.1', port, tls: false }, reader, io);
    return reader;
  });
  afterTest(() => {
    isOver = true;
    for (const { stream } of readers) stream?.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  setImmediate(nextTurn);
  await waitFor(() => readers.every(({ bytes }) => bytes === BYTES), 15_000);
  isOver = true;
  // Each of them has one read before it is known to be dear.
  expect(Math.max(...readsInTurns)).toBeLessThanOrEqual(readers.length);
  const afterFirst = readsInTurns.filter((count) => count > 0).slice(readers.length);
  expect(Math.max(...afterFirst)).toBe(1);
});

test('one that is paused while it waits for its turn stays paused, and reads on when it may', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(Buffer.alloc(BYTES));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const reader = new Reader(() => {
    spin(2 * LONG_MS);
    reader.stream?.pause();
  });
  connect({ host: '127.0.0.1', port, tls: false }, reader, new ThreadIo());
  afterTest(() => {
    reader.stream?.destroy();
    server.close();
  });
  await waitFor(() => reader.bytes > 0);
  const before = reader.bytes;
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(reader.bytes).toBe(before);
  reader.stream?.resume();
  await waitFor(() => reader.bytes > before);
});
