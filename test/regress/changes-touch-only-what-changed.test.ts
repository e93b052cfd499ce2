import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  get,
  QUIET_HEALTH,
  type ScriptedBackend,
  Stage,
  scriptedBackend,
  startProxy,
} from '../behaviour/stage.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

function tunnelling(backend: ScriptedBackend): void {
  backend.on('/tunnel', async (connection) => {
    await connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    );
    connection.socket.on('data', (chunk) => connection.socket.write(chunk));
    await connection.closed;
    connection.end();
  });
}

async function reload(stage: Stage, backends: readonly string[]): Promise<void> {
  const config = { ...QUIET_HEALTH, strategy: 'least-connections', backends };
  await writeFile(join(stage.fairlead.cwd, 'fairlead.config.json'), JSON.stringify(config));
  const response = await fetch(`${stage.fairlead.adminUrl}/reload`, { method: 'POST' });
  expect(response.status).toBe(200);
}

/** traefik#13218 and caddy#7222. */
test('a reload keeps health and tunnels: dead backends stay dead, WebSockets stay open', async () => {
  const backend = await scriptedBackend();
  const dead = await httpBackend();
  const fairlead = await startProxy([backend.url, dead.url]);
  const stage = new Stage(fairlead, backend);
  tunnelling(backend);
  await dead.close();
  // Meets the dead one once, which marks it.
  for (let round = 0; round < 2; round++) await (await fetch(`${fairlead.url}/`)).text();
  await waitFor(async () => (await stage.backends())[1]?.['alive'] === false);

  const client = await stage.client();
  await client.write(get('/tunnel', ['Connection: Upgrade', 'Upgrade: websocket']));
  await client.readUntil('\r\n\r\n');
  const requests = (await stage.backends())[0]?.['requests'];

  const added = await scriptedBackend();
  await reload(stage, [backend.url, dead.url, added.url]);
  const [first, second] = await stage.backends();
  expect(first).toMatchObject({ alive: true, requests, conns: 1 });
  expect(second).toMatchObject({ alive: false });
  await client.write('still here');
  expect(await client.readUntil('still here')).toBe('still here');
  for (let round = 0; round < 6; round++) {
    expect((await fetch(`${fairlead.url}/after`)).status).toBe(200);
  }
  const lines = await waitFor<unknown[] | undefined>(() => {
    const after = fairlead.accessLines().filter(({ path }) => path === '/after');
    return after.length === 6 ? after : undefined;
  });
  // Nobody was sent to the dead one on the way.
  expect(JSON.stringify(lines)).not.toContain(dead.url);

  // Taken out of the config: no new requests, and the tunnel lives on.
  await reload(stage, [added.url]);
  await client.write('even now');
  expect(await client.readUntil('even now')).toBe('even now');
  client.reset();
});

/** traefik#4544. */
test('a new backend gets no request before its first check', async () => {
  const backend = await scriptedBackend();
  const fairlead = await startProxy([backend.url], {
    health_check_method: 'http',
    health_check_path: '/health',
    health_check_timeout: '5s',
  });
  const paths: string[] = [];
  const checks: ServerResponse[] = [];
  const added = await httpBackend((request, response) => {
    paths.push(request.url ?? '');
    if (request.url === '/health') checks.push(response);
    else response.end('added');
  });
  const answered = await fetch(`${fairlead.adminUrl}/backends`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url: added.url }),
  });
  expect(answered.status).toBe(201);
  await waitFor(() => paths.length === 1);
  for (let round = 0; round < 10; round++)
    expect(await (await fetch(fairlead.url)).text()).toBe('ok');
  expect(paths).toEqual(['/health']);
  checks[0]?.end('healthy');
  await fairlead.waitForLog(
    ({ event, msg }) => event === 'backend.up' && msg?.includes(added.url) === true,
  );
  await waitFor(async () => (await (await fetch(fairlead.url)).text()) === 'added');
});
