/**
 * What is wrong with a YAML text that its parser stumbles over. One slip in the indentation makes it stumble several times,
 * in its own words: here it is one fault, at the line that is wrong, with the likely cause.
 */

export interface YamlFault {
  readonly offset: number;
  readonly message: string;
  readonly hint?: string;
}

/** What of the parser's errors is used. */
interface ParserError {
  readonly code: string;
  readonly pos: readonly [number, number];
  readonly message: string;
}

interface Line {
  readonly offset: number;
  readonly text: string;
  /** Spaces before the first sign. */
  readonly indent: number;
  /** Where something may stand that belongs to this line: its indent, and behind each "- " of it. */
  readonly columns: readonly number[];
}

const IN_THE_VALUE: ReadonlySet<string> = new Set([
  'BLOCK_AS_IMPLICIT_KEY',
  'MULTILINE_IMPLICIT_KEY',
]);
const OF_INDENTATION: ReadonlySet<string> = new Set([
  ...IN_THE_VALUE,
  'BAD_INDENT',
  'MISSING_CHAR',
  'UNEXPECTED_TOKEN',
]);
/** A flow mapping or a text that does not end is no matter of indentation, whatever the code says. */
const NOT_CLOSED: readonly (readonly [RegExp, string, string])[] = [
  [/^Flow sequence/, 'a list that begins with [ above is not closed', 'it ends with ]'],
  [/^Flow map/, 'a mapping that begins with { above is not closed', 'it ends with }'],
  [
    /^Missing closing/,
    'a text in quotes that begins above is not closed',
    'it ends with the same quote',
  ],
];

/** @param error the parser's first one. */
export function explainYamlFault(source: string, error: ParserError): YamlFault {
  const [offset] = error.pos;
  const plain = { offset, message: error.message };
  if (error.code === 'TAB_AS_INDENT') {
    const message = 'a tab stands in the indentation';
    return { offset, message, hint: 'YAML is indented with spaces' };
  }
  const open = NOT_CLOSED.find(([beginning]) => beginning.test(error.message));
  if (open !== undefined) return { offset, message: open[1], hint: open[2] };
  if (!OF_INDENTATION.has(error.code)) return plain;
  const lines = contentLines(source);
  const at = lines.findLastIndex((line) => line.offset <= offset);
  const line = lines[at];
  if (line === undefined) return plain;
  const next = lines[at + 1];
  if (IN_THE_VALUE.has(error.code)) {
    // The parser stands at the value of the line above the one that is wrong.
    if (next !== undefined && next.indent > line.indent && hasValue(line)) {
      return tooDeep(next, line);
    }
    if (!hasKey(line) && !line.text.trimStart().startsWith('- ')) {
      const hint = 'a colon and a space stand between a key and its value';
      return { offset: start(line), message: 'is no "key: value"', hint };
    }
    if (/:\s[^#]*:\s/.test(line.text)) {
      const message = 'a value with ": " in it must stand in quotes';
      return { offset, message };
    }
  }
  return misplaced(line, lines.slice(0, at)) ?? plain;
}

/** A list item that the parser takes for more of the text of the item above. */
export function findSwallowedItem(source: string, from: number, to: number): YamlFault | undefined {
  const text = source.slice(from, to);
  const swallowed = /\n *- /.exec(text);
  if (swallowed === null) return undefined;
  const offset = from + swallowed.index + swallowed[0].length - '- '.length;
  const message = 'is indented deeper than the list item above, which makes it a part of that';
  return { offset, message, hint: 'indent all items of a list alike' };
}

function tooDeep(line: Line, above: Line): YamlFault {
  const column = above.columns.at(-1) as number;
  return {
    offset: start(line),
    message: `is indented by ${spaces(line.indent)}, deeper than the line above, which has a value already`,
    hint: `as a key beside it: ${spaces(column)}`,
  };
}

function misplaced(line: Line, above: readonly Line[]): YamlFault | undefined {
  let fitting: number[] = [];
  for (const { indent, columns } of above) {
    fitting = [...fitting.filter((column) => column < indent), ...columns];
  }
  if (above.length === 0) return undefined;
  if (fitting.includes(line.indent)) {
    const message = 'a list item (with "- ") and a key stand at the same place';
    return { offset: start(line), message, hint: 'indent what belongs to an item behind its "- "' };
  }
  const which = fitting.map(String).join(' or ');
  return {
    offset: start(line),
    message: `is indented by ${spaces(line.indent)}, as nothing above it is`,
    hint: `${which} ${fitting.at(-1) === 1 ? 'space fits' : 'spaces fit'}`,
  };
}

function contentLines(source: string): Line[] {
  const lines: Line[] = [];
  let offset = 0;
  for (const text of source.split('\n')) {
    const indent = text.search(/[^ ]/);
    if (indent !== -1 && !/^\s*(#|\r?$)/.test(text)) {
      const columns = [indent];
      const dashes = /^ *((?:- +)*)/.exec(text)?.[1] ?? '';
      for (const dash of dashes.matchAll(/- +/g)) {
        columns.push((columns.at(-1) as number) + dash[0].length);
      }
      lines.push({ offset, text, indent, columns });
    }
    offset += text.length + 1;
  }
  return lines;
}

function start({ offset, indent }: Line): number {
  return offset + indent;
}

function hasKey({ text }: Line): boolean {
  return /^[^:]*:(\s|$)/.test(text);
}

function hasValue(line: Line): boolean {
  return /:\s+[^\s#]/.test(line.text);
}

function spaces(count: number): string {
  return count === 1 ? '1 space' : `${count} spaces`;
}
