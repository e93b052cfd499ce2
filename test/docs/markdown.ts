/** Reading the documentation as data: tables, code blocks, links. */
import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);

/** `README.md`, `docs/errors.md`, …: every page that is written for readers. */
export const PAGES: readonly string[] = [
  'README.md',
  ...readdirSync(new URL('docs', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export function readPage(page: string): string {
  return readFileSync(new URL(page, root), 'utf8');
}

/** The part from a heading to the next one of the same level or above. */
export function sectionOf(text: string, heading: string): string {
  const start = text.indexOf(`${heading}\n`);
  if (start === -1) throw new Error(`no heading "${heading}"`);
  const level = /^#+/.exec(heading)?.[0].length ?? 1;
  const rest = text.slice(start + heading.length);
  const end = rest.search(new RegExp(`^#{1,${level}} `, 'm'));
  return end === -1 ? rest : rest.slice(0, end);
}

/** The rows of all tables whose first cell is `code`: the cells, backticks taken off. */
export function codeRows(text: string): string[][] {
  return Array.from(text.matchAll(/^\| `.*\|$/gm), ([row]) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

export interface CodeBlock {
  readonly language: string;
  readonly code: string;
  readonly end: number;
}

export function codeBlocks(text: string): CodeBlock[] {
  return Array.from(text.matchAll(/^```(\w*)\n([^]*?)^```$/gm), (match) => ({
    language: match[1] ?? '',
    code: match[2] ?? '',
    end: match.index + match[0].length,
  }));
}
