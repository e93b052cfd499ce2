/**
 * The backend connection that belongs to one client connection: one on which the client has begun to prove who it is by
 * NTLM or Negotiate. These two authenticate a connection, not a request (RFC 4559 §6): whoever came next on it would be
 * served as that client, and the handshake itself takes several requests on it.
 *
 * Not in use, it is kept by its backend like an idle one (`Backend.keepPinned`), but only its client can have it.
 */
import type { Backend } from '../backend/backend.ts';
import type { BackendConnection } from '../backend/backend-connection.ts';
import type { PoolView } from '../pool/pool-view.ts';

export class BackendPin {
  #connection: BackendConnection | null = null;

  get connection(): BackendConnection | null {
    return this.#connection;
  }

  /** The next request takes it. @returns the backend that it leads to; null: the request may go anywhere. */
  take(view: PoolView, nowMs: number): Backend | null {
    const connection = this.#connection;
    if (connection === null) return null;
    const backend = view.backends.get(connection.backend.spec.id);
    const isServing = backend !== undefined && view.keepers.includes(backend);
    if (isServing && backend.takePinned(connection, nowMs)) return backend;
    this.close();
    return null;
  }

  /** From now on it is nobody else's. One that was pinned before has had its day. */
  hold(connection: BackendConnection): void {
    if (this.#connection !== connection) this.close();
    this.#connection = connection;
  }

  /** The client has gone, or its next request goes elsewhere. */
  close(): void {
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) return;
    connection.backend.forget(connection);
    connection.destroy();
  }
}
