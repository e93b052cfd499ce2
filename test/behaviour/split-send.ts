/** Sends bytes whole and split at every byte, over many connections at once, and tells what the client saw. */
import { connect } from 'node:net';
import { isReset, type SocketEnd } from '../support/byte-reader.ts';

export interface Seen {
  /** Everything that came back, as Latin-1 text. */
  readonly text: string;
  /** How the proxy ended the connection: `end` is a FIN; `open`: not within the time. */
  readonly end: SocketEnd | 'open';
}

/** The second part of a split message follows this much later, so that the proxy has read the first one by itself. */
const SPLIT_GAP_MS = 2;
const ANSWER_MS = 10_000;
const AT_ONCE = 32;

/** Writes the parts one after the other, each once the one before has left, then reads until the proxy closes. */
export function sendParts(
  port: number,
  parts: readonly Buffer[],
  ms: number = ANSWER_MS,
): Promise<Seen> {
  return new Promise((resolve) => {
    // A connection for each of thousands: one that is over is destroyed here, not after the test.
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    const chunks: Buffer[] = [];
    const settle = (end: Seen['end']): void => {
      clearTimeout(timer);
      clearTimeout(gap);
      socket.destroy();
      resolve({ text: Buffer.concat(chunks).toString('latin1'), end });
    };
    let gap: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => settle('open'), ms);
    const write = (index: number): void => {
      const part = parts[index];
      if (part === undefined) return;
      socket.write(part, () => {
        gap = setTimeout(() => write(index + 1), SPLIT_GAP_MS);
      });
    };
    socket.on('connect', () => write(0));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => settle(isReset(socket) ? 'ECONNRESET' : 'end'));
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
}

/** `[0, length]` in two parts, at every place; the whole comes first. */
export function everySplit(bytes: Buffer): Buffer[][] {
  const splits = Array.from({ length: Math.max(0, bytes.length - 1) }, (_, index) => [
    bytes.subarray(0, index + 1),
    bytes.subarray(index + 1),
  ]);
  return [[bytes], ...splits];
}

/** Runs the jobs, so many at once; results in the order of the jobs. */
export async function inParallel<T, R>(
  jobs: readonly T[],
  run: (job: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < jobs.length; index = next++) {
      results[index] = await run(jobs[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

/** Sends the bytes whole and at every split, each on a connection of its own. */
export function sendEverySplit(port: number, bytes: Buffer): Promise<Seen[]> {
  return inParallel(everySplit(bytes), (parts) => sendParts(port, parts));
}
