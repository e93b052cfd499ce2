/**
 * Flow control (RFC 9113 §5.2, §6.9): how many bytes of DATA may be under way in each direction, of a stream and of the whole
 * connection. Padding counts.
 */
export const DEFAULT_WINDOW = 65535;
export const MAX_WINDOW = 0x7fffffff;

/** What the peer lets us send. */
export class SendWindow {
  /** Below 0 after the peer has made its initial window smaller: nothing may be sent until it is above 0 again. */
  available: number;

  constructor(initial: number) {
    this.available = initial;
  }

  /** So many bytes are sent. */
  take(bytes: number): void {
    this.available -= bytes;
  }

  /** A WINDOW_UPDATE. @returns false: it is more than a window can be, a FLOW_CONTROL_ERROR of what it is for. */
  add(increment: number): boolean {
    if (this.available + increment > MAX_WINDOW) return false;
    this.available += increment;
    return true;
  }

  /** The initial window has changed by so much, in either direction. @returns as `add`; the error is the connection's. */
  shift(difference: number): boolean {
    return this.add(difference);
  }
}

/** What we let the peer send. Credit goes back in large pieces: at half the window. */
export class ReceiveWindow {
  /** What it may still send. */
  available: number;
  /** Given back, and not told so far. */
  #owed = 0;
  /** As it is when nothing is under way. */
  #size: number;

  constructor(size: number) {
    this.available = size;
    this.#size = size;
  }

  /** A DATA frame of this length begins. @returns false: it is too much, a FLOW_CONTROL_ERROR. */
  take(bytes: number): boolean {
    this.available -= bytes;
    return this.available >= 0;
  }

  /** So many bytes that were taken have gone on. @returns the increment of a WINDOW_UPDATE that is due, or 0. */
  giveBack(bytes: number): number {
    this.#owed += bytes;
    return this.#owed * 2 >= this.#size ? this.#told() : 0;
  }

  /** The window becomes this large, if it is smaller. @returns the increment to tell, or 0. */
  grow(size: number): number {
    if (size <= this.#size) return 0;
    this.#owed += size - this.#size;
    this.#size = size;
    return this.#told();
  }

  #told(): number {
    const increment = this.#owed;
    this.#owed = 0;
    this.available += increment;
    return increment;
  }
}
