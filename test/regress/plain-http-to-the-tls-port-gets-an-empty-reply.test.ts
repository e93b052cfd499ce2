/** `http://` in place of `https://` got an empty reply, which says nothing of what is wrong. */
import { once } from 'node:events';
import { request } from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from 'vitest';
import { metrics, startProxy } from '../behaviour/stage.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { type HttpBackend, httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const support = (name: string): string => new URL(`../support/${name}`, import.meta.url).href;

async function status(port: number): Promise<number> {
  const get = https.get({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false });
  const [response] = await once(get, 'response');
  response.resume();
  return response.statusCode;
}

type Way = readonly [string, (url: string) => Promise<Fairlead>];

function preloading(name: string, preload: string): Way {
  return [
    name,
    (url) =>
      startFairlead({
        config: { backends: [url], health_check_method: 'tcp', ssl: makeCertificate() },
        env: { NODE_OPTIONS: `--import ${support(preload)}` },
      }),
  ];
}

const WAYS: readonly Way[] = [
  ['on handles', (url) => startProxy([url], { ssl: makeCertificate() })],
  preloading('with TLS on sockets', 'without-tls-handles.mjs'),
  preloading('on sockets', 'without-tcp-handles.mjs'),
];

describe.each(WAYS)('a request in the clear to the TLS port, %s,', (_name, start) => {
  let backend: HttpBackend;
  let fairlead: Fairlead;
  beforeAll(async () => {
    backend = await httpBackend();
    fairlead = await start(backend.url);
  });

  const connections = async () => (await metrics(fairlead)).get('fairlead_client_connections');

  test.each(['GET', 'POST', 'OPTIONS'])('%s, is answered with the reason', async (method) => {
    const sent = request(fairlead.url, { method, agent: false });
    sent.end(method === 'POST' ? Buffer.alloc(500_000) : undefined);
    const [response] = await once(sent, 'response');
    expect(response.statusCode).toBe(400);
    expect(response.headers.connection).toBe('close');
    expect(await text(response)).toContain('This port speaks TLS: ask for https://');
    const line = await waitFor(() =>
      fairlead.accessLines().find((one) => one['method'] === method),
    );
    expect(line).toMatchObject({ status: 400, error: 'ERR_CLIENT_PLAIN_HTTP' });
    expect(backend.requests).toEqual([]);
    await waitFor(async () => (await connections()) === 0);
  });

  test('is told so by its first byte, however slowly it comes, and others are served', async () => {
    await waitFor(async () => (await connections()) === 0);
    const slow = await rawClient(fairlead.port);
    await waitFor(async () => (await connections()) === 1);
    expect(await status(fairlead.port)).toBe(200);
    await slow.write('G');
    expect((await slow.readResponse()).status).toBe(400);
    await slow.write('ET / HTTP/1.1\r\n');
    slow.end();
    expect(String(await slow.readToEnd())).toBe('');
    expect(await status(fairlead.port)).toBe(200);
  });

  test('and a TLS hello that trickles in byte by byte is one', async () => {
    const slow = await rawClient(fairlead.port);
    for (const byte of '\x16\x03\x01\x00\x05hello') await slow.write(byte);
    // An alert, and not a sentence.
    expect((await slow.readToEnd())[0]).not.toBe('H'.charCodeAt(0));
    expect(await status(fairlead.port)).toBe(200);
  });
});
