/** The last requests that are kept, and why one of them ended as it did. */
import { useState } from 'preact/hooks';
import { go, place } from '../data/place.ts';
import type { KeptSummary } from '../data/shapes.ts';
import { useStore } from '../data/store.ts';
import { clock, milliseconds } from '../data/words.ts';
import { Scrolled, Trouble, useAnswer } from '../parts/facts.tsx';
import { type ColumnName, TableHead } from '../parts/table-head.tsx';
import { ExplainForm } from './explain-form.tsx';
import { RequestDialog } from './request-dialog.tsx';

const COLUMNS: readonly ColumnName[] = [
  { name: 'time' },
  { name: 'status' },
  { name: 'request' },
  { name: 'took', isNumber: true },
  { name: 'backend' },
  { name: 'client' },
  { name: 'why' },
];

const EVERY_MS = 2000;

interface Filter {
  readonly text: string;
  readonly status: string;
  readonly pool: string;
}

export function Requests() {
  const { detail } = useStore(place);
  const [isPaused, setPaused] = useState(false);
  const [filter, setFilter] = useState<Filter>({ text: '', status: 'all', pool: 'all' });
  const { body = [], trouble } = useAnswer<readonly KeptSummary[]>(
    'requests',
    isPaused,
    isPaused ? undefined : EVERY_MS,
  );
  const pools = Array.from(new Set(body.map(({ pool }) => pool))).toSorted();
  const shown = body.filter((one) => isChosen(one, filter));
  return (
    <>
      <ExplainForm />
      <div class="bar">
        <input
          type="search"
          aria-label="Filter by path, host, client, backend or error"
          placeholder="Path, host, client, backend, error  /"
          value={filter.text}
          onInput={(event) => setFilter({ ...filter, text: event.currentTarget.value })}
        />
        <select
          aria-label="Filter by status"
          value={filter.status}
          onChange={(event) => setFilter({ ...filter, status: event.currentTarget.value })}
        >
          {['all', '2xx', '3xx', '4xx', '5xx', 'failed'].map((one) => (
            <option key={one} value={one}>
              {one === 'all' ? 'all statuses' : one}
            </option>
          ))}
        </select>
        <select
          aria-label="Filter by pool"
          value={filter.pool}
          onChange={(event) => setFilter({ ...filter, pool: event.currentTarget.value })}
        >
          {['all', ...pools].map((one) => (
            <option key={one} value={one}>
              {one === 'all' ? 'all pools' : one}
            </option>
          ))}
        </select>
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </button>
      </div>
      <Trouble text={trouble} />
      <p class="empty">
        Every failure and a sample of the others, the newest hundred; the access log has all.
      </p>
      <Scrolled label="Requests">
        <table class="requests" aria-label="Requests">
          <TableHead columns={COLUMNS} />
          <tbody>
            {shown.map((one) => (
              <RequestLine key={one.id} one={one} />
            ))}
          </tbody>
        </table>
      </Scrolled>
      {shown.length === 0 && <p class="empty">None of those that are kept.</p>}
      {detail !== '' && <RequestDialog id={detail} onClose={() => go('requests')} />}
    </>
  );
}

function isChosen(one: KeptSummary, { text, status, pool }: Filter): boolean {
  if (pool !== 'all' && one.pool !== pool) return false;
  if (status === 'failed' && one.error === null && one.ended === null) return false;
  if (/^\d/.test(status) && String(one.status)[0] !== status[0]) return false;
  return [one.path, one.host, one.client, one.backend, one.error, one.id].some(
    (field) => field?.includes(text) === true,
  );
}

function RequestLine({ one }: { readonly one: KeptSummary }) {
  const tone = one.status >= 500 ? 'bad' : one.status >= 400 ? 'warn' : 'good';
  return (
    <tr>
      <td>
        <time dateTime={one.time}>{clock(one.time)}</time>
      </td>
      <td>
        <span class={`status ${tone}`}>{one.status}</span>
      </td>
      <th scope="row">
        <button type="button" class="link path" onClick={() => go('requests', one.id)}>
          {one.method ?? '?'} {one.host ?? ''}
          {one.path ?? ''}
        </button>
      </th>
      <td class="number">{milliseconds(one.duration_ms)}</td>
      <td>{one.backend ?? '–'}</td>
      <td>{one.client}</td>
      <td>{one.error ?? one.ended ?? ''}</td>
    </tr>
  );
}
