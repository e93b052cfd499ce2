import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfigDocument } from '../../src/config/read/document.ts';
import { findJsonFault } from '../../src/config/read/strict-json.ts';
import { loadText, problemsOf, settingsOf } from './load-text.ts';

const json = { name: 'c.json' };

describe('a .json file', () => {
  test.each([
    ['{"port": 1,}', '1:11: JSON has no comma before "}"'],
    ['{"backends": [":1",]}', '1:19: JSON has no comma before "]"'],
    ['{"port": 1 // x\n}', '1:12: JSON has no comments; a .yaml file may have them'],
    ["{\n  'port': 1\n}", '2:3: expected a key in double quotes, found "\'"'],
    ['{"port" 1}', '1:9: expected ":", found "1"'],
    ['{"port": 1', '1:11: expected "," or "}", found the end of the file'],
    ['{"port": 01}', '1:11: expected "," or "}", found "1"'],
    ['{"port": x}', '1:10: expected a value, found "x"'],
    [
      '{"port": "1\n"}',
      '1:10: this string has no end, or holds a line break, a control character or a bad escape',
    ],
    ['{} {}', '1:4: expected the end of the file, found "{"'],
    ['', '1:1: expected a value, found the end of the file'],
    ['port: 1', '1:1: expected a value, found "p"'],
    ['{\n\t"port": 1,\n\t"port": 2\n}', '3:2: the key "port" stands here a second time'],
    [
      '{\n\t"admin": {\n\t\t"tokn": "x"\n\t}\n}',
      '3:3: admin.tokn: unknown key (did you mean "token"?)',
    ],
    ['[1]', '1:1: must be a mapping of keys, such as port: 8080'],
    ['"x"', '1:1: must be a mapping of keys, such as port: 8080'],
  ])('%j', (text, problem) => {
    expect(problemsOf(text, json)).toEqual([`c.json:${problem}`]);
  });

  test('may begin with a byte order mark, and may name its schema', () => {
    expect(settingsOf('\uFEFF{"$schema": "./schema.json", "port": 81}', json).port).toBe(81);
  });

  test('is refused exactly when JSON.parse refuses it', () => {
    const nearJson = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom('', ',', '"', '}', '[', '\\', '1', ' ', '\n', 'e'),
      )
      .map(([text, at, extra]) => {
        const offset = at % (text.length + 1);
        return text.slice(0, offset) + extra + text.slice(offset + (at % 2));
      });
    fc.assert(
      fc.property(fc.oneof(fc.json(), nearJson, fc.string()), (text) => {
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        expect(findJsonFault(text) === undefined).toBe(isJson);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the places of a .json file', () => {
  /** Every path of a value, and whether it is a key's. */
  const pathsIn = (value: unknown, path: (string | number)[] = []): (string | number)[][] =>
    typeof value === 'object' && value !== null
      ? [
          path,
          ...Object.entries(value).flatMap(([key, item]) =>
            pathsIn(item, [...path, Array.isArray(value) ? Number(key) : key]),
          ),
        ]
      : [path];

  test('are those of the YAML parser', () => {
    const texts = fc
      .tuple(
        fc.dictionary(fc.stringMatching(/^[a-z"\\ ]{1,5}$/), fc.jsonValue({ maxDepth: 3 })),
        fc.constantFrom(0, 1, 2),
      )
      .map(([value, indent]) => JSON.stringify(value, null, indent));
    fc.assert(
      fc.property(texts, (text) => {
        const strict = parseConfigDocument(text, 'x.json');
        const yaml = parseConfigDocument(text, 'x.yaml');
        if (!strict.ok) throw new Error(strict.problems[0]?.message);
        expect(strict.document.value).toEqual(JSON.parse(text));
        if (!yaml.ok) return;
        for (const path of pathsIn(strict.document.value)) {
          for (const part of ['key', 'value'] as const) {
            for (const at of [path, [...path, 'none']]) {
              const { line, column } = yaml.document.place(at, part);
              expect(strict.document.place(at, part)).toMatchObject({ line, column });
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a YAML file', () => {
  test.each([
    ['port: 1\nport: 2', '2:1: the key "port" stands here a second time'],
    ['port: 1\n---\nport: 2', '2:1: a config is one YAML document; a second one begins here'],
    ['- 1', '1:1: must be a mapping of keys, such as port: 8080'],
    ['? [a]\n: 2', '1:3: a key must be a text'],
    ['port: !num 1', '1:7: Unresolved tag: !num\n  port: !num 1\n        ^'],
  ])('%j', (text, problem) => {
    expect(problemsOf(text)).toEqual([`c.yaml:${problem}`]);
  });

  test('positions are found through aliases', () => {
    const text = 'timeouts: &t { head: 1x }\nlimits: *t\n';
    expect(problemsOf(text)).toEqual([
      'c.yaml:1:22: timeouts.head: "1x" is not a duration (units are ms, s, m and h: 500ms, 30s, 1m30s)',
      'c.yaml:1:22: limits.head: "1x" is not a size (bytes, or a number with a unit: 64KiB, 1MB)',
    ]);
  });

  test.each(['', '\n', '# nothing\n', '---\n', 'null'])('%j is the defaults', (text) => {
    expect(settingsOf(text).port).toBe(8080);
  });
});

describe('a text that would harm', () => {
  // Each of them ended the process, or held it for minutes, when the parser got it as it stands.
  test.each([
    ['brackets', '['.repeat(1_000_000)],
    ['braces', '{a: '.repeat(200_000)],
    ['lists in a line', '- '.repeat(400_000)],
    ['keys in a line', 'a: '.repeat(300_000)],
    ['questions', '? '.repeat(400_000)],
    [
      'indentation',
      Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
    ],
  ])('%s', (_what, text) => {
    expect(problemsOf(text)).toEqual(['c.yaml: is nested too deeply']);
    expect(problemsOf(text, json)).toHaveLength(1);
  });

  test('aliases that multiply', () => {
    const rows = Array.from({ length: 9 }, (_, row) => {
      const items = Array.from({ length: 9 }, () => (row === 0 ? 'x' : `*a${row - 1}`));
      return `k${row}: &a${row} [${items.join(', ')}]`;
    });
    expect(problemsOf(rows.join('\n'))).toEqual([
      'c.yaml: has more than 50000 values with its aliases filled in',
    ]);
  });

  test.each([
    ['x: &a [*a]', '1:8'],
    ['retries: &a { attempts: *a }', '1:25'],
    ['a: &a\n  b: &b\n    c: [*b, *a]', '3:9'],
    ['&a\nport: *a', '2:7'],
  ])('an alias within what it names: %j', (text, place) => {
    expect(problemsOf(text)).toEqual([
      `c.yaml:${place}: an alias must not stand inside what it names`,
    ]);
  });

  test('size', () => {
    expect(problemsOf(`# ${'x'.repeat(1_100_000)}`)).toEqual(['c.yaml: is larger than 1 MiB']);
  });

  test('anything: never throws, and every problem has a place', () => {
    const keys = fc.constantFrom(
      'port',
      'backends',
      'timeouts',
      'ssl',
      '__proto__',
      'toString',
      '.',
      'timeouts.x',
      '',
      'x',
    );
    const configs = fc.dictionary(keys, fc.jsonValue()).map((value) => JSON.stringify(value));
    fc.assert(
      fc.property(fc.oneof(fc.string(), configs), (text) => {
        for (const around of [json, {}]) {
          const result = loadText(text, around);
          const problems = result.ok ? [] : result.problems;
          expect(problems.length === 0).toBe(result.ok);
          expect(
            problems.every(({ origin, file }) => origin === 'file' && file !== undefined),
          ).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
