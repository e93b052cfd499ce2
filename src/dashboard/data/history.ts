/** The last minutes, second by second: bounded, so that a page which is open for weeks does not grow. */

/** Ten minutes at one look a second. */
const MOST_POINTS = 600;

export type Column = (number | null)[];

export class History {
  /** Seconds since 1970, and each series; all of the same length. */
  readonly columns: readonly Column[];
  /** Goes up with each row. */
  version = 0;

  constructor(series: number) {
    this.columns = Array.from({ length: series + 1 }, () => []);
  }

  push(row: readonly (number | null)[]): void {
    for (const [index, column] of this.columns.entries()) {
      column.push(row[index] ?? null);
      if (column.length > MOST_POINTS) column.shift();
    }
    this.version++;
  }

  /** Lines are broken here: for a while nothing was known. */
  gap(atSeconds: number): void {
    const [times] = this.columns;
    const last = times?.at(-1) ?? null;
    if (last === null || this.columns[1]?.at(-1) === null) return;
    this.push([Math.max(last, Math.min(atSeconds, last + 1))]);
  }
}

/** Of one backend: the last minute. */
export const SPARK_POINTS = 60;

export class Spark {
  readonly values = new Float32Array(SPARK_POINTS);
  version = 0;
  #isFlat = true;

  push(value: number): void {
    // A line of zeros that gets another zero looks as before.
    if (value === 0 && this.#isFlat) return;
    this.values.copyWithin(0, 1);
    this.values[SPARK_POINTS - 1] = value;
    this.#isFlat = value === 0 && this.values.every((one) => one === 0);
    this.version++;
  }
}
