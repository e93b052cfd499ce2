/** Certificates are made by openssl, as operators make them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { validateConfigText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';

let folder: string;

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
}

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'fairlead-tls-'));
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=localhost'];
  openssl('req', '-x509', ...curve, ...subject, '-keyout', 'a.key', '-out', 'a.crt');
  openssl('req', '-x509', ...curve, ...subject, '-keyout', 'b.key', '-out', 'b.crt');
  openssl('pkey', '-in', 'a.key', '-aes128', '-passout', 'pass:x', '-out', 'encrypted.key');
  openssl('x509', '-in', 'a.crt', '-outform', 'DER', '-out', 'a.der');
  openssl('req', '-new', '-key', 'a.key', ...subject, '-out', 'a.csr');
  openssl('x509', '-req', '-in', 'a.csr', '-signkey', 'a.key', '-days', '-1', '-out', 'old.crt');
  writeFileSync(path.join(folder, 'empty'), '');
  mkdirSync(path.join(folder, 'dir'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(ssl: Readonly<Record<string, unknown>>) {
  const configFile = path.join(folder, 'c.json');
  const input = { flags: { values: [] }, env: {}, cwd: '/nowhere', configFile };
  return validateConfigText(JSON.stringify({ ssl }), 'c.json', input);
}

test('a pair that fits is read, from beside the config file', () => {
  for (const enabled of [{}, { enabled: true }]) {
    expect(load({ ...enabled, cert_file: 'a.crt', key_file: './a.key' })).toMatchObject({
      ok: true,
      notes: [],
      settings: {
        listeners: [
          {
            tls: {
              certificates: [
                {
                  cert: readFileSync(path.join(folder, 'a.crt'), 'utf8'),
                  key: readFileSync(path.join(folder, 'a.key'), 'utf8'),
                  certFile: path.join(folder, 'a.crt'),
                  keyFile: path.join(folder, 'a.key'),
                },
              ],
            },
          },
        ],
      },
    });
  }
});

test('what is off is not read', () => {
  const result = load({ enabled: false, cert_file: 'none.crt', key_file: 'none.key' });
  expect(result).toMatchObject({ ok: true, settings: { listeners: [{ tls: undefined }] } });
});

test.each([
  ['a.crt', 'b.key', ['ssl.key_file: DIR/b.key is not the key of the certificate in DIR/a.crt']],
  ['none.crt', 'a.key', ['ssl.cert_file: cannot read DIR/none.crt: no such file']],
  ['a.crt', 'dir', ['ssl.key_file: cannot read DIR/dir: it is a folder']],
  [
    'none.crt',
    'none.key',
    [
      'ssl.cert_file: cannot read DIR/none.crt: no such file',
      'ssl.key_file: cannot read DIR/none.key: no such file',
    ],
  ],
  ['empty', 'a.key', ['ssl.cert_file: DIR/empty holds no certificate in PEM form']],
  ['a.der', 'a.key', ['ssl.cert_file: DIR/a.der holds no certificate in PEM form']],
  ['a.key', 'a.key', ['ssl.cert_file: DIR/a.key holds no certificate in PEM form']],
  ['a.crt', 'a.crt', ['ssl.key_file: DIR/a.crt holds no private key in PEM form']],
  ['a.crt', 'empty', ['ssl.key_file: DIR/empty holds no private key in PEM form']],
  [
    'a.crt',
    'encrypted.key',
    ['ssl.key_file: DIR/encrypted.key is encrypted; Fairlead reads keys without a passphrase only'],
  ],
])('%s with %s', (cert, key, problems) => {
  const result = load({ enabled: true, cert_file: cert, key_file: key });
  const found = result.ok ? [] : result.problems.map(formatProblem);
  expect(
    found.map((line) => line.replaceAll(folder, 'DIR').replace(/^c\.json:1:\d+: /, '')),
  ).toEqual(problems);
});

test('an expired certificate is a note', () => {
  const result = load({ cert_file: 'old.crt', key_file: 'a.key' });
  expect(result).toMatchObject({ ok: true });
  expect(result.ok && result.notes[0]).toMatch(/old\.crt expired on \d{4}-\d\d-\d\d$/);
});
