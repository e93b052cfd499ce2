/** Columns for eyes. */
import { printable } from '../../observe/pretty-line.ts';

/** The first row has the headings; whatever a cell holds is safe on a terminal. @param numbers the columns whose cells stand at the right. */
export function table(given: readonly (readonly string[])[], numbers: ReadonlySet<number>): string {
  const rows = given.map((row) => row.map(printable));
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return numbers.has(column) ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
