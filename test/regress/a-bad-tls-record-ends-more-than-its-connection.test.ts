/**
 * A record that OpenSSL refuses, after the handshake: it ends the connection it came on, also one that waits for its answer.
 * Nothing of it stays, and nobody else notices.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import { metrics, startProxy } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { httpBackend } from '../support/http-backend.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

const RECORDS: readonly (readonly [string, Buffer])[] = [
  [
    'sealed with no key of ours',
    Buffer.concat([Buffer.from('1703030040', 'hex'), randomBytes(64)]),
  ],
  ['of no known type', Buffer.from('ff03030001ff', 'hex')],
  ['too long', Buffer.concat([Buffer.from('170303ffff', 'hex'), randomBytes(65_535)])],
  ['of plain HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
];

test.each(RECORDS)('a record %s ends one connection', async (_name, record) => {
  const backend = await httpBackend((request, response) => {
    if (request.url !== '/slow') response.end();
  });
  const fairlead = await startProxy([backend.url], { ssl: makeCertificate() });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  afterTest(() => agent.destroy());
  const status = async (): Promise<number> => {
    const [response] = await once(
      https.get({ host: '127.0.0.1', port: fairlead.port, agent }),
      'response',
    );
    response.resume();
    await once(response, 'end');
    return response.statusCode;
  };
  const gauge = async (name: string) => (await metrics(fairlead)).get(name);
  expect(await status()).toBe(200);

  for (const path of ['', '/slow']) {
    const carrier = net.connect(fairlead.port, '127.0.0.1');
    afterTest(() => void carrier.destroy());
    const client = tls.connect({ socket: carrier, rejectUnauthorized: false });
    client.on('error', () => {});
    carrier.on('error', () => {});
    client.resume();
    // Its error is the alert that says what was wrong.
    const closed = new Promise((resolve) => client.once('close', resolve));
    await once(client, 'secureConnect');
    if (path !== '') {
      const asked = backend.requests.length;
      client.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`);
      await waitFor(() => backend.requests.length > asked);
    }
    await waitFor(async () => (await gauge('fairlead_client_connections')) === 2);
    carrier.write(record);
    await within(closed, SOON_MS, 'the end of the connection');
    await waitFor(async () => (await gauge('fairlead_client_connections')) === 1);
    expect(await status()).toBe(200);
  }
  const gone = await waitFor(() => fairlead.accessLines().find(({ path }) => path === '/slow'));
  expect(gone).toMatchObject({ status: 499, error: 'ERR_CLIENT_GONE' });
  // The other client has had one connection all the time.
  expect(await gauge('fairlead_client_connections_total')).toBe(3);
});
