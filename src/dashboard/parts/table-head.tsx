/** The names of the columns of a table: those of numbers stand above their last digit. */

export interface ColumnName {
  readonly name: string;
  readonly isNumber?: boolean;
}

export function TableHead({ columns }: { readonly columns: readonly ColumnName[] }) {
  return (
    <thead>
      <tr>
        {columns.map(({ name, isNumber = false }) => (
          <th key={name} scope="col" class={isNumber ? 'number' : undefined}>
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}
