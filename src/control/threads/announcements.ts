/** What all data threads are told and answer with `applied`: who has not yet, and who waits for them. */

/** A thread that has not applied a snapshot by then is too busy to wait for; it will, in order, before anything else. */
const APPLY_WAIT_MS = 1000;

export class Announcements {
  /** On their way: which threads have not applied them yet. */
  readonly #onTheirWay = new Map<
    number,
    { readonly waitedFor: Set<number>; readonly resolve: () => void }
  >();
  #sequence = 0;

  /** Resolves when these threads run on it. @param send tells all threads */
  async announce(threads: readonly number[], send: (sequence: number) => void): Promise<void> {
    const sequence = ++this.#sequence;
    const waitedFor = new Set(threads);
    if (waitedFor.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const applied = new Promise<void>((resolve) => {
      this.#onTheirWay.set(sequence, { waitedFor, resolve });
      timer = setTimeout(resolve, APPLY_WAIT_MS);
    });
    send(sequence);
    await applied;
    clearTimeout(timer);
    this.#onTheirWay.delete(sequence);
  }

  applied(thread: number, sequence: number): void {
    const one = this.#onTheirWay.get(sequence);
    one?.waitedFor.delete(thread);
    if (one?.waitedFor.size === 0) one.resolve();
  }

  /** It applies nothing any more: its replacement begins with what is in force. */
  died(thread: number): void {
    for (const sequence of this.#onTheirWay.keys()) this.applied(thread, sequence);
  }
}
