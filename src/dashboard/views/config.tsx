/** The config in force, where each value came from, and what the file would change. */

import { useState } from 'preact/hooks';
import { ask } from '../data/ask.ts';
import { dropOverride, reload } from '../data/deeds.ts';
import { live, mayChange } from '../data/session.ts';
import type { ConfigChanges, ConfigInForce, Override, Problem } from '../data/shapes.ts';
import { useStore } from '../data/store.ts';
import { shown } from '../data/words.ts';
import { Badge, Scrolled, Trouble, useAnswer } from '../parts/facts.tsx';
import { type ColumnName, TableHead } from '../parts/table-head.tsx';

const COLUMNS: readonly ColumnName[] = [{ name: 'key' }, { name: 'value' }, { name: 'from' }];

/** More lines than this nobody reads: a filter finds the others. */
const MOST_LINES = 500;

export function Config() {
  const generation = useStore(live.look)?.totals.generation;
  const config = useAnswer<ConfigInForce>('config', generation);
  const changes = useAnswer<ConfigChanges>('config:changes', generation);
  const overrides = useAnswer<readonly Override[]>('overrides', generation);
  return (
    <>
      <section>
        <h2>
          What a reload would change
          <span class="actions">
            <button type="button" onClick={changes.again}>
              Look again
            </button>
            {mayChange() && (
              <button type="button" onClick={() => ask(reload())}>
                Reload…
              </button>
            )}
          </span>
        </h2>
        <Trouble text={changes.trouble} />
        <Problems problems={changes.problems} />
        {changes.trouble === '' && changes.body !== undefined && <Changes changes={changes.body} />}
      </section>
      <section>
        <h2>Set through the admin API</h2>
        <Trouble text={overrides.trouble} />
        <Overrides all={overrides.body ?? []} />
      </section>
      <section>
        <h2>In force</h2>
        <Trouble text={config.trouble} />
        {config.body !== undefined && <Values config={config.body} />}
      </section>
    </>
  );
}

function Problems({ problems }: { readonly problems: readonly Problem[] }) {
  return (
    <ul class="problems">
      {problems.map(({ path, message, file, line, column, hint, excerpt }, index) => (
        <li key={index}>
          {file !== undefined && `${file}:${line ?? ''}:${column ?? ''} `}
          <strong>{path}</strong> {message}
          {hint !== undefined && <small> {hint}</small>}
          {excerpt !== undefined && <pre>{excerpt}</pre>}
        </li>
      ))}
    </ul>
  );
}

function Changes({ changes }: { readonly changes: ConfigChanges }) {
  const { changed, needs_restart: restart, refused, notes, changes_left_out: more } = changes;
  if (!changed) return <p class="empty">A reload would change nothing.</p>;
  return (
    <>
      <p>A reload would change this:</p>
      <ul class="diff">
        {changes.changes.map(({ path, change, before, after }) => (
          <li key={path} class={change}>
            <span aria-label={change}>
              {{ added: '+', removed: '−', changed: '~', moved: '↕' }[change]}
            </span>{' '}
            <strong>{path}</strong> {change === 'changed' && `${shown(before)} → ${shown(after)}`}
            {change === 'added' && shown(after)}
            {change === 'moved' && 'in another order'}
          </li>
        ))}
      </ul>
      {more > 0 && <p>and {more} more</p>}
      {restart.length > 0 && (
        <p class="trouble">
          It would be refused: {restart.join(', ')} can change with a restart only.
        </p>
      )}
      <Problems problems={refused} />
      {notes.map((note) => (
        <p key={note} class="hint">
          {note}
        </p>
      ))}
    </>
  );
}

function Overrides({ all }: { readonly all: readonly Override[] }) {
  if (all.length === 0) return <p class="empty">Nothing that the config says otherwise.</p>;
  return (
    <ul class="cards">
      {all.map((one) => (
        <li key={`${one.pool} ${one.value} ${one.backend}`}>
          <strong>{one.pool}</strong> {one.value} {one.backend ?? ''}: {shown(one.api)}
          {one.config === null
            ? ' (rests until it is back)'
            : `, the config says ${shown(one.config)}`}
          {mayChange() && one.value !== 'backend' && (
            <button type="button" onClick={() => ask(dropOverride(one.pool, one.value, idOf(one)))}>
              Drop…
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function idOf({ pool, backend }: Override): number | undefined {
  const found = live.look.now?.totals.pools.find(({ name }) => name === pool);
  return found?.backends.find(({ url }) => url === backend)?.id;
}

function Values({ config }: { readonly config: ConfigInForce }) {
  const [text, setText] = useState('');
  const [from, setFrom] = useState('set');
  const lines = linesOf(config.config, config.origins).filter(
    ({ path, value, origin }) =>
      (from === 'all' || origin !== 'default') && `${path} ${value} ${origin}`.includes(text),
  );
  return (
    <>
      <div class="bar">
        <input
          type="search"
          aria-label="Filter the config"
          placeholder="Filter  /"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <select
          aria-label="Which values"
          value={from}
          onChange={(event) => setFrom(event.currentTarget.value)}
        >
          <option value="set">what is set</option>
          <option value="all">defaults too</option>
        </select>
      </div>
      {config.notes?.map((note) => (
        <p key={note} class="hint">
          {note}
        </p>
      ))}
      <Scrolled label="Values in force">
        <table aria-label="Values in force">
          <TableHead columns={COLUMNS} />
          <tbody>
            {lines.slice(0, MOST_LINES).map(({ path, value, origin }) => (
              <tr key={path}>
                <th scope="row">{path}</th>
                <td class="value">{value}</td>
                <td>
                  <Badge tone={origin === 'api' ? 'warn' : 'off'}>{origin}</Badge>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
      {lines.length > MOST_LINES && <p class="empty">and {lines.length - MOST_LINES} more</p>}
    </>
  );
}

interface ValueLine {
  readonly path: string;
  readonly value: string;
  readonly origin: string;
}

/** One line for each value that is no object; a list without objects is one value. What has no origin of its own has its parent's. */
function linesOf(
  value: unknown,
  origins: Readonly<Record<string, string>>,
  path = '',
  inherited = 'default',
): ValueLine[] {
  const origin = origins[path] ?? inherited;
  const isList = Array.isArray(value);
  const isLeaf =
    typeof value !== 'object' ||
    value === null ||
    Object.keys(value).length === 0 ||
    (isList && origins[`${path}.0`] === undefined && value.every((one) => typeof one !== 'object'));
  if (isLeaf) return [{ path, value: shown(value), origin }];
  return Object.entries(value).flatMap(([key, one]) =>
    linesOf(one, origins, path === '' ? key : `${path}.${key}`, origin),
  );
}
