/** How it is, at a glance. */

import { SERIES } from '../data/live.ts';
import { go } from '../data/place.ts';
import { statusesOf } from '../data/rates.ts';
import { happenings, live } from '../data/session.ts';
import type { PoolTotals } from '../data/shapes.ts';
import { useStore } from '../data/store.ts';
import { count, latency, milliseconds, rate, span } from '../data/words.ts';
import { Chart } from '../parts/chart.tsx';
import { Badge } from '../parts/facts.tsx';
import { type ColumnName, TableHead } from '../parts/table-head.tsx';
import { EventLines } from './events.tsx';

const COLUMNS: readonly ColumnName[] = [
  { name: 'pool' },
  { name: 'strategy' },
  { name: 'backends' },
  { name: 'in flight', isNumber: true },
  { name: 'queued', isNumber: true },
];

const CLASSES = [
  { column: SERIES['2xx'], label: '2xx', color: 'good' },
  { column: SERIES['3xx'], label: '3xx', color: 'accent' },
  { column: SERIES['4xx'], label: '4xx', color: 'warn' },
  { column: SERIES['5xx'], label: '5xx', color: 'bad' },
];
const LATENCIES = [
  { column: SERIES.p50, label: 'p50', color: 'good' },
  { column: SERIES.p95, label: 'p95', color: 'accent' },
  { column: SERIES.p99, label: 'p99', color: 'warn' },
];
const LOAD = [
  { column: SERIES.inFlight, label: 'in flight', color: 'accent' },
  { column: SERIES.queued, label: 'queued', color: 'warn' },
];

export function Overview() {
  const look = useStore(live.look);
  const events = useStore(happenings.all);
  if (look === undefined) return <p class="empty">Waiting for the first look…</p>;
  const { totals, rates } = look;
  const bounds = totals.duration_bounds_seconds;
  const time = (seconds: number | null): string =>
    latency(seconds, bounds[0] ?? 0, bounds.at(-1) ?? 0);
  return (
    <>
      <div class="tiles">
        <Tile name="requests/s" value={rate(rates.requests)} />
        <Tile name="5xx/s" value={rate(rates.errors)} tone={rates.errors > 0 ? 'bad' : ''} />
        <Tile name="p50" value={time(rates.p50)} />
        <Tile name="p95" value={time(rates.p95)} />
        <Tile name="p99" value={time(rates.p99)} />
        <Tile name="in flight" value={count(rates.inFlight)} />
        <Tile name="queued" value={count(rates.queued)} tone={rates.queued > 0 ? 'warn' : ''} />
        <Tile name="clients" value={count(rates.clients)} />
        <Tile name="up for" value={span(totals.uptime_seconds)} />
      </div>
      <div class="charts">
        <Chart title="Requests per second" unit={rate} lines={CLASSES} history={live.history} />
        <Chart title="Latency" unit={milliseconds} lines={LATENCIES} history={live.history} />
        <Chart title="In flight and queued" unit={count} lines={LOAD} history={live.history} />
      </div>
      <div class="columns">
        <section>
          <h2>Pools</h2>
          <table class="pools">
            <TableHead columns={COLUMNS} />
            <tbody>
              {totals.pools.map((pool) => (
                <PoolLine key={pool.name} pool={pool} />
              ))}
            </tbody>
          </table>
        </section>
        <Answers title="Answers by status" counts={statusesOf(totals)} />
        <Answers title="Errors by code" counts={totals.errors} />
      </div>
      <section>
        <h2>Latest events</h2>
        <EventLines events={events.slice(0, 8)} />
      </section>
    </>
  );
}

function Tile({ name, value, tone = '' }: { name: string; value: string; tone?: string }) {
  return (
    <div class={`tile ${tone}`}>
      <span>{name}</span>
      <strong>{value}</strong>
    </div>
  );
}

function PoolLine({ pool }: { readonly pool: PoolTotals }) {
  const { name, strategy, backends, panic, breaker, queued } = pool;
  const alive = backends.filter(({ alive: isAlive }) => isAlive).length;
  const some = alive === 0 ? 'bad' : 'warn';
  // Of none, nothing is well.
  const tone = backends.length === 0 ? 'off' : alive === backends.length ? 'good' : some;
  return (
    <tr>
      <th scope="row">
        <button type="button" class="link" onClick={() => go('backends')}>
          {name}
        </button>
        {panic && <Badge tone="bad">panic</Badge>}
        {breaker !== 'closed' && <Badge tone="bad">{`breaker ${breaker}`}</Badge>}
      </th>
      <td>{strategy}</td>
      <td>
        <Badge tone={tone}>{`${alive} of ${backends.length} up`}</Badge>
      </td>
      <td class="number">{count(backends.reduce((sum, { conns }) => sum + conns, 0))}</td>
      <td class="number">{count(queued)}</td>
    </tr>
  );
}

function Answers({ title, counts }: { title: string; counts: Readonly<Record<string, number>> }) {
  const entries = Object.entries(counts).filter(([, value]) => value > 0);
  return (
    <section>
      <h2>{title}</h2>
      {entries.length === 0 ? (
        <p class="empty">none since the start</p>
      ) : (
        <dl class="counts">
          {entries.map(([name, value]) => (
            <div key={name}>
              <dt>{name === '600' ? 'above 599' : name}</dt>
              <dd>{count(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}
