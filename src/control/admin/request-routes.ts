/** `/requests`: the last requests, and what became of one of them. */
import type { KeptRequest } from '../../snapshot/kept-request.ts';
import { summaryOf, viewRequest } from '../request-view.ts';
import { NoExplanation } from '../threads/questions.ts';
import { clip } from './body.ts';
import { plainAnswer } from './form.ts';
import { ProblemError } from './problem.ts';
import { keptRequest, keptRequests } from './request-forms.ts';
import type { Route } from './router.ts';

/** In one answer. */
const MOST_SHOWN = 100;

export interface RequestRoutesOptions {
  /** Asks all data threads: for one, or for all. @throws NoExplanation */
  readonly kept: (id: string | null) => Promise<readonly KeptRequest[]>;
}

export function requestRoutes({ kept }: RequestRoutesOptions): Route[] {
  const ask = (id: string | null): Promise<readonly KeptRequest[]> =>
    kept(id).catch((error: unknown) => {
      if (!(error instanceof NoExplanation)) throw error;
      throw new ProblemError(503, 'ERR_NO_EXPLANATION', `Not answered: ${error.message}.`);
    });
  return [
    {
      path: '/requests',
      summary: 'the last requests: what failed, and samples of the others',
      methods: {
        GET: {
          says: 'lists the last requests that are kept, the newest first',
          answers: { 200: plainAnswer('A hundred at most.', keptRequests) },
          problems: [503],
          handle: async () => ({
            status: 200,
            body: (await ask(null)).slice(0, MOST_SHOWN).map(summaryOf),
          }),
        },
      },
    },
    {
      path: '/requests/{id}',
      summary: 'what became of one of the last requests, and why',
      methods: {
        GET: {
          says: 'tells what became of one of the last requests, and why',
          answers: { 200: plainAnswer('The last one with this id.', keptRequest) },
          problems: [404, 503],
          handle: async ({ params }) => {
            const id = params['id'] ?? '';
            const [found] = await ask(id);
            if (found !== undefined) return { status: 200, body: viewRequest(found) };
            throw new ProblemError(
              404,
              'ERR_UNKNOWN_REQUEST',
              `No request with the id ${JSON.stringify(clip(id))} is kept.`,
              { hint: 'those that failed are kept longest; limits.kept_requests says how many' },
            );
          },
        },
      },
    },
  ];
}
