/**
 * Whether a backend that owes us an answer on an HTTP/2 connection is still there. It is asked only once something was sent since
 * it was last heard of: servers of gRPC take many PINGs for an attack, and streams may rightly be silent for hours.
 */

/** Nothing has to be told apart by it. */
export const PING_DATA = Buffer.from('fairlead', 'latin1');

export class Silence {
  /** On the awake clock: the first that was sent since the backend was last heard of, and the PING behind it; 0: nothing. */
  #sentAtMs = 0;
  #askedAtMs = 0;

  /** @param nowMs may be coarse. */
  sent(nowMs: number): void {
    if (this.#sentAtMs === 0) this.#sentAtMs = nowMs;
  }

  heard(): void {
    this.#sentAtMs = 0;
    this.#askedAtMs = 0;
  }

  /** @param limitMs before it is asked, and again before it counts as dead; 0: for ever. */
  check(nowMs: number, limitMs: number): 'waits' | 'asks' | 'is dead' {
    if (limitMs === 0 || this.#sentAtMs === 0) return 'waits';
    if (this.#askedAtMs !== 0) return nowMs - this.#askedAtMs >= limitMs ? 'is dead' : 'waits';
    if (nowMs - this.#sentAtMs < limitMs) return 'waits';
    this.#askedAtMs = nowMs;
    return 'asks';
  }
}
