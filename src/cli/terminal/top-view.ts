/** What `fairlead top` shows, as text: pure. */
import { formatDuration } from '../../config/values/duration.ts';
import { printable } from '../../observe/pretty-line.ts';
import { type BackendStatus, latencyOf, type SeenPool } from '../admin/pool-status.ts';
import { table } from './table.ts';

/** All pools at one moment. */
export interface Sample {
  /** In ms, of a clock that never goes back. */
  readonly atMs: number;
  readonly pools: readonly SeenPool[];
  /** Of the instance itself, a line each. */
  readonly troubles: readonly string[];
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const HEADINGS = [
  'ID',
  'BACKEND',
  'STATE',
  'WEIGHT',
  'IN FLIGHT',
  'REQ/S',
  'FAILED/S',
  'REQUESTS',
  'ATTEMPTS FAILED',
  'LATENCY',
  'WHY',
];
/** Numbers stand at the right of their column. */
const NUMBERS = new Set([3, 4, 5, 6, 7, 8, 9]);

/** Per second; undefined where nothing is known to compare with. */
interface Rates {
  readonly requests: number | undefined;
  readonly errors: number | undefined;
}

/**
 * The lines of one picture.
 * @param before what was seen a moment ago: rates come from the difference.
 */
export function viewOf(now: Sample, before: Sample | undefined, size?: Size): string[] {
  const rates = ratesOf(now, before);
  const all = now.pools.flatMap(({ status }) => status.backends);
  const alive = all.filter((backend) => backend.alive).length;
  const inFlight = all.reduce((sum, { conns }) => sum + conns, 0);
  const upMs = Math.floor(now.pools[0]?.status.uptime_seconds ?? 0) * 1000;
  const total = sumOf(all.map(({ id }) => rates.get(id)));
  const lines = [
    ...now.troubles,
    `${alive} of ${all.length} backends alive, ${rate(total.requests)} requests/s, ${rate(total.errors)} failed attempts/s, ${inFlight} in flight, up ${formatDuration(upMs)}`,
  ];
  for (const seen of now.pools) {
    lines.push('', poolLine(seen));
    if (seen.status.backends.length === 0) continue;
    const rows = seen.status.backends.map((backend) => rowOf(backend, rates.get(backend.id)));
    lines.push(...table([HEADINGS, ...rows], NUMBERS).split('\n'));
  }
  const safe = lines.map(printable);
  return size === undefined ? safe : fitted(safe, size);
}

function ratesOf(now: Sample, before: Sample | undefined): ReadonlyMap<number, Rates> {
  const old = new Map(
    before?.pools.flatMap(({ status }) => status.backends).map((backend) => [backend.id, backend]),
  );
  const seconds = (now.atMs - (before?.atMs ?? now.atMs)) / 1000;
  const perSecond = (is: number, was: number | undefined): number | undefined =>
    // Fewer than before: another process, which has begun anew.
    was === undefined || is < was || seconds <= 0 ? undefined : (is - was) / seconds;
  return new Map(
    now.pools
      .flatMap(({ status }) => status.backends)
      .map(({ id, requests, errors }) => [
        id,
        {
          requests: perSecond(requests, old.get(id)?.requests),
          errors: perSecond(errors, old.get(id)?.errors),
        },
      ]),
  );
}

function sumOf(rates: readonly (Rates | undefined)[]): Rates {
  return {
    requests: sumOfKnown(rates.map((one) => one?.requests)),
    errors: sumOfKnown(rates.map((one) => one?.errors)),
  };
}

function sumOfKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0);
}

function poolLine({ pool, status }: SeenPool): string {
  const { strategy, active_backends: active, total_backends: total, panic, breaker } = status;
  const queued = status.queued ?? 0;
  return [
    `${pool === undefined ? '' : `pool ${pool.name}: `}${strategy}`,
    `${active} of ${total} alive`,
    ...(pool === undefined || pool.routed ? [] : ['used by no route']),
    ...(panic ? ['PANIC: unhealthy ones are used as well'] : []),
    ...(breaker === undefined || breaker === 'closed' ? [] : [`circuit breaker ${breaker}`]),
    ...(queued > 0 ? [`${queued} queued`] : []),
    ...((status.leaving ?? []).length > 0 ? [`${status.leaving?.length} leaving`] : []),
  ].join(', ');
}

function rowOf(backend: BackendStatus, rates: Rates | undefined): string[] {
  return [
    String(backend.id),
    backend.url,
    stateOf(backend),
    String(backend.weight),
    String(backend.conns),
    rate(rates?.requests),
    rate(rates?.errors),
    String(backend.requests),
    String(backend.errors),
    latencyOf(backend),
    backend.why ?? backend.reason ?? '',
  ];
}

/** In one word, the one that matters most. */
function stateOf(backend: BackendStatus): string {
  const { state, health, breaker, ejected_until: ejected, drained } = backend;
  if (drained === true) return 'drained';
  if (state !== 'enabled') return state;
  if (health === 'unhealthy') return 'down';
  if ((ejected ?? null) !== null) return 'ejected';
  if (breaker !== undefined && breaker !== 'closed') return breaker;
  return health === 'healthy' ? 'up' : health;
}

function rate(value: number | undefined): string {
  if (value === undefined) return '-';
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}

/** What has no place is left out, and it is said that it is. */
function fitted(lines: readonly string[], { columns, rows }: Size): string[] {
  const shown =
    lines.length <= rows
      ? lines
      : [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} lines more`];
  return shown.slice(0, rows).map((line) => [...line].slice(0, columns).join(''));
}
