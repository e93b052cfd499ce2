/**
 * Who may hold a connection to the admin API: whoever asks something. A connection that waits for its client (for a
 * request, for the rest of one, for an answer to be read) goes when the room is needed, the longest wait first. So nobody
 * can keep probes and operators out by opening connections, whether one address opens many or many open a few.
 */
import type { Socket } from 'node:net';
import type { Logger } from '../../observe/logger.ts';
import { blockOf } from './address-block.ts';

const MOST_CONNECTIONS = 512;
const MOST_PER_ADDRESS = 32;
/** What has just come may have its request on the way: a hundred calls at once are no attack. */
const LEAST_WAIT_MS = 1000;
const QUIET_MS = 60_000;

interface Connection {
  readonly socket: Socket;
  readonly address: string;
  waitsSince: number;
  /** Calls that are worked on. */
  calls: number;
}

export interface AdminConnectionsOptions {
  readonly log: Logger;
  /** In ms; never goes back. */
  readonly now?: () => number;
}

export class AdminConnections {
  readonly #log: Logger;
  readonly #now: () => number;
  /** The longest wait first. */
  readonly #connections = new Map<Socket, Connection>();
  readonly #perAddress = new Map<string, number>();
  #quietUntil = 0;

  constructor({ log, now = () => performance.now() }: AdminConnectionsOptions) {
    this.#log = log;
    this.#now = now;
  }

  /** Makes room for it; where there is none, because all others are worked for, it is closed. */
  admit(socket: Socket): void {
    const address = blockOf(socket.remoteAddress ?? '');
    const connection = { socket, address, waitsSince: this.#now(), calls: 0 };
    this.#connections.set(socket, connection);
    this.#perAddress.set(address, this.#countOf(address) + 1);
    socket.once('close', () => this.#forget(connection));
    const longSince = this.#now() - LEAST_WAIT_MS;
    while (this.#countOf(address) > MOST_PER_ADDRESS) {
      const oldest = this.#longestWait((other) => other.address === address);
      if (oldest === undefined || oldest.waitsSince > longSince) break;
      this.#close(oldest);
    }
    if (this.#connections.size <= MOST_CONNECTIONS) return;
    const most = Math.max(...this.#perAddress.values());
    const oldest =
      this.#longestWait((other) => this.#countOf(other.address) === most) ?? this.#longestWait();
    this.#close(oldest ?? connection);
  }

  /** Its client has said all: until `done`, it is Fairlead that works. */
  begin(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection !== undefined) connection.calls++;
  }

  done(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    connection.calls--;
    connection.waitsSince = this.#now();
    this.#connections.delete(socket);
    this.#connections.set(socket, connection);
  }

  #countOf(address: string): number {
    return this.#perAddress.get(address) ?? 0;
  }

  #longestWait(among: (connection: Connection) => boolean = () => true): Connection | undefined {
    for (const connection of this.#connections.values()) {
      if (connection.calls === 0 && among(connection)) return connection;
    }
    return undefined;
  }

  #close(connection: Connection): void {
    const { address, socket } = connection;
    const now = this.#now();
    if (now >= this.#quietUntil) {
      this.#quietUntil = now + QUIET_MS;
      this.#log.warn(
        'admin.crowded',
        `too many connections to the admin API: those that wait for their client are closed, one of ${address} first`,
        { address, of_address: this.#countOf(address), open: this.#connections.size },
      );
    }
    this.#forget(connection);
    socket.destroy();
  }

  #forget({ socket, address }: Connection): void {
    if (!this.#connections.delete(socket)) return;
    const left = this.#countOf(address) - 1;
    if (left > 0) this.#perAddress.set(address, left);
    else this.#perAddress.delete(address);
  }
}
