/**
 * The watch of certificates took for known what it found at its first look. A renewal between the read at the start, or at a reload, and
 * that look was noticed by nobody, until the next one months later: by then the old certificate had ended.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { validateConfigText } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/settings.ts';
import { Certificates } from '../../src/control/certificates/certificates.ts';
import type { Operator } from '../../src/control/operator.ts';
import { Registry } from '../../src/control/registry.ts';
import type { Logger } from '../../src/observe/logger.ts';
import { afterTest } from '../support/after-test.ts';
import { Authority } from '../support/authority.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

test.runIf(hasTool('openssl'))('of the start, and of a reload that names others', async () => {
  const authority = new Authority();
  const folder = temporaryFolder('first-look');
  const put = (base: string, name: string): void => {
    const { cert, key } = authority.sign(name);
    writeFileSync(join(folder, `${base}.key`), key);
    writeFileSync(join(folder, `${base}.crt`), cert);
  };
  const read = (base: string): Settings => {
    const ssl = { cert_file: `${base}.crt`, key_file: `${base}.key` };
    const configFile = join(folder, 'c.json');
    const input = { flags: { values: [] }, env: {}, cwd: folder, configFile };
    const result = validateConfigText(JSON.stringify({ ssl }), 'c.json', input);
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    return result.settings;
  };
  put('a', 'old.test');
  const registry = new Registry({ settings: read('a'), threadCount: 1 });
  const operator = {
    reload: async (load: () => Promise<Settings>) => registry.applyConfig(await load()),
  } as unknown as Operator;
  const log = { info() {}, warn() {}, error() {} } as unknown as Logger;
  const certificates = new Certificates({ registry, operator, log, publish() {} });
  afterTest(() => certificates.stop());
  const served = (): string | undefined => certificates.all()[0]?.facts.names[0];

  put('a', 'new.test');
  certificates.begin([]);
  expect(served()).toBe('old.test');
  await waitFor(() => served() === 'new.test');

  put('b', 'old.test');
  registry.applyConfig(read('b'));
  put('b', 'newer.test');
  certificates.sync();
  expect(served()).toBe('old.test');
  await waitFor(() => served() === 'newer.test');
});
