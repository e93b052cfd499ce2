/**
 * Who of a thread's clients makes room for others: those that have never asked for anything, then those that have been idle
 * for longest. Whoever was busy a moment ago is not idle: it is between two requests.
 *
 * Nothing is kept in order while requests come and go, which would cost each of them something: the clients are looked
 * through when room is needed, ten times a second at most, and enough of them noted for a while.
 */
const MIN_IDLE_MS = 1_000;
const LOOK_EVERY_MS = 100;
/** So long an order that was found holds: somebody may have come meanwhile who is to go before the others. */
const NOTED_MS = 1_000;
const MIN_NOTED = 64;
const NOTED_SHARE = 0.25;

export const NEVER = Number.POSITIVE_INFINITY;

export interface MayBeIdle {
  /** Since when nothing is under way and nothing was begun; `NEVER`: something is. */
  readonly idleSinceMs: number;
  /** Whether it has had an answer. */
  readonly hasServed: boolean;
  /** Closes it if it is idle. @returns whether it was */
  makeRoom(): boolean;
}

interface Noted {
  readonly client: MayBeIdle;
  readonly hasServed: boolean;
  readonly sinceMs: number;
}

export class IdleClients {
  readonly #clients: () => Iterable<MayBeIdle>;
  /** The next one to go is the last. */
  #noted: Noted[] = [];
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(clients: () => Iterable<MayBeIdle>) {
    this.#clients = clients;
  }

  /** @returns false if nobody is idle. */
  closeOldest(nowMs: number): boolean {
    for (;;) {
      const isOld = nowMs - this.#lookedAtMs >= NOTED_MS;
      const next = (isOld ? undefined : this.#noted.pop()) ?? this.#look(nowMs);
      if (next === undefined) return false;
      if (next.client.idleSinceMs === next.sinceMs && next.client.makeRoom()) return true;
    }
  }

  count(nowMs: number): number {
    let count = 0;
    for (const { idleSinceMs } of this.#clients()) {
      if (idleSinceMs <= nowMs - MIN_IDLE_MS) count++;
    }
    return count;
  }

  #look(nowMs: number): Noted | undefined {
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return undefined;
    this.#lookedAtMs = nowMs;
    const idle: Noted[] = [];
    for (const client of this.#clients()) {
      const sinceMs = client.idleSinceMs;
      if (sinceMs > nowMs - MIN_IDLE_MS) continue;
      idle.push({ client, hasServed: client.hasServed, sinceMs });
    }
    idle.sort(byTurn);
    const count = Math.max(MIN_NOTED, Math.ceil(idle.length * NOTED_SHARE));
    this.#noted = idle.slice(0, count).toReversed();
    return this.#noted.pop();
  }
}

function byTurn(one: Noted, other: Noted): number {
  return one.hasServed === other.hasServed
    ? one.sinceMs - other.sinceMs
    : Number(one.hasServed) - Number(other.hasServed);
}
