/** What is said of pairs that are well-formed, and would be no use to clients, or not what somebody meant. */
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { type LoadResult, validateConfigText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { Authority, type Signed } from '../support/authority.ts';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';

let folder: string;
let authority: Authority;

beforeEach(() => {
  if (!hasTool('openssl')) return;
  folder = temporaryFolder('chains');
  authority = new Authority();
  mkdirSync(join(folder, 'certs'));
});

function put(base: string, { cert, key }: Signed): void {
  writeFileSync(join(folder, `${base}.crt`), cert);
  writeFileSync(join(folder, `${base}.key`), key);
}

function load(certificate: object, isStart = false): LoadResult {
  const text = JSON.stringify({
    listeners: [{ port: 1, tls: { certificates: [certificate] } }],
  });
  return validateConfigText(text, 'c.json', {
    flags: { values: [] },
    env: {},
    cwd: '/nowhere',
    configFile: join(folder, 'c.json'),
    ...(isStart && { certificatesInUse: [] }),
  });
}

/** Problems and notes, without the place and the folder. */
function told(result: LoadResult): string[] {
  const all = result.ok ? result.notes : result.problems.map(formatProblem);
  return all.map((line) => line.replace(/^.*?_(?:file|folder): /, '').replaceAll(`${folder}/`, ''));
}

const PAIR = { cert_file: 'a.crt', key_file: 'a.key' };
const FOLDER = { folder: 'certs' };

test.runIf(hasTool('openssl'))('a chain that goes before its certificate', () => {
  const { cert, key } = authority.sign('a.test');
  const turned = { cert: readFileSync(authority.file, 'utf8') + cert, key };
  put('a', turned);
  put('certs/a', turned);
  expect(told(load(PAIR))).toEqual([
    'a.crt does not begin with the certificate that a.key is the key of, but has it further down: put the chain behind it',
  ]);
  expect(told(load(FOLDER))[0]).toContain(
    'certs/a.key is the key of a certificate in certs/a.crt that does not stand first there: put the chain behind it',
  );
});

test.runIf(hasTool('openssl'))('a chain that has ended, or is of another issuer', () => {
  const { cert, key } = authority.sign('a.test');
  const chain = readFileSync(authority.file, 'utf8');
  put('a', { cert: cert + chain, key });
  expect(told(load(PAIR))).toEqual([]);
  const old = authority.sign('old.test', '210101000000Z').cert;
  put('a', { cert: cert + chain + old, key });
  expect(told(load(PAIR))).toEqual([
    'certificate 3 in a.crt, of its chain, expired on 2021-01-01',
    'certificate 3 in a.crt is not that of the issuer of the one before it: clients may not trust it',
  ]);
  put('a', { cert: cert + chain.slice(0, chain.length / 2), key });
  expect(told(load(PAIR))).toEqual([expect.stringContaining('a.crt cannot be used')]);
});

test.runIf(hasTool('openssl'))(
  'a folder in it that can not be read, and a link that leads to itself, cost what is in them',
  () => {
    put('certs/a', authority.sign('a.test'));
    symlinkSync('loop.pem', join(folder, 'certs/loop.pem'));
    symlinkSync('nowhere', join(folder, 'certs/none.pem'));
    const inside = join(folder, 'certs/secret');
    mkdirSync(inside);
    chmodSync(inside, 0);
    const result = load(FOLDER, true);
    chmodSync(inside, 0o700);
    expect(result).toMatchObject({ ok: true });
    const faults = result.ok ? (result.faults ?? []) : [];
    // For the superuser it can be read.
    const files = faults.map(({ file }) => file.slice(join(folder, 'certs/').length));
    const expected = process.getuid?.() === 0 ? [] : ['secret'];
    expect(files.toSorted()).toEqual(['loop.pem', 'none.pem', ...expected]);
  },
);

test.runIf(hasTool('openssl'))(
  'keys in a folder of their own, and an authority that has host names but no key',
  () => {
    mkdirSync(join(folder, 'certs/keys'));
    for (const name of ['a', 'b', 'c']) {
      const { cert, key } = authority.sign(`${name}.test`);
      writeFileSync(join(folder, `certs/${name}.crt`), cert);
      writeFileSync(join(folder, `certs/keys/${9 - name.charCodeAt(0) + 97}.key`), key);
    }
    const result = load(FOLDER);
    expect(told(result)).toEqual([]);
    const served = result.ok ? (result.settings.listeners[0].tls?.certificates ?? []) : [];
    expect(served.map(({ keyFile }) => keyFile.slice(-5))).toEqual(['9.key', '8.key', '7.key']);
    const { cert_file: made } = makeCertificate();
    writeFileSync(join(folder, 'certs/d.crt'), readFileSync(made));
    expect(told(load(FOLDER))).toEqual([
      expect.stringContaining('certs/d.crt: the key of this certificate is not in'),
    ]);
  },
);
