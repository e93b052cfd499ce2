/** The parts of a route that is split over pools. */

import type { Config } from '../schema/schema.ts';
import type { PoolSettings, RouteActionSettings } from '../settings.ts';
import type { Report } from './policy-report.ts';

type Parts = Extract<RouteActionSettings, { kind: 'split' }>['parts'];
type Written = NonNullable<Config['routes'][number]['split']>;

export function partsOf(written: Written): Parts {
  return written.map(({ pool, weight, name = pool }) => ({ pool, weight, name }));
}

/** @param parts of `written` */
export function checkSplit(
  parts: Parts,
  written: Written,
  pools: ReadonlyMap<string, PoolSettings>,
  report: Report,
): void {
  if (parts.length > 0 && parts.every(({ weight }) => weight === 0)) {
    report.problem(['split'], 'every weight is 0: one part must get requests');
  }
  refuseTwins(parts, written, report);
  noteOnStickiness(parts, pools, report);
}

function refuseTwins(
  parts: Parts,
  written: readonly { readonly name?: string | undefined }[],
  report: Report,
): void {
  for (const key of ['pool', 'name'] as const) {
    const firstWith = new Map<string, number>();
    for (const [index, part] of parts.entries()) {
      const first = firstWith.get(part[key]);
      if (first === undefined) {
        firstWith.set(part[key], index);
      } else if (key === 'pool' || parts[first]?.pool !== part.pool) {
        const at = key === 'name' && written[index]?.name === undefined ? 'pool' : key;
        report.problem(['split', index, at], `${part[key]} is the ${key} of split.${first} too`);
      }
    }
  }
}

/** Clients stay with their part by what the pools are sticky by: one that is not, or by something else, makes them wander. */
function noteOnStickiness(
  parts: Parts,
  pools: ReadonlyMap<string, PoolSettings>,
  report: Report,
): void {
  const known = parts.flatMap(({ pool }) => pools.get(pool) ?? []);
  const ways = new Set(known.map(wayOf));
  if (ways.size <= 1) return;
  const said = known.map((pool) => `${pool.name} ${wayOf(pool)}`).join(', ');
  report.note(
    `split: clients may change between its parts, for its pools are not sticky by the same: ${said}`,
  );
}

function wayOf({ sticky }: PoolSettings): string {
  if (sticky === null) return 'is not at all';
  if (sticky.cookie !== null) return 'is by a cookie';
  if (sticky.learns !== null) return 'is by what its backends say';
  const { by, name } = sticky.key;
  return `is by ${by}${name === '' ? '' : ` ${name}`}`;
}
