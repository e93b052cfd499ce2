/**
 * What the admin API answers, by its own forms: what changes there is an error here. Types only, of which nothing is left in the page;
 * what calls answer is tested against these forms by calling them (test/behaviour/openapi.test.ts).
 */
import type { z } from 'zod';
import type * as answers from '../../control/admin/answers.ts';
import type { explanation } from '../../control/admin/explain-forms.ts';
import type { Form } from '../../control/admin/form.ts';
import type { keptRequest, keptRequests } from '../../control/admin/request-forms.ts';

type Answered<Its extends Form> = z.infer<ReturnType<Its>>;

export type Totals = Answered<typeof answers.totals>;
export type PoolTotals = Totals['pools'][number];
export type BackendTotals = PoolTotals['backends'][number];
export type Leaving = Totals['leaving'][number];
export type Counts = Readonly<Totals['statuses']>;

export type Whoami = Answered<typeof answers.whoami>;

export type KeptSummary = Answered<typeof keptRequests>[number];
export type KeptRequest = Answered<typeof keptRequest>;

export type Explanation = Answered<typeof explanation>;

export type RouteView = Answered<typeof answers.routesInForce>[number];
export type ListenerView = Answered<typeof answers.listeners>[number];

export type Certificates = Answered<typeof answers.certificates>;
export type CertificateView = Certificates['certificates'][number];
/** A certificate that is fetched from an authority. */
export type FetchedView = Certificates['acme'][number];

export type ConfigInForce = Answered<typeof answers.config>;
export type ConfigChanges = Answered<typeof answers.validated>;
export type Override = Answered<typeof answers.overrides>[number];

export type Refusal = Answered<typeof answers.problem>;
/** Of a config. */
export type Problem = NonNullable<Refusal['problems']>[number];

/** A line of the log; what else stands in it depends on the event. */
export interface Happening {
  readonly level: string;
  readonly time: string;
  readonly event: string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}
