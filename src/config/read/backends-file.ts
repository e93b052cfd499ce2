/**
 * A file of backends, for `discover: { file }`: a list of them as `backends` of a config holds it, in JSON or YAML (alone, or as the
 * key `backends`), or a text with one on each line. What is wrong with it is said with file and line, as of a config.
 */
import path from 'node:path';
import { LINE_HELP, validateLayer } from '../issues.ts';
import { formatProblem, type Problem, withoutExcerpts } from '../problem.ts';
import { configSchema } from '../schema/schema.ts';
import type { BackendSettings } from '../settings.ts';
import { type ConfigDocument, parseConfigDocument } from './document.ts';

export type BackendsFile =
  | { readonly ok: true; readonly backends: readonly BackendSettings[] }
  | { readonly ok: false; readonly fault: string };

const STRUCTURED = new Set(['.json', '.yaml', '.yml']);
/** Lines, before the first item of a list. */
const MOST_COMMENTS = 1000;

/** @param file its name, for messages; its ending says what it holds. Never throws. */
export function parseBackendsFile(text: string, file: string): BackendsFile {
  const isText = !STRUCTURED.has(path.extname(file).toLowerCase());
  const read = isText ? { ok: true as const, document: linesOf(text, file) } : parsed(text, file);
  if (!read.ok) return failed(read.problems);
  const { value, place } = read.document;
  const problems: Problem[] = [];
  for (const key of Object.keys(value)) {
    if (key === 'backends') continue;
    problems.push({ ...place([key], 'key'), path: key, message: 'is none of a file of backends' });
  }
  const { findings, config } = validateLayer({ origin: 'file', value, place }, configSchema);
  problems.push(...findings.map(({ problem }) => problem));
  if (problems.length > 0 || config === undefined) return failed(problems);
  const below = config.backends.findIndex(({ basePath }) => basePath !== '');
  if (below === -1) return { ok: true, backends: config.backends };
  const message = 'must not have a path: none of what is found in a file can have one';
  const at = ['backends', below];
  return failed([{ ...place(at, 'value'), path: at.join('.'), message }]);
}

function failed(problems: readonly Problem[]): BackendsFile {
  // It stands in the log and in what viewers are shown of a backend's pool.
  const [first, ...others] = withoutExcerpts(problems);
  const fault = first === undefined ? 'it can not be read' : formatProblem(first);
  return { ok: false, fault: others.length > 0 ? `${fault}; and ${others.length} more` : fault };
}

/** A list gets its key on a line before it. */
function parsed(text: string, file: string): ReturnType<typeof parseConfigDocument> {
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const lead = source.split('\n', MOST_COMMENTS).find((line) => !/^\s*(#|$)/.test(line)) ?? '';
  const [, first] = /^\s*(\[|-\s)/.exec(lead) ?? [];
  if (first === undefined) return parseConfigDocument(source, file);
  const whole = first === '[' ? `{"backends":\n${source}\n}` : `backends:\n${source}`;
  const result = parseConfigDocument(whole, file);
  if (!result.ok) return { ok: false, problems: result.problems.map(aLineHigher) };
  const { value, place } = result.document;
  return {
    ok: true,
    document: { value, place: (at, part) => aLineHigher(place(at, part)) },
  };
}

function aLineHigher<Placed extends { readonly line?: number }>(place: Placed): Placed {
  return place.line === undefined ? place : { ...place, line: Math.max(1, place.line - 1) };
}

function linesOf(text: string, file: string): ConfigDocument {
  const backends: unknown[] = [];
  const lines: number[] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const [url, ...more] = line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/);
    if (url === undefined || url === '') continue;
    backends.push(more.length === 0 ? url : { url, ...optionsOf(more) });
    lines.push(index + 1);
  }
  return {
    value: { backends },
    place: (at) => {
      const line = lines[Number(at[1])] ?? 1;
      return { origin: 'file', file, line, column: 1 };
    },
  };
}

/** What is none becomes a key that nobody knows, and is told as such. */
function optionsOf(words: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    words.map((word) => {
      if (word === 'backup') return ['backup', true];
      const [, number] = /^weight=(\d{1,6})$/.exec(word) ?? [];
      return number === undefined ? [`${word}: ${LINE_HELP}`, true] : ['weight', Number(number)];
    }),
  );
}
