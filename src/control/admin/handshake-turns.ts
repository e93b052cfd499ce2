/**
 * TLS handshakes of the admin API take turns. Each costs this thread a signature, before anything is known of who asks for it; so
 * many may begin at once, and then so many a second, those of all clients together. Honest clients are fewer, and wait for nobody.
 *
 * Addresses take turns among each other, whoever has opened how many. Of every two turns one is for addresses that have been let in
 * before: whoever floods from many neither keeps an operator out, nor does an operator's script keep out who is new.
 */
const AT_ONCE = 64;
const EVERY_MS = 20;
const MOST_KNOWN = 1024;

type Begin = () => void;
/** Of each address those that wait, and the address whose turn is next first. */
type Queue = Map<string, Set<Begin>>;

/** What of the clock is used. */
export interface Clock {
  /** In ms; never goes back. */
  now(): number;
  after(ms: number, run: () => void): void;
}

const CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, run) => void setTimeout(run, ms).unref(),
};

export class HandshakeTurns {
  readonly #clock: Clock;
  readonly #known = new Set<string>();
  readonly #ofKnown: Queue = new Map();
  readonly #ofOthers: Queue = new Map();
  /** When the next one has its turn, if as many as may begin at once had begun before. */
  #turnMs = Number.NEGATIVE_INFINITY;
  #isKnownNext = true;
  #isTimed = false;

  constructor(clock = CLOCK) {
    this.#clock = clock;
  }

  /** A call from this address was let in. */
  know(address: string): void {
    this.#known.delete(address);
    this.#known.add(address);
    if (this.#known.size <= MOST_KNOWN) return;
    for (const oldest of this.#known) {
      this.#known.delete(oldest);
      return;
    }
  }

  /**
   * Begins now, or when it has its turn.
   * @returns calls it off
   */
  take(address: string, begin: Begin): () => void {
    const queue = this.#known.has(address) ? this.#ofKnown : this.#ofOthers;
    const waiting = queue.get(address);
    if (waiting === undefined) queue.set(address, new Set([begin]));
    else waiting.add(begin);
    this.#next();
    return () => remove(queue, address, begin);
  }

  #next(): void {
    while (this.#ofKnown.size > 0 || this.#ofOthers.size > 0) {
      const nowMs = this.#clock.now();
      const turnMs = Math.max(this.#turnMs, nowMs - AT_ONCE * EVERY_MS) + EVERY_MS;
      if (turnMs > nowMs) {
        this.#wait(turnMs - nowMs);
        return;
      }
      this.#turnMs = turnMs;
      const isKnown = this.#ofOthers.size === 0 || (this.#isKnownNext && this.#ofKnown.size > 0);
      this.#isKnownNext = !isKnown;
      takeFirst(isKnown ? this.#ofKnown : this.#ofOthers)();
    }
  }

  #wait(ms: number): void {
    if (this.#isTimed) return;
    this.#isTimed = true;
    this.#clock.after(Math.ceil(ms), () => {
      this.#isTimed = false;
      this.#next();
    });
  }
}

/** Of the address whose turn it is, which is the last one then. */
function takeFirst(queue: Queue): Begin {
  const [[address, waiting]] = queue as unknown as [[string, Set<Begin>]];
  const [begin] = waiting as unknown as [Begin];
  queue.delete(address);
  waiting.delete(begin);
  if (waiting.size > 0) queue.set(address, waiting);
  return begin;
}

function remove(queue: Queue, address: string, begin: Begin): void {
  const waiting = queue.get(address);
  waiting?.delete(begin);
  if (waiting?.size === 0) queue.delete(address);
}
