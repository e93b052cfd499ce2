/**
 * The HTTP/2 connections of a backend in one data thread: as few as its limits allow. A request goes over the oldest that has
 * room; another one is opened only where none has.
 *
 * With `protocol: auto` a backend is what it chose last: as long as that was HTTP/1.1, or nobody knows, each request that
 * finds no connection opens its own, and whatever that turns out to be is remembered. While it is HTTP/2 they share. Those
 * that began to connect before that was known go over the first that is open, and give up their own: nobody has waited for
 * another's, so nobody is slower whose backend speaks HTTP/1.1.
 */
import type { PoolTimeouts } from '../../snapshot/policies.ts';
import { guarded } from '../barrier.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import type { BackendConnection, ConnectionOwner } from './backend-connection.ts';
import type { BackendStream, BackendStreamUser } from './backend-stream.ts';
import { Http2Connection } from './http2-connection.ts';
import type { Http2Purpose, Http2Siblings } from './http2-siblings.ts';
import type { Http2Stream } from './http2-stream.ts';

/** The backend, as its HTTP/2 connections see it. */
export interface Http2Owner extends ConnectionOwner {
  readonly threadCount: number;
  readonly isRemoved: boolean;
  /** As `Backend.closeOldestIdle`. */
  closeOldestIdle(): boolean;
  /** The connection speaks HTTP/1.1: its only stream. */
  adopt(connection: BackendConnection, user: BackendStreamUser): BackendStream;
  /** Another connection, which may be HTTP/1.1. @returns null: there may be no more of them */
  connectAlone(user: BackendStreamUser): BackendStream | null;
}

/** So long HTTP/1.1 is spoken to one that has asked for it (HTTP_1_1_REQUIRED): it may have been set up anew. */
const HTTP1_REQUIRED_MS = 10 * 60_000;
/** RFC 9113 §6.5.2: nobody should take fewer. */
const USUAL_STREAMS = 100;

const SHARED: Http2Purpose = { isPrivate: false, isAlone: false, header: null };
const ALONE: Http2Purpose = { isPrivate: false, isAlone: true, header: null };

const TAKES_NONE = 'the backend takes no requests: its MAX_CONCURRENT_STREAMS is 0';
const NO_ROOM =
  'the backend takes no more requests on its connection, and there may be no more of them';

export class Http2Connections implements Http2Siblings {
  /** As far as is known: see above. */
  isHttp1: boolean;
  /** It speaks HTTP/2, and has said that it wants HTTP/1.1. */
  requiresHttp1 = false;

  readonly #backend: Http2Owner;
  readonly #io: ThreadIo;
  /** Oldest first. */
  #all: Http2Connection[] = [];
  #streams = USUAL_STREAMS;
  /** So many have died, rather than ended in order. */
  #deaths = 0;
  /** Of connections, in all threads together: see `Backend.acquire`. */
  #limit = 0;
  /** On the awake clock. */
  #http1RequiredAtMs = 0;

  constructor(backend: Http2Owner, io: ThreadIo) {
    this.#backend = backend;
    this.#io = io;
    this.isHttp1 = backend.terms.protocol === 'auto';
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** One that is open takes another request. */
  get hasOpenRoom(): boolean {
    return this.#all.some((one) => one.isOpen && one.room > 0);
  }

  /**
   * Whether `acquire` would find a connection that takes a request, or open one: as there, and without its effects.
   * @param hasIdle one of HTTP/1.1 is idle, which is used, or makes room.
   */
  wouldTake(limit: number, hasIdle: boolean): boolean {
    if (this.#all.some((one) => one.room > 0)) return true;
    if (!this.isHttp1) {
      if (this.#all.length === 0) return true;
      if (this.#hasItsShare(limit)) return false;
    }
    return hasIdle || this.hasIdle || this.#backend.counters.openConnections < limit;
  }

  #hasItsShare(limit: number): boolean {
    return this.#all.length >= Math.floor(limit / this.#backend.threadCount);
  }

  get hasIdle(): boolean {
    return this.#all.some(({ idleSinceMs }) => idleSinceMs !== -1);
  }

  get assumedStreams(): number {
    return Math.max(1, this.#streams);
  }

  get keepsNone(): boolean {
    return this.#backend.isRemoved;
  }

  /**
   * @param needsFresh one has died under the request: of those that were there then, none will do.
   * @param limit see `Backend.acquire`. @returns null: there may be no more connections.
   */
  acquire(user: BackendStreamUser, needsFresh: boolean, limit: number): BackendStream | null {
    this.#limit = limit;
    for (const one of this.#all) {
      if (one.room <= 0 || (needsFresh && one.generation !== this.#deaths)) continue;
      return one.take(user);
    }
    return this.#connect(user, this.isHttp1 ? ALONE : SHARED);
  }

  /** On a connection of its own, which ends with the request. @param header what it says of its client first */
  acquirePrivate(
    user: BackendStreamUser,
    limit: number,
    header: Buffer | null,
  ): BackendStream | null {
    this.#limit = limit;
    return this.#connect(user, { isPrivate: true, isAlone: true, header });
  }

  /** One more, for it alone unless it turns out to be HTTP/2. */
  connectAlone(user: BackendStreamUser): BackendStream | null {
    return this.#connect(user, ALONE);
  }

  #connect(user: BackendStreamUser, purpose: Http2Purpose): Http2Stream | null {
    const backend = this.#backend;
    const { counters } = backend;
    if (!this.#mayOpen(purpose)) return null;
    try {
      const { terms } = backend;
      const one = new Http2Connection(this, backend, this.#io, terms, purpose, this.#deaths);
      if (!one.isClosed) this.#all.push(one);
      return one.take(user);
    } catch (error) {
      counters.connectionClosed();
      throw error;
    }
  }

  /**
   * No thread can use a connection of another: each has one, whatever the limit says, and else its share of the limit at most,
   * so that none starves the others.
   */
  #mayOpen({ isAlone }: Http2Purpose): boolean {
    const limit = this.#limit;
    const backend = this.#backend;
    const { counters } = backend;
    if (limit === 0 || (!isAlone && this.#all.length === 0)) return counters.tryOpenConnection(0);
    if (!isAlone && this.#hasItsShare(limit)) return false;
    if (counters.tryOpenConnection(limit)) return true;
    return backend.closeOldestIdle() && counters.tryOpenConnection(limit);
  }

  // ── What its connections say ────────────────────────────────────────────────────────────────────────────────────

  onOpened(streams: number): void {
    this.isHttp1 = false;
    this.#streams = streams;
  }

  onHttp1(connection: BackendConnection, waiting: readonly BackendStreamUser[]): void {
    this.isHttp1 = true;
    const backend = this.#backend;
    let isTaken = false;
    for (const user of waiting) {
      guarded(user, () => {
        if (isTaken) {
          this.#goOn(user, backend.connectAlone(user));
          return;
        }
        isTaken = true;
        this.#goOn(user, backend.adopt(connection, user));
        user.onConnected();
      });
    }
    if (!isTaken) connection.destroy();
  }

  onReady(one: Http2Connection): void {
    for (const other of this.#all) {
      if (other.count > one.room) continue;
      for (const user of other.giveUpWaiting()) {
        guarded(user, () => {
          user.onMoved(one.take(user, true));
          user.onConnected();
        });
      }
    }
  }

  onHttp1Required(): void {
    this.requiresHttp1 = true;
    this.#http1RequiredAtMs = this.#io.deadlines.nowMs;
  }

  onOverflow(waiting: readonly BackendStreamUser[]): void {
    for (const user of waiting) {
      guarded(user, () => {
        if (this.#streams === 0) {
          user.onConnectFailed('ERR_BACKEND_REFUSED_STREAM', TAKES_NONE);
          return;
        }
        const room = this.#all.find((one) => one.room > 0);
        if (room?.isOpen === true) {
          user.onMoved(room.take(user, true));
          user.onConnected();
        } else {
          this.#goOn(user, room === undefined ? this.#connect(user, SHARED) : room.take(user));
        }
      });
    }
  }

  #goOn(user: BackendStreamUser, stream: BackendStream | null): void {
    if (stream === null) user.onConnectFailed('ERR_BACKEND_GOAWAY', NO_ROOM);
    else user.onMoved(stream);
  }

  onClosed(connection: Http2Connection): void {
    this.#all = this.#all.filter((one) => one !== connection);
    if (connection.count > 0) this.#deaths++;
  }

  // ── What becomes of them ────────────────────────────────────────────────────────────────────────────────────────

  /** @param realMs on the precise clock */
  expire(realMs: number, timeouts: PoolTimeouts): void {
    const { backendKeepAliveMs, backendMaxAgeMs, backendPingMs, connectMs } = timeouts;
    const nowMs = this.#io.deadlines.nowMs;
    if (nowMs - this.#http1RequiredAtMs > HTTP1_REQUIRED_MS) this.requiresHttp1 = false;
    for (const one of this.#all) {
      if (one.isOpen) {
        one.checkSilence(nowMs, backendPingMs);
        if (one.connection.oldAtMs(backendMaxAgeMs) <= realMs) one.isDraining = true;
      } else if (nowMs - one.begunAtMs > connectMs) {
        // It may never open: the next request gets another one.
        one.isDraining = true;
      }
      const { idleSinceMs } = one;
      if (idleSinceMs === -1) continue;
      if (one.isDraining || realMs - idleSinceMs >= backendKeepAliveMs) one.close();
    }
  }

  /** The name of the backend has these addresses now. */
  moved(addresses: ReadonlySet<string>): void {
    for (const { connection } of this.#all) {
      if (connection.terms !== this.#backend.terms) continue;
      connection.isOutdated = connection.address !== '' && !addresses.has(connection.address);
    }
    this.#closeOutdated();
  }

  outdateAll(): void {
    for (const { connection } of this.#all) connection.isOutdated = true;
    this.#closeOutdated();
  }

  #closeOutdated(): void {
    for (const one of this.#all) {
      if (one.connection.isOutdated && one.idleSinceMs !== -1) one.close();
    }
  }

  /** @returns false if none is idle */
  closeIdleOne(): boolean {
    const idle = this.#all.find(({ idleSinceMs }) => idleSinceMs !== -1);
    idle?.close();
    return idle !== undefined;
  }

  /** Cuts what is under way here. @returns how many requests that was */
  cutOff(): number {
    let count = 0;
    for (const one of this.#all) {
      count += one.count;
      this.#backend.counters.requestsCut(one.count);
      guarded(one, () => one.onBackendCutOff());
    }
    return count;
  }
}
