/** How the policies of a pool say what is wrong with them. */

import { formatPlace, type Problem } from '../problem.ts';
import type { PoolView } from './pool-view.ts';

export interface Report {
  /** `at`: where it stands; undefined: at the path itself. */
  readonly problem: (path: Path, message: string, at?: Path) => void;
  readonly note: (text: string) => void;
}

export type Path = readonly [string, ...(string | number)[]];

/** What is told is collected in the lists. */
export function reportOn(view: PoolView, problems: Problem[], notes: string[]): Report {
  return {
    problem: (path, message, at = path) =>
      problems.push({
        ...view.placeOf(at, at === path ? 'value' : 'key'),
        path: view.prefix + view.keyOf(path),
        message,
      }),
    note: (text) => notes.push(view.prefix === '' ? text : `${view.prefix.slice(0, -1)}: ${text}`),
  };
}

/** ` (c.yaml:3)` */
export function whereIs({ placeOf }: Pick<PoolView, 'placeOf'>, path: Path): string {
  return ` (${formatPlace(placeOf(path))})`;
}
