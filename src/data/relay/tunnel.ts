/**
 * An upgraded connection: bytes both ways until both sides are done. It exists only after the backend's own 101
 * (CVE-2026-2833: a tunnel opened on the request alone).
 */
import type { BackendConnection, ConnectionUser } from '../backend/backend-connection.ts';

/** The client's side of a tunnel. */
export interface TunnelClient {
  /** Nothing more should be sent until `clientDrained`. */
  readonly needsDrain: boolean;
  /** Sends `buffer[start, end)`, borrowed. */
  sendBytes(buffer: Buffer, start: number, end: number): void;
  pause(): void;
  resume(): void;
  /** FIN after what was written. */
  endWriting(): void;
}

export interface TunnelOwner {
  /** Bytes went through: the silence is over. */
  onTunnelBytes(): void;
  /** Both sides have ended in order. */
  onTunnelOver(): void;
  /** The backend's side broke. */
  onTunnelBroken(detail: string): void;
}

export class Tunnel implements ConnectionUser {
  /** Bytes from the client. */
  bytesIn = 0;
  readonly #owner: TunnelOwner;
  readonly #client: TunnelClient;
  readonly #backend: BackendConnection;
  #hasClientEnded = false;
  #hasBackendEnded = false;

  constructor(owner: TunnelOwner, client: TunnelClient, backend: BackendConnection) {
    this.#owner = owner;
    this.#client = client;
    this.#backend = backend;
    backend.assign(this);
    backend.enableTcpKeepAlive();
  }

  /** Takes `buffer[start, end)`, borrowed. */
  fromClient(buffer: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.bytesIn += end - start;
    this.#owner.onTunnelBytes();
    this.#backend.writeBorrowed(buffer, start, end);
    if (this.#backend.needsDrain) this.#client.pause();
  }

  /** Takes `buffer[0, length)`, borrowed. */
  fromBackend(buffer: Buffer, length: number): void {
    if (length === 0) return;
    this.#owner.onTunnelBytes();
    this.#client.sendBytes(buffer, 0, length);
    if (this.#client.needsDrain) this.#backend.pause();
  }

  clientDrained(): void {
    this.#owner.onTunnelBytes();
    this.#backend.resume();
  }

  clientEnded(): void {
    this.#hasClientEnded = true;
    this.#backend.end();
    this.#endIfOver();
  }

  onBackendBytes(buffer: Buffer, length: number): void {
    // A tunnel may be silent for hours.
    this.#backend.rest();
    this.fromBackend(buffer, length);
  }

  onBackendDrain(): void {
    this.#client.resume();
  }

  onBackendEnd(detail: string, isBroken: boolean): void {
    if (this.#hasClientEnded && this.#hasBackendEnded) {
      // The last bytes have left after all.
      this.#owner.onTunnelOver();
      return;
    }
    if (isBroken) {
      this.#owner.onTunnelBroken(detail);
      return;
    }
    this.#hasBackendEnded = true;
    this.#client.endWriting();
    this.#endIfOver();
  }

  /** Both sides have ended. What still waits for the backend leaves first: its connection then closes by itself. */
  #endIfOver(): void {
    const hasEnded = this.#hasClientEnded && this.#hasBackendEnded;
    if (hasEnded && this.#backend.isFlushed) this.#owner.onTunnelOver();
  }

  /** What follows is the end of the reading side, which is what counts: unless it has come already. */
  onBackendWriteFailed(detail: string): void {
    if (this.#hasBackendEnded) this.#owner.onTunnelBroken(detail);
    else this.#client.resume();
  }

  // A tunnel's connection is open already.
  onBackendConnected(): void {}
  onBackendConnectFailed(): void {}
}
