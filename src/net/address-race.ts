/**
 * Connects to one of several addresses (RFC 8305 §5): they are tried in turn, the next one as soon as the last has failed, or 250 ms
 * after it was begun; the first that connects has won, and the others are closed. None is given up before: the time in
 * which the thread did not run, or a network that takes longer, costs nothing but a connection too many.
 */
import type net from 'node:net';
import type { Address } from './addresses.ts';

const NEXT_AFTER_MS = 250;

/** Where the time comes from. */
export interface RaceTimers {
  /** Milliseconds. */
  now(): number;
  /** Calls the race once, at this time. */
  set(dueMs: number, race: AddressRace): object;
  callOff(timer: object): void;
}

export interface RaceUser {
  /** Begins to connect. */
  open(address: string): net.Socket;
  /** Whether a connection that is being opened may have the file descriptor that it has got; else it fails with EMFILE. */
  mayStay(socket: net.Socket): boolean;
  /** The socket is connected and the user's. */
  onWon(socket: net.Socket, address: string): void;
  /** No address is left. */
  onLost(error: Error): void;
  onCrashed(error: unknown): void;
}

export class AddressRace {
  readonly #addresses: readonly Address[];
  readonly #user: RaceUser;
  readonly #timers: RaceTimers;
  readonly #running = new Set<net.Socket>();
  readonly #errors: Error[] = [];
  #begun = 0;
  #next: object | null = null;

  /** @param addresses at least one. */
  constructor(addresses: readonly Address[], user: RaceUser, timers: RaceTimers) {
    this.#addresses = addresses;
    this.#user = user;
    this.#timers = timers;
  }

  /** Begins with the first address, or goes on with the next. */
  begin(): void {
    const { address } = this.#addresses[this.#begun++] as Address;
    const socket = this.#user.open(address);
    this.#running.add(socket);
    // The descriptor is there right behind the attempt: a burst of them must not have all before the first one has succeeded.
    const checkDescriptor = (): void => {
      if (!this.#running.has(socket) || this.#user.mayStay(socket)) return;
      socket.destroy();
      this.#lost(socket, noDescriptor());
    };
    socket.on('connectionAttempt', () => process.nextTick(checkDescriptor));
    socket.on('error', (error) => this.#lost(socket, error));
    socket.on('close', () => this.#lost(socket, new Error('the connection closed')));
    socket.on('connect', () => this.#won(socket, address));
    if (this.#begun === this.#addresses.length) return;
    this.#next = this.#timers.set(this.#timers.now() + NEXT_AFTER_MS, this);
  }

  /** Closes all of them, and tells nobody. */
  giveUp(): void {
    this.#callOffNext();
    for (const socket of this.#running) socket.destroy();
    this.#running.clear();
  }

  onDue(): void {
    this.#next = null;
    this.begin();
  }

  onCrashed(error: unknown): void {
    this.giveUp();
    this.#user.onCrashed(error);
  }

  #won(socket: net.Socket, address: string): void {
    if (!this.#running.delete(socket)) return;
    this.giveUp();
    this.#user.onWon(socket, address);
  }

  #lost(socket: net.Socket, error: Error): void {
    if (!this.#running.delete(socket)) return;
    this.#errors.push(error);
    if (this.#begun < this.#addresses.length) {
      this.#callOffNext();
      try {
        this.begin();
      } catch (exception) {
        this.onCrashed(exception);
      }
    } else if (this.#running.size === 0) {
      const [only] = this.#errors;
      this.#user.onLost(this.#errors.length === 1 ? (only as Error) : allOf(this.#errors));
    }
  }

  #callOffNext(): void {
    if (this.#next !== null) this.#timers.callOff(this.#next);
    this.#next = null;
  }
}

function allOf(errors: readonly Error[]): AggregateError {
  return new AggregateError(errors, 'none of the addresses could be connected to');
}

/** There is one, but it is held back: see descriptors.ts. */
export function noDescriptor(): Error {
  const message = 'the last file descriptors are held back for checks and the admin API';
  return Object.assign(new Error(message), { code: 'EMFILE' });
}
