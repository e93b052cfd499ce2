/**
 * Reads a socket as a script does: "give me what comes up to this marker". Every byte stays recorded, whoever has
 * read it; every wait is bounded.
 */
import type { Socket } from 'node:net';

const DEFAULT_WAIT_MS = 15_000;

/** How the other side ended: `end` for a FIN, an error's code (`ECONNRESET`) for a reset, `destroyed` by this side. */
export type SocketEnd = 'end' | 'destroyed' | (string & {});

/**
 * On Node 20 a reset right behind the last bytes is reported as an end. The kernel knows better: what was reset has no peer
 * any more, unless this side has ended it as well.
 */
export function isReset(socket: Socket): boolean {
  return !socket.writableEnded && socket.remoteAddress === undefined;
}

export class ByteReader {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #cursor = 0;
  #end: SocketEnd | undefined;
  #wake: (() => void)[] = [];
  /** Resolves once the other side has ended. This side may still have to end: sockets here are half-open. */
  readonly closed: Promise<SocketEnd>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      const ended = (how: SocketEnd): void => {
        this.#end ??= how;
        this.#wakeAll();
        resolve(this.#end);
      };
      socket.on('error', (error: NodeJS.ErrnoException) => ended(error.code ?? error.message));
      socket.on('end', () => ended(isReset(socket) ? 'ECONNRESET' : 'end'));
      socket.on('close', () => ended('destroyed'));
    });
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#wakeAll();
    });
  }

  /** Every byte that ever arrived. */
  get received(): Buffer {
    if (this.#chunks.length > 0) {
      this.#bytes = Buffer.concat([this.#bytes, ...this.#chunks.splice(0)]);
    }
    return this.#bytes;
  }

  /** Every byte that ever arrived, as Latin-1 text. */
  get text(): string {
    return this.received.toString('latin1');
  }

  /** Whether the other side has ended (it may have left bytes to read). */
  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Reads on up to and including `marker`. Throws when the socket ends or `ms` pass before it comes. */
  async readUntil(marker: string, ms = DEFAULT_WAIT_MS): Promise<string> {
    const end = await this.#wait(
      () => {
        const at = this.received.indexOf(marker, this.#cursor, 'latin1');
        return at === -1 ? undefined : at + Buffer.byteLength(marker, 'latin1');
      },
      ms,
      JSON.stringify(marker),
    );
    return this.#take(end).toString('latin1');
  }

  /** Reads exactly `count` bytes on. */
  async readBytes(count: number, ms = DEFAULT_WAIT_MS): Promise<Buffer> {
    const end = this.#cursor + count;
    await this.#wait(() => (this.received.length >= end ? end : undefined), ms, `${count} bytes`);
    return this.#take(end);
  }

  /** Reads everything until the other side ends; `closed` says how it did. */
  async readToEnd(ms = DEFAULT_WAIT_MS): Promise<Buffer> {
    await this.#wait(() => (this.isEnded ? true : undefined), ms, 'the end of the connection');
    return this.#take(this.received.length);
  }

  #take(end: number): Buffer {
    const bytes = this.received.subarray(this.#cursor, end);
    this.#cursor = end;
    return bytes;
  }

  async #wait<T>(probe: () => T | undefined, ms: number, what: string): Promise<T> {
    const deadline = performance.now() + ms;
    for (;;) {
      const value = probe();
      if (value !== undefined) return value;
      const left = deadline - performance.now();
      if (this.#end !== undefined || left <= 0) {
        const why = this.#end === undefined ? `within ${ms} ms` : `before the end (${this.#end})`;
        const unread = this.received.subarray(this.#cursor).toString('latin1');
        throw new Error(`${what} did not come ${why}; unread: ${JSON.stringify(unread)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Stops taking bytes from the socket, so that the sender meets backpressure. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
