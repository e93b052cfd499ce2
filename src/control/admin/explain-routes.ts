/** `/explain`: what would become of a request. */
import type { Explanation, Question } from '../../snapshot/explanation.ts';
import { viewExplanation } from '../explain-view.ts';
import type { Registry } from '../registry.ts';
import { NoExplanation } from '../threads/questions.ts';
import { explanation as explanationForm, question as questionForm } from './explain-forms.ts';
import { MOST_QUESTION_BYTES, readQuestion } from './explain-question.ts';
import { jsonBody, plainAnswer } from './form.ts';
import { ProblemError } from './problem.ts';
import type { Route } from './router.ts';

export interface ExplainRoutesOptions {
  readonly registry: Registry;
  readonly threadCount: number;
  /** Asks a data thread. @throws NoExplanation */
  readonly explain: (question: Question) => Promise<Explanation>;
}

export function explainRoutes({ registry, threadCount, explain }: ExplainRoutesOptions): Route[] {
  return [
    {
      path: '/explain',
      summary: 'what would become of a request, and why ({"host": "shop.example", "path": "/"})',
      methods: {
        POST: {
          says: 'tells what would become of a request, and why',
          body: jsonBody(questionForm, MOST_QUESTION_BYTES),
          answers: { 200: plainAnswer('By what is in force now.', explanationForm) },
          problems: [422, 503],
          isOnlyAsking: true,
          mayView: true,
          handle: async ({ body }) => {
            const question = readQuestion(body);
            const explanation = await explain(question).catch((error: unknown) => {
              if (!(error instanceof NoExplanation)) throw error;
              throw new ProblemError(503, 'ERR_NO_EXPLANATION', `Not explained: ${error.message}.`);
            });
            return { status: 200, body: viewExplanation(explanation, registry, threadCount) };
          },
        },
      },
    },
  ];
}
