/**
 * What the bodies on a client's HTTP/2 connection take of its window (RFC 9113 §5.2): credit goes back as soon as they have come,
 * for each stream has a window of its own, which stops it while nobody takes what it sends. So uploads that have stopped leave the
 * others the whole of the connection.
 *
 * But not without end: what of them waits in memory beyond `mostHeld` keeps its part of the window, until it has been handed on.
 */
import type { ReceiveWindow } from '../wire/http2/windows.ts';

export class Http2Bodies {
  readonly #window: ReceiveWindow;
  readonly #mostHeld: number;
  /** Has come, and was not handed on. */
  #held = 0;
  /** Of that, what there was no credit for. */
  #uncredited = 0;

  constructor(window: ReceiveWindow, mostHeld: number) {
    this.#window = window;
    this.#mostHeld = mostHeld;
  }

  /** A DATA frame of this length begins. @returns false: it is more than may come, a FLOW_CONTROL_ERROR */
  take(bytes: number): boolean {
    return this.#window.take(bytes);
  }

  /** It has come, for somebody who takes it sooner or later. @returns the increment of a WINDOW_UPDATE that is due, or 0, as below */
  arrived(bytes: number): number {
    return this.#holds(this.#held + bytes, bytes);
  }

  /** What had arrived is waited for by nobody any more. */
  handedOn(bytes: number): number {
    return this.#holds(this.#held - bytes, 0);
  }

  /** It has come for nobody. */
  dropped(bytes: number): number {
    return this.#window.giveBack(bytes);
  }

  /** @param arrived bytes, within these */
  #holds(held: number, arrived: number): number {
    const uncredited = Math.max(0, held - this.#mostHeld);
    const credit = arrived + this.#uncredited - uncredited;
    this.#held = held;
    this.#uncredited = uncredited;
    return credit === 0 ? 0 : this.#window.giveBack(credit);
  }
}
