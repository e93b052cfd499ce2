import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterTest } from './after-test.ts';

/** A certificate of nobody's, as `ssl` in a config takes it. */
export function makeCertificate(): { readonly cert_file: string; readonly key_file: string } {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-certificate-'));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  const files = { cert_file: join(folder, 'a.crt'), key_file: join(folder, 'a.key') };
  const request =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost';
  execFileSync(
    'openssl',
    [...request.split(' '), '-keyout', files.key_file, '-out', files.cert_file],
    { stdio: 'ignore' },
  );
  return files;
}
