/** How the policies of a configuration say what is wrong with them. */
import type { MergedConfig } from './merge.ts';
import { formatPlace } from './problem.ts';

export interface Report {
  /** `at`: where it stands; undefined: at the path itself. */
  readonly problem: (path: Path, message: string, at?: Path) => void;
  readonly note: (text: string) => void;
}

export type Path = readonly [string, ...string[]];

/** ` (c.yaml:3)` */
export function whereIs({ placeOf }: MergedConfig, path: Path): string {
  return ` (${formatPlace(placeOf(path))})`;
}
