/**
 * Writes log lines to one file descriptor without ever making anybody wait.
 *
 * Chunks queue up to a bound while the one write under way has not come back; past the bound, access lines are dropped
 * and counted. A disk that fails or a reader that went away is counted and reported once, never fatal.
 *
 * Pipes and sockets are written through libuv's non-blocking streams: a write(2) of the thread pool that waits for a
 * reader who stopped reading could not be called off, and would keep the process from exiting. Files and terminals
 * are written in the thread pool.
 */
import fs from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';

const DEFAULT_QUEUE_BYTES = 8 * 1024 * 1024;

/** Chunks gathered into one write. */
const BATCH_BYTES = 64 * 1024;

const MODE = 0o640;
/** Without waiting: a named pipe that nobody reads would keep whoever opens it until somebody does. Files know no waiting. */
const APPENDING =
  fs.constants.O_WRONLY |
  fs.constants.O_APPEND |
  fs.constants.O_CREAT |
  (fs.constants.O_NONBLOCK ?? 0);

const LINE_END = Buffer.from('\n');

export interface LogWriterOptions {
  /** An open descriptor (1: standard output), or a path that is appended to. */
  readonly target: number | string;
  readonly maxQueueBytes?: number;
  /** Told the first time that writing fails, and again after it worked in between. */
  readonly onError?: (error: Error) => void;
}

type Done = (error: Error | null) => void;
/** With how many bytes at the end were not written. */
type Written = (error: Error | null, left: number) => void;
/** Called once, when a chunk is written or given up. */
type Release = () => void;

interface Entry {
  readonly chunk: Uint8Array;
  readonly lines: number;
  readonly release: Release;
}

interface Batch {
  readonly bytes: Uint8Array;
  readonly entries: readonly Entry[];
}

function nothing(): void {}

export class LogWriter {
  readonly #target: number | string;
  readonly #maxQueueBytes: number;
  readonly #onError: (error: Error) => void;
  readonly #waiting: (() => void)[] = [];
  /** The path is to be opened anew: whoever asked for it. */
  #reopened: Done[] = [];
  #fd: number | undefined;
  #stream: net.Socket | undefined;
  #isOwnStream = false;
  #queue: Entry[] = [];
  #queuedBytes = 0;
  #isWriting = false;
  #isFailing = false;
  /** Writing failed in the middle of a line: the next one must not go on where it ends. */
  #isTorn = false;
  #isGone = false;
  #droppedLines = 0;
  #errors = 0;

  /** @throws the system's error when a path can't be opened for appending. */
  constructor(options: LogWriterOptions) {
    this.#target = options.target;
    this.#maxQueueBytes = options.maxQueueBytes ?? DEFAULT_QUEUE_BYTES;
    this.#onError = options.onError ?? (() => {});
    if (typeof this.#target === 'string') {
      this.#fd = openForAppending(this.#target);
      this.#isTorn = endsTorn(this.#target, this.#fd);
    } else {
      this.#open(this.#target);
    }
  }

  /** Lines that were never written, for want of room or because writing failed. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  get errors(): number {
    return this.#errors;
  }

  /**
   * Queues whole lines, which must not be changed before `release` is called. `isExpendable` lines (the access log) go
   * overboard when the queue is full; others have twice the room.
   */
  write(chunk: Uint8Array, lines: number, isExpendable: boolean, release: Release = nothing): void {
    const room = isExpendable ? this.#maxQueueBytes : 2 * this.#maxQueueBytes;
    if (this.#isGone || this.#queuedBytes + chunk.length > room) {
      this.#droppedLines += lines;
      release();
      return;
    }
    this.#queue.push({ chunk, lines, release });
    this.#queuedBytes += chunk.length;
    this.#next();
  }

  /**
   * Opens the path anew before the next write: log rotation moved the old file away. Resolves to why not, if it can't be opened:
   * lines go on into the old one, then.
   */
  reopen(): Promise<Error | null> {
    if (typeof this.#target !== 'string' || this.#isGone) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#reopened.push(resolve);
      this.#next();
    });
  }

  /** Resolves when all is written or the time is up; true when all is written. */
  async flush(deadlineMs: number): Promise<boolean> {
    if (!this.#isWriting) return true;
    let timer: NodeJS.Timeout | undefined;
    const isWritten = await Promise.race([
      new Promise<true>((resolve) => this.#waiting.push(() => resolve(true))),
      new Promise<false>((resolve) => {
        timer = setTimeout(() => resolve(false), deadlineMs);
      }),
    ]);
    clearTimeout(timer);
    return isWritten;
  }

  /** Flushes and closes. Later lines are dropped. */
  async close(deadlineMs: number): Promise<void> {
    const isWritten = await this.flush(deadlineMs);
    this.#isGone = true;
    // Standard output itself stays open: it is not ours alone.
    if (this.#isOwnStream) this.#stream?.destroy();
    if (isWritten && typeof this.#target === 'string' && this.#fd !== undefined) {
      fs.closeSync(this.#fd);
      this.#fd = undefined;
    }
  }

  #open(fd: number): void {
    this.#fd = fd;
    let stat: fs.Stats;
    try {
      stat = fs.fstatSync(fd);
    } catch {
      // A closed descriptor: the first write says so.
      return;
    }
    if (stat.isFIFO()) this.#stream = this.#ownStream(fd);
    else if (stat.isSocket())
      this.#stream = new net.Socket({ fd, readable: false, writable: true });
    if (this.#stream === undefined) return;
    this.#isOwnStream = stat.isFIFO();
    this.#stream.unref();
    this.#stream.on('error', (error) => this.#fail(error));
  }

  /**
   * Opens the pipe a second time, so that only our end is non-blocking: the first one is shared with whoever else
   * writes to it (`2>&1`). Undefined where the system can't: then the thread pool writes.
   */
  #ownStream(fd: number): net.Socket | undefined {
    try {
      const own = fs.openSync(`/dev/fd/${fd}`, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
      return new net.Socket({ fd: own, readable: false, writable: true });
    } catch {
      return undefined;
    }
  }

  #next(): void {
    if (this.#isWriting || this.#isGone) return;
    if (this.#reopened.length > 0) {
      this.#reopenNow();
      return;
    }
    const batch = this.#takeBatch();
    if (batch === undefined) {
      for (const wake of this.#waiting.splice(0)) wake();
      return;
    }
    this.#isWriting = true;
    this.#put(batch.bytes, (error, left) => {
      this.#isWriting = false;
      if (error === null) {
        this.#isFailing = false;
      } else {
        this.#droppedLines += linesLost(batch, left);
        this.#fail(error);
      }
      for (const { release } of batch.entries) release();
      this.#next();
    });
  }

  #takeBatch(): Batch | undefined {
    const first = this.#queue[0];
    if (first === undefined) return undefined;
    let count = 0;
    let length = 0;
    for (const { chunk } of this.#queue) {
      if (count > 0 && length + chunk.length > BATCH_BYTES) break;
      count++;
      length += chunk.length;
    }
    const entries = this.#queue.splice(0, count);
    this.#queuedBytes -= length;
    if (entries.length === 1) return { bytes: first.chunk, entries };
    return {
      bytes: Buffer.concat(
        entries.map(({ chunk }) => chunk),
        length,
      ),
      entries,
    };
  }

  #put(bytes: Uint8Array, done: Written): void {
    const fd = this.#fd;
    if (this.#stream !== undefined) {
      this.#stream.write(bytes, (error) => done(error ?? null, bytes.length));
    } else if (fd === undefined) {
      done(new Error('the log is not open'), bytes.length);
    } else if (this.#isTorn) {
      fs.fstat(fd, (error, stat) => {
        // Another file by now, or emptied by whoever rotates it.
        this.#isTorn = error !== null || stat.size > 0;
        this.#putToFile(fd, this.#isTorn ? Buffer.concat([LINE_END, bytes]) : bytes, done);
      });
    } else {
      this.#putToFile(fd, bytes, done);
    }
  }

  #putToFile(fd: number, bytes: Uint8Array, done: Written): void {
    fs.write(fd, bytes, (error, written) => {
      // A disk that is full takes what it has room for, and refuses the rest.
      if (error === null && written > 0) this.#isTorn = bytes[written - 1] !== LINE_END[0];
      // The reader of a named pipe takes its time; once all is given up, nobody waits for it.
      if (error?.code === 'EAGAIN' && !this.#isGone) {
        setTimeout(() => this.#putToFile(fd, bytes, done), 20);
      } else if (error !== null) {
        done(error, bytes.length);
      } else if (written < bytes.length) {
        this.#putToFile(fd, bytes.subarray(written), done);
      } else {
        done(null, 0);
      }
    });
  }

  #reopenNow(): void {
    const asked = this.#reopened;
    this.#reopened = [];
    this.#isWriting = true;
    fs.open(this.#target as string, APPENDING, MODE, (error, fd) => {
      this.#isWriting = false;
      if (error === null) {
        const old = this.#fd;
        this.#fd = fd;
        if (old !== undefined) fs.close(old, () => {});
      }
      for (const tell of asked) tell(error);
      this.#next();
    });
  }

  #fail(error: Error): void {
    this.#errors++;
    // Nobody reads any more, and nobody will: `fairlead | head`.
    if (this.#stream !== undefined) this.#giveUp();
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#onError(error);
  }

  #giveUp(): void {
    this.#isGone = true;
    for (const { lines, release } of this.#queue) {
      this.#droppedLines += lines;
      release();
    }
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Whether a path can be appended to, without making it. @throws what opening it would, or nearly so */
export function tryAppending(path: string): void {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  const { W_OK, X_OK } = fs.constants;
  if (stat === undefined) fs.accessSync(dirname(path), W_OK | X_OK);
  // Who reads it would see its end.
  else if (stat.isFIFO()) fs.accessSync(path, W_OK);
  else fs.closeSync(openForAppending(path));
}

/** @throws the system's error, or what it means here */
function openForAppending(path: string): number {
  try {
    return fs.openSync(path, APPENDING, MODE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    const what = fs.statSync(path).isFIFO()
      ? 'is a pipe that nobody reads'
      : `is no file (the socket of a syslog server is unix:${path})`;
    throw new Error(`${path} ${what}`, { cause: error });
  }
}

/** As one before has left it: killed, or on a disk that was full. */
function endsTorn(path: string, fd: number): boolean {
  const { size } = fs.fstatSync(fd);
  if (size === 0) return false;
  let reading: number | undefined;
  try {
    reading = fs.openSync(path, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0));
    const last = Buffer.alloc(1);
    return fs.readSync(reading, last, 0, 1, size - 1) === 1 && !last.equals(LINE_END);
  } catch {
    // Not to be read: it is taken for whole.
    return false;
  } finally {
    if (reading !== undefined) fs.closeSync(reading);
  }
}

function linesLost({ bytes, entries }: Batch, left: number): number {
  const lines = entries.reduce((sum, entry) => sum + entry.lines, 0);
  const out = bytes.subarray(0, Math.max(0, bytes.length - left));
  const whole = out.reduce((sum, byte) => (byte === LINE_END[0] ? sum + 1 : sum), 0);
  return Math.max(0, lines - whole);
}
