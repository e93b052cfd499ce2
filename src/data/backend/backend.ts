/**
 * A backend's live state in one data thread: its counters and its idle connections. Keyed by id, it survives every
 * snapshot that keeps the id.
 */

import { BackendCounters } from '../../snapshot/counters.ts';
import type { PoolTimeouts } from '../../snapshot/policies.ts';
import type { BackendSnapshot } from '../../snapshot/snapshot.ts';
import type { Candidate } from '../balance/strategy.ts';
import { type Barrier, guarded } from '../barrier.ts';
import type { Descriptors } from '../descriptors.ts';
import { type ClientTerms, DEFAULT_TERMS } from '../stream/client-terms.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import type { HeadLimits } from '../wire/head-parser.ts';
import type { RequestFacts } from '../wire/request.ts';
import type { BackendConnection, KeepTerms } from './backend-connection.ts';
import type { BackendStream, BackendStreamUser } from './backend-stream.ts';
import type { ResponseParsers } from './http1-response.ts';
import { Http1Stream } from './http1-stream.ts';
import { Http2Connections, type Http2Owner } from './http2-connections.ts';
import { IdleLimit } from './idle-limit.ts';
import { lookAgain } from './second-look.ts';

/** Idle connections kept per backend and thread; further ones are closed after use. */
const MAX_IDLE = 512;

/** Connections end within a tenth around `backendMaxAgeMs`. */
const AGE_SPREAD = 0.2;
/** The fractions of its multiples lie as evenly as can be, however many they are. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

/** What a backend uses of the thread that it lives in. */
export interface ThreadParts {
  readonly threadIndex: number;
  readonly threadCount: number;
  readonly io: ThreadIo;
  readonly parsers: ResponseParsers;
  readonly barrier: Pick<Barrier, 'crashed'>;
  readonly descriptors: Descriptors;
}

export class Backend implements Candidate, Http2Owner {
  readonly id: number;
  readonly counters: BackendCounters;
  spec: BackendSnapshot;
  /** Of TLS, and what is spoken. */
  terms: ClientTerms;
  /** Of its answers. */
  headLimits: HeadLimits;
  weight: number;
  readonly inFlightCell: Int32Array;

  /** Newest at the end: the one used last is used first, so that the others can grow old and be closed. */
  readonly #idle: BackendConnection[] = [];
  /** Those that wait for the next request of one client, oldest first. */
  readonly #pinned = new Set<BackendConnection>();
  /** Null: it has been spoken to in HTTP/1.1 only. */
  #http2: Http2Connections | null = null;
  /** Requests go over these, as a rule. */
  #speaksHttp2 = false;
  /** In use or idle, each with the stream that it carries. */
  readonly #open = new Map<BackendConnection, Http1Stream>();
  readonly threadCount: number;
  readonly #idleLimit = new IdleLimit();
  readonly #io: ThreadIo;
  readonly #parsers: ResponseParsers;
  readonly #barrier: Pick<Barrier, 'crashed'>;
  readonly #descriptors: Descriptors;
  isRemoved = false;
  #opened = 0;

  constructor(
    spec: BackendSnapshot,
    headLimits: HeadLimits,
    thread: ThreadParts,
    terms = DEFAULT_TERMS,
  ) {
    const { threadIndex, threadCount, io, parsers, barrier, descriptors } = thread;
    this.id = spec.id;
    this.spec = spec;
    this.terms = terms;
    this.headLimits = headLimits;
    this.weight = spec.weight;
    this.counters = new BackendCounters(spec.counters, threadIndex, threadCount);
    this.inFlightCell = this.counters.inFlightCell;
    this.threadCount = threadCount;
    this.#io = io;
    this.#parsers = parsers;
    this.#barrier = barrier;
    this.#descriptors = descriptors;
    this.#choose();
  }

  /** `auto` asks by ALPN, which there is over TLS alone. */
  #choose(): void {
    const { protocol } = this.terms;
    this.#speaksHttp2 = protocol === 'h2' || (protocol === 'auto' && this.spec.tls);
    if (this.#speaksHttp2) this.#http2 ??= new Http2Connections(this, this.#io);
    if (this.#http2 === null) return;
    this.#http2.isHttp1 = protocol === 'auto';
    this.#http2.requiresHttp1 = false;
  }

  /** What requests go over as a rule; null: HTTP/1.1. */
  get #shared(): Http2Connections | null {
    const http2 = this.#http2;
    return http2 === null || !this.#speaksHttp2 || http2.requiresHttp1 ? null : http2;
  }

  get key(): string {
    return this.spec.url;
  }

  get inFlight(): number {
    return this.inFlightCell[0] as number;
  }

  update(spec: BackendSnapshot, headLimits: HeadLimits, terms = DEFAULT_TERMS): void {
    this.spec = spec;
    this.headLimits = headLimits;
    this.weight = spec.weight;
    if (terms === this.terms) return;
    const isOther = terms.protocol !== this.terms.protocol;
    this.terms = terms;
    if (isOther) this.#choose();
    if (spec.tls || isOther) this.#outdateAll();
  }

  /** Whoever is connected has proved what is not asked any more: in use only behind its request. */
  #outdateAll(): void {
    for (const connection of this.#open.keys()) connection.isOutdated = true;
    this.#http2?.outdateAll();
    this.closeIdle();
  }

  /** Whether it would take a request now: limits as in `Attempt.begin`, 0 for none. */
  hasRoom(maxRequests: number, maxConnections: number): boolean {
    const { counters } = this;
    if (maxRequests !== 0 && this.inFlight >= maxRequests) return false;
    if (!counters.isGateOpen) return false;
    if (maxConnections === 0) return true;
    const hasIdle = this.#idle.length + this.#pinned.size > 0;
    const shared = this.#shared;
    if (shared !== null) return shared.wouldTake(maxConnections, hasIdle);
    if (hasIdle || counters.openConnections < maxConnections) return true;
    return this.#http2?.hasIdle === true;
  }

  /**
   * A stream for one request: on the newest idle connection, or on a fresh one (`onConnected` follows); over HTTP/2 also beside
   * others.
   * @param facts of the request.
   * @param limit of connections, in all threads together; 0: none.
   * @param header what the connection has to say of the client first; not null: it is a fresh one.
   * @returns null when that many are open already.
   */
  acquire(
    user: BackendStreamUser,
    facts: RequestFacts,
    needsFresh: boolean,
    nowMs: number,
    limit: number,
    header: Buffer | null = null,
  ): BackendStream | null {
    const http2 = this.#shared;
    if (http2 !== null) {
      const isAuto = this.terms.protocol === 'auto';
      // Over HTTP/2 no connection is anybody's (RFC 9113 has no such authentication), and WebSockets are a thing of their own.
      const isForHttp1 = isAuto && (facts.upgrade !== '' || facts.authenticatesConnection);
      if (!isForHttp1) {
        if (header !== null || facts.authenticatesConnection) {
          return http2.acquirePrivate(user, limit, header);
        }
        const idle = http2.isHttp1 && !needsFresh ? this.#takeIdle(nowMs) : null;
        return idle === null ? http2.acquire(user, needsFresh, limit) : this.#reuse(idle, user);
      }
    }
    const idle = needsFresh || header !== null ? null : this.#takeIdle(nowMs);
    return idle === null ? this.#connect(user, limit, header) : this.#reuse(idle, user);
  }

  /** A stream on a connection that was kept for one client, after `takePinned`. */
  acquirePinned(connection: BackendConnection, user: BackendStreamUser): BackendStream {
    return this.#reuse(connection, user);
  }

  #reuse(connection: BackendConnection, user: BackendStreamUser): Http1Stream {
    const stream = this.#open.get(connection) as Http1Stream;
    stream.reuse(user);
    return stream;
  }

  adopt(connection: BackendConnection, user: BackendStreamUser): BackendStream {
    const stream = new Http1Stream(this, user, this.#io, this.#parsers, null, connection);
    this.#open.set(connection, stream);
    return stream;
  }

  connectAlone(user: BackendStreamUser): BackendStream | null {
    return this.#http2?.connectAlone(user) ?? null;
  }

  /** Whether `acquire` would find one, or room on one that is shared. */
  hasIdle(nowMs: number): boolean {
    const shared = this.#shared;
    if (shared !== null) {
      if (shared.hasOpenRoom) return true;
      if (!shared.isHttp1) return false;
    }
    return this.#idle.some((one) => !one.isSettling && one.idleUntilMs > nowMs);
  }

  /** The newest idle connection that may still be used, or null. */
  #takeIdle(nowMs: number): BackendConnection | null {
    const idle = this.#idle;
    for (let index = idle.length - 1; index >= 0; index--) {
      const connection = idle[index] as BackendConnection;
      if (connection.isSettling) continue;
      if (index === idle.length - 1) idle.pop();
      else idle.splice(index, 1);
      this.counters.idleChanged(-1);
      if (connection.idleUntilMs > nowMs) return connection;
      connection.destroy();
    }
    return null;
  }

  #connect(user: BackendStreamUser, limit: number, header: Buffer | null): Http1Stream | null {
    if (!this.counters.tryOpenConnection(limit)) {
      // An idle one that this request had a reason not to take makes room for it.
      if (!this.closeOldestIdle() || !this.counters.tryOpenConnection(limit)) return null;
    }
    try {
      const stream = new Http1Stream(this, user, this.#io, this.#parsers, header);
      if (!stream.connection.isClosed) this.#open.set(stream.connection, stream);
      return stream;
    } catch (error) {
      this.counters.connectionClosed();
      throw error;
    }
  }

  nextAgeShare(): number {
    return 1 + AGE_SPREAD * (((this.#opened++ * GOLDEN_RATIO) % 1) - 0.5);
  }

  onConnectionClosed(connection: BackendConnection): void {
    this.#open.delete(connection);
  }

  get isConnected(): boolean {
    return this.#open.size > 0 || this.#http2?.isEmpty === false;
  }

  /** Cuts what is under way here. @returns how much that was */
  cutOff(): number {
    // What is sent again may open another one.
    const connections = [...this.#open.keys()];
    let count = 0;
    for (const connection of connections) {
      guarded(connection, () => {
        if (connection.cutOff()) count++;
      });
    }
    return count + (this.#http2?.cutOff() ?? 0);
  }

  mayConnect(descriptor: number): boolean {
    return this.#descriptors.mayConnect(descriptor);
  }

  makeRoom(): boolean {
    return this.#descriptors.relief?.makeRoomOfClients() === true;
  }

  /** One that anybody could have used, if there is any. @returns false if none is idle */
  closeOldestIdle(): boolean {
    for (const list of [this.#idle, this.#pinned]) {
      for (const oldest of list) {
        this.forget(oldest);
        oldest.destroy();
        return true;
      }
    }
    return this.#http2?.closeIdleOne() === true;
  }

  /**
   * Takes back a connection whose response is complete. Idle connections count towards `limit` (as in `acquire`), and no
   * thread can use those of another: each keeps its share of the limit at most, so that none starves the others.
   */
  putIdle(connection: BackendConnection, nowMs: number, terms: KeepTerms, limit: number): void {
    const share = limit === 0 ? MAX_IDLE : Math.floor(limit / this.threadCount);
    const isFull = this.#idle.length + this.#pinned.size >= Math.min(share, MAX_IDLE);
    const mayStay = !isFull && !connection.isOutdated;
    const keptUntilMs = mayStay ? nowMs + terms.backendKeepAliveMs : nowMs;
    const oldAtMs = connection.oldAtMs(terms.backendMaxAgeMs);
    if (!this.#rests(connection, nowMs, Math.min(keptUntilMs, oldAtMs))) return;
    this.#idle.push(connection);
    this.counters.idleChanged(1);
    if (connection.isBodyless) lookAgain(connection, connection.announcesBody);
  }

  /**
   * The same for one that waits for its client: nobody else gets it, and so it can't wait for others to make room. Its age
   * does not matter: the client has proved on it who it is.
   */
  keepPinned(connection: BackendConnection, nowMs: number, terms: KeepTerms): void {
    const isOfOldTerms = this.spec.tls && !connection.terms.isOf(this.terms);
    const untilMs = isOfOldTerms ? nowMs : nowMs + terms.backendKeepAliveMs;
    if (!this.#rests(connection, nowMs, untilMs)) return;
    this.#pinned.add(connection);
    this.counters.idleChanged(1);
  }

  #rests(connection: BackendConnection, nowMs: number, latestMs: number): boolean {
    connection.release();
    const limitMs = Math.min(connection.keepAliveLimitMs, this.#idleLimit.at(nowMs));
    const untilMs = Math.min(latestMs, nowMs + limitMs);
    if (this.isRemoved || untilMs <= nowMs) {
      connection.destroy();
      return false;
    }
    connection.idleUntilMs = untilMs;
    connection.idleSinceMs = nowMs;
    connection.resume();
    connection.rest();
    return true;
  }

  /** Its client has a request for it. @returns false when it may not be used any more. */
  takePinned(connection: BackendConnection, nowMs: number): boolean {
    if (!this.#pinned.delete(connection)) return false;
    this.counters.idleChanged(-1);
    if (connection.idleUntilMs > nowMs) return true;
    connection.destroy();
    return false;
  }

  /** An idle connection closed by itself. */
  forget(connection: BackendConnection): void {
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    else if (!this.#pinned.delete(connection)) return;
    this.counters.idleChanged(-1);
  }

  idleEnded(connection: BackendConnection): void {
    const nowMs = performance.now();
    this.#idleLimit.closedAfter(nowMs - connection.idleSinceMs, nowMs);
    this.forget(connection);
  }

  crashed(error: unknown): void {
    this.#barrier.crashed('an idle connection', error);
  }

  /** @param timeouts as they are now: they may have been others when connections became idle. */
  closeExpired(nowMs: number, timeouts: PoolTimeouts): void {
    this.#http2?.expire(nowMs, timeouts);
    const { backendMaxAgeMs: maxAgeMs } = timeouts;
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      const connection = this.#idle[index] as BackendConnection;
      if (connection.idleUntilMs > nowMs && connection.oldAtMs(maxAgeMs) > nowMs) continue;
      this.#idle.splice(index, 1);
      this.counters.idleChanged(-1);
      connection.destroy();
    }
    for (const connection of this.#pinned) {
      if (connection.idleUntilMs <= nowMs) this.takePinned(connection, nowMs);
    }
  }

  /** Its name has these addresses now: what leads elsewhere is closed, in use only behind its request. */
  moved(addresses: ReadonlySet<string>): void {
    for (const connection of this.#open.keys()) {
      if (!connection.terms.isOf(this.terms)) continue;
      connection.isOutdated = connection.address !== '' && !addresses.has(connection.address);
    }
    this.#http2?.moved(addresses);
    for (const connection of this.#idle.filter(({ isOutdated }) => isOutdated)) {
      this.forget(connection);
      connection.destroy();
    }
  }

  /** No new requests come, but those that were under way in its pool; no connection outlives its exchange. */
  remove(): void {
    this.isRemoved = true;
    this.closeIdle();
  }

  closeIdle(): void {
    while (this.closeOldestIdle());
  }
}
