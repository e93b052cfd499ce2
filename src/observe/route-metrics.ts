/** The families of the Prometheus text that have a sample for each route. */
import type { RouteTotals } from '../snapshot/route-counters.ts';
import { codeLabel, writeHistogram } from './backend-metrics.ts';
import type { Page } from './metrics-page.ts';

export interface RouteMetrics {
  /** As in the access log; `other` stands for those that have no counters of their own. */
  readonly name: string;
  readonly totals: RouteTotals;
}

export function writeRoutes(page: Page, routes: readonly RouteMetrics[]): void {
  page.family('fairlead_route_requests_total', 'counter', 'Requests by route and status.');
  for (const { name, totals } of routes) {
    for (const [status, count] of totals.statuses) {
      page.sample({ route: name, code: codeLabel(status) }, count);
    }
  }
  page.family(
    'fairlead_route_request_duration_seconds',
    'histogram',
    'Time from the complete head of a request of the route to the last byte of its response.',
  );
  for (const { name, totals } of routes) writeHistogram(page, { route: name }, totals.durations);
}
