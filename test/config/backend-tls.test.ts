/** TLS to backends: what its files must be, what is wrong with them and where, and what has no effect. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { Authority } from '../support/authority.ts';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { loadText, problemsOf } from './load-text.ts';

/** With its name for a file, there. */
function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder('backend-tls');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

test.each([
  [
    'tls: { server_name: "a b" }',
    '1:35: pools.a.tls.server_name: must be a host name or an IP address, not "a b"',
  ],
  [
    'tls: { server_nam: a }',
    '1:22: pools.a.tls.server_nam: unknown key (did you mean "server_name"?)',
  ],
  ['tls: { verify: maybe }', '1:30: pools.a.tls.verify: must be true or false, not "maybe"'],
  [
    'tls: { cert_file: a.pem }',
    '1:22: pools.a.tls.key_file: is missing: a certificate needs its key',
  ],
  [
    'tls: { key_file: a.pem }',
    '1:22: pools.a.tls.cert_file: is missing: a key needs its certificate',
  ],
  [
    'tls: { ca_file: a.pem }',
    '1:31: pools.a.tls.ca_file: cannot read /nowhere/a.pem: no such file',
  ],
  ['tls: true', '1:20: pools.a.tls: must be a mapping, such as { ca_file: ca.pem }, not true'],
])('%s', (text, problem) => {
  expect(problemsOf(`pools: { a: { ${text} } }`)).toEqual([`c.yaml:${problem}`]);
});

function notesOf(backends: string[], tls: object) {
  const text = JSON.stringify({ pools: { a: { backends, tls } }, routes: [{ pool: 'a' }] });
  const loaded = loadText(text, { name: 'c.json' });
  return loaded.ok ? loaded.notes : problemsOf(text);
}

describe.runIf(hasTool('openssl'))('files', () => {
  test('that do not fit, or are not what they should be, are told where they stand', () => {
    const authority = new Authority();
    const one = authority.sign('one.test');
    const cwd = folderWith({
      'one.crt': one.cert,
      'one.key': one.key,
      'two.key': authority.sign('two.test').key,
      'empty.pem': '',
      'broken.pem': `${one.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    });
    const told = (tls: string) => problemsOf(`backend_tls: { ${tls} }`, { cwd }).join();
    expect(told('cert_file: one.crt, key_file: two.key')).toContain(
      `backend_tls.key_file: ${cwd}/two.key is not the key of the certificate in ${cwd}/one.crt`,
    );
    expect(told('cert_file: one.key, key_file: one.key')).toContain('one.key holds no certificate');
    expect(told('ca_file: empty.pem')).toContain('empty.pem holds no certificate in PEM form');
    expect(told('ca_file: one.key')).toContain('one.key holds no certificate in PEM form');
    expect(told('ca_file: broken.pem')).toContain('certificate 2 of 2 in');
    expect(told('cert_file: one.crt, key_file: one.key, ca_file: one.crt')).toBe('');
    expect(told('cert_file: one.crt, key_file: two.key')).not.toContain('BEGIN');
  });

  test('are read, and stand in the printed config by their paths', () => {
    const { cert_file, key_file } = makeCertificate();
    const text = JSON.stringify({
      backends: ['https://a.test'],
      backend_tls: { ca_file: cert_file, cert_file, key_file, server_name: 'SHOP.test.' },
    });
    const loaded = loadText(text, { name: 'c.json' });
    if (!loaded.ok) throw new Error('not read');
    expect(loaded.settings.pools[0].backendTls).toMatchObject({
      ca: readFileSync(cert_file, 'utf8'),
      key: readFileSync(key_file, 'utf8'),
      serverName: 'shop.test',
      verifies: true,
    });
    const { config } = effectiveConfig(loaded);
    expect(config).toMatchObject({
      backend_tls: {
        ca_file: cert_file,
        cert_file,
        key_file,
        server_name: 'shop.test',
        verify: true,
      },
    });
    expect(JSON.stringify(config)).not.toContain('BEGIN');
  });

  test('that have no effect are told', () => {
    const { cert_file } = makeCertificate();
    expect(notesOf(['http://a.test'], { ca_file: cert_file })).toEqual([
      'pools.a: tls has no effect: no backend has https in its URL',
    ]);
    expect(notesOf(['https://a.test'], { ca_file: cert_file, verify: false })).toEqual([
      'pools.a: tls.verify is false: whoever is reached in the place of a backend is taken for it',
      'pools.a: tls.ca_file has no effect while tls.verify is false',
    ]);
    expect(notesOf(['https://a.test'], { ca_file: cert_file })).toEqual([]);
    expect(notesOf([], { ca_file: cert_file })).toEqual([]);
  });
});
