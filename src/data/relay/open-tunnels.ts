/**
 * The tunnels of one data thread, and their way out when a backend drains or the process ends.
 *
 * WebSockets live for hours, so a drain has to end them, and all their clients come back somewhere else: if they were told
 * at the same moment, they would all come at the same moment (the thundering herd). So each gets its turn: the time is cut
 * into as many parts as there are tunnels, and each turn lies anywhere in its part. At its turn a tunnel says 1001 "going
 * away"; then its client has a moment to close. The last part of the time is kept free for that.
 *
 * Nothing here runs per byte, and a tick without a drain costs nothing.
 */

import { guarded, type Victim } from '../barrier.ts';

/** A tunnel, as far as a drain has to do with it. */
export interface OpenTunnel extends Victim {
  readonly backendId: number;
  /** Its id may be another backend's by now: see src/control/renumbering.ts. */
  readonly backendUrl: string;
  /** The client has been told to go; what is waited for is its close. */
  readonly isClosing: boolean;
  /** Its turn has come: the client is told at the next place where that is possible. */
  goAway(): void;
  /** The drain is called off: if the client has not been told yet, it never is. */
  stay(): void;
  /** Closes it on both sides, whatever it is doing. */
  end(): void;
  /** Does so because its time is over: that is counted first. */
  cut(): void;
}

/** Of the time of a drain, the share in which nobody is told any more. */
const CLOSING_SHARE = 0.1;
/** How long the close of a client that was told to go is waited for. */
const CLOSE_WAIT_MS = 2_000;

interface Drain {
  /** Of the backend; undefined: it is not there any more, and all that had its id are meant. */
  readonly url: string | undefined;
  /** The last turn comes before this. */
  readonly turnsEndMs: number;
  readonly deadlineMs: number;
}

export class OpenTunnels {
  readonly #random: () => number;
  readonly #onCut: (backendId: number, count: number) => void;
  readonly #tunnels = new Set<OpenTunnel>();
  /** When it is whose turn. */
  readonly #turns = new Map<OpenTunnel, number>();
  /** Those whose turn has been, with when they are ended: Infinity until the client has been told. */
  readonly #leaving = new Map<OpenTunnel, number>();
  readonly #drains = new Map<number, Drain>();
  /** The process ends: every tunnel goes, and what is left at the deadline is the listener's business. */
  #shutdown: Drain | undefined;
  #nowMs = 0;

  /**
   * @param random in [0, 1).
   * @param onCut told before so many tunnels of a backend are ended by its deadline.
   */
  constructor(random: () => number, onCut: (backendId: number, count: number) => void) {
    this.#random = random;
    this.#onCut = onCut;
  }

  /** One that is opened in the middle of a drain (its request was on its way) gets a turn in what is left of the time. */
  add(tunnel: OpenTunnel): void {
    this.#tunnels.add(tunnel);
    const drain = this.#shutdown ?? this.#drains.get(tunnel.backendId);
    if (drain === undefined || !isAt(tunnel, drain.url)) return;
    const leftMs = Math.max(0, drain.turnsEndMs - this.#nowMs);
    this.#turns.set(tunnel, this.#nowMs + leftMs * this.#random());
  }

  delete(tunnel: OpenTunnel): void {
    this.#tunnels.delete(tunnel);
    this.#turns.delete(tunnel);
    this.#leaving.delete(tunnel);
  }

  /** The tunnels to this backend end within `durationMs`. Called again, the new time counts. */
  drain(backendId: number, durationMs: number, nowMs: number, url?: string): void {
    this.keep(backendId);
    const drain = drainFrom(nowMs, durationMs, url);
    this.#drains.set(backendId, drain);
    this.#nowMs = nowMs;
    this.#giveTurns(this.#of(backendId, url), drain);
  }

  /** The drain of this backend is called off. A client that has been told to go goes all the same. */
  keep(backendId: number): void {
    const drain = this.#drains.get(backendId);
    this.#drains.delete(backendId);
    if (drain === undefined || this.#shutdown !== undefined) return;
    for (const tunnel of this.#of(backendId, drain.url)) {
      this.#turns.delete(tunnel);
      if (tunnel.isClosing || !this.#leaving.delete(tunnel)) continue;
      tunnel.stay();
    }
  }

  drainAll(durationMs: number, nowMs: number): void {
    this.#shutdown = drainFrom(nowMs, durationMs);
    this.#nowMs = nowMs;
    this.#giveTurns([...this.#tunnels], this.#shutdown);
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const [backendId, { deadlineMs, url }] of this.#drains) {
      if (deadlineMs <= nowMs) this.cut(backendId, url);
    }
    for (const [tunnel, turnMs] of this.#turns) {
      if (turnMs > nowMs) continue;
      this.#turns.delete(tunnel);
      this.#leaving.set(tunnel, Number.POSITIVE_INFINITY);
      guarded(tunnel, () => tunnel.goAway());
    }
    for (const [tunnel, endMs] of this.#leaving) {
      if (endMs <= nowMs) guarded(tunnel, () => tunnel.end());
      else if (tunnel.isClosing && endMs === Number.POSITIVE_INFINITY) {
        this.#leaving.set(tunnel, nowMs + CLOSE_WAIT_MS);
      }
    }
  }

  #of(backendId: number, url: string | undefined): OpenTunnel[] {
    return [...this.#tunnels].filter((one) => one.backendId === backendId && isAt(one, url));
  }

  /** An earlier turn stays: two drains at once never let a tunnel live longer than one. */
  #giveTurns(tunnels: readonly OpenTunnel[], drain: Drain): void {
    const partMs = (drain.turnsEndMs - this.#nowMs) / tunnels.length;
    for (const [index, tunnel] of tunnels.entries()) {
      if (this.#leaving.has(tunnel)) continue;
      const turnMs = this.#nowMs + partMs * (index + this.#random());
      this.#turns.set(
        tunnel,
        Math.min(turnMs, this.#turns.get(tunnel) ?? Number.POSITIVE_INFINITY),
      );
    }
  }

  /** Those to this backend, at once. */
  cut(backendId: number, url?: string): void {
    this.#drains.delete(backendId);
    const left = this.#of(backendId, url);
    if (left.length === 0) return;
    this.#onCut(backendId, left.length);
    for (const tunnel of left) guarded(tunnel, () => tunnel.cut());
  }
}

function isAt({ backendUrl }: OpenTunnel, url: string | undefined): boolean {
  return url === undefined || backendUrl === url;
}

function drainFrom(nowMs: number, durationMs: number, url?: string): Drain {
  return {
    url,
    turnsEndMs: nowMs + durationMs * (1 - CLOSING_SHARE),
    deadlineMs: nowMs + durationMs,
  };
}
