/** Clients that keep their connections, send one request at a time, and never send a request twice. */
import net from 'node:net';

/** Nothing that Fairlead does may leave a client waiting for so long. */
const PATIENCE_MS = 20_000;

/**
 * @typedef {object} Answer
 * @property {number} status 0: none came whole
 * @property {string} head
 * @property {string} error why there is none; empty if there is
 * @property {number} startMs when the request was sent, on the precise clock
 * @property {number} durationMs until the last byte of the answer
 */

export class Client {
  #port;
  /** @type {net.Socket | null} */
  #socket = null;
  #text = '';
  /** Settles the request under way. */
  #settle = null;

  constructor(port) {
    this.#port = port;
  }

  /**
   * Never rejects: what goes wrong is the answer. Bodies are delimited by Content-Length, as Fairlead's own are and
   * those of the experiments.
   * @returns {Promise<Answer>}
   */
  request(text) {
    const startMs = performance.now();
    return new Promise((resolve) => {
      const patience = setTimeout(() => this.#giveUp(), PATIENCE_MS);
      this.#settle = (status, head, error) => {
        clearTimeout(patience);
        resolve({ status, head, error, startMs, durationMs: performance.now() - startMs });
      };
      this.#socket ??= this.#connect();
      this.#socket.write(text, 'latin1');
    });
  }

  close() {
    this.#socket?.destroy();
  }

  #connect() {
    const socket = net.connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    const gone = (why) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#finish(0, '', why);
    };
    this.#text = '';
    socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1');
      this.#read(socket);
    });
    socket.on('error', (error) => gone(error.code ?? error.message));
    socket.on('close', () => gone('closed'));
    return socket;
  }

  #read(socket) {
    const end = this.#text.indexOf('\r\n\r\n');
    if (end === -1) return;
    const head = this.#text.slice(0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#text.length < end + 4 + length) return;
    this.#text = this.#text.slice(end + 4 + length);
    if (/\r\nconnection: close/i.test(head)) {
      this.#socket = null;
      socket.destroy();
    }
    this.#finish(Number(head.slice(9, 12)), head, '');
  }

  #finish(status, head, error) {
    const settle = this.#settle;
    this.#settle = null;
    settle?.(status, head, error);
  }

  #giveUp() {
    this.#socket?.destroy();
    this.#socket = null;
    this.#finish(0, '', 'no answer in time');
  }
}

/**
 * As many requests as `next` gives, over so many connections, each with one request at a time.
 * @param {number} port
 * @param {number} connections
 * @param {(connection: number) => string | null | Promise<string | null>} next the next request; null: this
 *   connection has none left
 * @param {(answer: Answer, request: string) => void} onAnswer
 */
export async function load(port, connections, next, onAnswer) {
  await Promise.all(
    Array.from({ length: connections }, async (_, connection) => {
      const client = new Client(port);
      for (;;) {
        const request = await next(connection);
        if (request === null) break;
        onAnswer(await client.request(request), request);
      }
      client.close();
    }),
  );
}

/** A request head without a body. */
export function get(path, fields = []) {
  return [`GET ${path} HTTP/1.1`, 'Host: resilience', ...fields, '', ''].join('\r\n');
}

/** A request with a small body. */
export function post(path, fields = []) {
  const head = [`POST ${path} HTTP/1.1`, 'Host: resilience', ...fields, 'Content-Length: 5'];
  return `${head.join('\r\n')}\r\n\r\nhello`;
}

/** The port of the backend that answered; undefined: Fairlead itself. */
export function backendOf({ head }) {
  const [, port] = /x-backend: (\d+)/i.exec(head) ?? [];
  return port === undefined ? undefined : Number(port);
}
