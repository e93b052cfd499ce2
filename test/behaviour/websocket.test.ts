import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { okResponse } from '../support/raw-backend.ts';
import type { RawClient } from '../support/raw-client.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';
import {
  answer,
  type Connection,
  get,
  HANDSHAKE,
  leftover,
  NOTHING,
  type Stage,
  SWITCHED,
  startProxy,
  startStage,
} from './stage.ts';

const MAX_PAYLOAD = 64 * 1024 * 1024;

let stage: Stage;
let echo: Fairlead;
let server: WebSocketServer;
beforeAll(async () => {
  stage = await startStage({ timeouts: { tunnel: '600ms' } });
  server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: MAX_PAYLOAD });
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await once(server, 'listening');
  afterTest(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  echo = await startProxy([`http://127.0.0.1:${(server.address() as AddressInfo).port}`]);
});

async function opened(): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${echo.port}/echo`, { maxPayload: MAX_PAYLOAD });
  afterTest(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

/** A client in a tunnel whose other end echoes. */
async function tunnelled(path: string): Promise<RawClient> {
  stage.on(path, async (connection) => {
    await connection.write(SWITCHED);
    connection.socket.on('data', (chunk) => connection.socket.write(chunk));
    await connection.closed;
    connection.end();
  });
  const client = await stage.client();
  await client.write(get(path, HANDSHAKE));
  await client.readUntil('\r\n\r\n');
  return client;
}

describe('package ws through the proxy', () => {
  test('10,000 messages go out and come back, in order', async () => {
    const count = 10_000;
    const socket = await opened();
    let next = 0;
    const isDone = new Promise<void>((resolve, reject) => {
      socket.on('message', (data) => {
        const text = (data as Buffer).toString();
        if (text !== `message ${next}`) reject(new Error(`${text} came in place of ${next}`));
        if (++next === count) resolve();
      });
    });
    for (let index = 0; index < count; index++) socket.send(`message ${index}`);
    await within(isDone, 15_000, 'all echoes');
    expect(next).toBe(count);
  });

  test('the other side may do the talking', async () => {
    const count = 10_000;
    const socket = await opened();
    let received = 0;
    const isDone = new Promise<void>((resolve) => {
      socket.on('message', () => {
        if (++received === count) resolve();
      });
    });
    const [other] = [...server.clients].slice(-1);
    for (let index = 0; index < count; index++) other?.send(`news ${index}`);
    await within(isDone, 15_000, 'all news');
    expect(received).toBe(count);
  });

  test('a large frame comes back whole', async () => {
    const socket = await opened();
    const frame = Buffer.alloc(20 * 1024 * 1024);
    for (let index = 0; index < frame.length; index += 4) frame.writeUInt32LE(index, index);
    socket.send(frame);
    const [data] = (await within(once(socket, 'message'), 15_000, 'the frame')) as [Buffer];
    expect(data.equals(frame)).toBe(true);
  });

  test('close codes reach the other side', async () => {
    const socket = await opened();
    const [other] = [...server.clients].slice(-1);
    const closed = once(other as WebSocket, 'close');
    socket.close(4321, 'enough');
    const [code, reason] = (await closed) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([4321, 'enough']);

    const second = await opened();
    const [peer] = [...server.clients].slice(-1);
    const seen = once(second, 'close');
    peer?.close(4000, 'from the backend');
    const [secondCode, secondReason] = (await seen) as [number, Buffer];
    expect([secondCode, secondReason.toString()]).toEqual([4000, 'from the backend']);
  });

  test('a backend that dies is seen at once', async () => {
    const socket = await opened();
    socket.on('error', () => {});
    const [other] = [...server.clients].slice(-1);
    const closed = once(socket, 'close');
    other?.terminate();
    expect((await within(closed, SOON_MS, 'the close'))[0]).toBe(1006);
  });

  test('a client that dies is seen at once', async () => {
    const socket = await opened();
    const [other] = [...server.clients].slice(-1);
    const closed = once(other as WebSocket, 'close');
    socket.terminate();
    expect((await within(closed, SOON_MS, 'the close'))[0]).toBe(1006);
    expect(await leftover(echo)).toEqual(NOTHING);
  });
});

describe('the handshake', () => {
  test('reaches the backend raw: order, case, duplicates', async () => {
    stage.on('/raw', answer(SWITCHED));
    const client = await stage.client();
    await client.write(
      get('/raw', [
        'connection: keep-alive, Upgrade',
        'UPGRADE: WebSocket',
        'sec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Protocol: chat',
        'sec-websocket-protocol: superchat',
        'Sec-WebSocket-Version: 13',
      ]),
    );
    expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    const head = (await stage.backend.request('/raw')).text;
    expect(head).toContain(
      'sec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\nsec-websocket-protocol: superchat\r\nSec-WebSocket-Version: 13\r\n',
    );
    expect(head).toMatch(/\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
    expect(head).not.toContain('keep-alive');
  });

  test('the 101 reaches the client raw: case, duplicates', async () => {
    stage.on(
      '/raw-101',
      answer(
        'HTTP/1.1 101 Web Socket Protocol Handshake\r\nupgrade: WebSocket\r\nCONNECTION: upgrade\r\nsec-websocket-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n',
      ),
    );
    const client = await stage.client();
    await client.write(get('/raw-101', HANDSHAKE));
    const head = await client.readUntil('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 101 Web Socket Protocol Handshake\r\nupgrade: WebSocket\r\n/);
    expect(head).toContain(
      'sec-websocket-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n',
    );
    expect(head.match(/\r\nConnection: Upgrade\r\n/gi)).toHaveLength(1);
  });

  test('an answer that is not 101 is relayed whole, and the connection goes on', async () => {
    const body = 'please log in';
    stage.on(
      '/denied',
      answer(
        `HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      ),
    );
    const client = await stage.client();
    await client.write(get('/denied', HANDSHAKE));
    const response = await client.readResponse();
    expect(response.status).toBe(401);
    expect(response.fields.get('www-authenticate')).toEqual(['Basic realm="x"']);
    expect(response.body.toString()).toBe(body);
    await client.write(get('/after-denied'));
    expect((await client.readResponse()).body.toString()).toBe('ok');
  });

  test('bytes sent ahead of the 101 wait for it', async () => {
    const seen: string[] = [];
    stage.on('/early', async (connection) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      seen.push(connection.text.split('\r\n\r\n').at(-1) ?? '');
      await connection.write(`${SWITCHED}welcome`);
      seen.push(await connection.readUntil('world'));
      await connection.closed;
      connection.end();
    });
    const client = await stage.client();
    await client.write(`${get('/early', HANDSHAKE)}hello `);
    await stage.backend.request('/early');
    await client.write('world');
    expect(await client.readUntil('welcome')).toContain(' 101 ');
    await waitFor(() => seen.length === 2);
    expect(seen).toEqual(['', 'hello world']);
  });

  test('bytes sent ahead of a 401 are the next request', async () => {
    stage.on('/early-denied', answer('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n'));
    const client = await stage.client();
    await client.write(get('/early-denied', HANDSHAKE) + get('/behind-denied'));
    expect((await client.readResponse()).status).toBe(401);
    expect((await client.readResponse()).body.toString()).toBe('ok');
    expect((await stage.backend.request('/early-denied')).text).not.toMatch(/\r\n\r\nGET .*GET /s);
  });

  test.each([
    [
      'of h2c',
      get('/no-tunnel', [
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAAP__',
      ]),
    ],
    ['that Connection does not name', get('/no-tunnel', ['Upgrade: websocket'])],
    ['by HTTP/1.0', 'GET /no-tunnel HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['by POST', get('/no-tunnel', HANDSHAKE, 'POST')],
  ])('an upgrade %s is not passed on', async (_name, request) => {
    const heads: string[] = [];
    stage.on('/no-tunnel', async (connection, head) => {
      heads.push(head);
      await connection.write(okResponse());
    });
    const client = await stage.client();
    await client.write(request);
    expect((await client.readResponse()).status).toBe(200);
    expect(heads[0]).not.toMatch(/\r\n(upgrade|http2-settings|connection):/i);
  });

  test.each([
    ['to a plain request', get('/unasked'), SWITCHED],
    ['to h2c', get('/unasked', HANDSHAKE), SWITCHED.replace('websocket', 'h2c')],
    ['without an Upgrade field', get('/unasked', HANDSHAKE), 'HTTP/1.1 101 Switching\r\n\r\n'],
  ])('a 101 %s is a 502, and no tunnel', async (_name, request, response) => {
    stage.on('/unasked', answer(`${response}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`));
    const client = await stage.client();
    await client.write(request + get('/behind-unasked'));
    const first = await client.readResponse();
    expect(first.status).toBe(502);
    expect(first.fields.get('proxy-status')).toEqual(['fairlead; error=http_upgrade_failed']);
    expect((await client.readResponse()).body.toString()).toBe('ok');
  });
});

describe('a tunnel', () => {
  test('is half-closed by each side in its turn', async () => {
    stage.on('/half', async (connection) => {
      await connection.write(SWITCHED);
      const sent = await connection.readToEnd();
      await connection.write(`got ${sent.toString()}`);
      connection.end();
    });
    const client = await stage.client();
    await client.write(get('/half', HANDSHAKE));
    await client.readUntil('\r\n\r\n');
    await client.write('all I have');
    client.end();
    expect((await client.readToEnd()).toString()).toBe('got all I have');
    expect(await client.closed).toBe('end');
    expect(await stage.logged('/half')).toMatchObject({
      status: 101,
      bytes_in: expect.any(Number),
    });
  });

  test('that is silent for too long is closed', async () => {
    const client = await tunnelled('/silent');
    const from = performance.now();
    await client.write('ping');
    await client.readUntil('ping');
    await within(client.closed, SOON_MS, 'the idle timeout');
    expect(performance.now() - from).toBeGreaterThan(500);
    const connection: Connection = await stage.backend.request('/silent');
    await within(connection.closed, SOON_MS, 'the end at the backend');
  });

  test('that is used is not', async () => {
    const client = await tunnelled('/used');
    for (let round = 0; round < 8; round++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await client.write(`ping ${round}`);
      expect(await client.readUntil(`ping ${round}`)).toBe(`ping ${round}`);
    }
    client.reset();
  });

  test('whose client stops reading does not fill the memory', async () => {
    let sent = 0;
    stage.on('/flood', async (connection) => {
      await connection.write(SWITCHED);
      const piece = Buffer.alloc(256 * 1024);
      const more = (): void => {
        connection.socket.write(piece, (error) => {
          if (error) return;
          sent += piece.length;
          more();
        });
      };
      more();
      await connection.closed;
      connection.socket.destroy();
    });
    const client = await stage.client();
    await client.write(get('/flood', HANDSHAKE));
    await client.readUntil('\r\n\r\n');
    client.pause();
    const connection = await stage.backend.request('/flood');
    // Nothing moves any more: that is silence too, and ends it.
    await within(connection.closed, SOON_MS, 'the end of the tunnel');
    expect(sent).toBeLessThan(40 * 1024 * 1024);
    client.reset();
  });
});

test('afterwards nothing is in flight', async () => {
  for (const socket of server.clients) socket.terminate();
  expect(await leftover(echo)).toEqual(NOTHING);
  expect(await stage.leftover()).toEqual(NOTHING);
});
