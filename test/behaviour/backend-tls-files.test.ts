/** The files of TLS to backends are watched: what is good is taken up by requests and checks without a reload, what is not changes nothing. */
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Authority } from '../support/authority.ts';
import { startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { TlsBackend } from '../support/tls-backend.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

interface View {
  readonly health: string;
  readonly hint?: string;
}

test.runIf(hasTool('openssl'))('of a pool: its authority, its certificate, its key', async () => {
  const [authority, own] = [new Authority(), new Authority()];
  const folder = temporaryFolder('backend-tls-files');
  const at = (name: string): string => join(folder, name);
  const replace = (name: string, text: string): void => {
    writeFileSync(at(`${name}.new`), text);
    renameSync(at(`${name}.new`), at(name));
  };
  const show = (name: string): void => {
    const { cert, key } = own.sign(name);
    replace('own.key', key);
    replace('own.crt', cert);
  };
  show('first.test');
  copyFileSync(authority.file, at('ca.crt'));
  const backend = await new TlsBackend(
    authority.sign('localhost'),
    { requestCert: true, rejectUnauthorized: true, ca: readFileSync(own.file, 'utf8') },
    { Connection: 'close' },
  ).listen();
  const fairlead = await startFairlead({
    cwd: folder,
    config: {
      backends: [`https://localhost:${backend.port}`],
      backend_tls: { ca_file: 'ca.crt', cert_file: 'own.crt', key_file: 'own.key' },
      health_check_frequency: '200ms',
      health_check_down_frequency: '200ms',
      health_check_rise: 1,
      health_check_fall: 1,
    },
  });
  const health = async (): Promise<View> => {
    const [view] = (await (await fetch(`${fairlead.adminUrl}/backends`)).json()) as View[];
    return view as View;
  };
  const faults = async (): Promise<unknown> =>
    ((await (await fetch(`${fairlead.adminUrl}/certificates`)).json()) as { faults: unknown })
      .faults;
  const ask = async (): Promise<number> => (await fetch(fairlead.url)).status;
  await waitFor(async () => (await health()).health === 'healthy');
  expect(await ask()).toBe(200);

  const metrics = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
  expect(metrics).toContain(
    `fairlead_certificate_expiry_timestamp_seconds{name="first.test",file="${at('own.crt')}"} `,
  );

  // Each check shows it, and each request, of which each has a connection of its own.
  show('second.test');
  const changed = await fairlead.waitForLog(({ event }) => event === 'certificates.changed');
  expect(changed).toMatchObject({ files: [at('own.crt')] });
  await waitFor(() => backend.clients.at(-1) === 'second.test');
  expect(await ask()).toBe(200);

  replace('own.key', own.sign('other.test').key);
  await waitFor(async () => ((await faults()) as unknown[]).length === 1);
  const refused = await fairlead.waitForLog(({ event }) => event === 'certificate.refused');
  expect(refused.msg).toMatch(/own\.key is not the key of .*The one before stays in force/);
  expect(await faults()).toMatchObject([{ file: at('own.key') }]);
  const asked = backend.clients.length;
  await waitFor(() => backend.clients.length > asked + 1);
  expect(await ask()).toBe(200);
  expect(new Set(backend.clients.slice(asked))).toEqual(new Set(['second.test']));
  show('third.test');
  await waitFor(() => backend.clients.at(-1) === 'third.test');
  await waitFor(async () => ((await faults()) as unknown[]).length === 0);

  replace('ca.crt', readFileSync(new Authority().file, 'utf8'));
  await waitFor(async () => (await health()).health === 'unhealthy');
  expect((await health()).hint).toContain(at('ca.crt'));
  replace('ca.crt', 'no authority');
  await waitFor(async () => ((await faults()) as unknown[]).length === 1);
  replace('ca.crt', readFileSync(authority.file, 'utf8'));
  await waitFor(async () => (await health()).health === 'healthy');
  expect(await ask()).toBe(200);
});
