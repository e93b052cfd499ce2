/** What a listener has to say of its clients: at once, and then once a minute, as long as there is more. */
const TELL_EVERY_MS = 60_000;

/** Of one listener, so many within a tick of a thread. */
export interface ListenerFault {
  readonly listenerId: number;
  readonly count: number;
}

/** Of a listener of which was told within the last minute. */
interface Told<Fault> {
  /** What has come since; `last` is the latest of it. */
  count: number;
  last: Fault;
}

export class OnceAMinute<Fault extends ListenerFault> {
  readonly #say: (fault: Fault, count: number) => void;
  readonly #told = new Map<number, Told<Fault>>();
  readonly #timers = new Map<number, NodeJS.Timeout>();
  #isStopped = false;

  /** @param say `fault` stands for `count` of them. */
  constructor(say: (fault: Fault, count: number) => void) {
    this.#say = say;
  }

  add(fault: Fault): void {
    const told = this.#told.get(fault.listenerId);
    if (told === undefined) {
      this.#tell(fault, fault.count);
      return;
    }
    told.count += fault.count;
    told.last = fault;
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const { count, last } of this.#told.values()) if (count > 0) this.#say(last, count);
    this.#told.clear();
  }

  #tell(fault: Fault, count: number): void {
    const { listenerId } = fault;
    this.#say(fault, count);
    if (this.#isStopped) return;
    this.#told.set(listenerId, { count: 0, last: fault });
    const timer = setTimeout(() => this.#minuteIsOver(listenerId), TELL_EVERY_MS).unref();
    this.#timers.set(listenerId, timer);
  }

  #minuteIsOver(listenerId: number): void {
    const told = this.#told.get(listenerId);
    this.#told.delete(listenerId);
    this.#timers.delete(listenerId);
    if (told !== undefined && told.count > 0) this.#tell(told.last, told.count);
  }
}
