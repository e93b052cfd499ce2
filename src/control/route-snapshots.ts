/** The routes of the settings, as the data plane runs on them. */
import type { ErrorPageSettings, RouteSettings, Settings } from '../config/settings.ts';
import { ERRORS } from '../errors.ts';
import { isSpanField, type NamedTemplate, type Rewriting } from '../snapshot/rewriting.ts';
import type { RouteAction, RouteSnapshot } from '../snapshot/route.ts';
import type { ErrorPage, ErrorPages } from '../snapshot/route-answer.ts';
import type { RouteCounts } from './route-counts.ts';

/** @param pages of all that routes have none of their own for. @param poolIds by name @param counts of which theirs are */
export function routeSnapshots(
  { routes, tracing }: Pick<Settings, 'routes' | 'tracing'>,
  pages: ErrorPages,
  poolIds: ReadonlyMap<string, number>,
  counts: RouteCounts,
): RouteSnapshot[] {
  return routes.map((route) => ({
    name: route.name,
    counters: counts.of(route.name),
    match: route.match,
    rewriting: tracing === null ? route.rewriting : besideTracing(route.rewriting),
    policies: route.policies,
    mirror: route.mirror && {
      poolId: poolIds.get(route.mirror.pool) as number,
      percent: route.mirror.percent,
    },
    action: actionOf(route, poolIds),
    access: route.access,
    cors: route.cors,
    errorPages: route.errorPages.length === 0 ? null : errorPagesOf(route.errorPages, pages),
  }));
}

/** The span of an attempt is ours to tell: beside it, another one would make both worthless (W3C Trace Context §3.2). */
function besideTracing(rewriting: Rewriting | null): Rewriting | null {
  if (rewriting === null || rewriting.requestFields === null) return rewriting;
  const { set, add, remove } = rewriting.requestFields;
  const requestFields = { set: set.filter(isNoSpan), add: add.filter(isNoSpan), remove };
  return { ...rewriting, requestFields };
}

function isNoSpan({ name }: NamedTemplate): boolean {
  return !isSpanField(name);
}

function actionOf(
  { action, maintenance }: RouteSettings,
  poolIds: ReadonlyMap<string, number>,
): RouteAction {
  if (maintenance !== null) return { kind: 'maintenance', ...maintenance };
  switch (action.kind) {
    case 'pool':
      return { kind: 'pool', poolId: poolIds.get(action.pool) as number };
    case 'split': {
      const parts = action.parts.map(({ pool, weight, name }) => ({
        poolId: poolIds.get(pool) as number,
        weight,
        name,
      }));
      return { kind: 'split', parts };
    }
    case 'answer':
    case 'redirect':
      return action;
    case 'none':
      throw new Error('a route that does nothing');
  }
}

/** A status that is written out comes before one of its class. */
export function errorPagesOf(
  written: readonly ErrorPageSettings[],
  others: ErrorPages = new Map(),
): ErrorPages {
  const pages = new Map<number, ErrorPage>(others);
  const inOrder = [...written.filter(isOfClass), ...written.filter((one) => !isOfClass(one))];
  for (const one of inOrder) {
    for (const status of statusesOf(one)) pages.set(status, one.page);
  }
  return pages;
}

function isOfClass({ status }: ErrorPageSettings): boolean {
  return status.endsWith('xx');
}

function statusesOf(page: ErrorPageSettings): number[] {
  if (!isOfClass(page)) return [Number(page.status)];
  const all = Object.values(ERRORS).map(({ status }) => status);
  return all.filter((status) => String(status).startsWith(page.status.charAt(0)));
}
