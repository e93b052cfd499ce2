/**
 * Connections were counted from the end of the TLS handshake: a client that opened connections and said nothing was not
 * in any count, and no limit held it.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { expect, test } from 'vitest';
import { metrics, startProxy } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { LONG_MS, SOON_MS, waitFor, within } from '../support/wait-for.ts';

async function silentClient(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  afterTest(() => {
    socket.destroy();
  });
  await once(socket, 'connect');
  return socket;
}

function clients(fairlead: Fairlead, count: number): Promise<unknown> {
  return waitFor(
    async () => (await metrics(fairlead)).get('fairlead_client_connections') === count,
    LONG_MS,
    `${count} client connections`,
  );
}

function status(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    https
      .get({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
      .on('error', reject);
  });
}

test('limits.client_connections counts TLS clients from their accept on', async () => {
  const backend = await httpBackend();
  const fairlead = await startProxy([backend.url], {
    ssl: { enabled: true, ...makeCertificate() },
    limits: { client_connections: 2 },
  });
  const silent = [await silentClient(fairlead.port), await silentClient(fairlead.port)];
  await clients(fairlead, 2);
  const third = await status(fairlead.port).catch(String);
  // Where that took us longer than a second, one of the silent ones is idle and has made room.
  const { refused, closed, total } = await waitFor(async () => {
    const page = await metrics(fairlead);
    const of = (name: string): number => page.get(name) ?? Number.NaN;
    const counts = {
      refused: of('fairlead_client_connections_refused_total{reason="limit"}'),
      closed: of('fairlead_idle_clients_closed_total{reason="limit"}'),
      total: of('fairlead_client_connections_total'),
    };
    return counts.refused + counts.closed > 0 ? counts : undefined;
  });
  expect([refused + closed, total]).toEqual([1, 2 + closed]);
  expect(String(third)).toMatch(refused === 1 ? /socket|ECONNRESET/ : /^200$/);

  if (refused === 1) silent[0]?.resetAndDestroy();
  await clients(fairlead, 1);
  expect(await status(fairlead.port)).toBe(200);
  for (const socket of silent) socket.resetAndDestroy();
  await clients(fairlead, 0);
});

test('limits.client_connections over plain TCP', async () => {
  const held: ServerResponse[] = [];
  const backend = await httpBackend((_request, response) => {
    held.push(response);
  });
  const fairlead = await startProxy([backend.url], { limits: { client_connections: 1 } });
  const first = await rawClient(fairlead.port);
  // If it were idle it would make room.
  await first.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
  const answer = await waitFor(() => held[0]);
  const second = await silentClient(fairlead.port);
  await within(once(second, 'close'), SOON_MS, 'the end of the second client');
  answer.end('ok');
  expect((await first.readResponse()).status).toBe(200);
  first.reset();
  await clients(fairlead, 0);
  const third = await rawClient(fairlead.port);
  await third.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
  (await waitFor(() => held[1])).end('ok');
  expect((await third.readResponse()).status).toBe(200);
});
