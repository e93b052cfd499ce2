/**
 * The backend connections that belong to one client connection: those on which the client has begun to prove who it is by
 * NTLM or Negotiate, one in each pool. These two authenticate a connection, not a request (RFC 4559 §6): whoever came next on
 * it would be served as that client, and the handshake itself takes several requests on it.
 *
 * Not in use, one is kept by its backend like an idle one (`Backend.keepPinned`), but only its client can have it.
 */
import type { ConnectionEnds } from '../../net/proxy-header.ts';
import type { Backend } from '../backend/backend.ts';
import type { BackendConnection } from '../backend/backend-connection.ts';
import type { PoolView } from '../pool/pool-view.ts';

export interface Pinned {
  readonly backend: Backend;
  readonly connection: BackendConnection;
}

const NONE: readonly BackendConnection[] = [];

/** Who the client's connection is from, and which of our addresses it has come to. */
export interface EndsSource {
  /** Null: nobody knows. */
  readonly ends: ConnectionEnds | null;
}

export class BackendPin {
  #connections = NONE;
  readonly #client: EndsSource;

  constructor(client: EndsSource) {
    this.#client = client;
  }

  get ends(): ConnectionEnds | null {
    return this.#client.ends;
  }

  /** In any pool. */
  get hasAny(): boolean {
    return this.#connections.length > 0;
  }

  /** The client has begun to prove itself in this pool. */
  isIn({ backends }: PoolView): boolean {
    return this.#connections.some(({ backend }) => backends.has(backend.spec.id));
  }

  /**
   * The next request takes what is for its pool; what is for others stays.
   * @param backends of all pools.
   * @returns null: the request may go anywhere.
   */
  take(view: PoolView, backends: ReadonlyMap<number, Backend>, nowMs: number): Pinned | null {
    if (this.#connections.length === 0) return null;
    let taken: Pinned | null = null;
    for (const connection of this.#connections) {
      const { id } = connection.backend.spec;
      const backend = view.backends.get(id);
      if (backend === undefined && backends.has(id)) continue;
      const isServing = backend !== undefined && view.keepers.includes(backend);
      if (isServing && backend.takePinned(connection, nowMs)) taken = { backend, connection };
      else this.drop(connection);
    }
    return taken;
  }

  /**
   * From now on it is nobody else's. One that was pinned in its pool before has had its day.
   * @param view of its pool.
   */
  hold(connection: BackendConnection, { backends }: PoolView): void {
    if (this.#connections.includes(connection)) return;
    for (const other of this.#connections) {
      if (backends.has(other.backend.spec.id)) this.drop(other);
    }
    this.#connections = [...this.#connections, connection];
  }

  /** Its request goes elsewhere. */
  drop(connection: BackendConnection): void {
    this.#connections = this.#connections.filter((one) => one !== connection);
    connection.backend.forget(connection);
    connection.destroy();
  }

  /** The client has gone. */
  close(): void {
    for (const connection of this.#connections) this.drop(connection);
  }
}
