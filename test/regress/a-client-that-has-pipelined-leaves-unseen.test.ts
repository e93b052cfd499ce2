/**
 * A client that is not read, because nobody takes what it has sent, and leaves: nobody saw it before its turn came, and its
 * request held its place at the backend meanwhile.
 */
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';

/** Of pipelined requests: more than is read ahead, and more than the system buffers for one of them. */
const REQUESTS = 5_000;
const BEHIND = Buffer.from('GET /behind HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(REQUESTS));

async function backendThatWaits(): Promise<{ url: string; left: () => number }> {
  let left = 0;
  const backend = await httpBackend((request, response) => {
    if (request.url === '/first') {
      request.socket.once('close', () => {
        left++;
      });
    } else response.end();
  });
  return { url: backend.url, left: () => left };
}

async function clientOf(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  afterTest(() => {
    socket.destroy();
  });
  return socket;
}

describe.each([
  ['ends its connection', (socket: Socket) => void socket.end()],
  ['resets it', (socket: Socket) => void socket.resetAndDestroy()],
])('a client that has pipelined %s', (_, leave) => {
  test('its request is called off', async () => {
    const backend = await backendThatWaits();
    const fairlead = await startFairlead({ args: [backend.url] });
    const client = await clientOf(fairlead.port);
    client.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n');
    client.write(BEHIND);
    await waitFor(() => client.bytesWritten > BEHIND.length);
    leave(client);
    await waitFor(() => backend.left() === 1);
    const logged = await waitFor(() =>
      fairlead.accessLines().find(({ path }) => path === '/first'),
    );
    expect(logged).toMatchObject({ status: 499, ended: 'client_gone' });
  });
});

test('a client that stays is answered, however long it waits, and however much it has sent', async () => {
  const held: (() => void)[] = [];
  const backend = await httpBackend((request, response) => {
    const answer = (): void => void response.end('ok');
    if (request.url === '/behind' && held.length === 0) held.push(answer);
    else answer();
  });
  const fairlead = await startFairlead({ args: [backend.url] });
  const client = await clientOf(fairlead.port);
  let read = '';
  client.on('data', (bytes) => {
    read += bytes.toString('latin1');
  });
  client.write(BEHIND);
  await waitFor(() => held.length === 1);
  // Looked after several times meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  held[0]?.();
  const answers = (): number => read.split('HTTP/1.1 200 ').length - 1;
  await waitFor(() => answers() >= REQUESTS, 2 * LONG_MS);
  expect(answers()).toBe(REQUESTS);
});
