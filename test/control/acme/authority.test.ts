/** What an authority of our own says: when to renew, nothing at all, or nonsense. And a file that two processes want. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { validateConfigText } from '../../../src/config/load.ts';
import { Acme, type AcmeOptions } from '../../../src/control/acme/acme.ts';
import { homeInFile } from '../../../src/control/acme/acme-home.ts';
import { CERTIFICATES, issueIdOf } from '../../../src/control/acme/acme-records.ts';
import { ask } from '../../../src/control/acme/acme-request.ts';
import { readDirectory } from '../../../src/control/acme/authority.ts';
import { readRenewalInfo } from '../../../src/control/acme/renewal-info.ts';
import { SYSTEM_TIMING } from '../../../src/control/cluster/timing.ts';
import { afterTest } from '../../support/after-test.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { waitFor } from '../../support/wait-for.ts';

const { signal } = new AbortController();

test('when to renew is asked for, and read within bounds', async () => {
  const { cert_file, key_file } = makeCertificate();
  let said = '<html>';
  let again = '3';
  const server = createTlsServer(
    { cert: readFileSync(cert_file), key: readFileSync(key_file) },
    (request, response) => {
      const own = `https://localhost:${port}`;
      const places = { newNonce: `${own}/n`, newAccount: `${own}/a`, newOrder: `${own}/o` };
      if (request.url === '/html') response.end('<html>');
      else if (request.url === '/dir') {
        response.end(JSON.stringify({ ...places, renewalInfo: `${own}/renewal` }));
      } else if (request.url === '/renewal/a.b') {
        response.setHeader('Retry-After', again).end(said);
      } else response.writeHead(404).end();
    },
  );
  server.listen(0, 'localhost');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const options = { caFile: cert_file, signal, nowMs: () => 0 };
  const at = (path: string) => ({ ...options, directoryUrl: `https://localhost:${port}${path}` });
  await expect(readDirectory(at('/html'))).rejects.toThrow('no directory of an ACME server');
  await expect(readDirectory(at('/else'))).rejects.toThrow('/else answers 404');
  const stranger = { ...at('/dir'), caFile: '' };
  await expect(readDirectory(stranger)).rejects.toThrow('self-signed certificate');
  await expect(readRenewalInfo('a.b', at('/dir'))).rejects.toThrow('no renewal information');
  const suggestedWindow = { start: '1970-01-02T00:00:00Z', end: '1970-01-03T00:00:00Z' };
  said = JSON.stringify({ suggestedWindow, explanationURL: 'https://ca.test/why' });
  expect(await readRenewalInfo('a.b', at('/dir'))).toEqual({
    window: { startMs: 86_400_000, endMs: 172_800_000 },
    explanation: 'https://ca.test/why',
    againMs: 60_000,
  });
  again = '999999';
  said = JSON.stringify({ suggestedWindow, explanationURL: 'javascript:alert(1)' });
  expect(await readRenewalInfo('a.b', at('/dir'))).toMatchObject({
    explanation: '',
    againMs: 86_400_000,
  });
});

test('an authority that takes connections and says nothing is given up', async () => {
  const server = createServer(() => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}/dir`;
  await expect(ask({ method: 'GET', url, caFile: '', signal, timeoutMs: 100 })).rejects.toThrow(
    `GET ${url}: no answer within 0.1 s`,
  );
});

test('a process that takes over serves what is in the file, and has it once the old one has ended', async () => {
  const folder = temporaryFolder('acme-file');
  const acme = {
    names: ['localhost.test'],
    ca: 'https://127.0.0.1:1/dir',
    store_key: 'ab'.repeat(32),
  };
  const config = { backends: [], listeners: [{ port: 443, tls: { acme } }] };
  const input = { flags: { values: [] }, env: {}, cwd: '/', configFile: join(folder, 'c.json') };
  const result = validateConfigText(JSON.stringify(config), 'c.json', input);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const { settings } = result;
  const issuing = settings.listeners[0].tls?.acme;
  if (!issuing?.store) throw new Error('no acme');
  const { store } = issuing;
  // As an older process without a key has left it.
  const opened = await homeInFile(store).open();
  const { cert_file, key_file } = makeCertificate('localhost', afterTest, ['localhost.test']);
  const record = {
    version: 1,
    directoryUrl: acme.ca,
    name: 'localhost.test',
    cert: readFileSync(cert_file, 'utf8'),
    key: readFileSync(key_file, 'utf8'),
  };
  const key = `${CERTIFICATES}${issueIdOf(issuing, 'localhost.test')}`;
  await opened.store.commit({
    conditions: [],
    writes: [{ put: key, value: JSON.stringify(record) }],
  });
  await opened.close();

  const begin = async (): Promise<{ acme: Acme; issued: () => number; events: string[] }> => {
    const events: string[] = [];
    let issued = 0;
    const hear = (event: string): void => void events.push(event);
    const options: AcmeOptions = {
      log: { debug: hear, info: hear, warn: hear, error: hear, fatal: hear },
      holder: 'test',
      home: homeInFile(store),
      counts: { issued: 0, failed: 0 },
      asks: { allowed: 0, refused: 0, failed: 0, dropped: 0 },
      onIssued: (all) => {
        issued = all.size;
      },
      onChallenges: async () => {},
      // Two seconds pass in 20 ms.
      timing: { ...SYSTEM_TIMING, after: (ms, run) => SYSTEM_TIMING.after(ms / 100, run) },
    };
    const one = new Acme(options);
    afterTest(() => one.stop());
    await one.begin(settings);
    return { acme: one, issued: () => issued, events };
  };
  const old = await begin();
  const next = await begin();
  expect([old.issued(), next.issued()]).toEqual([1, 1]);
  await waitFor(() => next.events.includes('certificate.store_failed'));
  await old.acme.stop();
  // Nobody else can have it now but who takes over.
  await waitFor(async () => {
    const free = await homeInFile(store)
      .open()
      .catch(() => undefined);
    await free?.close();
    return free === undefined;
  });
  expect(next.issued()).toBe(1);
});
