/**
 * An HTTP/1.1 connection to a backend as the one stream that it carries: requests go out on it one after the other, each
 * once the response to the one before is complete. One object per connection.
 *
 * What belongs together leaves in one write: the head and a small body as one latin-1 string.
 */
import type { ErrorCode } from '../../errors.ts';
import type { Victim } from '../barrier.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import { chunkSizeLine, lastChunk } from '../wire/chunked.ts';
import { BODY_CHUNKED } from '../wire/framing.ts';
import {
  BackendConnection,
  type ConnectionOwner,
  type ConnectionUser,
  type KeepTerms,
} from './backend-connection.ts';
import {
  type BackendStream,
  type BackendStreamUser,
  type ConnectionHolder,
  type RequestStart,
  UNKNOWN_LENGTH,
} from './backend-stream.ts';
import { Http1Response, type ResponseParsers } from './http1-response.ts';

/** Up to here a part of a body goes out as text, in one write with what is before it. */
const TEXT_BYTES = 16 * 1024;

export class Http1Stream implements BackendStream, ConnectionUser {
  readonly connection: BackendConnection;
  isReused = false;

  readonly #response: Http1Response;
  #user: BackendStreamUser | null;
  #sendsChunks = false;
  /** Text that waits to be written together. */
  #text = '';
  #isCorked = false;

  /**
   * Begins to connect.
   * @param open in place of that: a connection that is there.
   */
  constructor(
    owner: ConnectionOwner,
    user: BackendStreamUser,
    io: ThreadIo,
    parsers: ResponseParsers,
    header: Buffer | null,
    open: BackendConnection | null = null,
  ) {
    this.#user = user;
    if (open !== null) open.assign(this);
    this.connection = open ?? new BackendConnection(owner, this, io, header, owner.terms.forHttp1);
    this.#response = new Http1Response(this.connection, parsers);
  }

  get openedAtMs(): number {
    return this.connection.openedAtMs;
  }

  /** Its connection is idle: the next request is `user`'s. */
  reuse(user: BackendStreamUser): void {
    this.#user = user;
    this.isReused = true;
    this.#response.hasBytes = false;
    this.connection.assign(this);
  }

  get isHttp2(): boolean {
    return false;
  }

  get hasAnswered(): boolean {
    return this.#response.hasBytes;
  }

  get heldBytes(): number {
    return this.connection.heldBytes + this.#response.heldBytes;
  }

  get needsDrain(): boolean {
    return this.connection.needsDrain;
  }

  get victim(): Victim | null {
    return this.#user;
  }

  // ── The request ─────────────────────────────────────────────────────────────────────────────────────────────────

  sendHead({ facts, forwarded }: RequestStart, host: string, length: number): void {
    const { method, bodyKind, upgrade } = facts;
    this.#response.begin(this.#user as BackendStreamUser, method === 'HEAD', upgrade);
    if (facts.authenticatesConnection) this.connection.isPrivate = true;
    this.#sendsChunks = length === UNKNOWN_LENGTH;
    const hostLine = forwarded.needsHost ? `Host: ${host}\r\n` : '';
    // A body that came with a length has its Content-Length field among the others.
    const framingLine = bodyKind === BODY_CHUNKED ? framingLineOf(length) : '';
    this.#text = `${forwarded.startLine}${hostLine}${forwarded.fields}${framingLine}\r\n`;
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    if (this.#takesAsText(buffer, start, end)) return;
    this.#writeText();
    this.connection.writeBorrowed(buffer, start, end);
    if (this.#sendsChunks) this.#text = '\r\n';
  }

  sendOwned(bytes: Buffer): void {
    if (this.#takesAsText(bytes, 0, bytes.length)) return;
    // Several pieces leave in one system call.
    if (!this.#isCorked) this.connection.cork();
    this.#isCorked = true;
    this.#writeText();
    this.connection.writeBytes(bytes);
    if (this.#sendsChunks) this.#text = '\r\n';
  }

  #takesAsText(buffer: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (this.#sendsChunks) this.#text += chunkSizeLine(length);
    // Alone it would only be copied twice.
    if (length > TEXT_BYTES || this.#text === '' || this.#text.length > TEXT_BYTES) return false;
    this.#text += buffer.latin1Slice(start, end);
    if (this.#sendsChunks) this.#text += '\r\n';
    return true;
  }

  end(trailers: string): void {
    if (this.#sendsChunks) this.#text += lastChunk(trailers);
  }

  flush(): void {
    this.#writeText();
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.connection.uncork();
  }

  #writeText(): void {
    const text = this.#text;
    if (text === '') return;
    this.#text = '';
    this.connection.writeText(text);
  }

  // ── The response ────────────────────────────────────────────────────────────────────────────────────────────────

  pause(): void {
    this.connection.pause();
  }

  resume(): void {
    this.connection.resume();
  }

  finish(nowMs: number, terms: KeepTerms, limit: number, holder: ConnectionHolder): void {
    const { connection } = this;
    // A backend that has answered may still have to read: what waits for it would delay the next request.
    if (!this.#response.isReusable || !connection.isFlushed || connection.hasWriteFailed) {
      this.cancel();
      return;
    }
    this.#letGo();
    if (connection.isPrivate) {
      holder.hold(connection);
      connection.backend.keepPinned(connection, nowMs, terms);
    } else if (connection.header !== null) {
      connection.destroy();
    } else {
      connection.backend.putIdle(connection, nowMs, terms, limit);
    }
  }

  cancel(): void {
    this.#letGo();
    this.connection.destroy();
  }

  #letGo(): void {
    this.#user = null;
    this.#text = '';
    this.#response.stop();
  }

  tunnel(): BackendConnection {
    return this.connection;
  }

  giveUp(): void {
    this.#user = null;
    this.#text = '';
    this.#response.giveUp();
    this.connection.giveUp();
  }

  // ── What the connection says ────────────────────────────────────────────────────────────────────────────────────

  onBackendConnected(): void {
    this.#user?.onConnected();
  }

  onBackendConnectFailed(code: ErrorCode, detail: string): void {
    this.#user?.onConnectFailed(code, detail);
  }

  onBackendBytes(buffer: Buffer, length: number): void {
    this.#response.receive(buffer, length);
  }

  onBackendEnd(detail: string, isBroken: boolean): void {
    const response = this.#response;
    // RFC 9112 §8: a body that ends with the connection is complete only if the connection ended in order.
    if (!isBroken && response.receiveEnd()) return;
    const code = response.isHeadDone ? 'ERR_BACKEND_TRUNCATED' : 'ERR_BACKEND_CLOSED';
    this.#user?.onFailed(code, detail);
  }

  onBackendDrain(): void {
    this.#user?.onRoom();
  }

  /** The response may already be on its way (an early 413): nothing more is written, and reading goes on. */
  onBackendWriteFailed(): void {
    this.#user?.onRoom();
  }

  onBackendCutOff(): void {
    this.#user?.onCutOff();
  }
}

function framingLineOf(length: number): string {
  return length === UNKNOWN_LENGTH
    ? 'Transfer-Encoding: chunked\r\n'
    : `Content-Length: ${length}\r\n`;
}
