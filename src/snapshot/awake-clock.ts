/**
 * A clock that stands still while its thread does.
 *
 * A process that was stopped, starved of the processor or moved to another machine wakes up late, and by the time of day
 * everybody seems to have kept it waiting. Whoever judges others by a deadline takes the time from here: the thread says
 * again and again that it is awake and until when it will say so next, and by what it is late then, the clock is late too.
 * So every deadline moves by the lateness, without a list of them.
 *
 * The other half of never blaming others for one's own lateness is to look at deadlines only after what has arrived was
 * read. Node runs timers right before it reads, so a timer notes the time and looks in a `setImmediate`, which comes right
 * behind the reads: what had arrived by the time that was noted has been heard of by then.
 */

/** Lateness up to here is the ordinary one of timers on a busy machine, and is not looked after. */
const USUAL_LATENESS_MS = 25;

export class AwakeClock {
  #pausedMs = 0;
  #limitMs = Number.POSITIVE_INFINITY;

  /** Altogether so far. */
  get pausedMs(): number {
    return this.#pausedMs;
  }

  /** It shows no more than this before `awake` is called again. */
  get limitMs(): number {
    return this.#limitMs;
  }

  /** What it shows. @param realMs `performance.now()`, just read */
  at(realMs: number): number {
    const ms = realMs - this.#pausedMs;
    return ms < this.#limitMs ? ms : this.#limitMs;
  }

  /**
   * The thread is awake, and will say so again within `nextMs` unless it is kept from it.
   * @param realMs `performance.now()`, just read
   * @returns what the clock shows.
   */
  awake(realMs: number, nextMs: number): number {
    const ms = this.at(realMs);
    this.#pausedMs = realMs - ms;
    this.#limitMs = ms + nextMs + USUAL_LATENESS_MS;
    return ms;
  }
}
