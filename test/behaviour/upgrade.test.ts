/** A new process takes over all sockets; what is under way is finished by the old one, and nobody is refused. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { CLIENTS, ended, reconnecting } from './upgrade-stage.ts';

async function call(
  { adminUrl }: Fairlead,
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(adminUrl + path, {
    method,
    ...(body && {
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test('an upgrade loses nobody: not by a port, not by a unix socket, not what is under way', async () => {
  const slowOnes: ServerResponse[] = [];
  const backend = await httpBackend((incoming, response) => {
    if (incoming.url !== '/slow') response.end('ok');
    else slowOnes.push(response);
  });
  backend.server.on('upgrade', (_incoming, socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    socket.on('error', () => {}).pipe(socket);
  });
  const folder = temporaryFolder('upgrade');
  const file = join(folder, 'web.sock');
  const config = {
    backends: [{ url: backend.url, weight: 3 }],
    state_file: join(folder, 'state.json'),
    access_log: false,
    listeners: [{ unix: file }],
  };
  const fairlead = await startFairlead({ cwd: folder, config });
  expect((await call(fairlead, 'PATCH', '/backends/0', { weight: 7 })).status).toBe(200);
  const faults: string[] = [];
  const byPort = reconnecting(() => connect(fairlead.port, '127.0.0.1'), faults);
  const byFile = reconnecting(() => connect(file), faults);
  const slow = await rawClient(fairlead.port);
  await slow.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
  const tunnel = await rawClient(fairlead.port);
  await tunnel.write(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  expect((await tunnel.readResponse()).status).toBe(101);
  await waitFor(() => backend.requests.includes('GET /slow'));

  const first = await call(fairlead, 'POST', '/upgrade');
  expect(first).toMatchObject({ status: 200, body: { pid: expect.any(Number) } });
  const second = first.body['pid'] as number;
  expect(second).not.toBe(fairlead.pid);
  expect((await call(fairlead, 'GET', '/backends/0')).body).toMatchObject({ weight: 7 });
  // The old one has it, and finishes it.
  slowOnes[0]?.end('slow');
  expect((await slow.readResponse()).body.toString()).toBe('slow');
  await tunnel.write('ping');
  expect(await tunnel.readUntil('ping')).toBe('ping');
  tunnel.socket.destroy();
  slow.socket.destroy();
  await waitFor(() => ended(fairlead) === 1);

  // By the new one, in its turn.
  process.kill(second, 'SIGUSR2');
  const begun = await fairlead.waitForLog(
    ({ event, successor }) => event === 'upgrade.handed_over' && successor !== second,
  );
  const third = begun['successor'] as number;
  await waitFor(() => ended(fairlead) === 2);

  // One that can't start changes nothing.
  await writeFile(join(folder, 'fairlead.config.json'), '{ "backends": 3 }');
  const failed = await call(fairlead, 'POST', '/upgrade');
  expect(failed).toMatchObject({ status: 500, body: { code: 'ERR_UPGRADE_FAILED' } });
  expect(String(failed.body['detail'])).toContain('backends');
  expect((await call(fairlead, 'PATCH', '/backends/0', { weight: 9 })).status).toBe(200);

  expect(await byPort.stop()).toBeGreaterThan(CLIENTS);
  expect(await byFile.stop()).toBeGreaterThan(CLIENTS);
  expect(faults).toEqual([]);
  expect(ended(fairlead)).toBe(2);
  process.kill(third, 'SIGTERM');
  await fairlead.exited;
  expect(existsSync(file)).toBe(false);
}, 60_000);
