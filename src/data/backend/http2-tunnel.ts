/**
 * A WebSocket on a stream of an HTTP/2 connection (RFC 8441): its DATA, as the bytes of a connection of its own would be. The
 * request went out as an extended CONNECT; who asked for it sees the 101 of HTTP/1.1.
 */
import { createHash } from 'node:crypto';
import { FIELD_UPGRADE } from '../wire/fields.ts';
import type { Head, ResponseHead } from '../wire/head.ts';
import type { ConnectionOwner, ConnectionUser } from './backend-connection.ts';
import type { ResponseStart, TunnelConnection } from './backend-stream.ts';

/** What its tunnel needs of a stream. */
interface TunnelStream {
  readonly needsDrain: boolean;
  readonly heldBytes: number;
  sendBody(buffer: Buffer, start: number, end: number): void;
  end(trailers: string): void;
  pause(): void;
  resume(): void;
}

const ENDED = 'the backend closed the stream';

export class Http2Tunnel implements TunnelConnection {
  readonly backend: ConnectionOwner;
  readonly #stream: TunnelStream;
  #user: ConnectionUser | null = null;
  #hasEnded = false;
  #hasBeenEnded = false;

  constructor(stream: TunnelStream, backend: ConnectionOwner) {
    this.#stream = stream;
    this.backend = backend;
  }

  assign(user: ConnectionUser): void {
    this.#user = user;
  }

  get needsDrain(): boolean {
    return this.#stream.needsDrain;
  }

  get isFlushed(): boolean {
    return this.#stream.heldBytes === 0;
  }

  writeBorrowed(buffer: Buffer, start: number, end: number): void {
    this.#stream.sendBody(buffer, start, end);
  }

  end(): void {
    this.#hasEnded = true;
    this.#stream.end('');
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  rest(): void {}

  /** The connection is not only the tunnel's: it is asked for signs of life in its own way. */
  enableTcpKeepAlive(): void {}

  // ── What the stream says ────────────────────────────────────────────────────────────────────────────────────────

  receive(buffer: Buffer, start: number, end: number): void {
    this.#user?.onBackendBytes(buffer.subarray(start, end), end - start);
  }

  receiveEnd(): void {
    this.#hasBeenEnded = true;
    this.#user?.onBackendEnd(ENDED, false);
  }

  failed(detail: string): void {
    this.#user?.onBackendEnd(detail, true);
  }

  onRoom(): void {
    const isOver = this.#hasEnded && this.#hasBeenEnded && this.isFlushed;
    if (isOver) this.#user?.onBackendEnd(ENDED, false);
    else this.#user?.onBackendDrain();
  }

  onCutOff(): void {
    this.#user?.onBackendCutOff();
  }
}

const SWITCHING_PROTOCOLS = 101;
/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** The 101 that HTTP/1.1 has for this 200. @param key of the request */
export function switched(start: ResponseStart, key: string): ResponseStart {
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  const head = new SwitchedHead(start.head, accept);
  return { head, options: start.options, bodyLength: 0, misstatesLength: true };
}

/** A head with two fields more. */
class SwitchedHead implements ResponseHead {
  readonly versionMinor = 1;
  readonly keepsFirstLine = false;
  readonly status = SWITCHING_PROTOCOLS;
  readonly reason = 'Switching Protocols';
  readonly fieldCount: number;
  readonly #head: Head;
  readonly #own: readonly (readonly [name: string, value: string])[];

  constructor(head: Head, accept: string) {
    this.#head = head;
    this.#own = [
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Accept', accept],
    ];
    this.fieldCount = head.fieldCount + this.#own.length;
  }

  id(field: number): number {
    const at = field - this.#head.fieldCount;
    if (at < 0) return this.#head.id(field);
    return at === 0 ? FIELD_UPGRADE : 0;
  }

  name(field: number): string {
    return this.#own[field - this.#head.fieldCount]?.[0] ?? this.#head.name(field);
  }

  value(field: number): string {
    return this.#own[field - this.#head.fieldCount]?.[1] ?? this.#head.value(field);
  }

  valueLength(field: number): number {
    return this.value(field).length;
  }

  valueCode(field: number, index: number): number {
    return this.value(field).charCodeAt(index);
  }

  isValue(field: number, text: string): boolean {
    return this.value(field) === text;
  }

  isNamed(field: number, name: string): boolean {
    return this.name(field).toLowerCase() === name;
  }

  lines(from: number, to: number): string {
    let text = '';
    for (let field = Math.max(from, 0); field < to; field++) {
      text += `${this.name(field)}: ${this.value(field)}\r\n`;
    }
    return text;
  }
}
