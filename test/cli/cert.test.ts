/** `fairlead cert dev`, judged by openssl and used by Fairlead itself. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type FinishedRun, runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { visit } from '../support/tls-client.ts';
import { hasTool } from '../support/tools.ts';

let folder: string;

beforeEach(() => {
  folder = temporaryFolder('cert-dev');
});

function cert(...args: readonly string[]): Promise<FinishedRun> {
  return runFairlead(['cert', ...args, '--out', folder], { env: { XDG_DATA_HOME: folder } });
}

function authorityFile(): string {
  return join(folder, 'fairlead', 'dev-authority', 'ca.crt');
}

function openssl(...args: readonly string[]): string {
  return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
}

describe.runIf(hasTool('openssl'))('openssl finds nothing wrong', () => {
  test('with what an authority signs for a server', async () => {
    const names = ['Shop.test', '*.shop.test', '127.0.0.1', '::1', '2001:db8::5:0:1'];
    const { code, stdout } = await cert('dev', ...names);
    expect(code).toBe(0);
    expect(stdout).toContain('The authority was made');
    expect(stdout).toContain('update-ca-certificates');
    const check = ['-x509_strict', '-purpose', 'sslserver', '-CAfile', authorityFile()];
    for (const name of [
      ['-verify_hostname', 'shop.test'],
      ['-verify_hostname', 'a.shop.test'],
      ['-verify_ip', '127.0.0.1'],
      ['-verify_ip', '::1'],
      ['-verify_ip', '2001:db8::5:0:1'],
    ]) {
      expect(openssl('verify', ...check, ...name, 'shop.test.crt')).toContain('OK');
    }
    expect(() =>
      openssl('verify', ...check, '-verify_hostname', 'b.test', 'shop.test.crt'),
    ).toThrow(/verif|purpose|mismatch/i);
    expect(openssl('x509', '-in', 'shop.test.crt', '-noout', '-checkend', '0')).toContain(
      'will not',
    );
  });

  test('with what it signs for a client', async () => {
    expect((await cert('dev', '--client', 'Alice B.')).code).toBe(0);
    const check = ['verify', '-x509_strict', '-CAfile', authorityFile(), '-purpose'];
    expect(openssl(...check, 'sslclient', 'Alice_B..crt')).toContain('OK');
    expect(() => openssl(...check, 'sslserver', 'Alice_B..crt')).toThrow(/verif|purpose|mismatch/i);
  });
});

test('Fairlead serves it, and a client that trusts the authority is content', async () => {
  await cert('dev', 'localhost');
  const backend = await httpBackend();
  const ssl = { cert_file: join(folder, 'localhost.crt'), key_file: join(folder, 'localhost.key') };
  const { port } = await startFairlead({ config: { backends: [backend.url], ssl } });
  const ca = readFileSync(authorityFile());
  const options = { ca, rejectUnauthorized: true, servername: 'localhost' };
  expect((await visit(port, options)).answer).toContain('200 OK');
});

test('keys are their owner’s alone, and the authority is made once', async () => {
  await cert('dev', 'a.test');
  const ca = readFileSync(authorityFile(), 'utf8');
  const { stdout } = await cert('dev', 'b.test');
  expect(stdout).not.toContain('was made');
  expect(readFileSync(authorityFile(), 'utf8')).toBe(ca);
  for (const key of [join(folder, 'a.test.key'), authorityFile().replace(/crt$/, 'key')]) {
    expect(statSync(key).mode & 0o777).toBe(0o600);
  }
});

test('a file of somebody else is not replaced, one of its own is', async () => {
  await cert('dev', 'a.test');
  expect((await cert('dev', 'a.test')).code).toBe(0);
  writeFileSync(join(folder, 'real.test.key'), 'the key of a real site');
  const refused = await cert('dev', 'real.test');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('real.test.key is there');
  expect(readFileSync(join(folder, 'real.test.key'), 'utf8')).toBe('the key of a real site');
  expect((await cert('dev', 'real.test', '--force')).code).toBe(0);
});

test.each([
  [['dev'], 'say for which names'],
  [['devv', 'a.test'], 'say what for'],
  [['dev', 'a b'], '"a b" is no host name'],
  [['dev', '*.*.test'], 'is no host name'],
  [['dev', '--client', 'a', 'b'], 'one name'],
])('%j is told', async (args, message) => {
  const { code, stderr } = await cert(...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

test('an authority that is not whole is told, and not replaced', async () => {
  await cert('dev', 'a.test');
  writeFileSync(authorityFile(), 'no certificate');
  const { code, stderr } = await cert('dev', 'b.test');
  expect(code).toBe(1);
  expect(stderr).toContain('fairlead cert: ');
  expect(readFileSync(authorityFile(), 'utf8')).toBe('no certificate');
});
