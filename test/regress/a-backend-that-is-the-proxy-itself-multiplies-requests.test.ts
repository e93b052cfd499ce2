/** One request became 95 connections, and the admin API stood open to clients. */
import { networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import { startProxy } from '../behaviour/stage.ts';
import { problemsOf } from '../config/load-text.ts';
import { startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { rawBackend } from '../support/raw-backend.ts';

const OWN = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

describe('where it is known, a config is refused', () => {
  const hosts = ['localhost', '127.0.0.1', '[::1]', '0.0.0.0', ...(OWN === undefined ? [] : [OWN])];

  test.each(hosts)('%s, the port that clients connect to', (host) => {
    expect(problemsOf(`port: 8123\nbackends: ["http://${host}:8123"]`)).toEqual([
      `c.yaml:2:12: backends.0: http://${host}:8123 is where Fairlead itself listens: every request to it would come back`,
    ]);
  });

  test.each(['localhost', '127.0.0.1', '0.0.0.0'])('%s, the admin port', (host) => {
    expect(problemsOf(`backends: ["http://${host}:9000"]`)).toEqual([
      `c.yaml:1:12: backends.0: http://${host}:9000 is the admin API of Fairlead itself: clients would reach it`,
    ]);
  });

  test.each([
    'host: 192.0.2.1\nbackends: ["http://127.0.0.1:8080"]',
    'host: 127.0.0.1\nbackends: ["http://127.0.0.2:8080"]',
    'backends: ["http://192.0.2.1:8080", "http://other.example:8080", "http://[::1]:9000"]',
  ])('%j is somebody else', (text) => {
    expect(problemsOf(text)).toEqual([]);
  });
});

test('the admin API refuses it with 422', async () => {
  const backend = await rawBackend(() => {});
  const fairlead = await startProxy([backend.url]);
  for (const port of [fairlead.port, fairlead.adminPort]) {
    const answer = await fetch(`${fairlead.adminUrl}/backends`, {
      method: 'POST',
      body: JSON.stringify({ url: `http://localhost:${port}` }),
    });
    expect(answer.status).toBe(422);
    expect(await answer.json()).toMatchObject({ code: 'ERR_INVALID_VALUE' });
  }
});

test('a request that comes back by another way is answered 508, once', async () => {
  const ports = { port: await freePort(), adminPort: await freePort() };
  // A relay in between: nothing that a config could tell.
  const relay = await rawBackend(async (connection) => {
    for (;;) {
      const head = await connection.readHead(600_000).catch(() => null);
      if (head === null) break;
      const [, path = '/'] = head.split(' ');
      const via = /\r\nVia: ([^\r]*)/.exec(head)?.[1] ?? '';
      const answer = await fetch(`http://127.0.0.1:${ports.port}${path}`, {
        headers: { Via: via },
      });
      const body = await answer.text();
      await connection.write(
        `HTTP/1.1 ${answer.status} X\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    }
    connection.end();
  });
  const { port, adminPort } = ports;
  const fairlead = await startFairlead({
    args: ['--port', String(port), '--admin-port', String(adminPort), '--threads', '1'],
    config: { backends: [relay.url], health_check_method: 'tcp', health_check_frequency: '1h' },
    ports,
  });
  await fairlead.waitForLog(({ event }) => event === 'backend.up');
  const answer = await fetch(`${fairlead.url}/round`);
  expect([answer.status, await answer.text()]).toEqual([508, expect.stringContaining('ERR_LOOP')]);
  expect(fairlead.accessLines().filter(({ path }) => path === '/round').length).toBeLessThan(3);
});
