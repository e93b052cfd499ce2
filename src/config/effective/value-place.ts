/** Where a value stands that is wrong only when it is used: as the problems of a config say it. */
import type { Place } from '../problem.ts';
import type { ValueSource } from './effective.ts';

export function placeOfSource(source: ValueSource | undefined): Place {
  if (source === undefined || source.origin === 'default') return { origin: 'default' };
  const { origin, detail } = source;
  if (origin !== 'file') return { origin, name: detail };
  const [, file = detail, line] = /^(.*):(\d+)$/.exec(detail) ?? [];
  return { origin, file, ...(line !== undefined && { line: Number(line) }) };
}
