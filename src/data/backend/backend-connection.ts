/**
 * One connection to a backend: connects, carries one attempt at a time, waits idle in between.
 *
 * The bytes a user is given are borrowed and gone when the call returns. What must be kept is copied.
 */
import type { ErrorCode } from '../../errors.ts';
import type { BackendCounters } from '../../snapshot/counters.ts';
import type { PoolTimeouts } from '../../snapshot/policies.ts';
import type { BackendSnapshot } from '../../snapshot/snapshot.ts';
import { letGo, type Victim } from '../barrier.ts';
import type { ByteStream } from '../stream/byte-stream.ts';
import type { ClientTerms } from '../stream/client-terms.ts';
import { type Connecting, type ConnectUser, connect } from '../stream/connect.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import type { HeadLimits } from '../wire/head-parser.ts';
import { describeConnectError, isOutOfDescriptors } from './connect-errors.ts';
import type { Settling } from './second-look.ts';

/** How long one may be kept. */
export type KeepTerms = Pick<PoolTimeouts, 'backendKeepAliveMs' | 'backendMaxAgeMs'>;

/** The backend that a connection leads to, as far as the connection knows it. */
export interface ConnectionOwner {
  readonly spec: BackendSnapshot;
  /** Of its answers. */
  readonly headLimits: HeadLimits;
  readonly counters: BackendCounters;
  /** Of TLS, as they are now. */
  readonly terms: ClientTerms;
  /** About 1, and never the same for long: what was opened together does not grow old together. */
  nextAgeShare(): number;
  /** An idle connection has closed by itself. */
  forget(connection: BackendConnection): void;
  /** The backend has closed it while it was idle: it is forgotten. */
  idleEnded(connection: BackendConnection): void;
  /** Called once for each. */
  onConnectionClosed(connection: BackendConnection): void;
  /** Take back a connection that may be used again: see backend.ts. */
  putIdle(connection: BackendConnection, nowMs: number, terms: KeepTerms, limit: number): void;
  keepPinned(connection: BackendConnection, nowMs: number, terms: KeepTerms): void;
  /** Whether a new connection may have this file descriptor. */
  mayConnect(descriptor: number): boolean;
  /**
   * Gives the file descriptor of a client back that nobody uses; not that of a connection to a backend, over which the request
   * may go if this one can't be made. @returns false if there is none
   */
  makeRoom(): boolean;
  /** An exception that belongs to no request. */
  crashed(error: unknown): void;
}

/** Whoever has the connection: told everything that happens on it until it is released or closed. */
export interface ConnectionUser {
  /** Who pays for an exception that comes out of what this is told. */
  readonly victim: Victim | null;
  onBackendConnected(): void;
  onBackendConnectFailed(code: ErrorCode, detail: string): void;
  /** Bytes arrived in `buffer[0, length)`, borrowed for the length of the call. */
  onBackendBytes(buffer: Buffer, length: number): void;
  /** The backend will send nothing more. `isBroken`: not by its FIN, so what came may lack its end. */
  onBackendEnd(detail: string, isBroken: boolean): void;
  /** Writing failed; reading may go on. */
  onBackendWriteFailed(detail: string): void;
  /** What was written has left; more may be written. */
  onBackendDrain(): void;
  /** The backend is taken out of use, and what is under way there is not waited for. */
  onBackendCutOff(): void;
}

const IS_CONNECTING = 0;
const IS_OPEN = 1;
const IS_CLOSED = 2;

export class BackendConnection implements ConnectUser, Settling {
  readonly backend: ConnectionOwner;
  readonly #io: ThreadIo;
  /** It may yet be tried once more, if descriptors are short. */
  #hasSecondTry = true;
  /** While idle: when it must not be used any more, on the precise clock: the backend's own goes on while we stand still. */
  idleUntilMs = 0;
  /** Since when it is, on the same clock. */
  idleSinceMs = 0;
  /** Of the last response that left it open: what its Keep-Alive field says, in ms; Infinity when it says nothing. */
  keepAliveLimitMs = Number.POSITIVE_INFINITY;
  /** On the precise clock too. */
  openedAtMs = 0;
  /** Of `backendMaxAgeMs`, how much of it is this one's. */
  readonly ageShare: number;
  /** Which of the backend's it leads to; empty for a Unix socket. */
  address = '';
  /** What it has chosen to speak (ALPN); empty: it was not asked, or did not say. */
  protocol = '';
  /** Of TLS, when it was opened. */
  readonly terms: ClientTerms;
  /** The backend's name does not lead there any more, or its terms are others: not to be used again. */
  isOutdated = false;
  hasWriteFailed = false;
  /** A client proves on it who it is: see backend-pin.ts. */
  isPrivate = false;
  /** Of the last response: it had no body by rule; its fields spoke of one. */
  isBodyless = false;
  announcesBody = false;
  isSettling = false;
  /** What has been said of its client; null: it may be anybody's. */
  readonly header: Buffer | null;

  #user: ConnectionUser | null;
  /** Who pays for what the user is being told, also if that has released the connection by then. */
  #told: Victim | null = null;
  #state = IS_CONNECTING;
  #connecting: Connecting | null;
  #stream: ByteStream | null = null;

  /** @param header what is said of its client first: it is for no other, and for one request. */
  constructor(
    backend: ConnectionOwner,
    user: ConnectionUser,
    io: ThreadIo,
    header: Buffer | null = null,
    terms = backend.terms,
  ) {
    this.backend = backend;
    this.ageShare = backend.nextAgeShare();
    this.#io = io;
    this.#user = user;
    this.terms = terms;
    this.header = header;
    this.#connecting = connect(backend.spec, this, io, this.terms, header);
  }

  /** Gives it to its next user: an idle one to a request, one that has switched protocols to a tunnel. */
  assign(user: ConnectionUser): void {
    this.#user = user;
  }

  /** The user is done with it; whatever comes now is unsolicited. The caller puts it into the pool or closes it. */
  release(): void {
    this.#user = null;
  }

  /** Latin-1 text. */
  writeText(text: string): void {
    this.#stream?.writeText(text);
  }

  /** The bytes must stay untouched from now on. */
  writeBytes(bytes: Buffer): void {
    this.#stream?.writeBytes(bytes);
  }

  /** Writes `buffer[start, end)`, which is the caller's again when this returns. */
  writeBorrowed(buffer: Buffer, start: number, end: number): void {
    this.#stream?.writeBorrowed(buffer, start, end);
  }

  cork(): void {
    this.#stream?.cork();
  }

  uncork(): void {
    this.#stream?.uncork();
  }

  /** Everything that was written has left. */
  get isFlushed(): boolean {
    return this.#stream === null || this.#stream.isFlushed;
  }

  /** Bytes in user space that wait to leave. */
  get unsentBytes(): number {
    return this.#stream === null ? 0 : this.#stream.unsentBytes;
  }

  get heldBytes(): number {
    return this.#stream === null ? 0 : this.#stream.heldBytes;
  }

  get needsDrain(): boolean {
    return this.#stream !== null && this.#stream.needsDrain;
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  /** Within a read: no more bytes are expected for a while. */
  rest(): void {
    this.#stream?.rest();
  }

  /** Sends FIN after what was written. For tunnels: a request's end is never signalled by closing. */
  end(): void {
    this.#stream?.end();
  }

  /** Upgraded connections live long: let the system notice a dead peer. */
  enableTcpKeepAlive(): void {
    this.#stream?.enableTcpKeepAlive(60_000);
  }

  /** See `ByteStream`. */
  get hasBareEnd(): boolean {
    return this.#stream?.hasBareEnd === true;
  }

  get isClosed(): boolean {
    return this.#state === IS_CLOSED;
  }

  /** When it is too old to be used once more, on the precise clock. @param maxAgeMs 0: never */
  oldAtMs(maxAgeMs: number): number {
    return maxAgeMs === 0 ? Number.POSITIVE_INFINITY : this.openedAtMs + maxAgeMs * this.ageShare;
  }

  /** @returns whether there is anything to cut. */
  cutOff(): boolean {
    const user = this.#user;
    if (user === null) return false;
    this.backend.counters.requestsCut(1);
    user.onBackendCutOff();
    return true;
  }

  /** Closes at once and tells nobody. */
  destroy(): void {
    this.#user = null;
    this.#close();
  }

  // ── What the stream says ────────────────────────────────────────────────────────────────────────────────────────

  mayHave(descriptor: number): boolean {
    return this.backend.mayConnect(descriptor);
  }

  onConnected(stream: ByteStream, address: string, protocol: string): void {
    this.#state = IS_OPEN;
    this.address = address;
    this.protocol = protocol;
    // It was begun with what was known then.
    this.isOutdated ||= address !== '' && !this.#io.lookups.mayBe(this.backend.spec.host, address);
    this.openedAtMs = performance.now();
    this.#connecting = null;
    this.#stream = stream;
    const user = this.#user;
    this.#told = victimOf(user);
    user?.onBackendConnected();
    this.#told = null;
  }

  onConnectFailed(error: Error): void {
    if (this.#hasSecondTry && isOutOfDescriptors(error) && this.backend.makeRoom()) {
      this.#hasSecondTry = false;
      this.#connecting = connect(this.backend.spec, this, this.#io, this.terms, this.header);
      return;
    }
    const user = this.#user;
    this.destroy();
    if (user === null) return;
    this.#told = user.victim;
    const { code, detail } = describeConnectError(error);
    user.onBackendConnectFailed(code, detail);
    this.#told = null;
  }

  onBytes(buffer: Buffer, length: number): void {
    // Bytes that nobody asked for would be taken for the next response (undici GHSA-35p6-xmwp-9g52).
    const user = this.#user;
    if (user === null) {
      this.#leavePool();
      return;
    }
    this.#told = user.victim;
    user.onBackendBytes(buffer, length);
    this.#told = null;
  }

  onEnd(): void {
    // A reset that a write has met is seen as an end by the next read, and one right behind some bytes on Node 20.
    const isBroken = this.hasWriteFailed || this.#stream?.isReset === true;
    const how = this.hasBareEnd ? ' without close_notify' : '';
    this.#onEnd(`the backend closed the connection${how}`, isBroken);
  }

  onClosed(detail: string): void {
    this.#onEnd(detail, true);
  }

  onDrain(): void {
    const user = this.#user;
    this.#told = victimOf(user);
    user?.onBackendDrain();
    this.#told = null;
  }

  onWriteFailed(detail: string): void {
    this.hasWriteFailed = true;
    const user = this.#user;
    this.#told = victimOf(user);
    if (user === null) this.#leavePool();
    else user.onBackendWriteFailed(detail);
    this.#told = null;
  }

  #onEnd(detail: string, isBroken: boolean): void {
    const user = this.#user;
    this.#told = victimOf(user);
    if (user === null) {
      this.backend.idleEnded(this);
      this.#close();
    } else if (this.#state === IS_OPEN) user.onBackendEnd(detail, isBroken);
    this.#told = null;
  }

  onCrashed(error: unknown): void {
    const victim = this.#told ?? victimOf(this.#user);
    this.#told = null;
    this.#user = null;
    if (victim === null) this.backend.crashed(error);
    else victim.onCrashed(error);
    this.giveUp();
  }

  /** Closes whatever state it is in, and leaves the pool if it is there. */
  giveUp(): void {
    this.#user = null;
    letGo(() => this.backend.forget(this));
    letGo(() => this.#close());
  }

  #leavePool(): void {
    this.backend.forget(this);
    this.#close();
  }

  #close(): void {
    if (this.#state === IS_CLOSED) return;
    this.#state = IS_CLOSED;
    this.backend.counters.connectionClosed();
    this.backend.onConnectionClosed(this);
    try {
      this.#connecting?.cancel();
    } finally {
      this.#stream?.destroy();
    }
  }
}

function victimOf(user: ConnectionUser | null): Victim | null {
  return user === null ? null : user.victim;
}
