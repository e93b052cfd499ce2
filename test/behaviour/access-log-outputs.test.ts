/** Where lines go: files, standard output and syslog servers, each taken into use by a reload. */
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, type Stage, startStage } from './stage.ts';

const MESSAGE =
  /^<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\S+) (\S+) (\d+) access - (\{.*\})$/;

let stage: Stage;
let folder: string;
beforeAll(async () => {
  folder = temporaryFolder('outputs');
  stage = await startStage({ access_log: join(folder, 'first.log') });
});

async function reloadWith(keys: Readonly<Record<string, unknown>>): Promise<Response> {
  const file = join(stage.fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...config, ...keys }));
  return fetch(`${stage.fairlead.adminUrl}/reload`, { method: 'POST' });
}

async function ask(path: string): Promise<void> {
  const client = await stage.client();
  await client.write(get(path));
  await client.readResponse();
  client.end();
}

/** Waits for a message whose line tells of this path. */
async function messageOf(messages: () => readonly string[], path: string) {
  const text = await waitFor(() => messages().find((one) => one.includes(`"path":"${path}"`)));
  const [, priority, time, , appName, pid, line = ''] = MESSAGE.exec(text) ?? [];
  return { priority, time, appName, pid, line: JSON.parse(line) as Record<string, unknown> };
}

async function datagramServer(port = 0) {
  const server = dgram.createSocket('udp4');
  const messages: string[] = [];
  server.on('message', (message) => messages.push(message.toString('latin1')));
  server.bind(port, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  return { port: server.address().port, messages };
}

async function isIn(file: string, path: string): Promise<void> {
  await waitFor(async () => (await readFile(join(folder, file), 'utf8')).includes(`"${path}"`));
}

test('a reload takes another file into use', async () => {
  await ask('/first');
  await isIn('first.log', '/first');
  expect((await reloadWith({ access_log: join(folder, 'second.log') })).status).toBe(200);
  await ask('/second');
  await isIn('second.log', '/second');
  expect(await readFile(join(folder, 'first.log'), 'utf8')).not.toContain('/second');
});

test('a reload to a file that can not be opened is refused, and lines go where they went', async () => {
  const refused = await reloadWith({ access_log: join(folder, 'nowhere', 'a.log') });
  expect(refused.status).toBe(422);
  expect(await refused.text()).toMatch(/access_log[^]*can't be opened: ENOENT/);
  await ask('/goes-on');
  await isIn('second.log', '/goes-on');
});

test('a reload to a pipe that nobody reads is refused at once, and does not wait for a reader', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const refused = await reloadWith({ access_log: pipe });
  expect(refused.status).toBe(422);
  expect(await refused.text()).toContain('is a pipe that nobody reads');
});

test('a syslog server gets each line as a datagram of RFC 5424', async () => {
  const { port, messages } = await datagramServer();
  const keys = { access_log: `udp://127.0.0.1:${port}`, access_log_syslog: { facility: 'local0' } };
  expect((await reloadWith(keys)).status).toBe(200);
  await ask('/by-udp');
  const { line, ...head } = await messageOf(() => messages, '/by-udp');
  expect(head).toEqual({
    priority: String(16 * 8 + 6),
    time: line['time'],
    appName: 'fairlead',
    pid: String(stage.fairlead.pid),
  });
  expect(line).toMatchObject({ path: '/by-udp', status: 200 });
});

test('one that listens at a stream socket gets each line ended by LF, and again after it was away', async () => {
  const path = join(folder, 'log.sock');
  const connections: net.Socket[] = [];
  const listen = async () => {
    let text = '';
    const server = net.createServer((socket) => {
      connections.push(socket);
      socket.setEncoding('latin1').on('data', (more: string) => {
        text += more;
      });
    });
    server.listen(path);
    await once(server, 'listening');
    afterTest(() => void server.close());
    return { server, messages: () => text.split('\n') };
  };
  const first = await listen();
  const keys = { access_log: `unix:${path}`, access_log_syslog: { app_name: 'edge' } };
  expect((await reloadWith(keys)).status).toBe(200);
  await ask('/by-stream');
  const { line, ...head } = await messageOf(first.messages, '/by-stream');
  expect(head).toMatchObject({ priority: String(23 * 8 + 6), appName: 'edge' });
  expect(line).toMatchObject({ path: '/by-stream' });

  first.server.close();
  for (const connection of connections) connection.destroy();
  await stage.fairlead.waitForLog(({ event }) => event === 'access_log.failed');
  const second = await listen();
  // Until it is tried again, lines are dropped.
  await waitFor(async () => {
    await ask('/again');
    return second.messages().some((message) => message.includes('"/again"'));
  });
});

test('back on standard output', async () => {
  expect((await reloadWith({ access_log: true })).status).toBe(200);
  await ask('/back');
  await stage.logged('/back');
});
