import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { afterTest } from './after-test.ts';
import { temporaryFolder } from './temporary-folder.ts';

/**
 * A certificate that signs itself, for this machine, as `ssl` in a config takes it.
 * @param whenOver when its files go: after the test, or after the file
 */
export function makeCertificate(
  commonName = 'localhost',
  whenOver?: typeof afterTest,
  names: readonly string[] = ['localhost'],
): {
  readonly cert_file: string;
  readonly key_file: string;
} {
  const folder = temporaryFolder('certificate', whenOver);
  const files = { cert_file: join(folder, 'a.crt'), key_file: join(folder, 'a.key') };
  const request =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 ' +
    `-addext subjectAltName=${names.map((name) => `DNS:${name},`).join('')}IP:127.0.0.1`;
  const named = ['-subj', `/CN=${commonName}`, '-keyout', files.key_file, '-out', files.cert_file];
  execFileSync('openssl', request.split(' ').concat(named), { stdio: 'ignore' });
  return files;
}
