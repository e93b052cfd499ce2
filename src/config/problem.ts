/** What is wrong with a configuration, where, and how to say it. */
import type { ValueOrigin } from './settings.ts';

export interface Problem {
  readonly origin: ValueOrigin;
  /** As the user named it, else relative to the working folder. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** The environment variable or flag that the value came from. */
  readonly name?: string;
  /** The key in config vocabulary, as it was written: `timeouts.head`, `backends.1.weight`. Empty: the whole. */
  readonly path: string;
  readonly message: string;
  /** A nearest name, or how to write it right. */
  readonly hint?: string;
  /** The line where a text can't be read, and a caret beneath the place; the key in whose place `path` has `***`. */
  readonly excerpt?: string;
}

/** In the place of a key that may be a secret. */
export const WITHHELD = '***';

/** Where a value stands: the part of a problem that does not depend on what is wrong. */
export type Place = Pick<Problem, 'origin' | 'file' | 'line' | 'column' | 'name'>;

/**
 * For whoever may not read the config: the line that can't be read may hold a secret, and nobody can tell where that begins in a text
 * that is not understood. Nor is a key shown that may be one.
 */
export function withoutExcerpts(problems: readonly Problem[]): Problem[] {
  return problems.map(({ excerpt: _excerpt, ...problem }) => problem);
}

/** `fairlead.config.yaml:3`, `PROXY_LISTEN_ADDR`, `--port`, or `default`. */
export function formatPlace(place: Place): string {
  if (place.name !== undefined) return place.name;
  if (place.file === undefined) return place.origin;
  return place.line === undefined ? place.file : `${place.file}:${place.line}`;
}

/** One line: `file:line:column: path: message (hint)`, without what is not known, and beneath it the line of the text, where that can't be read. */
export function formatProblem(told: Problem): string {
  const problem = withKey(told);
  const parts: string[] = [];
  if (problem.name !== undefined) {
    parts.push(problem.name);
  } else if (problem.file !== undefined) {
    const { file, line, column } = problem;
    parts.push([file, line, column].filter((part) => part !== undefined).join(':'));
  }
  // A variable or flag that holds one plain value names it already; a path below it says more.
  if (problem.path !== '' && (problem.name === undefined || problem.path.includes('.'))) {
    parts.push(problem.path);
  }
  parts.push(problem.hint === undefined ? problem.message : `${problem.message} (${problem.hint})`);
  const line = parts.join(': ');
  return problem.excerpt === undefined ? line : `${line}\n${problem.excerpt}`;
}

/** For whoever was given the key. */
function withKey({ excerpt, ...problem }: Problem): Problem {
  if (excerpt === undefined) return problem;
  if (!problem.path.endsWith(WITHHELD)) return { ...problem, excerpt };
  return { ...problem, path: problem.path.slice(0, -WITHHELD.length) + excerpt };
}
