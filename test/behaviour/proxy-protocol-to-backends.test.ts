/** Pools whose backends are told of the client by a PROXY header, at the beginning of each connection. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { readProxyHeader } from '../../src/data/wire/proxy-protocol.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const WITHOUT_HANDLES = new URL('../support/without-tcp-handles.mjs', import.meta.url).pathname;
const WAYS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['on handles', {}],
  ['on sockets', { NODE_OPTIONS: `--import ${WITHOUT_HANDLES}` }],
];

/** Answers each request, however many come on a connection. */
function answeringBackend() {
  return rawBackend(async (connection) => {
    connection.socket.on('end', () => connection.end());
    for (;;) {
      await connection.readUntil('Host: ', 600_000);
      await connection.readUntil('\r\n\r\n', 600_000);
      await connection.write(OK);
    }
  });
}

const QUIET = { health_check_method: 'tcp', health_check_frequency: '1h', state_file: false };

describe.each(WAYS)('a pool that sends PROXY headers, %s', (_way, env) => {
  test.each(['v1', 'v2'] as const)('says who each request is for: %s', async (version) => {
    const backend = await answeringBackend();
    const config = { ...QUIET, backends: [backend.url], send_proxy_protocol: version };
    const fairlead = await startFairlead({ config, env });
    const clients = [await rawClient(fairlead.port), await rawClient(fairlead.port)];
    for (const client of [...clients, ...clients]) {
      await client.write(REQUEST);
      expect((await client.readResponse()).status).toBe(200);
    }
    // One connection for each request; those of checks say that they are our own.
    const texts = backend.connections.map((connection) => Buffer.from(connection.text, 'latin1'));
    const headers = texts.map((bytes) => ({ bytes, ...readProxyHeader(bytes) }));
    const requests = headers.filter(({ bytes, length }) => bytes.length > length);
    const localPort = fairlead.port;
    expect(requests.map(({ client }) => client)).toEqual(
      [...clients, ...clients].map(({ socket }) => ({
        address: '127.0.0.1',
        port: socket.localPort,
        localAddress: '127.0.0.1',
        localPort,
      })),
    );
    for (const { bytes, length } of requests) {
      expect(bytes.subarray(length).toString('latin1')).toMatch(/^GET \/ HTTP\/1\.1\r\n/);
      expect(bytes.toString('latin1').split('GET ')).toHaveLength(2);
    }
    const checks = headers.filter(({ bytes, length }) => bytes.length <= length);
    expect(checks.length).toBeGreaterThan(0);
    for (const { length, client } of checks) {
      expect(length).toBeGreaterThanOrEqual(0);
      expect(client).toBeNull();
    }
  });

  test.runIf(hasTool('openssl'))('says it before TLS, in checks, too', async () => {
    const { cert_file: cert, key_file: key } = makeCertificate();
    const inner = createTlsServer(
      { cert: readFileSync(cert), key: readFileSync(key) },
      (socket) => {
        socket.on('error', () => {});
        socket.on('data', () => socket.end(OK.replace('Content', 'Connection: close\r\nContent')));
      },
    );
    const clients: unknown[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes: Buffer) => {
        const { length, client } = readProxyHeader(bytes);
        clients.push(length > 0 ? (client?.address ?? 'none') : bytes.toString('latin1'));
        socket.pause();
        if (length > 0 && bytes.length > length) socket.unshift(bytes.subarray(length));
        inner.emit('connection', socket);
      });
    }).listen(0, '127.0.0.1');
    afterTest(() => {
      server.close();
    });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const fairlead = await startFairlead({
      config: {
        state_file: false,
        health_check_path: '/health',
        backends: [`https://localhost:${port}`],
        backend_tls: { ca_file: cert },
        send_proxy_protocol: 'v2',
      },
      env,
    });
    await waitFor(() => clients.includes('none'));
    const client = await rawClient(fairlead.port);
    await client.write(REQUEST);
    expect((await client.readResponse()).status).toBe(200);
    expect(new Set(clients)).toEqual(new Set(['none', '127.0.0.1']));
  });
});

test('what a proxy in front has said is passed on', async () => {
  const backend = await answeringBackend();
  const port = await freePort();
  await startFairlead({
    config: {
      ...QUIET,
      listeners: [{ port, proxy_protocol: { from: ['127.0.0.1'] } }],
      backends: [backend.url],
      send_proxy_protocol: 'v1',
    },
  });
  const client = await rawClient(port);
  await client.write(`PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n${REQUEST}`);
  expect((await client.readResponse()).status).toBe(200);
  expect(backend.received()).toContain('PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\nGET / ');
});
