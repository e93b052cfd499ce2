/** Where Node's TCP handles are not what we know, everything runs on Node's sockets: slower, and the same otherwise. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { afterTest } from '../support/after-test.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { QUIET_HEALTH } from './stage.ts';

const PRELOAD = new URL('../support/without-tcp-handles.mjs', import.meta.url).href;
const BODY = randomBytes(3 * 1024 * 1024);

function start(backendUrl: string): Promise<Fairlead> {
  return startFairlead({
    config: { backends: [backendUrl], ...QUIET_HEALTH },
    env: { NODE_OPTIONS: `--import ${PRELOAD}` },
  });
}

/** Answers a GET with BODY, anything else with the digest of what came; echoes on WebSockets. */
async function backend(): Promise<string> {
  const server = createServer(async (incoming, outgoing) => {
    if (incoming.method === 'GET') {
      outgoing.end(BODY);
      return;
    }
    const hash = createHash('sha256');
    for await (const chunk of incoming) hash.update(chunk as Buffer);
    outgoing.end(hash.digest('hex'));
  });
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (message: RawData) => socket.send(message));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('bodies go both ways, to a slow reader too', async () => {
  const fairlead = await start(await backend());
  const hash = createHash('sha256');
  const get = request(fairlead.url).end();
  const [incoming] = (await once(get, 'response')) as [IncomingMessage];
  let reads = 0;
  for await (const chunk of incoming) {
    hash.update(chunk as Buffer);
    if (reads++ % 10 === 0) await sleep(1);
  }
  expect(hash.digest('hex')).toBe(digest(BODY));

  const post = request(fairlead.url, {
    method: 'POST',
    headers: { 'content-length': BODY.length },
  });
  post.end(BODY);
  const [answer] = (await once(post, 'response')) as [IncomingMessage];
  expect(await text(answer)).toBe(digest(BODY));
});

test('a WebSocket echoes', async () => {
  const fairlead = await start(await backend());
  const socket = new WebSocket(fairlead.url.replace('http', 'ws'));
  afterTest(() => socket.terminate());
  await once(socket, 'open');
  for (let round = 0; round < 100; round++) {
    socket.send(`message ${round}`);
    const [message] = (await once(socket, 'message')) as [RawData];
    expect(String(message)).toBe(`message ${round}`);
  }
});

test('an early answer reaches the client although the backend closes on its upload', async () => {
  const raw = await rawBackend(async (connection) => {
    await connection.readHead();
    connection.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig');
    connection.end();
    await sleep(50);
    connection.socket.destroy();
  });
  const fairlead = await start(raw.url);
  const client = await rawClient(fairlead.port);
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n');
  for (let part = 0; part < 20; part++) {
    client.write('x'.repeat(10_000));
    await sleep(5);
  }
  expect(await client.readUntil('big')).toMatch(/^HTTP\/1\.1 413 /);
});

test('a truncated response is never taken for a complete one', async () => {
  const raw = await rawBackend(async (connection) => {
    await connection.readHead();
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    connection.socket.resetAndDestroy();
  });
  const fairlead = await start(raw.url);
  const get = request(fairlead.url, { method: 'POST' }).end();
  const outcome = await new Promise<string>((resolve) => {
    get.on('error', () => resolve('cut'));
    get.on('response', (incoming: IncomingMessage) => {
      if (incoming.statusCode === 502) resolve('cut');
      incoming
        .on('error', () => resolve('cut'))
        .on('end', () => resolve('complete'))
        .resume();
    });
  });
  expect(outcome).toBe('cut');
});
