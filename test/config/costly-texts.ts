/** Texts of 1 MiB that cost a parser, or what reads its result, the most for their size. */
const LARGEST = 1024 * 1024;

export function fill(prefix: string, part: string, length = LARGEST): string {
  return prefix + part.repeat(Math.floor((length - prefix.length) / part.length));
}

/** `marks`: what each part counts for in the bound of what is parsed. */
export const YAML_SHAPES: readonly (readonly [
  what: string,
  prefix: string,
  part: string,
  marks: number,
])[] = [
  ['aliases', '- &a x\n', '- *a\n', 3],
  ['aliases of nothing', '', '- *b\n', 3],
  ['merge keys', 'a: &a {x: 1}\nb:\n', ' - <<: *a\n', 4],
  ['empty lists, one below the other', '', '[]\n', 3],
  ['empty lists in a line', '', '[]', 2],
  ['closing brackets', '', ']', 1],
  ['commas in a list', 'a: [', ',', 1],
  ['keys without a name', '', ':\n', 2],
  ['tags', '', '! ', 1],
  ['anchors', '', '&a ', 1],
  ['quotes', '', '"', 1],
  ['bad escapes', 'a: "', '\\q', 1],
  ['open quotes', '', 'a: "\n', 3],
  ['slips at every line', '', 'a\n:\n', 3],
  ['block headers with too much', '', 'a: |x\n', 3],
  ['directives', '', '%x\n', 2],
  ['documents', '', '--- a\n', 2],
  ['wrong backends', 'backends:\n', '- {url: x, wieght: 1}\n', 7],
  ['the same backend', 'backends:\n', '- http://a\n', 2],
];

export const JSON_SHAPES: readonly (readonly [
  what: string,
  prefix: string,
  part: string,
  end: string,
])[] = [
  ['numbers', '{"a":[', '1,', '1]}'],
  ['wrong statuses', '{"retries":{"on_status":[', '1,', '1]}}'],
  ['wrong backends', '{"backends":[', '{"url":"x","wieght":1},', '1]}'],
  ['unset variables', '{"host":"', '${A}', '"}'],
  ['a text', '{"port":"', 'x', '"}'],
];

export function fillJson(prefix: string, part: string, end: string): string {
  return fill(prefix, part, LARGEST - end.length) + end;
}
