/** One backend in the table: drawn again only when its row is another object. */
import { Component } from 'preact';
import { go } from '../data/place.ts';
import type { Row } from '../data/rows.ts';
import { Badge } from './facts.tsx';
import { SparkLine } from './spark-line.tsx';

export class RowView extends Component<{ readonly row: Row }> {
  override shouldComponentUpdate({ row }: { readonly row: Row }): boolean {
    return row !== this.props.row;
  }

  override render() {
    const { id, cells, spark } = this.props.row;
    return (
      <tr class={`tone-${cells.tone}`}>
        <th scope="row">
          <button type="button" class="link" onClick={() => go('backends', String(id))}>
            {cells.url}
          </button>
          {cells.marks !== '' && <small>{cells.marks}</small>}
        </th>
        <td>
          <Badge tone={cells.tone}>{cells.state}</Badge>
        </td>
        <td class="why" title={cells.why}>
          {cells.why}
        </td>
        <td class="number" data-label="weight">
          {cells.weight}
        </td>
        <td class="number" data-label="in flight">
          {cells.conns}
        </td>
        <td class="number" data-label="requests/s">
          {cells.rate}
        </td>
        <td class="sparks">
          <SparkLine spark={spark} />
        </td>
        <td class="number errors" data-label="failed/s">
          {cells.failed}
        </td>
        <td class="number errors" data-label="5xx/s">
          {cells.serverErrors}
        </td>
        <td class="number" data-label="latency">
          {cells.latency}
        </td>
        <td class="number" data-label="checked">
          {cells.check}
        </td>
      </tr>
    );
  }
}
