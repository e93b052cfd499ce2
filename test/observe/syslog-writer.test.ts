import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SyslogWriter } from '../../src/observe/syslog-writer.ts';
import { afterTest } from '../support/after-test.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const LINE = Buffer.from(`{"path":"/${'x'.repeat(1_000)}"}\n`);
/** More than the buffers of a socket hold. */
const LINES = 4_000;

/** A server that reads nothing, the writer to it, and what that has told. */
async function setUp() {
  const path = join(temporaryFolder('syslog'), 'sock');
  const connections: net.Socket[] = [];
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    connections.push(socket.on('error', () => {}));
  });
  server.listen(path);
  await once(server, 'listening');
  afterTest(() => {
    for (const connection of connections) connection.destroy();
    server.close();
  });
  const told: string[] = [];
  const writer = new SyslogWriter({
    server: { kind: 'unix', path },
    facility: 23,
    hostName: 'host',
    appName: 'app',
    onError: ({ message }) => told.push(message),
  });
  for (let count = 0; count < LINES; count++) writer.write(LINE, 1);
  const connection = await waitFor(() => connections[0]);
  return { path, writer, told, connection };
}

test('what waits for a server that does not read is counted as lost at the end, which is no failure', async () => {
  const { writer, told } = await setUp();
  await writer.close(1);
  await waitFor(() => writer.droppedLines > 0);
  writer.write(LINE, 1);
  expect(told).toEqual([]);
});

test('a server that breaks off is told once, as what it is', async () => {
  const { writer, told, connection, path } = await setUp();
  connection.destroy();
  await waitFor(() => writer.droppedLines > 0);
  await waitFor(() => told.length > 0);
  expect(told).toHaveLength(1);
  // Which of them depends on whether a write is under way.
  expect([
    `${path}: the server has closed the connection`,
    'write EPIPE',
    'read ECONNRESET',
  ]).toContain(told[0]);
  await writer.close(1);
});
