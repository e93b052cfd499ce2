/**
 * One request and its response on an HTTP/2 connection to a backend, which carries many. One object per request.
 *
 * Flow control in both directions: what the backend does not take yet waits here (`needsDrain`), and while the client does not
 * read, the backend gets no more credit for this stream; the connection is read on in any case.
 */
import type { ErrorCode } from '../../errors.ts';
import { letGo } from '../barrier.ts';
import { forwardTrailer } from '../wire/forward-response.ts';
import { BODY_CHUNKED } from '../wire/framing.ts';
import {
  CANCEL,
  FLOW_CONTROL_ERROR,
  HTTP_1_1_REQUIRED,
  INTERNAL_ERROR,
  nameOfError,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
} from '../wire/http2/error-codes.ts';
import type { FieldList } from '../wire/http2/field-list.ts';
import { ReceiveWindow, SendWindow } from '../wire/http2/windows.ts';
import {
  type BackendStream,
  type BackendStreamUser,
  type RequestStart,
  type TunnelConnection,
  UNKNOWN_LENGTH,
} from './backend-stream.ts';
import type { OwnedStream } from './http2-owned-stream.ts';
import { RequestBody } from './http2-request-body.ts';
import { errorOfResponse, readResponse, readTrailers } from './http2-response.ts';
import { STREAM_WINDOW } from './http2-settings.ts';
import type { StreamOwner } from './http2-stream-owner.ts';
import { Http2Tunnel, switched } from './http2-tunnel.ts';

/** A response without a Content-Length. */
const NO_LENGTH = -1;

export class Http2Stream implements BackendStream, OwnedStream {
  /** 0 before its request is sent. */
  id = 0;
  /** Told what comes; null once the stream is over. */
  user: BackendStreamUser | null;
  readonly isReused: boolean;
  hasAnswered = false;
  readonly sendWindow = new SendWindow(0);
  /** It is told of the end of a read. */
  isTouched = false;

  readonly #owner: StreamOwner;
  readonly #receiveWindow = new ReceiveWindow(STREAM_WINDOW);
  #answersHead = false;
  /** Of the WebSocket that is asked for, the key; empty: none is. */
  #webSocketKey = '';
  #tunnel: Http2Tunnel | null = null;

  readonly #body: RequestBody;

  #isHeadDone = false;
  /** Of the response's body, what is to come; `NO_LENGTH`: unknown. */
  #toReceive = NO_LENGTH;
  #isReceived = false;
  /** Of the DATA frame that is coming, what was no padding. */
  #frameBytes = 0;
  #frameLength = 0;
  #isPaused = false;
  /** Received, for which the backend has no credit back yet. */
  #owedBytes = 0;

  constructor(owner: StreamOwner, user: BackendStreamUser, isReused: boolean) {
    this.#owner = owner;
    this.#body = new RequestBody(owner, this);
    this.user = user;
    this.isReused = isReused;
  }

  get isHttp2(): boolean {
    return true;
  }

  get openedAtMs(): number {
    return this.#owner.connection.openedAtMs;
  }

  get needsDrain(): boolean {
    return this.#body.waitingBytes > 0 || this.#owner.turns.isFull;
  }

  get heldBytes(): number {
    return this.#body.waitingBytes;
  }

  /** Both sides have ended. */
  get isOver(): boolean {
    return this.#body.isSent && this.#isReceived;
  }

  // ── The request ─────────────────────────────────────────────────────────────────────────────────────────────────

  sendHead({ facts, forwarded }: RequestStart, host: string, length: number): void {
    const { method, bodyKind, upgrade } = facts;
    const owner = this.#owner;
    this.#answersHead = method === 'HEAD';
    let head = forwarded.startLine + forwarded.fields;
    // A body that came with a length has its Content-Length field among the others.
    if (bodyKind === BODY_CHUNKED && length !== UNKNOWN_LENGTH) {
      head += `Content-Length: ${length}\r\n`;
    }
    const protocol = upgrade.includes('websocket') ? 'websocket' : '';
    if (protocol !== '') {
      if (!owner.hasConnectProtocol) {
        owner.failLater(this, 'ERR_BACKEND_NO_WEBSOCKET', NO_WEBSOCKET);
        return;
      }
      this.#webSocketKey = webSocketKeyOf(head);
    }
    this.#body.begin(protocol === '' ? length : UNKNOWN_LENGTH);
    const endsStream = this.#body.isSent;
    const authority = forwarded.needsHost ? host : (facts.host ?? host);
    owner.sendRequest(this, head, authority, protocol, endsStream);
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    this.#body.send(buffer, start, end, false);
  }

  sendOwned(bytes: Buffer): void {
    this.#body.send(bytes, 0, bytes.length, true);
  }

  end(trailers: string): void {
    this.#body.end(trailers);
  }

  /** There may be room. @returns whether all that has waited was sent */
  sendWaiting(): boolean {
    return this.#body.sendWaiting();
  }

  /** More may be sent, or nothing that is sent leaves any more. */
  noteRoom(): void {
    if (this.#body.isSent && this.#tunnel === null) return;
    if (this.#tunnel === null) this.user?.onRoom();
    else this.#tunnel.onRoom();
  }

  /** An operator takes the backend out of use. */
  noteCutOff(): void {
    if (this.#tunnel === null) this.user?.onCutOff();
    else this.#tunnel.onCutOff();
  }

  /** Nothing that is sent leaves any more. */
  dropWaiting(): void {
    this.#body.drop();
  }

  /** Frames leave together at the end of the round. */
  flush(): void {}

  // ── The response ────────────────────────────────────────────────────────────────────────────────────────────────

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#giveBack(0);
  }

  #giveBack(bytes: number): void {
    this.#owedBytes += bytes;
    if (this.#isPaused || this.#owedBytes === 0) return;
    const increment = this.#receiveWindow.giveBack(this.#owedBytes);
    this.#owedBytes = 0;
    const isOpen = this.user !== null && !this.#isReceived;
    if (increment > 0 && isOpen) this.#owner.turns.giveCredit(this, increment);
  }

  /** A header block has come; of its fields `list` has all, unless they are too many. */
  receiveBlock(list: FieldList, isTooLarge: boolean, endsStream: boolean): void {
    this.hasAnswered = true;
    if (this.#isReceived) this.#refuse('a header block behind the end of the response');
    else if (this.#tunnel !== null) this.#receiveTrailersOfTunnel(endsStream);
    else if (isTooLarge) this.#fail('ERR_BACKEND_HEAD_TOO_LARGE', 'too many fields', CANCEL);
    else if (this.#isHeadDone) this.#receiveTrailers(list, endsStream);
    else this.#receiveHead(list, endsStream);
  }

  #receiveHead(list: FieldList, endsStream: boolean): void {
    const start = readResponse(list, endsStream, this.#answersHead);
    if (start === null) {
      this.#refuse(`malformed response head: ${errorOfResponse()}`);
      return;
    }
    const { user } = this;
    if (user === null) return;
    if (this.#webSocketKey !== '' && start.head.status === 200 && !endsStream) {
      this.#isHeadDone = true;
      user.onSwitched(switched(start, this.#webSocketKey), NO_BYTES, true);
      return;
    }
    if (start.head.status < 200) {
      if (endsStream) this.#refuse('an interim response that ends the stream');
      else user.onHead(start);
      return;
    }
    this.#isHeadDone = true;
    this.#toReceive = start.bodyLength === UNKNOWN_LENGTH ? NO_LENGTH : start.bodyLength;
    if (endsStream && this.#toReceive > 0) {
      this.#refuse('a response that ends before its Content-Length');
      return;
    }
    user.onHead(start);
    if (endsStream) this.#complete('');
  }

  #receiveTrailers(list: FieldList, endsStream: boolean): void {
    const trailers = readTrailers(list);
    if (trailers === null || !endsStream) {
      const why = endsStream ? errorOfResponse() : 'they do not end the stream';
      this.#refuse(`malformed trailers: ${why}`);
    } else {
      this.#receiveEnd(forwardTrailer(trailers, null));
    }
  }

  /** @param length of the frame, padding included. */
  receiveDataStart(length: number): void {
    this.#frameLength = length;
    this.#frameBytes = 0;
    if (!this.#receiveWindow.take(length)) {
      const detail = 'more of a body than it may send';
      this.#fail('ERR_BACKEND_BAD_RESPONSE', detail, FLOW_CONTROL_ERROR);
    } else if (this.#isReceived || !this.#isHeadDone) {
      this.#refuse(this.#isReceived ? 'a body behind its end' : 'a body before its head');
    }
  }

  receiveData(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#frameBytes += length;
    if (this.#toReceive !== NO_LENGTH) {
      this.#toReceive -= length;
      if (this.#toReceive < 0) {
        this.#refuse('a body that is longer than its Content-Length, or that must not be');
        return;
      }
    }
    if (this.#tunnel === null) this.user?.onBody(buffer, start, end);
    else this.#tunnel.receive(buffer, start, end);
    this.#giveBack(length);
  }

  receiveDataEnd(endsStream: boolean): void {
    this.#giveBack(this.#frameLength - this.#frameBytes);
    if (endsStream && this.user !== null) this.#receiveEnd('');
  }

  #receiveEnd(trailers: string): void {
    if (this.#toReceive > 0) this.#refuse('a body that is shorter than its Content-Length');
    else this.#complete(trailers);
  }

  #complete(trailers: string): void {
    this.#isReceived = true;
    if (this.#tunnel === null) this.user?.onEnd(trailers);
    else this.#tunnel.receiveEnd();
  }

  #receiveTrailersOfTunnel(endsStream: boolean): void {
    if (endsStream) this.#complete('');
    else this.#refuse('a header block within a tunnel');
  }

  /** The end of a read: all that has come is told. */
  noteRead(): void {
    if (this.#isReceived || this.#tunnel !== null) return;
    this.user?.onFlush();
  }

  // ── Its end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The backend has reset it. */
  receiveReset(code: number): void {
    // RFC 9113 §8.1: an answer that is complete stands, and the rest of the request is not wanted.
    if (this.#isReceived) {
      this.#body.giveUp();
      this.noteRoom();
      return;
    }
    this.#isReceived = true;
    this.#body.giveUp();
    const why = `the backend reset the stream: ${nameOfError(code)}`;
    if (code === REFUSED_STREAM && !this.hasAnswered) {
      this.failed('ERR_BACKEND_REFUSED_STREAM', why);
    } else if (code === HTTP_1_1_REQUIRED && !this.hasAnswered && this.#owner.requireHttp1()) {
      // It was not served here, and goes out again as one that was never seen.
      this.failed('ERR_BACKEND_GOAWAY', why);
    } else {
      this.failed(
        this.lostCode('ERR_BACKEND_RESET'),
        code === HTTP_1_1_REQUIRED ? why + HINT : why,
      );
    }
  }

  /** What it is that there will be no more of it. @param unanswered where nothing has come */
  lostCode(unanswered: ErrorCode): ErrorCode {
    return this.#isHeadDone ? 'ERR_BACKEND_TRUNCATED' : unanswered;
  }

  /** The backend has sent what it must not. */
  #refuse(detail: string): void {
    this.#fail('ERR_BACKEND_BAD_RESPONSE', detail, PROTOCOL_ERROR);
  }

  /** The stream has an error of the frame itself. */
  receiveError(code: number, detail: string): void {
    this.#fail('ERR_BACKEND_BAD_RESPONSE', detail, code);
  }

  #fail(code: ErrorCode, detail: string, reason: number): void {
    if (this.id !== 0) this.#owner.turns.reset(this, reason);
    this.#isReceived = true;
    this.#body.giveUp();
    this.failed(code, detail);
  }

  /** There will be no complete response: the user is told, and lets go. */
  failed(code: ErrorCode, detail: string): void {
    if (this.#tunnel === null) this.user?.onFailed(code, detail);
    else this.#tunnel.failed(detail);
  }

  /** The connection is gone, or takes nothing of it: nothing is to be sent. */
  cutOff(): void {
    this.#isReceived = true;
    this.#body.giveUp();
  }

  /** Its user gets another one, and this one is nobody's. */
  detach(): BackendStreamUser | null {
    const { user } = this;
    this.user = null;
    return user;
  }

  /** The request is over as well, or not wanted any more: either way the connection goes on. */
  finish(): void {
    this.cancel();
  }

  cancel(): void {
    this.#letGo(CANCEL);
  }

  #letGo(reason: number): void {
    if (this.user === null) return;
    this.user = null;
    this.dropWaiting();
    try {
      if (!this.isOver && this.id !== 0) this.#owner.turns.reset(this, reason);
    } finally {
      this.#owner.leave(this);
    }
  }

  tunnel(): TunnelConnection {
    this.#tunnel ??= new Http2Tunnel(this, this.#owner.backend);
    return this.#tunnel;
  }

  giveUp(): void {
    letGo(() => this.#letGo(INTERNAL_ERROR));
  }
}

const NO_BYTES = Buffer.alloc(0);

const HINT = ' (with protocol: http1 or auto, such requests go over HTTP/1.1)';

const NO_WEBSOCKET =
  'its SETTINGS do not offer extended CONNECT (RFC 8441); with protocol: http1 or auto, WebSockets go over HTTP/1.1';

const KEY_LINE = /\r\nsec-websocket-key:[ \t]*([^\r\n]*?)[ \t]*\r\n/i;

function webSocketKeyOf(head: string): string {
  return KEY_LINE.exec(head)?.[1] || 'none';
}
