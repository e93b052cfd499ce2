import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { okResponse } from '../support/raw-backend.ts';
import { SOON_MS, within } from '../support/wait-for.ts';
import { get, NOTHING, Stage, silent, startProxy, startStage } from './stage.ts';
import { stallingServer } from './stalling-server.ts';

const MIB = 1024 * 1024;
const TIMEOUTS = {
  head: '400ms',
  connect: '500ms',
  response: '700ms',
  idle: '600ms',
  keep_alive: '500ms',
};

let stage: Stage;
beforeAll(async () => {
  stage = await startStage({ timeouts: TIMEOUTS });
});

/**
 * `from` is taken before the bytes that start the clock are sent, so that a slow machine never makes it look early. The
 * proxy's clock is 100 ms coarse, but no timeout is early by that.
 */
function expectAbout(from: number, ms: number): void {
  const actualMs = performance.now() - from;
  expect(actualMs).toBeGreaterThanOrEqual(ms);
  expect(actualMs).toBeLessThan(ms + SOON_MS);
}

describe('a request head', () => {
  test('that stops arriving is answered 408', async () => {
    const from = performance.now();
    const client = await stage.client();
    await client.write('GET /half HTTP/1.1\r\nHost:');
    await client.readUntil('\r\n\r\n');
    expectAbout(from, 400);
    expect(client.text).toMatch(/^HTTP\/1\.1 408 /);
    expect(client.text).toContain('\r\nConnection: close\r\n');
    expect(client.text).toContain('ERR_HEAD_TIMEOUT');
  });

  test('that drips has one deadline for all of it', async () => {
    const from = performance.now();
    const client = await stage.client();
    const answered = client.readUntil('\r\n\r\n');
    let isAnswered = false;
    void answered.then(() => (isAnswered = true));
    for (const byte of 'GET /dripping-head HTTP/1.1\r\nHost: a\r\nX-Long: 0123456789') {
      if (isAnswered) break;
      await client.write(byte);
      await sleep(50);
    }
    expect(await answered).toMatch(/^HTTP\/1\.1 408 /);
    expectAbout(from, 400);
  });

  test('after an earlier request has its deadline from its first byte on', async () => {
    const client = await stage.client();
    await client.write(get('/before'));
    await client.readResponse();
    await sleep(250);
    const from = performance.now();
    await client.write('GET /half');
    expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 408 /);
    expectAbout(from, 400);
  });

  test('that never begins is no request: the connection is closed without an answer', async () => {
    const from = performance.now();
    const client = await stage.client();
    await client.readToEnd();
    expectAbout(from, 400);
    expect(client.text).toBe('');
  });
});

describe('a backend', () => {
  test('that does not accept is answered for with 504', async () => {
    const server = await stallingServer();
    const fairlead = await startProxy([server.url], { timeouts: TIMEOUTS });
    const full = new Stage(fairlead, stage.backend);
    await server.stall();
    const client = await full.client();
    const from = performance.now();
    await client.write(get('/unaccepted'));
    const response = await client.readResponse();
    expectAbout(from, 500);
    expect(response.status).toBe(504);
    expect(response.fields.get('proxy-status')).toEqual(['fairlead; error=connection_timeout']);
    expect(response.body.toString()).toContain('ERR_BACKEND_CONNECT_TIMEOUT');
    expect(await full.logged('/unaccepted')).toMatchObject({
      status: 504,
      error: 'ERR_BACKEND_CONNECT_TIMEOUT',
      attempts: [{ outcome: 'ERR_BACKEND_CONNECT_TIMEOUT' }],
    });
    expect((await full.backends())[0]).toMatchObject({ alive: false, conns: 0 });
  });

  test('that does not answer is answered for with 504', async () => {
    stage.on('/unanswered', silent);
    const client = await stage.client();
    const from = performance.now();
    await client.write(get('/unanswered'));
    const response = await client.readResponse();
    expectAbout(from, 700);
    expect(response.status).toBe(504);
    expect(response.fields.get('proxy-status')).toEqual(['fairlead; error=http_response_timeout']);
    const connection = await stage.backend.request('/unanswered');
    await within(connection.closed, SOON_MS, 'the end of the backend connection');
    // It answers others: a slow request is not a dead backend.
    expect((await stage.backends())[0]).toMatchObject({ alive: true });
    // The client's connection is in order.
    await client.write(get('/next'));
    expect((await client.readResponse()).status).toBe(200);
  });

  test('may take its time for the answer as long as the upload runs', async () => {
    stage.on('/long-upload', async (connection) => {
      await connection.readBytes(10);
      await connection.write(okResponse('at last'));
    });
    const client = await stage.client();
    await client.write('POST /long-upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n');
    for (let index = 0; index < 10; index++) {
      await sleep(150);
      await client.write('x');
    }
    expect((await client.readResponse()).body.toString()).toBe('at last');
  });

  test('that stops in the middle of a body cuts the response', async () => {
    stage.on('/stops', async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
      await silent(connection);
    });
    const client = await stage.client();
    const from = performance.now();
    await client.write(get('/stops'));
    await client.readUntil('half');
    await client.closed;
    expectAbout(from, 600);
    expect(await client.closed).toBe('ECONNRESET');
    expect(client.text).not.toContain('\r\n0\r\n');
    expect(await stage.logged('/stops')).toMatchObject({
      status: 200,
      error: 'ERR_BACKEND_BODY_TIMEOUT',
      error_source: 'backend',
    });
  });

  test('that goes on sending, however slowly, is not cut', async () => {
    stage.on('/steady', async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n');
      for (let index = 0; index < 8; index++) {
        await sleep(200);
        await connection.write('z');
      }
    });
    const client = await stage.client();
    await client.write(get('/steady'));
    expect((await client.readResponse()).body.toString()).toBe('zzzzzzzz');
  });

  test('that stops reading an upload is answered for with 504', async () => {
    stage.on('/no-reader', (connection) => {
      connection.pause();
      return silent(connection);
    });
    const client = await stage.client();
    await client.write(
      `POST /no-reader HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MIB}\r\n\r\n`,
    );
    client.socket.write(Buffer.alloc(64 * MIB));
    expect((await client.readResponse()).status).toBe(504);
    (await stage.backend.request('/no-reader')).socket.destroy();
    client.reset();
  });
});

describe('a client', () => {
  test('whose body stops arriving is answered 408, and the backend is not blamed', async () => {
    const errors = (await stage.backends())[0]?.['errors'];
    stage.on('/body-stops', silent);
    const client = await stage.client();
    const from = performance.now();
    await client.write('POST /body-stops HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
    const response = await client.readResponse();
    expectAbout(from, 600);
    expect(response.status).toBe(408);
    expect(response.fields.get('connection')).toEqual(['close']);
    expect(await stage.logged('/body-stops')).toMatchObject({
      error: 'ERR_BODY_TIMEOUT',
      error_source: 'client',
    });
    expect((await stage.backends())[0]).toMatchObject({ alive: true, errors });
  });

  test('whose body stops after the answer has begun is cut, and the backend is not blamed', async () => {
    const errors = (await stage.backends())[0]?.['errors'];
    stage.on('/echo-stops', async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      await silent(connection);
    });
    const client = await stage.client();
    const from = performance.now();
    await client.write('POST /echo-stops HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
    await client.readUntil('half');
    await client.closed;
    expectAbout(from, 600);
    expect(await stage.logged('/echo-stops')).toMatchObject({
      error: 'ERR_BODY_TIMEOUT',
      error_source: 'client',
    });
    expect((await stage.backends())[0]).toMatchObject({ alive: true, errors });
  });

  test('that stops reading is cut, and the backend is not blamed', async () => {
    const errors = (await stage.backends())[0]?.['errors'];
    stage.on('/unread', async (connection) => {
      await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
      connection.socket.write(Buffer.alloc(64 * MIB));
      await silent(connection);
    });
    const client = await stage.client();
    await client.write(get('/unread'));
    await client.readUntil('\r\n\r\n');
    client.pause();
    const connection = await stage.backend.request('/unread');
    await within(connection.closed, SOON_MS, 'the end of the download');
    expect(await stage.logged('/unread')).toMatchObject({
      status: 200,
      error: 'ERR_CLIENT_TIMEOUT',
      error_source: 'client',
    });
    expect((await stage.backends())[0]).toMatchObject({ alive: true, errors });
    client.reset();
  });

  test('that reads slowly but steadily is not cut', async () => {
    const size = 24 * MIB;
    stage.on('/slow-reader', async (connection) => {
      await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      await connection.write(Buffer.alloc(size));
    });
    const client = await stage.client();
    await client.write(get('/slow-reader'));
    const head = await client.readUntil('\r\n\r\n');
    let read = client.received.length - head.length;
    const counted = new Promise<void>((resolve) => {
      client.socket.removeAllListeners('data');
      client.socket.on('data', (chunk) => {
        read += chunk.length;
        client.pause();
        // Some MiB a second: several times the idle timeout for all of it.
        setTimeout(() => client.resume(), 5);
        if (read >= size) resolve();
      });
    });
    const from = performance.now();
    await within(counted, 18_000, 'the whole body');
    expect(performance.now() - from).toBeGreaterThan(1_200);
    expect(read).toBe(size);
  });

  test('that is idle between two requests is closed', async () => {
    const client = await stage.client();
    const from = performance.now();
    await client.write(get('/then-idle'));
    const { length } = await client.readUntil('ok');
    await client.readToEnd();
    expectAbout(from, 500);
    expect(client.text.length).toBe(length);
    expect(await client.closed).toBe('end');
  });

  test('that goes on sending after its last answer is let go after a while', async () => {
    const client = await stage.client();
    await client.write('BAD\r\n\r\n');
    expect((await client.readResponse()).status).toBe(400);
    // It does not close, and sends nothing: the connection lingers for two seconds of silence.
    expect(await stage.leftover(6_000)).toEqual(NOTHING);
  });
});

test('afterwards nothing is in flight and nobody is connected', async () => {
  expect(await stage.leftover()).toEqual(NOTHING);
});
