/**
 * An upgraded connection: bytes both ways until both sides are done. It exists only after the backend's own 101
 * (CVE-2026-2833: a tunnel opened on the request alone).
 *
 * A drain ends it in order: the client is told 1001 "going away" between two frames of the backend, and nothing of the
 * backend follows it. The backend is told by the client's own answer, a close frame with the same code, which is relayed as
 * all of the client's bytes are (RFC 6455 §5.5.1): so nothing has to be masked, and nothing is made up in the client's name.
 */
import type { Ending } from '../../snapshot/endings.ts';
import type { ConnectionUser } from '../backend/backend-connection.ts';
import type { TunnelConnection } from '../backend/backend-stream.ts';
import type { Victim } from '../barrier.ts';
import { CLOSE_GOING_AWAY, FrameTracker } from '../wire/websocket-frames.ts';
import type { OpenTunnel, OpenTunnels } from './open-tunnels.ts';

/** The status of the answer that begins one. */
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
  /** Latin-1 text. */
  sendText(text: string): void;
}

export interface TunnelOwner extends Victim {
  readonly context: {
    readonly tunnels: OpenTunnels;
    readonly heldMemory: { paused(): void };
  };
  /** Bytes went through: the silence is over. */
  onTunnelBytes(): void;
  /** It has ended. @param ended null: both sides have, in order */
  onTunnelOver(ended: Ending | null): void;
  /** The backend's side broke. */
  onTunnelBroken(detail: string): void;
}

export class Tunnel implements ConnectionUser, OpenTunnel {
  isClosing = false;

  readonly #owner: TunnelOwner;
  readonly #client: TunnelClient;
  readonly #backend: TunnelConnection;
  /** Of what the backend sends. */
  readonly #frames: FrameTracker;
  #bytesIn = 0;
  /** A drain waits for the next place where the client can be told. */
  #mustGoAway = false;
  #hasClientEnded = false;
  #hasBackendEnded = false;
  #isSettled = false;

  /** @param isWebSocket else its client can't be told to go: a drain leaves it alone until its time is over. */
  constructor(
    owner: TunnelOwner,
    client: TunnelClient,
    backend: TunnelConnection,
    isWebSocket: boolean,
  ) {
    this.#owner = owner;
    this.#client = client;
    this.#backend = backend;
    this.#frames = new FrameTracker(isWebSocket);
    backend.assign(this);
    backend.enableTcpKeepAlive();
    backend.backend.counters.tunnelsChanged(1);
    owner.context.tunnels.add(this);
  }

  get backendId(): number {
    return this.#backend.backend.spec.id;
  }

  get backendUrl(): string {
    return this.#backend.backend.spec.url;
  }

  /** The exchange is over, and the tunnel with it. @returns how many bytes came from the client. */
  settle(): number {
    if (this.#isSettled) return this.#bytesIn;
    this.#isSettled = true;
    this.#backend.backend.counters.tunnelsChanged(-1);
    this.#owner.context.tunnels.delete(this);
    return this.#bytesIn;
  }

  get victim(): Victim {
    return this;
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
  }

  /** Takes `buffer[start, end)`, borrowed. */
  /** What either sent ahead has waited for the 101. @param rest behind the backend's head @param early null: nothing */
  begin(rest: Buffer, early: Buffer | null): void {
    this.fromBackend(rest, rest.length);
    if (early !== null) this.fromClient(early, 0, early.length);
  }

  fromClient(buffer: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.#bytesIn += end - start;
    this.#owner.onTunnelBytes();
    this.#backend.writeBorrowed(buffer, start, end);
    if (this.#backend.needsDrain) this.#client.pause();
  }

  /** Takes `buffer[0, length)`, borrowed. */
  fromBackend(buffer: Buffer, length: number): void {
    if (length === 0) return;
    this.#owner.onTunnelBytes();
    // The client has had its last frame: what the backend says until it has heard of it is lost.
    if (this.isClosing) return;
    const end = this.#frames.advance(buffer, 0, length, this.#mustGoAway);
    this.#client.sendBytes(buffer, 0, end);
    if (this.#mustGoAway && this.#frames.isAtBoundary) this.#close();
    else if (this.#client.needsDrain) {
      this.#backend.pause();
      this.#owner.context.heldMemory.paused();
    }
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

  // ── What a drain does ───────────────────────────────────────────────────────────────────────────────────────────

  goAway(): void {
    if (this.isClosing || this.#hasBackendEnded) return;
    this.#mustGoAway = true;
    if (this.#frames.isAtBoundary) this.#close();
  }

  stay(): void {
    this.#mustGoAway = false;
  }

  end(): void {
    this.#owner.onTunnelOver('drain');
  }

  cut(): void {
    this.#backend.backend.counters.tunnelCut();
    this.end();
  }

  /** At a boundary. A backend that has said Close by itself is on its way out already. */
  #close(): void {
    this.isClosing = true;
    if (!this.#frames.hasClosed) this.#client.sendText(CLOSE_GOING_AWAY);
    // Its answer to the client's close is not relayed, but its end is waited for.
    this.#backend.resume();
  }

  // ── What the backend's connection says ──────────────────────────────────────────────────────────────────────────

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
      this.#owner.onTunnelOver(this.#ended);
      return;
    }
    // A client that was told to go has all that it will get: a reset could destroy that on its way.
    if (isBroken && !this.isClosing) {
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
    if (hasEnded && this.#backend.isFlushed) this.#owner.onTunnelOver(this.#ended);
  }

  /** Once both sides have: that was their own doing, or because the client was told to go. */
  get #ended(): Ending | null {
    return this.isClosing ? 'drain' : null;
  }

  /** What follows is the end of the reading side, which is what counts: unless it has come already. */
  onBackendWriteFailed(detail: string): void {
    if (!this.#hasBackendEnded) this.#client.resume();
    else if (this.isClosing) this.end();
    else this.#owner.onTunnelBroken(detail);
  }

  onBackendCutOff(): void {
    this.end();
  }

  // A tunnel's connection is open already.
  onBackendConnected(): void {}
  onBackendConnectFailed(): void {}
}
