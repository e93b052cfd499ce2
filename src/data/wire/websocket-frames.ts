/**
 * Where frames begin and end in the bytes that a WebSocket server sends (RFC 6455 §5.2), and nothing else of them.
 *
 * A proxy may put a frame of its own into a stream that it relays only between two frames, and where that is can't be found
 * out later: so every tunnel is followed from its first byte. That costs a handful of operations per frame, since a payload
 * is skipped by arithmetic, and none of its bytes is looked at. What does not look like framing from a server turns the
 * tracker off for good: such a stream is left alone. permessage-deflate (RFC 7692) changes payloads, not frames.
 */

/** Close, 1001 "going away" (RFC 6455 §7.4.1), from a server: unmasked. Latin-1 text. */
export const CLOSE_GOING_AWAY = '\x88\x02\x03\xe9';

const FIN = 0x80;
const RSV2_AND_RSV3 = 0x30;
const OPCODE = 0x0f;
const CONTROL = 0x08;
const CLOSE = 0x08;
const MASK = 0x80;
const LENGTH = 0x7f;
const LENGTH_IN_2_BYTES = 126;
const LENGTH_IN_8_BYTES = 127;
/** RFC 6455 §5.5: a control frame's payload. */
const MAX_CONTROL_LENGTH = 125;

const AT_FIRST_BYTE = 0;
const AT_LENGTH = 1;
const AT_LONG_LENGTH = 2;
const AT_PAYLOAD = 3;
const IS_LOST = 4;

export class FrameTracker {
  /** The server has said Close: no frame may follow it (RFC 6455 §5.5.1). */
  hasClosed = false;

  #state: number;
  #isControl = false;
  /** Bytes of an extended length that are to come, and how long it is in all. */
  #lengthBytesLeft = 0;
  #lengthBytes = 0;
  /** Of the payload, as far as it is known. */
  #payloadLeft = 0;

  /** @param isWebSocket whether there are frames at all: if not, it is lost from the start. */
  constructor(isWebSocket = true) {
    this.#state = isWebSocket ? AT_FIRST_BYTE : IS_LOST;
  }

  /** Between two frames: here another one may be put in, also within a fragmented message (RFC 6455 §5.4). */
  get isAtBoundary(): boolean {
    return this.#state === AT_FIRST_BYTE;
  }

  /** The stream is no WebSocket framing, or was not understood: it never is at a boundary again. */
  get isLost(): boolean {
    return this.#state === IS_LOST;
  }

  /**
   * Goes on over `buffer[start, end)`.
   * @param stopsAtBoundary whether the end of a frame is far enough.
   * @returns how far it went: `end`, or the first boundary behind `start`.
   */
  advance(buffer: Uint8Array, start: number, end: number, stopsAtBoundary: boolean): number {
    let position = start;
    while (position < end && this.#state !== IS_LOST) {
      if (this.#state === AT_PAYLOAD) {
        const taken = Math.min(this.#payloadLeft, end - position);
        this.#payloadLeft -= taken;
        position += taken;
        if (this.#payloadLeft === 0) this.#state = AT_FIRST_BYTE;
      } else {
        this.#takeHeaderByte(buffer[position] as number);
        position++;
      }
      if (stopsAtBoundary && this.#state === AT_FIRST_BYTE) return position;
    }
    return end;
  }

  #takeHeaderByte(byte: number): void {
    switch (this.#state) {
      case AT_FIRST_BYTE:
        this.#takeFirstByte(byte);
        break;
      case AT_LENGTH:
        this.#takeLength(byte);
        break;
      default:
        this.#payloadLeft = this.#payloadLeft * 256 + byte;
        if (--this.#lengthBytesLeft === 0) this.#takeLongLength();
    }
  }

  #takeFirstByte(byte: number): void {
    const opcode = byte & OPCODE;
    this.#isControl = (opcode & CONTROL) !== 0;
    // 0 to 2 and 8 to 10; the others are reserved (RFC 6455 §11.8), and so are two bits that no extension uses.
    const isKnown = (opcode & ~CONTROL) <= 2 && (byte & RSV2_AND_RSV3) === 0;
    const isWhole = (byte & FIN) !== 0 || !this.#isControl;
    if (opcode === CLOSE) this.hasClosed = true;
    this.#state = isKnown && isWhole ? AT_LENGTH : IS_LOST;
  }

  /** RFC 6455 §5.1: a server masks nothing. */
  #takeLength(byte: number): void {
    const length = byte & LENGTH;
    if ((byte & MASK) !== 0 || (this.#isControl && length > MAX_CONTROL_LENGTH)) {
      this.#state = IS_LOST;
    } else if (length < LENGTH_IN_2_BYTES) {
      this.#beginPayload(length);
    } else {
      this.#lengthBytes = length === LENGTH_IN_8_BYTES ? 8 : 2;
      this.#lengthBytesLeft = this.#lengthBytes;
      this.#payloadLeft = 0;
      this.#state = AT_LONG_LENGTH;
    }
  }

  /** The least number of bytes must be used; what a number can't hold exactly is no length of a frame that ends. */
  #takeLongLength(): void {
    const length = this.#payloadLeft;
    const least = this.#lengthBytes === 2 ? LENGTH_IN_2_BYTES : 2 ** 16;
    if (length < least || length > Number.MAX_SAFE_INTEGER) this.#state = IS_LOST;
    else this.#beginPayload(length);
  }

  #beginPayload(length: number): void {
    this.#payloadLeft = length;
    this.#state = length === 0 ? AT_FIRST_BYTE : AT_PAYLOAD;
  }
}
