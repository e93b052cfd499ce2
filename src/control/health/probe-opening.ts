/** The way to a health check's connection: the addresses of a host, tried as for requests (data/stream/connect.ts). */
import net from 'node:net';
import tls from 'node:tls';
import type { BackendAddress } from '../../config/settings.ts';
import { AddressRace, type RaceTimers, type RaceUser } from '../../net/address-race.ts';
import {
  type Address,
  askSystem,
  atPath,
  interleaved,
  literalAddress,
  notFound,
} from '../../net/addresses.ts';
import { type ProbeTerms, tlsOptions } from './probe-tls.ts';

export interface OpeningUser {
  /** It is connected; over TLS, the handshake begins. */
  onSocket(socket: net.Socket): void;
  onOpeningFailed(error: Error): void;
}

/** One that comes late, because the process stood still, begins an attempt too many, and gives none up. */
const TIMERS: RaceTimers = {
  now: () => performance.now(),
  set: (dueMs, race) =>
    setTimeout(() => {
      try {
        race.onDue();
      } catch (error) {
        race.onCrashed(error);
      }
    }, dueMs - performance.now()),
  callOff: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

export class ProbeOpening implements RaceUser {
  /** Nobody waits for who knows the addresses. */
  isResolved = false;
  readonly #target: BackendAddress;
  readonly #terms: ProbeTerms;
  readonly #header: Buffer | null;
  readonly #user: OpeningUser;
  #race: AddressRace | null = null;
  #isOver = false;

  /** @param header what is sent first, before TLS. */
  constructor(target: BackendAddress, terms: ProbeTerms, header: Buffer | null, user: OpeningUser) {
    this.#target = target;
    this.#header = header;
    this.#terms = terms;
    this.#user = user;
  }

  begin(): void {
    const { host, socketPath } = this.#target;
    try {
      if (socketPath !== '') {
        this.#resolved(null, atPath(socketPath));
        return;
      }
      const literal = literalAddress(host);
      if (literal === null) askSystem(host, (error, found) => this.#resolved(error, found));
      else this.#resolved(null, literal);
    } catch (error) {
      this.onCrashed(error);
    }
  }

  /** Silently. */
  giveUp(): void {
    this.#isOver = true;
    this.#race?.giveUp();
  }

  #resolved(error: Error | null, found: readonly Address[]): void {
    if (this.#isOver) return;
    this.isResolved = true;
    if (error !== null || found.length === 0) {
      this.onLost(error ?? notFound(this.#target.host));
      return;
    }
    try {
      this.#race = new AddressRace(interleaved(found), this, TIMERS);
      this.#race.begin();
    } catch (exception) {
      this.onCrashed(exception);
    }
  }

  /** Verified as the connections of requests are. */
  open(address: string): net.Socket {
    const { host, port, tls: isTls, socketPath } = this.#target;
    const options =
      socketPath === '' ? { host: address, port, noDelay: true } : { path: socketPath };
    const secured = isTls && socketPath === '' ? tlsOptions(host, this.#terms) : null;
    if (secured !== null && this.#header === null) return tls.connect({ ...options, ...secured });
    const socket = net.connect(options);
    // It goes out as soon as the socket is connected, before what is put on top of that.
    if (this.#header !== null) socket.write(this.#header);
    return secured === null ? socket : tls.connect({ socket, ...secured });
  }

  /** What is held back of the descriptors is held back for checks, too: see data/descriptors.ts. */
  mayStay(): boolean {
    return true;
  }

  onWon(socket: net.Socket): void {
    this.#isOver = true;
    this.#user.onSocket(socket);
  }

  onLost(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#user.onOpeningFailed(error);
  }

  onCrashed(error: unknown): void {
    this.#race?.giveUp();
    this.onLost(error instanceof Error ? error : new Error(String(error)));
  }
}
