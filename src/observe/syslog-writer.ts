/**
 * Sends log lines to a syslog server, each as a message of RFC 5424, without ever making anybody wait: by UDP (RFC 5426), or over a
 * stream socket in the file system, where each ends with LF (RFC 6587 §3.4.2).
 *
 * What the system does not take in time is dropped and counted, and so is all that comes while the server is away: it is asked
 * again once a second at most.
 */
import dgram from 'node:dgram';
import net from 'node:net';

export type SyslogServer =
  | { readonly kind: 'udp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface SyslogWriterOptions {
  readonly server: SyslogServer;
  /** 0 to 23. */
  readonly facility: number;
  /** RFC 5424 §6.2: of this machine and this program. */
  readonly hostName: string;
  readonly appName: string;
  readonly maxQueueBytes?: number;
  /** Told that sending fails, once a minute at most: a datagram that was sent says nothing of what became of it. */
  readonly onError: (error: Error) => void;
  /** In ms; injected by tests. */
  readonly now?: () => number;
}

type Done = (error?: Error | null) => void;

interface Channel {
  send(message: Buffer, done: Done): void;
  close(): void;
}

const DEFAULT_QUEUE_BYTES = 8 * 1024 * 1024;
const RETRY_MS = 1_000;
const QUIET_MS = 60_000;
const INFORMATIONAL = 6;
const LINE_FEED = 0x0a;
/** What a datagram can hold over IPv4. */
const MOST_OF_DATAGRAM = 65_507;
const TIME_START = '{"time":"';
const TIME_LENGTH = 24;

export class SyslogWriter {
  readonly #options: SyslogWriterOptions;
  readonly #maxQueueBytes: number;
  readonly #now: () => number;
  /** Before and behind the time of a message. */
  readonly #start: string;
  readonly #rest: string;
  readonly #waiting: (() => void)[] = [];
  #channel: Channel | null = null;
  #queuedBytes = 0;
  #droppedLines = 0;
  #isClosed = false;
  #quietUntil = Number.NEGATIVE_INFINITY;
  #retryAt = Number.NEGATIVE_INFINITY;

  constructor(options: SyslogWriterOptions) {
    this.#options = options;
    this.#maxQueueBytes = options.maxQueueBytes ?? DEFAULT_QUEUE_BYTES;
    this.#now = options.now ?? (() => performance.now());
    const { facility, hostName, appName } = options;
    this.#start = `<${facility * 8 + INFORMATIONAL}>1 `;
    this.#rest = ` ${nameOf(hostName, 255)} ${nameOf(appName, 48)} ${process.pid} access - `;
  }

  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** Whole lines of ASCII. They are copied. */
  write(chunk: Uint8Array, lines: number): void {
    if (this.#isClosed || this.#queuedBytes + chunk.length > this.#maxQueueBytes) {
      this.#droppedLines += lines;
      return;
    }
    const channel = this.#open();
    if (channel === null) {
      this.#droppedLines += lines;
      return;
    }
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(LINE_FEED, start);
      this.#send(channel, this.#messageOf(chunk.subarray(start, end + 1)));
      start = end + 1;
    }
  }

  /** Resolves when all is sent or the time is up; what comes later is dropped. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true;
    if (this.#queuedBytes > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        timer = setTimeout(resolve, deadlineMs);
      });
      clearTimeout(timer);
    }
    this.#channel?.close();
    this.#channel = null;
  }

  #send(channel: Channel, message: Buffer): void {
    this.#queuedBytes += message.length;
    channel.send(message, (error) => {
      this.#queuedBytes -= message.length;
      if (error) {
        this.#droppedLines++;
        const { kind } = this.#options.server;
        // Why a stream is over, it tells by itself, and better; and why a channel was closed, we know.
        if (kind === 'udp' && channel === this.#channel) this.#fail(error);
      }
      if (this.#queuedBytes === 0) for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  /** @param line with its LF */
  #messageOf(line: Uint8Array): Buffer {
    const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('latin1');
    const time = text.startsWith(TIME_START)
      ? text.slice(TIME_START.length, TIME_START.length + TIME_LENGTH)
      : new Date().toISOString();
    const message = `${this.#start}${time}${this.#rest}${text}`;
    return Buffer.from(
      this.#options.server.kind === 'udp' ? message.slice(0, -1) : message,
      'latin1',
    );
  }

  #open(): Channel | null {
    if (this.#channel !== null) return this.#channel;
    const now = this.#now();
    if (now < this.#retryAt) return null;
    this.#retryAt = now + RETRY_MS;
    const { server } = this.#options;
    const lost = (error: Error): void => {
      if (this.#channel !== channel) return;
      this.#channel = null;
      channel.close();
      this.#fail(error);
    };
    const channel = server.kind === 'udp' ? datagrams(server, lost) : stream(server.path, lost);
    this.#channel = channel;
    return channel;
  }

  #fail(error: Error): void {
    const now = this.#now();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + QUIET_MS;
    this.#options.onError(error);
  }
}

function datagrams(
  { host, port }: { readonly host: string; readonly port: number },
  lost: (error: Error) => void,
): Channel {
  const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4');
  socket.unref();
  /** Null: the server has been found. */
  let early: (readonly [Buffer, Done])[] | null = [];
  const give = (message: Buffer, done: Done): void => {
    if (message.length > MOST_OF_DATAGRAM) done(new Error('a line is longer than a datagram'));
    else socket.send(message, done);
  };
  const giveUp = (error: Error): void => {
    const held = early ?? [];
    early = [];
    for (const [, done] of held) done(error);
    lost(error);
  };
  socket.on('error', giveUp);
  socket.on('connect', () => {
    const held = early ?? [];
    early = null;
    for (const [message, done] of held) give(message, done);
  });
  socket.connect(port, host);
  return {
    send(message, done) {
      if (early === null) give(message, done);
      else early.push([message, done]);
    },
    close: () => socket.close(),
  };
}

function stream(path: string, lost: (error: Error) => void): Channel {
  const socket = net.connect(path);
  socket.unref();
  socket.on('error', (error) => lost(explained(error, path)));
  socket.on('close', () => lost(new Error(`${path}: the server has closed the connection`)));
  // It has nothing to say, but its end has to be seen.
  socket.resume();
  return {
    send(message, done) {
      // Node 20 has no error for what was under way when the stream was destroyed.
      socket.write(message, (error) =>
        done(error ?? (socket.destroyed ? new Error('over') : null)),
      );
    },
    close: () => void socket.destroy(),
  };
}

function explained(error: NodeJS.ErrnoException, path: string): Error {
  if (error.code !== 'EPROTOTYPE') return error;
  return new Error(
    `${path} takes datagrams, which Node can't send over a unix socket: use udp://, or standard output, which the journal takes`,
  );
}

/** PRINTUSASCII, or the NILVALUE (RFC 5424 §6). */
function nameOf(name: string, most: number): string {
  const text = name.replace(/[^!-~]/g, '').slice(0, most);
  return text === '' ? '-' : text;
}
