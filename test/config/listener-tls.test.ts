/** `listeners[].tls`: what it means, what is wrong with it, and that it is shown as it is written. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { validateConfigText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'fairlead-listener-tls-'));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  const { cert_file, key_file } = makeCertificate('one');
  copyFileSync(cert_file, path.join(folder, 'a.crt'));
  copyFileSync(key_file, path.join(folder, 'a.key'));
});

function load(tls: unknown) {
  const configFile = path.join(folder, 'c.json');
  const input = { flags: { values: [] }, env: {}, cwd: '/nowhere', configFile };
  const config = { backends: [':1'], listeners: [{ port: 1443, tls }] };
  return validateConfigText(JSON.stringify(config), 'c.json', input);
}

test('what is in force, read back, means the same', () => {
  const tls = {
    certificates: [{ cert_file: 'a.crt', key_file: 'a.key' }, { folder: '.' }],
    unknown_name: 'refuse',
    client_certificates: { mode: 'request', ca_file: 'a.crt' },
    min_version: 1.3,
  };
  const loaded = load(tls);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  const { config } = effectiveConfig(loaded);
  const shown = (config['listeners'] as { tls: unknown }[])[0]?.tls;
  expect(shown).toEqual({
    certificates: [
      { cert_file: path.join(folder, 'a.crt'), key_file: path.join(folder, 'a.key') },
      { folder },
    ],
    unknown_name: 'refuse',
    client_certificates: { mode: 'request', ca_file: path.join(folder, 'a.crt') },
    min_version: '1.3',
  });
  const again = load(shown);
  expect(again.ok && again.settings.listeners).toEqual(loaded.settings.listeners);
});

test.each([
  [{}, 'listeners.0.tls.certificates: is missing'],
  [
    { certificates: [] },
    'listeners.0.tls.certificates: must not be empty: TLS needs a certificate',
  ],
  [
    { certificates: [{ folder: '.', cert_file: 'a.crt' }] },
    'listeners.0.tls.certificates.0: must be either a folder, or a cert_file with its key_file',
  ],
  [{ certificates: [{}] }, 'listeners.0.tls.certificates.0: needs a cert_file, or a folder'],
  [
    { certificates: [{ cert_file: 'a.crt' }] },
    'listeners.0.tls.certificates.0.cert_file: DIR/a.crt holds no private key in PEM form',
  ],
  [
    { certificates: [{ folder: '.' }], min_version: '1.1' },
    'listeners.0.tls.min_version: must be one of 1.2, 1.3, not "1.1"',
  ],
  [
    { certificates: [{ folder: '.' }], unknown_name: 'drop' },
    'listeners.0.tls.unknown_name: must be one of default, refuse, not "drop"',
  ],
])('%j: %s', (tls, message) => {
  const result = load(tls);
  const found = result.ok ? [] : result.problems.map(formatProblem);
  expect(
    found.map((line) => line.replaceAll(folder, 'DIR').replace(/^c\.json:1:\d+: /, '')),
  ).toEqual([message]);
});
