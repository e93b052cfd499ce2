/**
 * Who was connected when a listener began to ask for certificates, or for a PROXY header, was served on by the old terms for as long as it
 * kept its connection. It is sent away now; a renewed certificate sends nobody away.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Authority } from '../support/authority.ts';
import { makeCertificate } from '../support/certificate.ts';
import { startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { hasTool } from '../support/tools.ts';
import { LONG_MS, within } from '../support/wait-for.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

test.runIf(hasTool('openssl'))('whatever they are', async () => {
  const { url } = await httpBackend();
  const port = await freePort();
  const ca_file = new Authority().file;
  const certificates = [makeCertificate()];
  const base = { backends: [url], state_file: false };
  const of = (more: Readonly<Record<string, unknown>>) => ({
    ...base,
    listeners: [{ port, ...more }],
  });
  const { adminUrl, cwd } = await startFairlead({ config: of({ tls: { certificates } }) });
  const reload = async (more: Readonly<Record<string, unknown>>): Promise<void> => {
    writeFileSync(join(cwd, 'fairlead.config.json'), JSON.stringify(of(more)));
    expect((await fetch(`${adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  };
  const served = async (isTls: boolean) => {
    const client = await rawClient(port, { tls: isTls });
    await client.write(REQUEST);
    expect((await client.readResponse()).status).toBe(200);
    return client;
  };

  const kept = await served(true);
  await reload({ tls: { certificates: [makeCertificate('renewed')] } });
  await kept.write(REQUEST);
  const { status, fields } = await kept.readResponse();
  expect([status, fields.get('connection')]).toEqual([200, undefined]);
  // Each of these is other terms than the one before.
  for (const [more, wasTls] of [
    [{ tls: { certificates, client_certificates: { mode: 'request', ca_file } } }, true],
    [{ tls: { certificates, min_version: '1.3' } }, true],
    [{}, true],
    [{ proxy_protocol: { from: ['127.0.0.1'] } }, false],
  ] as const) {
    const client = await served(wasTls);
    await reload(more);
    await within(client.readToEnd(), LONG_MS, `the end of a client before ${JSON.stringify(more)}`);
  }
});
