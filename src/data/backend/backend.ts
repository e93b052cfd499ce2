/**
 * A backend's live state in one data thread: its counters and its idle connections. Keyed by id, it survives every
 * snapshot that keeps the id.
 */

import { BackendCounters } from '../../snapshot/counters.ts';
import type { BackendSnapshot } from '../../snapshot/snapshot.ts';
import type { Candidate } from '../balance/strategy.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import {
  BackendConnection,
  type ConnectionOwner,
  type ConnectionUser,
} from './backend-connection.ts';

/** Idle connections kept per backend and thread; further ones are closed after use. */
const MAX_IDLE = 512;

export class Backend implements Candidate, ConnectionOwner {
  readonly id: number;
  readonly counters: BackendCounters;
  spec: BackendSnapshot;
  weight: number;
  readonly inFlightCell: Int32Array;

  /** Newest at the end: the one used last is used first, so that the others can grow old and be closed. */
  readonly #idle: BackendConnection[] = [];
  readonly #threadCount: number;
  readonly #io: ThreadIo;
  #isRemoved = false;

  constructor(spec: BackendSnapshot, threadIndex: number, threadCount: number, io: ThreadIo) {
    this.id = spec.id;
    this.spec = spec;
    this.weight = spec.weight;
    this.counters = new BackendCounters(spec.counters, threadIndex, threadCount);
    this.inFlightCell = this.counters.inFlightCell;
    this.#threadCount = threadCount;
    this.#io = io;
  }

  get key(): string {
    return this.spec.url;
  }

  get inFlight(): number {
    return this.inFlightCell[0] as number;
  }

  update(spec: BackendSnapshot): void {
    this.spec = spec;
    this.weight = spec.weight;
  }

  /** Whether it would take a request now: limits as in `Attempt.begin`, 0 for none. */
  hasRoom(maxRequests: number, maxConnections: number): boolean {
    const { counters } = this;
    if (maxRequests !== 0 && this.inFlight >= maxRequests) return false;
    if (!counters.isGateOpen) return false;
    return (
      maxConnections === 0 || this.#idle.length > 0 || counters.openConnections < maxConnections
    );
  }

  /** The newest idle connection that may still be used, or null. */
  takeIdle(nowMs: number): BackendConnection | null {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return null;
      this.counters.idleChanged(-1);
      if (connection.idleUntilMs > nowMs) return connection;
      connection.destroy();
    }
  }

  /** A fresh connection, or null when `limit` (0: none) are open already, in all threads together. */
  connect(user: ConnectionUser, limit: number): BackendConnection | null {
    if (!this.counters.tryOpenConnection(limit)) {
      // An idle one that this request had a reason not to take makes room for it.
      const oldest = this.#idle.shift();
      if (oldest === undefined) return null;
      this.counters.idleChanged(-1);
      oldest.destroy();
      if (!this.counters.tryOpenConnection(limit)) return null;
    }
    return new BackendConnection(this, user, this.#io);
  }

  /**
   * Takes back a connection whose response is complete. Idle connections count towards `limit` (as in `connect`), and no
   * thread can use those of another: each keeps its share of the limit at most, so that none starves the others.
   */
  putIdle(connection: BackendConnection, nowMs: number, keepAliveMs: number, limit: number): void {
    connection.release();
    const stay = Math.min(keepAliveMs, connection.keepAliveLimitMs);
    const share = limit === 0 ? MAX_IDLE : Math.floor(limit / this.#threadCount);
    if (this.#isRemoved || stay <= 0 || this.#idle.length >= Math.min(share, MAX_IDLE)) {
      connection.destroy();
      return;
    }
    connection.idleUntilMs = nowMs + stay;
    connection.resume();
    connection.rest();
    this.#idle.push(connection);
    this.counters.idleChanged(1);
  }

  /** An idle connection closed by itself. */
  forget(connection: BackendConnection): void {
    const index = this.#idle.indexOf(connection);
    if (index === -1) return;
    this.#idle.splice(index, 1);
    this.counters.idleChanged(-1);
  }

  closeExpired(nowMs: number): void {
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      const connection = this.#idle[index] as BackendConnection;
      if (connection.idleUntilMs > nowMs) continue;
      this.#idle.splice(index, 1);
      this.counters.idleChanged(-1);
      connection.destroy();
    }
  }

  /** No new requests come; connections in use are closed when their exchange is over. */
  remove(): void {
    this.#isRemoved = true;
    this.closeIdle();
  }

  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) {
      this.counters.idleChanged(-1);
      connection.destroy();
    }
  }
}
