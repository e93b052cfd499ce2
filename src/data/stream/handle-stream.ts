/**
 * What streams on Node's handles have in common, over TCP and over TLS: reading and its turns, text that waits for the end of
 * the round, the two halves of the end, and closing.
 */
import type { ConnectionEnds } from '../../net/proxy-header.ts';
import type { ByteStream, StreamUser } from './byte-stream.ts';
import { Reading } from './reading.ts';
import { type AddressOut, peerAddress, shutdown, type TcpHandle } from './tcp-handles.ts';
import type { Sender, ThreadIo } from './thread-io.ts';

/** So much may wait for the system to take it before the user is asked to stop. */
export const HIGH_WATER = 64 * 1024;
/** Up to here a copy is cheaper than lending. */
export const SHORT_BYTES = 16 * 1024;

/** What is read from and shut down: a TCP handle, or TLS on top of one. */
type StreamHandle = Pick<TcpHandle, 'readStart' | 'readStop' | 'shutdown'>;

export abstract class HandleStream implements ByteStream, Sender {
  needsDrain = false;
  hasBareEnd = false;

  protected readonly user: StreamUser;
  protected readonly io: ThreadIo;
  protected readonly reading: Reading;
  /** Text that leaves at the end of the round. */
  protected queued = '';
  /** What was written since `cork`. */
  protected corked: (string | Buffer)[] | null = null;
  protected hasWriteFailed = false;
  protected isEnding = false;
  protected hasReadEnded = false;
  protected isClosed = false;

  readonly #handle: StreamHandle;
  /** What the system knows the connection by. */
  readonly #carrier: TcpHandle;
  #hasWriteEnded = false;

  /** Begins to read: bytes come in later rounds of the event loop. */
  constructor(handle: StreamHandle, carrier: TcpHandle, user: StreamUser, io: ThreadIo) {
    this.#handle = handle;
    this.#carrier = carrier;
    this.user = user;
    this.io = io;
    this.reading = new Reading(handle, this, io.readTurns);
  }

  abstract readonly unsentBytes: number;
  abstract readonly heldBytes: number;
  abstract readonly isFlushed: boolean;
  abstract writeBytes(bytes: Buffer): void;
  abstract writeBorrowed(buffer: Buffer, start: number, end: number): void;
  abstract uncork(): void;
  abstract rest(): void;
  abstract flush(): void;
  abstract end(): void;
  abstract destroy(): void;
  abstract reset(): void;
  abstract onCrashed(error: unknown): void;

  get remoteAddress(): string | undefined {
    return this.isClosed ? undefined : peerAddress(this.#carrier);
  }

  get ends(): ConnectionEnds | null {
    const peer: AddressOut = {};
    const own: AddressOut = {};
    const carrier = this.#carrier;
    if (this.isClosed || carrier.getpeername(peer) !== 0 || carrier.getsockname(own) !== 0) {
      return null;
    }
    const { address = '', port = 0 } = peer;
    return { address, port, localAddress: own.address ?? '', localPort: own.port ?? 0 };
  }

  get isReset(): boolean {
    return !(this.isEnding || this.isClosed) && this.remoteAddress === undefined;
  }

  enableTcpKeepAlive(idleMs: number): void {
    if (!this.isClosed) this.#carrier.setKeepAlive(true, Math.ceil(idleMs / 1000));
  }

  pause(): void {
    this.reading.pause();
  }

  resume(): void {
    this.reading.resume();
  }

  // ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  writeText(text: string): void {
    if (this.corked !== null) {
      this.corked.push(text);
    } else if (this.mayWrite) {
      if (this.queued === '') this.io.flushLater(this);
      this.queued += text;
    }
  }

  cork(): void {
    this.corked ??= [];
  }

  protected get mayWrite(): boolean {
    return !(this.hasWriteFailed || this.isEnding || this.isClosed);
  }

  protected noticeDrained(): void {
    if (!this.needsDrain) return;
    this.needsDrain = false;
    this.user.onDrain();
  }

  /** Told later: never within a write. */
  protected failWriting(detail: string): void {
    if (this.hasWriteFailed) return;
    this.hasWriteFailed = true;
    this.needsDrain = false;
    process.nextTick(() => {
      try {
        if (!this.isClosed) this.user.onWriteFailed(detail);
      } catch (error) {
        this.onCrashed(error);
      }
    });
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The peer has ended. */
  protected endReading(): void {
    this.hasReadEnded = true;
    this.reading.end();
    this.user.onEnd();
    this.#closeIfEnded();
  }

  /** Sends the end of our half, behind what was written. */
  protected shutDown(): void {
    shutdown(this.#handle, () => {
      try {
        this.#hasWriteEnded = true;
        this.#closeIfEnded();
      } catch (error) {
        this.onCrashed(error);
      }
    });
  }

  #closeIfEnded(): void {
    if (this.hasReadEnded && this.#hasWriteEnded) this.close('the connection closed');
  }

  protected close(detail: string): void {
    if (this.isClosed) return;
    this.destroy();
    this.user.onClosed(detail);
  }
}
