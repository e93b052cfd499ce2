/** Questions to data threads that are on their way: few at a time, and each is answered in time or not at all. */
import type { Explanation, Question } from '../snapshot/explanation.ts';
import type { ExplainMessage } from '../snapshot/messages.ts';

/** A data thread has better things to do. */
const MOST_AT_ONCE = 8;
const ANSWER_MS = 2_000;

export class NoExplanation extends Error {
  override readonly name = 'NoExplanation';
}

export class Questions {
  readonly #waiting = new Map<number, (explanation: Explanation | null) => void>();
  #sequence = 0;

  /** @param post hands it to a thread, if there is one. @throws NoExplanation */
  async ask(question: Question, post: (message: ExplainMessage) => void): Promise<Explanation> {
    if (this.#waiting.size >= MOST_AT_ONCE) {
      throw new NoExplanation(`${MOST_AT_ONCE} requests are being explained already`);
    }
    const sequence = ++this.#sequence;
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<Explanation | null | undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), ANSWER_MS);
      this.#waiting.set(sequence, resolve);
      post({ kind: 'explain', sequence, question });
    });
    clearTimeout(timer);
    this.#waiting.delete(sequence);
    if (answer === undefined) {
      throw new NoExplanation(`no data thread has answered within ${ANSWER_MS} ms`);
    }
    if (answer === null) throw new NoExplanation('it has failed; the log says why');
    return answer;
  }

  answered(sequence: number, explanation: Explanation | null): void {
    this.#waiting.get(sequence)?.(explanation);
  }
}
