/** What leaves together behind a TLS write, and when the thread has its memory back. */
import { expect, test } from 'vitest';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { TlsWaiting } from '../../src/data/stream/tls-waiting.ts';
import type { TlsWriter } from '../../src/data/stream/tls-writer.ts';

const LONG = 40_000;

/** Tells writes by their lengths: those of one buffer as a number, of pieces as a list. */
function stage() {
  const io = new ThreadIo();
  const waiting = new TlsWaiting(io);
  const writes: unknown[] = [];
  const writer = {
    writeBytes: ({ length }: Buffer) => void writes.push(length),
    writePieces: (pieces: readonly (string | Buffer)[]) =>
      void writes.push(pieces.map(({ length }) => length)),
  } as unknown as TlsWriter;
  const addLent = (): void => {
    const chunk = io.take();
    waiting.add(chunk.bytes.subarray(0, LONG), chunk);
    io.giveBack(chunk);
  };
  return { io, waiting, writes, writer, addLent };
}

test('a long piece leaves alone, short ones leave together', () => {
  const { waiting, writes, writer } = stage();
  waiting.add('text', null);
  waiting.add(Buffer.alloc(10), null);
  waiting.add(Buffer.alloc(LONG), null);
  waiting.add('more', null);
  waiting.add('text', null);
  expect(waiting.bytes).toBe(LONG + 22);
  const lengths = [];
  while (!waiting.isEmpty) lengths.push(waiting.writeNext(writer, false));
  expect(writes).toEqual([[4, 10], LONG, [4, 4]]);
  expect(lengths).toEqual([14, LONG, 8]);
  expect(waiting.bytes).toBe(0);
});

test('all leaves at once where there is but one chance', () => {
  const { waiting, writes, writer, addLent, io } = stage();
  waiting.add('text', null);
  addLent();
  waiting.add('more', null);
  expect(waiting.writeNext(writer, true)).toBe(LONG + 8);
  expect(writes).toEqual([[4, LONG, 4]]);
  expect([waiting.isEmpty, io.chunksInUse]).toEqual([true, 0]);
});

test('a chunk is the thread’s again once it has been written, or nothing of it will leave', () => {
  const { waiting, writer, addLent, io } = stage();
  addLent();
  addLent();
  addLent();
  expect(io.chunksInUse).toBe(3);
  waiting.writeNext(writer, false);
  expect(io.chunksInUse).toBe(2);
  waiting.clear();
  expect([io.chunksInUse, waiting.bytes, waiting.isEmpty]).toEqual([0, 0, true]);
});

test('a write that fails, and lets all that waits go, gives a chunk back once', () => {
  const { waiting, addLent, io } = stage();
  addLent();
  addLent();
  const failing = { writeBytes: () => waiting.clear() } as unknown as TlsWriter;
  waiting.writeNext(failing, false);
  expect(io.chunksInUse).toBe(0);
  expect(io.take().writes).toBe(0);
});
