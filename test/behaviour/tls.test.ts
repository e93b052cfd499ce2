/** The TLS short form: `ssl: {enabled, cert_file, key_file}`. The same data path, over TLS. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import https from 'node:https';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

interface TlsResponse {
  readonly status: number;
  readonly body: string;
}

function get(port: number, path: string, agent?: https.Agent): Promise<TlsResponse> {
  return new Promise((resolve, reject) => {
    const request = https.get(
      { host: '127.0.0.1', port, path, rejectUnauthorized: false, ...(agent && { agent }) },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
  });
}

/** The subject of the certificate that a new connection gets. */
async function servedName(port: number): Promise<string> {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

describe('over TLS', () => {
  test('curl -k, keep-alive, and the scheme told to the backend', async () => {
    const backend = await httpBackend((request, response) => {
      response.end(`${request.headers['x-forwarded-proto']} ${request.url}`);
    });
    const fairlead = await startFairlead({
      config: { backends: [backend.url], ssl: { enabled: true, ...makeCertificate('first') } },
    });
    const curl = await promisify(execFile)('curl', [
      '-sk',
      `https://localhost:${fairlead.port}/page`,
    ]);
    expect(curl.stdout).toBe('https /page');

    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    for (let index = 0; index < 20; index++) {
      expect(await get(fairlead.port, `/${index}`, agent)).toEqual({
        status: 200,
        body: `https /${index}`,
      });
    }
    agent.destroy();
    const metrics = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
    // curl's connection and the agent's one.
    expect(metrics).toMatch(/^fairlead_client_connections_total 2$/m);
  });

  test('big bodies both ways', async () => {
    const backend = await httpBackend((request, response) => {
      response.writeHead(200);
      request.pipe(response);
    });
    const fairlead = await startFairlead({
      config: { backends: [backend.url], ssl: { enabled: true, ...makeCertificate('big') } },
    });
    const body = Buffer.alloc(5 * 1024 * 1024, 'abcdefg');
    const echoed = await new Promise<Buffer>((resolve, reject) => {
      const request = https.request(
        { host: '127.0.0.1', port: fairlead.port, method: 'POST', rejectUnauthorized: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => resolve(Buffer.concat(chunks)));
          response.on('error', reject);
        },
      );
      request.on('error', reject);
      request.end(body);
    });
    expect(echoed.equals(body)).toBe(true);
  });

  test('a response cut short never looks complete', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.readHead(60_000);
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
      connection.socket.destroy();
    });
    const fairlead = await startFairlead({
      config: {
        backends: [backend.url],
        health_check_method: 'tcp',
        ssl: { enabled: true, ...makeCertificate('cut') },
      },
    });
    await expect(get(fairlead.port, '/')).rejects.toThrow(/aborted|ECONNRESET|socket hang up/);
  });

  test('a plain request, a broken handshake and a client that says nothing hurt nobody', async () => {
    const backend = await httpBackend();
    const fairlead = await startFairlead({
      config: { backends: [backend.url], ssl: { enabled: true, ...makeCertificate('rude') } },
    });
    expect((await fetch(fairlead.url)).status).toBe(400);
    const socket = tls.connect({
      host: '127.0.0.1',
      port: fairlead.port,
      rejectUnauthorized: false,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const [error] = (await within(once(socket, 'error'), SOON_MS, 'the refusal')) as [Error];
    expect(error).toBeInstanceOf(Error);
    expect((await get(fairlead.port, '/')).status).toBe(200);
  });

  test.each([
    ['whatever a client asks for', 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256', 'AES_128_GCM'],
    [
      'unless it asks for ChaCha20 first',
      'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256',
      'CHACHA20',
    ],
  ])('AES-128 is taken, %s', async (_when, ciphers, taken) => {
    const backend = await httpBackend();
    const fairlead = await startFairlead({
      config: { backends: [backend.url], ssl: { enabled: true, ...makeCertificate() } },
    });
    const { port } = fairlead;
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ciphers });
    await once(socket, 'secureConnect');
    expect(socket.getCipher().name).toContain(taken);
    socket.destroy();
  });

  test('a reload takes the new certificate, and open connections stay', async () => {
    const backend = await httpBackend();
    const pair = makeCertificate('before');
    const fairlead = await startFairlead({
      config: { backends: [backend.url], ssl: { enabled: true, ...pair } },
    });
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await get(fairlead.port, '/', agent)).status).toBe(200);
    expect(await servedName(fairlead.port)).toBe('before');
    const next = makeCertificate('after');
    copyFileSync(next.cert_file, pair.cert_file);
    copyFileSync(next.key_file, pair.key_file);
    const reloaded = await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' });
    expect(reloaded.status).toBe(200);
    await waitFor(async () => (await servedName(fairlead.port)) === 'after');
    expect((await get(fairlead.port, '/', agent)).status).toBe(200);
    agent.destroy();
  });
});

describe('a pair that can not work is a config error that names the file', () => {
  test('missing, mismatched, no PEM', async () => {
    const [one, two] = [makeCertificate('one'), makeCertificate('two')];
    const cases: readonly (readonly [Record<string, string>, string])[] = [
      [{ ...one, cert_file: `${one.cert_file}.gone` }, '.gone'],
      [{ ...one, key_file: two.key_file }, two.key_file],
      [{ ...one, cert_file: one.key_file }, one.key_file],
    ];
    for (const [pair, name] of cases) {
      const run = await runFairlead(['check'], {
        env: { FAIRLEAD_SSL: JSON.stringify({ enabled: true, ...pair }) },
      });
      expect(run.code).toBe(2);
      expect(run.stderr + run.stdout).toContain(name);
    }
  });
});
