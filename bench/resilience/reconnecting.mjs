/** Clients that come on a connection of their own for each request, and what became of them. */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { exactly } from './figure.mjs';

/** The system has some 28,000 ports for clients, and keeps each of them for a minute. */
const PAUSE_MS = 150;
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

export class Reconnecting {
  static count = 64;

  #outcomes = new Map();
  #isOver = false;
  #clients;

  constructor(port) {
    this.#clients = Array.from({ length: Reconnecting.count }, async () => {
      while (!this.#isOver) {
        const outcome = await answerAt(port);
        this.#outcomes.set(outcome, this.#of(outcome) + 1);
        await sleep(PAUSE_MS);
      }
    });
  }

  async stop() {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  get requests() {
    return [...this.#outcomes.values()].reduce((sum, one) => sum + one, 0);
  }

  /** That nothing was lost. */
  figures() {
    return [
      exactly('connections that were reset', this.#of('ECONNRESET') + this.#of('cut off'), 0),
      exactly('connections that were refused', this.#of('ECONNREFUSED'), 0),
      exactly('requests that were not answered with 200', this.requests - this.#of('200'), 0),
    ];
  }

  #of(outcome) {
    return this.#outcomes.get(outcome) ?? 0;
  }
}

/** @returns {Promise<string>} the status, or what went wrong */
function answerAt(port) {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.write(GET)).setEncoding('latin1');
    socket.on('data', (more) => {
      text += more;
    });
    socket.on('error', ({ code }) => resolve(code));
    socket.on('close', () => resolve(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 'cut off'));
  });
}
