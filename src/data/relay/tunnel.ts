/**
 * An upgraded connection: bytes both ways until both sides are done. It exists only after the backend's own 101
 * (CVE-2026-2833: a tunnel opened on the request alone).
 */
import type { BackendConnection } from '../backend/backend-connection.ts';

/** The client's side of a tunnel. */
export interface TunnelClient {
  /** The bytes are the callee's to keep. @returns false when the caller should wait for `clientDrained`. */
  sendBytes(bytes: Buffer): boolean;
  pause(): void;
  resume(): void;
  /** FIN after what was written. */
  endWriting(): void;
}

export class Tunnel {
  bytesIn = 0;
  readonly #client: TunnelClient;
  readonly #backend: BackendConnection;
  #hasClientEnded = false;
  #hasBackendEnded = false;

  constructor(client: TunnelClient, backend: BackendConnection) {
    this.#client = client;
    this.#backend = backend;
    backend.enableTcpKeepAlive();
  }

  get isOver(): boolean {
    return this.#hasClientEnded && this.#hasBackendEnded;
  }

  fromClient(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.bytesIn += bytes.length;
    if (!this.#backend.writeBytes(bytes)) this.#client.pause();
  }

  fromBackend(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (!this.#client.sendBytes(bytes)) this.#backend.pause();
  }

  clientDrained(): void {
    this.#backend.resume();
  }

  backendDrained(): void {
    this.#client.resume();
  }

  clientEnded(): void {
    this.#hasClientEnded = true;
    this.#backend.end();
  }

  backendEnded(): void {
    this.#hasBackendEnded = true;
    this.#client.endWriting();
  }
}
