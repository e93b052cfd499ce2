/** Questions to data threads that are on their way: few at a time, and each is answered in time or not at all. */
import type { Explanation, Question } from '../../snapshot/explanation.ts';
import type { KeptRequest } from '../../snapshot/kept-request.ts';
import type { ExplainedMessage, KeptMessage, ToDataThread } from '../../snapshot/messages.ts';

/** A data thread has better things to do. */
const MOST_AT_ONCE = 8;
const ANSWER_MS = 2_000;

export class NoExplanation extends Error {
  override readonly name = 'NoExplanation';
}

/** As much of a thread’s place as is needed to ask it. */
interface AskedPlace {
  readonly isEmpty: boolean;
  post(message: ToDataThread): void;
}

type Answered = ExplainedMessage | KeptMessage;

export class Questions {
  readonly #places: () => readonly AskedPlace[];
  readonly #waiting = new Map<number, (answer: Answered) => void>();
  #sequence = 0;
  #asking = 0;

  constructor(places: () => readonly AskedPlace[]) {
    this.#places = places;
  }

  /** What would become of this request. @throws NoExplanation */
  explain(question: Question): Promise<Explanation> {
    return this.#inTurn(async () => {
      const place = this.#places().find(({ isEmpty }) => !isEmpty);
      const answer = await this.#ask(place, (sequence) => ({
        kind: 'explain',
        sequence,
        question,
      }));
      if (answer?.kind !== 'explained') {
        throw new NoExplanation(`no data thread has answered within ${ANSWER_MS} ms`);
      }
      if (answer.explanation === null) throw new NoExplanation('it has failed; the log says why');
      return answer.explanation;
    });
  }

  /**
   * The last requests, the newest first, of those threads that answer.
   * @param id of one; null: of any. @throws NoExplanation
   */
  kept(id: string | null): Promise<KeptRequest[]> {
    return this.#inTurn(async () => {
      const answers = await Promise.all(
        this.#places().map((place) =>
          this.#ask(place, (sequence) => ({ kind: 'show-kept', sequence, id })),
        ),
      );
      return answers
        .flatMap((answer) => (answer?.kind === 'kept' ? answer.requests : []))
        .toSorted((a, b) => b.atMs - a.atMs);
    });
  }

  answered(answer: Answered): void {
    this.#waiting.get(answer.sequence)?.(answer);
  }

  async #inTurn<T>(step: () => Promise<T>): Promise<T> {
    if (this.#asking >= MOST_AT_ONCE) {
      throw new NoExplanation(`${MOST_AT_ONCE} others are being answered`);
    }
    this.#asking++;
    try {
      return await step();
    } finally {
      this.#asking--;
    }
  }

  async #ask(
    place: AskedPlace | undefined,
    make: (sequence: number) => ToDataThread,
  ): Promise<Answered | undefined> {
    if (place === undefined || place.isEmpty) return undefined;
    const sequence = ++this.#sequence;
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<Answered | undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), ANSWER_MS);
      this.#waiting.set(sequence, resolve);
      place.post(make(sequence));
    });
    clearTimeout(timer);
    this.#waiting.delete(sequence);
    return answer;
  }
}
