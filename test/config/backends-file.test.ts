/** A file of backends: its forms, and how it is said what is wrong with one. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseBackendsFile } from '../../src/config/read/backends-file.ts';

const WANTED = [
  { url: 'http://10.0.0.1:8080', weight: 1, isBackup: false },
  { url: 'https://[fd00::1]:8443', weight: 3, isBackup: true },
];

test.each([
  [
    'a.json',
    '["http://10.0.0.1:8080", {"url": "https://[fd00::1]:8443", "weight": 3, "backup": true}]',
  ],
  [
    'a.json',
    '{"backends": ["http://10.0.0.1:8080", {"url": "https://[fd00::1]:8443", "weight": 3, "backup": true}]}',
  ],
  [
    'a.yaml',
    '# one\n\n- http://10.0.0.1:8080\n- { url: "https://[fd00::1]:8443", weight: 3, backup: true }\n',
  ],
  ['a.yml', '[http://10.0.0.1:8080,\n{ url: "https://[fd00::1]:8443", weight: 3, backup: true }]'],
  [
    'a.yaml',
    'backends:\n  - http://10.0.0.1:8080\n  - { url: "https://[fd00::1]:8443", weight: 3, backup: true }',
  ],
  [
    'a.txt',
    '# one\nhttp://10.0.0.1:8080 # the first\r\n\n  https://[fd00::1]:8443\tweight=3 backup\n',
  ],
  ['a', '\uFEFFhttp://10.0.0.1:8080\nhttps://[fd00::1]:8443 backup weight=3'],
])('%s: %j', (file, text) => {
  expect(parseBackendsFile(text, file)).toMatchObject({ ok: true, backends: WANTED });
});

test.each([
  [
    'a.json',
    '[\n"http://10.0.0.1:8080",\n"ftp://b"]',
    'a.json:3:1: backends.1: "ftp://b" has the scheme "ftp"; only http, https and unix are possible',
  ],
  ['a.json', '["http://10.0.0.1:8080"', 'a.json:2:1: expected'],
  ['a.json', '{"port": 8080}', 'a.json:1:2: port: is none of a file of backends'],
  [
    'a.yaml',
    '- http://10.0.0.1\n- { url: http://10.0.0.2, weigth: 3 }',
    'a.yaml:2:27: backends.1.weigth: unknown key (did you mean "weight"?)',
  ],
  ['a.yaml', 'backends: [http://10.0.0.1/base]', 'a.yaml:1:12: backends.0: must not have a path'],
  ['a.yaml', 'text', 'a.yaml:1:1: must be a mapping'],
  [
    'a.txt',
    'http://10.0.0.1\n\n10.0.0.2',
    'a.txt:3:1: backends.1: "10.0.0.2" has no scheme (write http://10.0.0.2)',
  ],
  [
    'a.txt',
    'http://10.0.0.1 wieght=3',
    'a.txt:1:1: backends.0.wieght=3: a line is a URL, perhaps with weight=N and backup behind it: unknown key',
  ],
  [
    'a.txt',
    'http://10.0.0.1 weight=3000\nhttp://a/b\nx',
    'a.txt:1:1: backends.0.weight: must be a whole number from 0 to 1000, not 3000; and 1 more',
  ],
])('%s: %j is refused', (file, text, fault) => {
  const result = parseBackendsFile(text, file);
  expect(result).toMatchObject({ ok: false });
  expect('fault' in result && result.fault).toContain(fault);
});

test('an empty file has no backends, whatever its form', () => {
  for (const file of ['a.json', 'a.yaml', 'a.txt']) {
    const text = file === 'a.json' ? '[]' : '';
    expect(parseBackendsFile(text, file)).toEqual({ ok: true, backends: [] });
  }
});

test('garbage is refused or read, and never thrown', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('.json', '.yaml', ''),
      (text, end) => {
        const result = parseBackendsFile(text, `a${end}`);
        expect(result.ok || result.fault.length > 0).toBe(true);
      },
    ),
  );
});
