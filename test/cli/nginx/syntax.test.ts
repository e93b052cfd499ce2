/** The syntax of nginx, as nginx reads it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Directive,
  NginxSyntaxError,
  parseNginx,
} from '../../../src/cli/nginx/nginx-syntax.ts';

/** Without places. */
function shape({ name, args, block }: Directive): unknown {
  return block === undefined ? [name, ...args] : [name, ...args, block.map(shape)];
}

function read(text: string): unknown[] {
  return parseNginx(text, 'a.conf').map(shape);
}

test.each([
  ['listen 80;', [['listen', '80']]],
  [
    'a b; # c d;\n\te "f g" \'h;i\';',
    [
      ['a', 'b'],
      ['e', 'f g', 'h;i'],
    ],
  ],
  ['s{a b;}', [['s', [['a', 'b']]]]],
  ['location ~ \\.php$ {}', [['location', '~', '\\.php$', []]]],
  ['a ${b}c;', [['a', '${b}c']]],
  [String.raw`a "b\"c\\d\ne";`, [['a', 'b"c\\d\ne']]],
  ['a b#c;', [['a', 'b#c']]],
  [
    "map $x $y { default upgrade; '' close; }",
    [
      [
        'map',
        '$x',
        '$y',
        [
          ['default', 'upgrade'],
          ['', 'close'],
        ],
      ],
    ],
  ],
  ['\uFEFFa b;\r\n', [['a', 'b']]],
  ['', []],
])('%j', (text, expected) => {
  expect(read(text)).toEqual(expected);
});

test('every directive knows its place', () => {
  const [server] = parseNginx('\n  server {\n\tlisten 80;\n}', 'a.conf');
  expect(server).toMatchObject({ file: 'a.conf', line: 2, column: 3 });
  expect(server?.block?.[0]).toMatchObject({ line: 3, column: 2 });
});

test.each([
  ['a {\n b c;\n', 1, 3, 'this "{" is never closed'],
  ['a b;\n}', 2, 1, 'there is no "{" that this "}" could close'],
  ['a b\n', 1, 1, '"a" does not end with ";"'],
  ['s { a b }', 1, 5, '"a" does not end with ";"'],
  ['a "b', 1, 3, 'this " is never closed'],
  ['a "b"c;', 1, 6, 'there must be a space or ";" behind "'],
  [';', 1, 1, 'a directive begins with its name, not with ";"'],
  ['a {'.repeat(100), 1, 195, 'blocks are nested too deeply'],
])('%j is refused at %i:%i', (text, line, column, message) => {
  const fault = (() => {
    try {
      return parseNginx(text, 'a.conf');
    } catch (error) {
      return error;
    }
  })();
  expect(fault).toBeInstanceOf(NginxSyntaxError);
  expect(fault).toMatchObject({ message, place: { file: 'a.conf', line, column } });
});

const plain = fc.stringMatching(/^[a-z$~^=*/:.][\w$~^=*/:.-]{0,8}$/);
const quoted = fc.string({ maxLength: 12 }).map((text) => ({ text }));
const directive = fc.letrec<{ one: unknown[] }>((tie) => ({
  one: fc
    .tuple(
      fc.stringMatching(/^[a-z_]{1,8}$/),
      fc.array(fc.oneof(plain, quoted), { maxLength: 4 }),
      fc.option(fc.array(tie('one'), { maxLength: 3 }), { depthSize: 'small' }),
    )
    .map(([name, args, block]) => [name, args, block]),
})).one;

function written([name, args, block]: readonly unknown[]): string {
  const words = (args as (string | { text: string })[]).map((word) =>
    typeof word === 'string' ? word : `"${word.text.replaceAll(/["\\]/g, '\\$&')}"`,
  );
  const head = [name, ...words].join(' ');
  return block === null
    ? `${head};`
    : `${head} { ${(block as unknown[][]).map(written).join('\n')} }`;
}

function meant([name, args, block]: readonly unknown[]): unknown {
  const words = (args as (string | { text: string })[]).map((word) =>
    typeof word === 'string' ? word : word.text,
  );
  return block === null ? [name, ...words] : [name, ...words, (block as unknown[][]).map(meant)];
}

test('what is written is read as it is meant', () => {
  fc.assert(
    fc.property(fc.array(directive, { maxLength: 5 }), (directives) => {
      expect(read(directives.map(written).join('\n'))).toEqual(directives.map(meant));
    }),
  );
});

/** Where it is refused; the beginning where it is not. */
function placeIn(text: string): { readonly line: number; readonly column: number } {
  try {
    parseNginx(text, 'a.conf');
    return { line: 1, column: 1 };
  } catch (error) {
    if (error instanceof NginxSyntaxError) return error.place;
    throw error;
  }
}

test('any text is read, or refused at a place in it', () => {
  const piece = fc.constantFrom(
    'a',
    ' ',
    ';',
    '{',
    '}',
    '"',
    "'",
    '\\',
    '#',
    '\n',
    '$',
    '${',
    'b c',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('');
      const { line, column } = placeIn(text);
      const lines = text.split('\n');
      expect(line).toBeLessThanOrEqual(lines.length);
      expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1);
    }),
  );
});
