/** Every backend of every pool: how it is, why, and what can be done about it. */
import { useState } from 'preact/hooks';
import { ask } from '../data/ask.ts';
import { add, changeStrategy } from '../data/deeds.ts';
import { go, place } from '../data/place.ts';
import type { Row } from '../data/rows.ts';
import { live, mayChange } from '../data/session.ts';
import type { Leaving, PoolTotals } from '../data/shapes.ts';
import { useStore } from '../data/store.ts';
import { Badge, Scrolled } from '../parts/facts.tsx';
import { InSight } from '../parts/in-sight.tsx';
import { RowView } from '../parts/row-view.tsx';
import { type ColumnName, TableHead } from '../parts/table-head.tsx';
import { BackendDialog } from './backend-dialog.tsx';

const COLUMNS: readonly ColumnName[] = [
  { name: 'backend' },
  { name: 'state' },
  { name: 'why' },
  { name: 'weight', isNumber: true },
  { name: 'in flight', isNumber: true },
  { name: 'req/s', isNumber: true },
  { name: 'last minute' },
  { name: 'failed/s', isNumber: true },
  { name: '5xx/s', isNumber: true },
  { name: 'latency', isNumber: true },
  { name: 'checked', isNumber: true },
];

export function Backends() {
  const look = useStore(live.look);
  const { detail } = useStore(place);
  const [filter, setFilter] = useState('');
  const [state, setState] = useState('all');
  if (look === undefined) return <p class="empty">Waiting for the first look…</p>;
  const { totals, rows } = look;
  const names = totals.pools.map(({ name }) => name);
  const left = totals.left_out.backends;
  const chosen = (row: Row): boolean =>
    row.cells.url.includes(filter) &&
    (state === 'all' || (state === 'up') === (row.cells.tone === 'good'));
  return (
    <>
      <div class="bar">
        <input
          type="search"
          aria-label="Filter by URL"
          placeholder="Filter by URL  /"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <select
          aria-label="Filter by state"
          value={state}
          onChange={(event) => setState(event.currentTarget.value)}
        >
          <option value="all">all states</option>
          <option value="up">up</option>
          <option value="else">not up</option>
        </select>
        {mayChange() && (
          <button type="button" class="main" onClick={() => ask(add(names, names[0] ?? 'default'))}>
            Add a backend
          </button>
        )}
      </div>
      {totals.pools.map((pool) => (
        <Pool
          key={pool.name}
          pool={pool}
          names={names}
          rows={rows.get(pool.name) ?? []}
          chosen={chosen}
          of={`${state} ${filter}`}
        />
      ))}
      {left > 0 && (
        <p class="empty">{left} more backends are not shown: only the first thousand.</p>
      )}
      <LeavingList leaving={totals.leaving} />
      {detail !== '' && <BackendDialog id={Number(detail)} onClose={() => go('backends')} />}
    </>
  );
}

interface PoolProps {
  readonly pool: PoolTotals;
  readonly names: readonly string[];
  readonly rows: readonly Row[];
  readonly chosen: (row: Row) => boolean;
  /** What `chosen` goes by. */
  readonly of: string;
}

function Pool(props: PoolProps) {
  const { pool, rows, chosen, of } = props;
  const shown = rows.filter(chosen);
  if (rows.length > 0 && shown.length === 0) return null;
  // Those that are there, in their order, and what they are filtered by: a pool that is not in sight is drawn for these only.
  const ids = `${of} ${pool.name} ${shown.map(({ id }) => id).join(' ')}`;
  return <InSight class="pool" of={ids} draw={() => <PoolTable {...props} rows={shown} />} />;
}

function PoolTable({ pool, names, rows: shown }: PoolProps) {
  const { name, strategy, strategy_source: source, panic, breaker, queued, routed } = pool;
  const title = `Backends of the pool ${name}`;
  return (
    <>
      <h2>
        {name}
        <span class="aside">
          {strategy}
          {source === 'api' && ' (set here)'}
          {queued > 0 && ` · ${queued} queued`}
        </span>
        {!routed && <Badge tone="off">no route leads there</Badge>}
        {panic && <Badge tone="bad">panic: too few are left</Badge>}
        {breaker !== 'closed' && <Badge tone="bad">{`circuit breaker ${breaker}`}</Badge>}
        {mayChange() && (
          <span class="actions">
            <button
              type="button"
              aria-label={`Change the strategy of ${name}`}
              onClick={() => ask(changeStrategy(name, strategy))}
            >
              Strategy…
            </button>
            <button
              type="button"
              aria-label={`Add a backend to ${name}`}
              onClick={() => ask(add(names, name))}
            >
              Add…
            </button>
          </span>
        )}
      </h2>
      {shown.length === 0 ? (
        <p class="empty">No backends: requests for this pool are answered 503.</p>
      ) : (
        <Scrolled label={title}>
          <table class="backends" aria-label={title}>
            <TableHead columns={COLUMNS} />
            <tbody>
              {shown.map((row) => (
                <RowView key={row.id} row={row} />
              ))}
            </tbody>
          </table>
        </Scrolled>
      )}
    </>
  );
}

function LeavingList({ leaving }: { readonly leaving: readonly Leaving[] }) {
  if (leaving.length === 0) return null;
  return (
    <section>
      <h2>Removed, with requests in flight</h2>
      <ul>
        {leaving.map(({ id, url, pool, in_flight: inFlight }) => (
          <li key={id}>
            {url} of {pool}: {inFlight} in flight
          </li>
        ))}
      </ul>
    </section>
  );
}
