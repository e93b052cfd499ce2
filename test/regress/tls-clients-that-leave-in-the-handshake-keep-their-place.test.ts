/**
 * TLS connections were half-open from their accept on: one that was closed within its handshake, as checks by TCP connect do
 * it, stayed until the time of the handshake was over, for 10 s. After the handshake half-open connections are right: a
 * tunnel ends one direction at a time.
 */
import { expect, test } from 'vitest';
import { get, metrics, startProxy } from '../behaviour/stage.ts';
import { makeCertificate } from '../support/certificate.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { hasTool } from '../support/tools.ts';
import { SOON_MS, waitFor } from '../support/wait-for.ts';

const hasOpenssl = hasTool('openssl');

test.runIf(hasOpenssl).each([
  ['without a byte', ''],
  ['in the middle of its hello', '\x16\x03\x01\x02\x00\x01\x00'],
])('a client that closes %s is gone at once', async (_name, bytes) => {
  const backend = await httpBackend();
  const fairlead = await startProxy([backend.url], { ssl: makeCertificate() });
  const connected = async () => (await metrics(fairlead)).get('fairlead_client_connections');
  const client = await rawClient(fairlead.port);
  if (bytes !== '') await client.write(bytes);
  await waitFor(async () => (await connected()) === 1);
  client.end();
  // The time of a handshake is 10 s.
  expect(await waitFor(async () => (await connected()) === 0, SOON_MS)).toBe(true);
});

test.runIf(hasOpenssl)('a tunnel over TLS can still be half-closed', async () => {
  const backend = await rawBackend(async (connection) => {
    try {
      await connection.readHead();
    } catch {
      // The health check.
      connection.end();
      return;
    }
    await connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    );
    await connection.closed;
    await connection.write('the last word');
    connection.end();
  });
  const fairlead = await startProxy([backend.url], { ssl: makeCertificate() });
  const client = await rawClient(fairlead.port, { tls: true });
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  await client.write(get('/', [...upgrade, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']));
  expect((await client.readResponse()).status).toBe(101);
  client.end();
  expect(String(await client.readToEnd())).toBe('the last word');
});
