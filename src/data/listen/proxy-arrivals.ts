/**
 * The way of a proxy's connection from its accept to the end of the header by which it says who its client is
 * (wire/proxy-protocol.ts). Before that, nothing is known of the client; who says something else is closed.
 */
import net from 'node:net';
import { letGo } from '../barrier.ts';
import { readResult, type TcpHandle } from '../stream/tcp-handles.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import {
  HEADER_BAD,
  HEADER_MORE,
  type ProxiedClient,
  readProxyHeader,
} from '../wire/proxy-protocol.ts';
import { leavesAtMs } from './drain-turns.ts';
import type { MayBeIdle } from './idle-clients.ts';
import { PendingInput } from './pending-input.ts';
import { ProxyFaultCount } from './proxy-faults.ts';

/** What becomes of a connection. */
export interface ProxyArrivalsUser {
  /**
   * The header is complete, and the connection is not read any more. `client` is null for a connection of the proxy's own.
   * `rest`: what has come behind it; on a socket it has yet to be read, too. `terms`: as it was accepted.
   */
  onProxied(
    connection: TcpHandle | net.Socket,
    client: ProxiedClient | null,
    rest: Buffer,
    terms: number,
  ): void;
  /** It is closed without having become one. `isBad`: it has said something else, or nothing in time. */
  onUnproxied(isBad: boolean): void;
  onCrashed(error: unknown): void;
}

export class ProxyArrivals {
  readonly #user: ProxyArrivalsUser;
  readonly #io: ThreadIo;
  readonly arriving = new Set<ProxyArrival>();
  readonly faults = new ProxyFaultCount();

  constructor(user: ProxyArrivalsUser, io: ThreadIo) {
    this.#user = user;
    this.#io = io;
  }

  /** Where this throws, the connection is still the caller's. */
  accept(connection: TcpHandle | net.Socket, nowMs: number, headMs: number, terms: number): void {
    const arrival = new ProxyArrival(this, connection, nowMs, headMs, terms);
    this.arriving.add(arrival);
    try {
      if (connection instanceof net.Socket) this.#readSocket(connection, arrival);
      else this.#readHandle(connection, arrival);
    } catch (error) {
      this.arriving.delete(arrival);
      throw error;
    }
  }

  #readHandle(handle: TcpHandle, arrival: ProxyArrival): void {
    const { shared } = this.#io;
    handle.onread = () => {
      this.#guard(arrival, () => {
        const result = readResult();
        if (result > 0) this.#take(arrival, shared, result);
        else if (result < 0) this.end(arrival, false);
      });
      return undefined;
    };
    handle.useUserBuffer(shared);
    handle.readStart();
  }

  #readSocket(socket: net.Socket, arrival: ProxyArrival): void {
    const onReadable = (): void =>
      this.#guard(arrival, () => {
        const bytes = socket.read() as Buffer | null;
        if (bytes !== null) this.#take(arrival, bytes, bytes.length);
      });
    const onClose = (): void => this.#guard(arrival, () => this.end(arrival, false));
    arrival.stopReading = () => {
      socket.removeListener('readable', onReadable);
      socket.removeListener('close', onClose);
    };
    // Followed by its close.
    if (socket.listenerCount('error') === 0) socket.on('error', () => {});
    socket.on('close', onClose);
    socket.on('readable', onReadable);
  }

  #take(arrival: ProxyArrival, buffer: Buffer, length: number): void {
    if (!this.arriving.has(arrival)) return;
    const { input } = arrival;
    input.append(buffer, 0, length);
    const bytes = input.bytes;
    const header = readProxyHeader(bytes);
    if (header.length === HEADER_MORE) return;
    if (header.length === HEADER_BAD) {
      this.#endBad(arrival, 0);
      return;
    }
    const { connection } = arrival;
    const rest = Buffer.from(bytes.subarray(header.length));
    arrival.stopReading();
    if (!(connection instanceof net.Socket)) connection.readStop();
    else if (rest.length > 0) connection.unshift(rest);
    this.arriving.delete(arrival);
    this.#user.onProxied(connection, header.client, rest, arrival.terms);
  }

  #guard(arrival: ProxyArrival, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#user.onCrashed(error);
      letGo(() => this.end(arrival, false));
    }
  }

  tick(nowMs: number): void {
    for (const arrival of this.arriving) {
      if (arrival.deadlineMs <= nowMs) this.#endBad(arrival, arrival.headMs);
    }
  }

  #endBad(arrival: ProxyArrival, waitedMs: number): void {
    this.faults.add(arrival.connection, arrival.input.bytes, waitedMs);
    this.end(arrival, true);
  }

  /** Closes it, if it is on its way yet. */
  end(arrival: ProxyArrival, isBad: boolean): void {
    if (!this.arriving.delete(arrival)) return;
    const { connection } = arrival;
    arrival.stopReading();
    if (connection instanceof net.Socket) connection.destroy();
    else connection.close();
    this.#user.onUnproxied(isBad);
  }

  /** Those that have had their time to speak. */
  endSilent(nowMs: number): void {
    for (const arrival of this.arriving) {
      const isSilent = arrival.input.length === 0;
      if (isSilent && leavesAtMs(arrival, nowMs) <= nowMs) this.end(arrival, false);
    }
  }

  destroy(): void {
    for (const arrival of this.arriving) this.end(arrival, false);
  }
}

class ProxyArrival implements MayBeIdle {
  readonly connection: TcpHandle | net.Socket;
  readonly input = new PendingInput();
  readonly deadlineMs: number;
  readonly headMs: number;
  readonly terms: number;
  readonly idleSinceMs: number;
  readonly hasServed = false;
  stopReading: () => void = () => {};
  readonly #arrivals: ProxyArrivals;

  constructor(
    arrivals: ProxyArrivals,
    connection: TcpHandle | net.Socket,
    nowMs: number,
    headMs: number,
    terms: number,
  ) {
    this.#arrivals = arrivals;
    this.connection = connection;
    this.idleSinceMs = nowMs;
    this.headMs = headMs;
    this.terms = terms;
    this.deadlineMs = nowMs + headMs;
  }

  makeRoom(): boolean {
    this.#arrivals.end(this, false);
    return true;
  }
}
