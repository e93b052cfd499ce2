/** `upgrade`: the protocols that a connection may be upgraded to, beside WebSocket, and nothing that was not asked for. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import { answer, get, HANDSHAKE, type Stage, SWITCHED, startProxy, startStage } from './stage.ts';

function switchedTo(protocol: string): string {
  return `HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
}

const ASKING = ['Connection: Upgrade', 'Upgrade: tcp'];

/** Switches, and sends back whatever comes, until the client has said its last. */
function echoing(stage: Stage, path: string, protocol = 'tcp', bodyBytes = 0): void {
  stage.on(path, async (connection) => {
    await connection.readBytes(bodyBytes);
    await connection.write(switchedTo(protocol));
    connection.socket.on('data', (chunk) => connection.socket.write(chunk));
    await connection.closed;
    connection.end();
  });
}

async function setUpgrade(fairlead: Fairlead, upgrade: readonly string[]): Promise<void> {
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...config, upgrade }));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
}

/** The fields of the request that a backend got which have to do with upgrades. */
async function asked(stage: Stage, path: string, fields: readonly string[]): Promise<string[]> {
  let seen = '';
  stage.on(path, async (connection, head) => {
    seen = head;
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });
  const client = await stage.client();
  await client.write(get(path, fields));
  expect((await client.readResponse()).status).toBe(200);
  return seen.split('\r\n').filter((line) => /^(connection|upgrade):/i.test(line));
}

async function statusOf(stage: Stage, path: string, fields: readonly string[]): Promise<number> {
  const client = await stage.client();
  await client.write(get(path, fields));
  return (await client.readResponse({ hasBody: false })).status;
}

describe('upgrade: [websocket, tcp]', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startStage({ upgrade: ['websocket', 'TCP'] });
  });

  test('tcp is asked for, what is not listed is not, and h2c never', async () => {
    expect(await asked(stage, '/tcp', ASKING)).toEqual(['Connection: Upgrade', 'Upgrade: tcp']);
    const many = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c, tcp, foo'];
    expect(await asked(stage, '/many', many)).toEqual(['Connection: Upgrade', 'Upgrade: tcp']);
    expect(await asked(stage, '/h2c', ['Connection: Upgrade', 'Upgrade: h2c'])).toEqual([]);
    expect(await asked(stage, '/unsaid', ['Upgrade: tcp'])).toEqual([]);
  });

  test('bytes go both ways, those too that the client sent ahead, and each side ends for itself', async () => {
    echoing(stage, '/echo');
    const client = await stage.client();
    await client.write(`${get('/echo', ASKING, 'POST')}early `);
    const switched = (await client.readUntil('\r\n\r\n')).split('\r\n');
    expect(switched[0]).toBe('HTTP/1.1 101 UPGRADED');
    expect(switched).toEqual(expect.arrayContaining(['Connection: Upgrade', 'Upgrade: tcp']));
    await client.write('\x88\x02\x00 and late');
    client.end();
    expect((await client.readToEnd()).toString('latin1')).toBe('early \x88\x02\x00 and late');
    expect(await stage.logged('/echo')).toMatchObject({ status: 101, method: 'POST' });
  });

  test('a request with a body may ask for it: the tunnel begins behind the body', async () => {
    echoing(stage, '/exec', 'tcp', '{"Tty":true}'.length);
    const client = await stage.client();
    const fields = [...ASKING, 'Content-Type: application/json', 'Content-Length: 12'];
    await client.write(`${get('/exec', fields, 'POST')}{"Tty":true}`);
    await client.readUntil('\r\n\r\n');
    await client.write('ls\n');
    expect((await client.readBytes(3)).toString()).toBe('ls\n');
    client.end();
    await client.closed;
  });

  test('a 101 before the end of that body is refused', async () => {
    stage.on('/early', answer(switchedTo('tcp')));
    const client = await stage.client();
    await client.write(`${get('/early', [...ASKING, 'Content-Length: 12'], 'POST')}{"Tty"`);
    expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 502 /);
    expect(await stage.logged('/early')).toMatchObject({ error: 'ERR_BACKEND_UPGRADE' });
  });

  test.each([
    ['tcp', 'websocket'],
    ['tcp', 'tcp, websocket'],
    ['tcp', 'h2c'],
    ['foo', 'foo'],
    ['h2c', 'h2c'],
    ['websocket', 'tcp'],
  ])('asked for %s, a 101 to %s is refused', async (wanted, given) => {
    const path = `/${encodeURIComponent(`${wanted}-${given}`)}`;
    stage.on(path, answer(switchedTo(given)));
    expect(await statusOf(stage, path, ['Connection: Upgrade', `Upgrade: ${wanted}`])).toBe(502);
    expect(await stage.logged(path)).toMatchObject({ error: 'ERR_BACKEND_UPGRADE' });
  });

  test('WebSocket needs a handshake as before, tcp does not', async () => {
    stage.on('/post', answer(SWITCHED));
    const client = await stage.client();
    await client.write(get('/post', HANDSHAKE, 'POST'));
    expect((await client.readResponse({ hasBody: false })).status).toBe(502);
    stage.on('/get', answer(SWITCHED));
    expect(await statusOf(stage, '/get', HANDSHAKE)).toBe(101);
  });

  test('who declines answers as always, and the connection goes on', async () => {
    const client = await stage.client();
    for (let time = 0; time < 2; time++) {
      await client.write(get('/declined', ASKING));
      expect((await client.readResponse()).body.toString()).toBe('ok');
    }
    expect(stage.backend.served('/declined')[1]).toBe(stage.backend.served('/declined')[0]);
  });

  test('a drain puts no frame into such a stream, and cuts it at its deadline', async () => {
    const own = await startStage({ upgrade: ['tcp'] });
    echoing(own, '/long');
    const client = await own.client();
    await client.write(get('/long', ASKING));
    await client.readUntil('\r\n\r\n');
    const patch = { method: 'PATCH', body: JSON.stringify({ state: 'draining' }) };
    await fetch(`${own.fairlead.adminUrl}/backends/0?drain=1s`, patch);
    expect((await client.readToEnd()).toString('latin1')).toBe('');
    client.end();
    await own.fairlead.waitForLog(({ event }) => event === 'backend.tunnels_cut');
  });
});

test('by default WebSocket alone is asked for; with [] nothing is; a reload changes it', async () => {
  const stage = await startStage();
  stage.on('/tcp', answer(switchedTo('tcp')));
  stage.on('/ws', answer(SWITCHED));
  const outcome = async (): Promise<number[]> => [
    await statusOf(stage, '/ws', HANDSHAKE),
    await statusOf(stage, '/tcp', ASKING),
  ];
  expect(await outcome()).toEqual([101, 502]);
  expect(await asked(stage, '/none', ASKING)).toEqual([]);
  await setUpgrade(stage.fairlead, ['tcp']);
  expect(await outcome()).toEqual([502, 101]);
  await setUpgrade(stage.fairlead, []);
  expect(await outcome()).toEqual([502, 502]);
  await setUpgrade(stage.fairlead, ['websocket']);
  expect(await outcome()).toEqual([101, 502]);
});

test('a client and a server of node:http attach to each other as those of Docker do', async () => {
  const server = http.createServer();
  server.on('upgrade', (request, socket: Socket) => {
    socket.write(switchedTo(String(request.headers.upgrade)));
    socket.on('data', (chunk) => void socket.write(chunk.toString().toUpperCase()));
    socket.on('end', () => void socket.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const fairlead = await startProxy(
    [`http://127.0.0.1:${port}`],
    { upgrade: ['tcp'] },
    { args: [] },
  );
  const request = http.request({
    port: fairlead.port,
    method: 'POST',
    path: '/containers/1/attach',
    headers: { connection: 'Upgrade', upgrade: 'tcp', 'content-length': 0 },
  });
  request.end();
  const [, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, Socket];
  afterTest(() => void socket.destroy());
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write('hello');
  await waitFor(() => text === 'HELLO', undefined, 'the echo');
  socket.end();
  await once(socket, 'close');
  expect(text).toBe('HELLO');
});
