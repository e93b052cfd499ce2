/** Which route and which backend a request would get, were it to come now. */
import { useState } from 'preact/hooks';
import { call } from '../data/calls.ts';
import { messageOf } from '../data/desk.ts';
import type { Explanation } from '../data/shapes.ts';
import { Scrolled, Trouble } from '../parts/facts.tsx';
import { type ColumnName, TableHead } from '../parts/table-head.tsx';

const COLUMNS: readonly ColumnName[] = [
  { name: 'backend' },
  { name: 'role' },
  { name: 'weight', isNumber: true },
  { name: 'in flight', isNumber: true },
  { name: 'why' },
];

export function ExplainForm() {
  const [trouble, setTrouble] = useState('');
  const [found, setFound] = useState<Explanation>();

  async function explain(form: HTMLFormElement): Promise<void> {
    const values = Object.fromEntries(new FormData(form).entries()) as Record<string, string>;
    const { method = 'GET', host = '', path = '/', client = '', headers = '' } = values;
    const fields = headers.split('\n').flatMap((line): [string, string][] => {
      const at = line.indexOf(':');
      return at > 0 ? [[line.slice(0, at).trim(), line.slice(at + 1).trim()]] : [];
    });
    const body = {
      method,
      host,
      path,
      headers: Object.fromEntries(fields),
      ...(client !== '' && { client }),
    };
    try {
      setFound((await call<Explanation>({ method: 'POST', path: 'explain', body })).body);
      setTrouble('');
    } catch (error) {
      setFound(undefined);
      setTrouble(messageOf(error));
    }
  }

  return (
    <details class="explain">
      <summary>Explain: where would a request go?</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void explain(event.currentTarget);
        }}
      >
        <label>
          Method
          <input name="method" defaultValue="GET" required size={8} />
        </label>
        <label>
          Host
          <input name="host" defaultValue="localhost" required />
        </label>
        <label>
          Path
          <input name="path" defaultValue="/" required />
        </label>
        <label>
          Client
          <input name="client" placeholder="127.0.0.1" />
        </label>
        <label class="lines">
          Header fields, one a line
          <textarea name="headers" rows={2} placeholder="Cookie: a=b" />
        </label>
        <button type="submit" class="main">
          Explain
        </button>
      </form>
      <Trouble text={trouble} />
      {found !== undefined && <Found found={found} />}
    </details>
  );
}

function Found({ found: { summary, routes, pool } }: { readonly found: Explanation }) {
  return (
    <div role="status">
      <p class="lead">{summary}</p>
      <h3>Routes</h3>
      <ul>
        {routes.map(({ name, matches, why }) => (
          <li key={name}>
            {matches ? '✓' : '✗'} <strong>{name}</strong> {why}
          </li>
        ))}
      </ul>
      {pool !== null && (
        <Scrolled label="Candidates">
          <table aria-label="Candidates">
            <TableHead columns={COLUMNS} />
            <tbody>
              {pool.candidates.map((one) => (
                <tr key={one.id} class={one.picked ? 'picked' : ''}>
                  <th scope="row">
                    {one.url}
                    {one.picked && ' ← this one'}
                  </th>
                  <td>{one.role}</td>
                  <td class="number">{one.weight}</td>
                  <td class="number">{one.in_flight}</td>
                  <td>{one.why}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolled>
      )}
    </div>
  );
}
