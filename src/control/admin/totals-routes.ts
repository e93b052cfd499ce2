/** `/totals` and `/whoami`: what the dashboard lives on. */
import { type TotalsSources, viewTotals } from '../totals-view.ts';
import { totals as totalsForm, whoami as whoamiForm } from './answers.ts';
import { etagOf } from './etag.ts';
import { answer, plainAnswer } from './form.ts';
import type { Route } from './router.ts';

export function totalsRoutes(sources: TotalsSources): Route[] {
  const { registry, version } = sources;
  return [
    {
      path: '/totals',
      summary: 'all pools and backends with their counters, in one answer',
      methods: {
        GET: {
          says: 'all pools and backends with their counters',
          answers: { 200: answer('Counters grow while the process lives.', totalsForm) },
          handle: () => ({
            status: 200,
            body: viewTotals(sources),
            headers: { ETag: etagOf(registry) },
          }),
        },
      },
    },
    {
      path: '/whoami',
      summary: 'whose token this is, and what it may do',
      methods: {
        GET: {
          says: 'whose token this is, and what it may do',
          answers: { 200: plainAnswer('Of whoever asks.', whoamiForm) },
          handle: ({ actor, role }) => ({
            status: 200,
            body: { role, token: actor.token ?? null, version },
          }),
        },
      },
    },
  ];
}
