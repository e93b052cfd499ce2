/** `location: rewrite`: a backend that sends clients to its own address sends them to ours. */
import { readFile, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { rawClient } from '../support/raw-client.ts';
import { answer, get, type Stage, startStage } from './stage.ts';

/** What the client of a request with these fields finds in the redirect to `location`. */
async function seen(
  stage: Stage,
  location: string,
  { host = 'shop.example:8080', fields = [] }: { host?: string; fields?: readonly string[] } = {},
): Promise<string> {
  stage.on(
    '/go',
    answer(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`),
  );
  const client = await rawClient(stage.fairlead.port);
  await client.write(get('/go', fields).replace('Host: test', `Host: ${host}`));
  const response = await client.readResponse();
  client.end();
  return response.fields.get('location')?.join() ?? 'none';
}

async function setLocation(stage: Stage, location: 'keep' | 'rewrite'): Promise<void> {
  const file = join(stage.fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...config, location }));
  const { status } = await fetch(`${stage.fairlead.adminUrl}/reload`, { method: 'POST' });
  expect(status).toBe(200);
}

test('by default a redirect passes as it is; a reload rewrites it, and leaves it alone again', async () => {
  const stage = await startStage();
  const own = `${stage.backend.url}/login?next=/`;
  expect(await seen(stage, own)).toBe(own);
  await setLocation(stage, 'rewrite');
  expect(await seen(stage, own)).toBe('http://shop.example:8080/login?next=/');
  await setLocation(stage, 'keep');
  expect(await seen(stage, own)).toBe(own);
});

describe('location: rewrite', () => {
  test('only what begins with the address of the backend that answered is ours', async () => {
    const stage = await startStage({ location: 'rewrite', host_header: 'backend' });
    expect(await seen(stage, `${stage.backend.url.toUpperCase()}/`)).toBe(
      'http://shop.example:8080/',
    );
    for (const other of ['/login', 'http://other.example/', `${stage.backend.url}0/`, 'x y z']) {
      expect(await seen(stage, other)).toBe(other);
    }
    // A client of HTTP/1.0 without a Host has named no address.
    const old = await stage.client();
    await old.write('GET /go HTTP/1.0\r\n\r\n');
    expect((await old.readToEnd()).toString()).toContain('\r\nLocation: x y z\r\n');
  });

  test('a trusted proxy says what the client used, nobody else', async () => {
    const fields = ['X-Forwarded-Proto: https', 'X-Forwarded-Host: outer.example'];
    const stage = await startStage({ location: 'rewrite', trusted_proxies: ['127.0.0.1'] });
    const own = `${stage.backend.url}/x`;
    expect(await seen(stage, own, { fields })).toBe('https://outer.example/x');
    const other = await startStage({ location: 'rewrite' });
    expect(await seen(other, `${other.backend.url}/x`, { fields })).toBe(
      'http://shop.example:8080/x',
    );
  });

  test('over TLS the scheme is https', async () => {
    const stage = await startStage({ location: 'rewrite', ssl: makeCertificate() });
    stage.on(
      '/tls',
      answer(`HTTP/1.1 301 Moved\r\nLocation: ${stage.backend.url}/y\r\nContent-Length: 0\r\n\r\n`),
    );
    const location = await new Promise((resolve, reject) => {
      https
        .get(
          {
            port: stage.fairlead.port,
            path: '/tls',
            rejectUnauthorized: false,
            headers: { host: 'shop.example' },
          },
          (response) => {
            response.resume();
            resolve(response.headers.location);
          },
        )
        .on('error', reject);
    });
    expect(location).toBe('https://shop.example/y');
  });
});
