/** `listeners[].tls.client_certificates`: who is asked, who is refused, and what backends are told. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Authority } from '../support/authority.ts';
import { makeCertificate } from '../support/certificate.ts';
import { runFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { reusedFairlead } from '../support/reused-fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { refusalOf, type TlsVisit, visit } from '../support/tls-client.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const WITHOUT_TLS_HANDLES = new URL('../support/without-tls-handles.mjs', import.meta.url).href;
const WAYS = [
  ['on handles', {}],
  ['on sockets', { NODE_OPTIONS: `--import ${WITHOUT_TLS_HANDLES}` }],
] as const;
const FORGED =
  'X-SSL-Client-Verify: SUCCESS\r\nx-ssl-client-subject: CN=boss\r\nX_SSL_Client_Verify: SUCCESS\r\n' +
  'X-Ssl-Client_Subject: CN=boss\r\nX-SSL-Client-Cert: forged\r\nConnection: x-ssl-client-verify\r\n';

/** Listeners with these modes, one after the other, which share an authority. */
async function start(
  modes: readonly ('none' | 'request' | 'require')[],
  env: Readonly<Record<string, string>>,
  more: Readonly<Record<string, unknown>> = {},
) {
  const backend = await httpBackend((request, response) => {
    const heard = Object.entries(request.headers).filter(([name]) => /ssl/i.test(name));
    response.end(JSON.stringify(Object.fromEntries(heard)));
  });
  const authority = new Authority();
  const pair = makeCertificate('server');
  return onFreePorts(modes.length, async (ports) => {
    const listeners = modes.map((mode, index) => ({
      port: ports[index],
      tls: {
        certificates: [pair],
        client_certificates: { mode, ...(mode !== 'none' && { ca_file: authority.file }) },
      },
    }));
    const fairlead = await reusedFairlead({
      config: { backends: [backend.url], listeners, ...more },
      env,
    });
    return { fairlead, authority, ports };
  });
}

/** What the backend was told. */
function told({ answer }: TlsVisit): Readonly<Record<string, string>> {
  return JSON.parse(/\r\n\r\n[^{]*(\{.*\})/s.exec(answer)?.[1] ?? '{}') as Record<string, string>;
}

describe.runIf(hasTool('openssl')).each(WAYS)('%s', (_way, env) => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'require over %s: who has none is refused with an alert, and who has one is known to the backend',
    async (maxVersion) => {
      const { authority, ports } = await start(['require'], env);
      const [port] = ports as [number];
      expect(await refusalOf(port, { maxVersion })).toMatch(
        maxVersion === 'TLSv1.3' ? /CERTIFICATE_REQUIRED/ : /HANDSHAKE_FAILURE/,
      );
      const { cert, key } = authority.sign('alice', undefined, { subject: '/O=shop/CN=alice' });
      const first = await visit(port, { maxVersion, cert, key }, FORGED);
      const fields = told(first);
      expect(fields).toEqual({
        'x-ssl-client-verify': 'SUCCESS',
        'x-ssl-client-subject': 'CN=alice,O=shop',
        'x-ssl-client-issuer': 'CN=authority',
        'x-ssl-client-serial': expect.stringMatching(/^[0-9a-f]+$/) as string,
        'x-ssl-client-fingerprint': expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        'x-ssl-client-not-after': '2040-12-31T00:00:00.000Z',
      });
      // It is known without being shown again.
      const { session } = first;
      const again = await visit(port, { maxVersion, cert, key, session });
      expect(again.isReused).toBe(true);
      expect(told(again)).toEqual(fields);
    },
  );

  test('request: without one, and with one that is not good, backends are told that', async () => {
    const { ports } = await start(['request'], env, { trusted_proxies: ['127.0.0.0/8'] });
    const [port] = ports as [number];
    // Not even a trusted proxy may say what is found out here.
    expect(told(await visit(port, {}, FORGED))).toEqual({ 'x-ssl-client-verify': 'NONE' });
    const stranger = new Authority().sign('mallory');
    expect(told(await visit(port, { ...stranger }, FORGED))).toEqual({
      'x-ssl-client-verify': expect.stringMatching(/^FAILED:[A-Z_]+$/) as string,
    });
    const { session } = await visit(port);
    const again = await visit(port, { session });
    expect(again.isReused).toBe(true);
    expect(told(again)).toEqual({ 'x-ssl-client-verify': 'NONE' });
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'over %s, a session of a listener that asks for none opens no listener that requires one',
    async (maxVersion) => {
      const { ports } = await start(['none', 'request', 'require'], env);
      const [open, asking, closed] = ports as [number, number, number];
      for (const port of [open, asking]) {
        const { session } = await visit(port, { maxVersion });
        expect(session).toBeDefined();
        expect(await refusalOf(closed, { maxVersion, session })).toMatch(
          maxVersion === 'TLSv1.3' ? /CERTIFICATE_REQUIRED/ : /HANDSHAKE_FAILURE/,
        );
      }
    },
  );
});

describe.runIf(hasTool('openssl'))('a certificate', () => {
  test.each<
    [string, (authority: Authority) => { readonly cert: string; readonly key: string }, RegExp]
  >([
    ['of a stranger', () => new Authority().sign('mallory'), /UNABLE|SELF_SIGNED/],
    [
      'that has expired',
      (authority) => authority.sign('late', '210101000000Z'),
      /CERT_HAS_EXPIRED/,
    ],
  ])('%s is answered 403, also with the session that it began', async (_which, make, code) => {
    const { fairlead, authority, ports } = await start(['require'], {});
    const [port] = ports as [number];
    const { cert, key } = make(authority);
    const { answer, session } = await visit(port, { cert, key });
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).toContain('ERR_CLIENT_CERTIFICATE');
    const line = await waitFor(() =>
      fairlead.accessLines().find(({ error }) => error === 'ERR_CLIENT_CERTIFICATE'),
    );
    expect(line['error_detail']).toMatch(code);
    const again = await visit(port, { cert, key, session });
    expect(again.answer).toMatch(/^HTTP\/1\.1 403 /);
  });

  test('with anything in its name stays in its line', async () => {
    const { authority, ports } = await start(['require'], {});
    const subject = '/O=a,b\\+c\\\\"<é>;/CN=x\r\nX-Admin:yes';
    const { cert, key } = authority.sign('odd.test', undefined, { subject });
    const fields = told(await visit(ports[0] as number, { cert, key }));
    expect(fields['x-ssl-client-subject']).toBe(
      'CN=x\\0D\\0AX-Admin:yes,O=a\\,b\\+c\\\\\\"\\<\\C3\\A9\\>\\;',
    );
  });
});

test.runIf(hasTool('openssl'))(
  'where no certificates are asked for, nobody but a trusted proxy may tell of one',
  async () => {
    for (const [trusted, expected] of [
      [[], {}],
      [['127.0.0.0/8'], { 'x-ssl-client-verify': 'SUCCESS', 'x-ssl-client-subject': 'CN=boss' }],
    ] as const) {
      const { ports } = await start(['none'], {}, { trusted_proxies: trusted });
      const { 'x-ssl-client-cert': _, ...fields } = told(
        await visit(ports[0] as number, {}, FORGED),
      );
      expect(fields).toEqual(expected);
    }
  },
);

test('a ca_file that can not be used is told with its place', async () => {
  const folder = temporaryFolder('client-certificates');
  const file = join(folder, 'config.json');
  const pair = makeCertificate('server');
  writeFileSync(join(folder, 'empty.pem'), '');
  for (const [ofClients, message] of [
    [{ mode: 'require' }, 'client_certificates.ca_file: is missing'],
    [{ mode: 'request', ca_file: 'gone.pem' }, 'gone.pem: no such file'],
    [{ ca_file: 'empty.pem' }, 'empty.pem holds no certificate in PEM form'],
    [{ mode: 'maybe', ca_file: 'a' }, 'must be one of none, request, require'],
  ] as const) {
    const tls = { certificates: [pair], client_certificates: ofClients };
    writeFileSync(file, JSON.stringify({ backends: [':1'], listeners: [{ port: 1, tls }] }));
    const { code, stderr, stdout } = await runFairlead(['check', '--config', file]);
    expect(code).toBe(2);
    expect(stdout + stderr).toContain(message);
    expect(stdout + stderr).toMatch(/config\.json:1:\d+/);
  }
});
