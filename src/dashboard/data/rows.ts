/** Backends as rows of the table. A row that looks as before is the same object as before, and is not drawn again. */
import { Spark } from './history.ts';
import type { BackendTotals, Totals } from './shapes.ts';
import { count, milliseconds, rate, span } from './words.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'off';

/** What is shown, as texts. */
export interface Cells {
  readonly url: string;
  readonly state: string;
  readonly tone: Tone;
  readonly why: string;
  readonly weight: string;
  readonly conns: string;
  readonly rate: string;
  readonly failed: string;
  readonly serverErrors: string;
  readonly latency: string;
  readonly check: string;
  readonly marks: string;
}

export interface Row {
  readonly id: number;
  readonly pool: string;
  readonly cells: Cells;
  readonly spark: Spark;
}

interface Known {
  row: Row;
  last: BackendTotals;
}

export class Rows {
  #known = new Map<number, Known>();

  /** @param seconds since the last look; 0: nothing is known of before. */
  take({ pools }: Totals, seconds: number, nowMs: number): ReadonlyMap<string, readonly Row[]> {
    const known = new Map<number, Known>();
    const byPool = new Map<string, readonly Row[]>();
    for (const { name, backends } of pools) {
      const rows = backends.map((backend) => {
        const before = this.#known.get(backend.id);
        const row = rowOf(name, backend, before, seconds, nowMs);
        known.set(backend.id, { row, last: backend });
        return row;
      });
      byPool.set(name, rows);
    }
    // Those that are gone are forgotten.
    this.#known = known;
    return byPool;
  }
}

function rowOf(
  pool: string,
  backend: BackendTotals,
  before: Known | undefined,
  seconds: number,
  nowMs: number,
): Row {
  const grown = (of: (one: BackendTotals) => number): number =>
    before === undefined || seconds <= 0 ? 0 : Math.max(0, of(backend) - of(before.last)) / seconds;
  const requests = grown((one) => one.requests);
  const spark = before?.row.spark ?? new Spark();
  spark.push(requests);
  const cells = {
    ...cellsOf(backend, nowMs),
    rate: rate(requests),
    failed: unlessNone(grown((one) => one.errors)),
    serverErrors: unlessNone(grown((one) => one.server_errors)),
  };
  if (before !== undefined && before.row.pool === pool && isSame(before.row.cells, cells)) {
    return before.row;
  }
  return { id: backend.id, pool, cells, spark };
}

function isSame(one: Cells, other: Cells): boolean {
  return (Object.keys(one) as (keyof Cells)[]).every((key) => one[key] === other[key]);
}

function unlessNone(perSecond: number): string {
  return perSecond === 0 ? '' : rate(perSecond);
}

type Counted = 'rate' | 'failed' | 'serverErrors';

function cellsOf(backend: BackendTotals, nowMs: number): Omit<Cells, Counted> {
  const { weight, effective_weight: counts } = backend;
  const [state, tone] = stateOf(backend);
  return {
    url: backend.url,
    state,
    tone,
    // The time of the last check has a column of its own.
    why: backend.why.replace(/, last check [^;:]* ago/, ''),
    weight: counts === weight || counts === 0 ? String(weight) : `${weight} (${counts})`,
    conns: count(backend.conns),
    latency: backend.requests === 0 ? '–' : milliseconds(backend.latency_ms),
    check: backend.last_check === null ? 'never' : ago(backend.last_check, nowMs),
    marks: marksOf(backend).join(' · '),
  };
}

function ago(iso: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(iso)) / 1000;
  // In steps: a table in which every row changes each second is no calm one.
  if (seconds < 10) return 'just now';
  return `${span(seconds < 60 ? Math.floor(seconds / 10) * 10 : seconds)} ago`;
}

function marksOf({ backup, source, kept, breaker }: BackendTotals): string[] {
  return [
    ...(backup ? ['backup'] : []),
    ...(source === 'api' ? ['added here'] : []),
    ...(source === 'discovery' ? ['found by name'] : []),
    ...(kept === false ? ['not kept'] : []),
    ...(breaker === 'closed' ? [] : [`breaker ${breaker}`]),
  ];
}

export function stateOf(backend: BackendTotals): [string, Tone] {
  if (backend.state === 'disabled') return ['disabled', 'off'];
  if (backend.state === 'draining')
    return [backend.drained === true ? 'drained' : 'draining', 'warn'];
  if (backend.ejected_until !== null) return ['ejected', 'bad'];
  if (backend.health === 'unhealthy') return ['down', 'bad'];
  if (backend.breaker === 'open') return ['breaker open', 'bad'];
  if (backend.health === 'unknown') return ['not checked', 'warn'];
  if (backend.eligible) return ['up', 'good'];
  return [backend.backup ? 'standing by' : 'up, unused', backend.backup ? 'off' : 'warn'];
}
