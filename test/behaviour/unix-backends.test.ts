/** Backends at Unix sockets: by flag, config and admin API, in checks, logs and metrics; and what is said of one that is not there. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hintFor } from '../../src/control/health/health-hints.ts';
import { address } from '../control/fixtures.ts';
import { afterTest } from '../support/after-test.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { QUIET_HEALTH } from './stage.ts';

interface View {
  readonly id: number;
  readonly url: string;
  readonly health: string;
  readonly reason: string;
  readonly hint?: string;
  readonly source: string;
}

function socketPath(): string {
  const folder = temporaryFolder('unix');
  return join(folder, 'app.sock');
}

async function unixBackend(handler: RequestListener, path = socketPath()) {
  const hosts: (string | undefined)[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    hosts.push(request.headers.host);
    handler(request, response);
  });
  const state = { connections: 0 };
  server.on('connection', () => state.connections++);
  server.listen(path);
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  return { path, url: `unix:${path}`, server, hosts, state };
}

async function backendsOf(fairlead: Fairlead): Promise<View[]> {
  return (await (await fetch(`${fairlead.adminUrl}/backends`)).json()) as View[];
}

test('one on the command line is checked, serves over kept connections, and stands in log and metrics', async () => {
  const { url, hosts, state } = await unixBackend((_request, response) => response.end('ok'));
  const fairlead = await startFairlead({ args: [url, '--threads', '1'] });
  await waitFor(async () => (await backendsOf(fairlead))[0]?.health === 'healthy');
  const [view] = await backendsOf(fairlead);
  expect(view).toMatchObject({ url });
  expect(view?.reason).toContain(`GET /health at ${url}: 200`);
  expect(hosts[0]).toBe('localhost');
  const before = state.connections;
  for (let round = 0; round < 3; round++) {
    expect(await (await fetch(`${fairlead.url}/x`)).text()).toBe('ok');
  }
  expect(state.connections - before).toBe(1);
  expect(hosts.at(-1)).toBe(`127.0.0.1:${fairlead.port}`);
  const line = await waitFor(() => fairlead.accessLines()[2]);
  expect(line['backend']).toBe(url);
  const metrics = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
  expect(metrics).toContain(`backend="${url}"`);
});

test('one is added, found by another spelling, kept over a restart, and removed', async () => {
  const { url, path } = await unixBackend((_request, response) => response.end('ok'));
  const config = { ...QUIET_HEALTH, backends: [], host_header: 'backend' };
  const first = await startFairlead({ config });
  const post = (body: object) =>
    fetch(`${first.adminUrl}/backends`, { method: 'POST', body: JSON.stringify(body) });
  expect((await post({ url: `unix://${path}` })).status).toBe(201);
  expect((await post({ url })).status).toBe(409);
  expect((await post({ url: 'unix:app.sock' })).status).toBe(422);
  expect((await fetch(first.url)).status).toBe(200);
  await first.stop();
  const second = await startFairlead({ config, cwd: first.cwd });
  await waitFor(async () => (await backendsOf(second))[0]?.health === 'healthy');
  expect((await backendsOf(second)).map((one) => [one.url, one.source])).toEqual([[url, 'api']]);
  expect((await fetch(second.url)).status).toBe(200);
  const removal = { method: 'DELETE', body: JSON.stringify({ url }) };
  expect((await fetch(`${second.adminUrl}/backends`, removal)).status).toBe(200);
  expect(await backendsOf(second)).toEqual([]);
});

test('bodies of any size pass in both directions', async () => {
  const { url, hosts } = await unixBackend((request, response) => request.pipe(response));
  const config = { ...QUIET_HEALTH, backends: [url], host_header: 'backend' };
  const fairlead = await startFairlead({ config });
  const body = Buffer.alloc(8 * 1024 * 1024, 'fairlead');
  const answer = await fetch(fairlead.url, { method: 'POST', body });
  expect(Buffer.from(await answer.arrayBuffer()).equals(body)).toBe(true);
  expect(hosts).toEqual(['localhost']);
});

test('an answer without a length that ends with its connection is whole', async () => {
  const path = socketPath();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'));
  });
  server.listen(path);
  await once(server, 'listening');
  afterTest(() => void server.close());
  const fairlead = await startFairlead({ config: { ...QUIET_HEALTH, backends: [`unix:${path}`] } });
  expect(await (await fetch(fairlead.url)).text()).toBe('all of it');
  const line = await waitFor(() => fairlead.accessLines()[0]);
  expect(line).toMatchObject({ status: 200 });
  expect(line).not.toHaveProperty('error');
});

test('a WebSocket passes', async () => {
  const { url, server } = await unixBackend((_request, response) => response.end());
  server.on('upgrade', (_request, socket: net.Socket) => {
    socket.on('error', () => {});
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    );
    socket.pipe(socket);
  });
  const fairlead = await startFairlead({ config: { ...QUIET_HEALTH, backends: [url] } });
  const client = await rawClient(fairlead.port);
  await client.write(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n',
  );
  await client.readUntil('\r\n\r\n');
  await client.write('ping');
  expect(await client.readUntil('ping')).toBe('ping');
});

test('what is not there is said, and it is in use as soon as it is', async () => {
  const path = socketPath();
  const fairlead = await startFairlead({ args: [`unix:${path}`] });
  const [missing] = await waitFor(async () => {
    const views = await backendsOf(fairlead);
    return views[0]?.health === 'unhealthy' ? views : undefined;
  });
  expect(missing?.reason).toContain(`connect ENOENT ${path}`);
  expect(missing?.hint).toContain(`there is no ${path}`);
  expect((await fetch(fairlead.url)).status).toBe(503);
  await unixBackend((_request, response) => response.end('ok'), path);
  await waitFor(async () => (await fetch(fairlead.url)).status === 200);
});

test.each([
  ['EACCES', /must be allowed to write to \/run\/app\.sock/],
  ['ECONNREFUSED', /nobody listens at \/run\/app\.sock any more/],
  ['EAGAIN', /backlog/],
])('%s has a hint', (code, hint) => {
  const result = { status: undefined, code };
  const backend = { address: address('unix:/run/app.sock') };
  expect(hintFor(result, backend, { path: '/', tls: null })).toMatch(hint);
});
