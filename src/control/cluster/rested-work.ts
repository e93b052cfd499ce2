/**
 * Work that is asked for again and again, and done by one at a time: what is asked for meanwhile is done once, together, afterwards. The first
 * is done at once; in a stream each is rested from, by what it has cost this thread.
 */
import { performance } from 'node:perf_hooks';
import { Rests, type RestTerms } from './rests.ts';

export class RestedWork {
  readonly #work: () => Promise<void>;
  readonly #rests: Rests;
  #isUnderWay = false;
  #isDue = false;

  /** @param work never rejects. */
  constructor(terms: RestTerms, work: () => Promise<void>) {
    this.#rests = new Rests(terms);
    this.#work = work;
  }

  /** Resolves when it is done, or at once where another one is under way: then it is done after that. */
  async soon(): Promise<void> {
    if (this.#isUnderWay) {
      this.#isDue = true;
      return;
    }
    this.#isUnderWay = true;
    this.#isDue = false;
    const before = performance.eventLoopUtilization();
    await this.#work();
    // Waiting for others costs nobody anything.
    const { active } = performance.eventLoopUtilization(before);
    const restMs = this.#rests.after(active, performance.now());
    if (restMs === 0) this.#rested();
    else setTimeout(() => this.#rested(), restMs).unref();
  }

  #rested(): void {
    this.#isUnderWay = false;
    if (this.#isDue) void this.soon();
  }
}
