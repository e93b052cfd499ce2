import { realpathSync } from 'node:fs';
import { expect, test } from 'vitest';
import { freePort } from './free-port.ts';
import { httpBackend } from './http-backend.ts';
import { answering, okResponse, rawBackend } from './raw-backend.ts';
import { rawClient } from './raw-client.ts';
import { waitFor, within } from './wait-for.ts';

test('the tests run under the node that was asked for', () => {
  const { TESTS_EXPECT_NODE: asked = process.execPath } = process.env;
  expect(process.execPath).toBe(realpathSync(asked));
});

test('freePort gives a port that can be listened on', async () => {
  const port = await freePort();
  const backend = await httpBackend(undefined, { port });
  expect(backend.port).toBe(port);
});

test('no fetch uses the connection of an earlier one, which may be about to close', async () => {
  const backend = await httpBackend((request, response) => {
    response.end(`${request.method} ${request.headers['x-a']} ${request.socket.remotePort}`);
  });
  const ports = new Set<string>();
  for (const method of ['GET', 'POST', 'GET']) {
    const response = await fetch(backend.url, { method, headers: { 'X-A': 'b' } });
    const [asked, field, port = ''] = (await response.text()).split(' ');
    expect([asked, field]).toEqual([method, 'b']);
    ports.add(port);
  }
  expect(ports.size).toBe(3);
});

test('waitFor returns the first usable value', async () => {
  let calls = 0;
  expect(await waitFor(() => ++calls >= 3 && calls)).toBe(3);
});

test('waitFor gives up after its time and names what it waited for', async () => {
  await expect(waitFor(() => false, 30, 'rain')).rejects.toThrow('Not within 30 ms: rain');
});

test('waitFor keeps the last error of a probe that throws', async () => {
  const cause = new Error('not yet');
  const failing = waitFor(
    () => {
      throw cause;
    },
    20,
    'rain',
  );
  await expect(failing).rejects.toMatchObject({ cause });
});

test('within rejects when the promise stays open', async () => {
  await expect(within(new Promise(() => {}), 20, 'forever')).rejects.toThrow('forever');
});

test('a raw client and a raw backend exchange exactly the scripted bytes', async () => {
  const backend = await rawBackend(async (connection) => {
    expect(await connection.readHead()).toBe('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await connection.write('HTTP/1.1 200 OK\r\nX: \xe9\r\nContent-Length: 5\r\n\r\nhello');
  });
  const client = await rawClient(backend.port);
  await client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const response = await client.readResponse();
  expect(response.status).toBe(200);
  expect(response.fields.get('x')).toEqual(['\xe9']);
  expect(response.body.toString()).toBe('hello');
  expect(backend.received()).toBe('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(backend.errors).toEqual([]);
});

test('a client reads interim responses, chunked bodies and bodies up to the end', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.readHead();
    await connection.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n');
    await connection.write(
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n',
    );
    await connection.write('HTTP/1.0 200 OK\r\n\r\nthe rest');
    connection.end();
  });
  const client = await rawClient(backend.port);
  await client.write('GET / HTTP/1.1\r\n\r\n');
  expect((await client.readResponse()).body.toString()).toBe('abcde');
  expect((await client.readResponse()).body.toString()).toBe('the rest');
  expect(await client.closed).toBe('end');
});

test('a reset is told apart from an end', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.readHead();
    connection.reset();
  });
  const client = await rawClient(backend.port);
  await client.write('GET / HTTP/1.1\r\n\r\n');
  expect(await client.closed).toBe('ECONNRESET');
});

test('a wait that the connection’s end cuts short says what was unread', async () => {
  const backend = await rawBackend((connection) => {
    connection.socket.end('HTT');
  });
  const client = await rawClient(backend.port);
  await expect(client.readUntil('\r\n')).rejects.toThrow(/before the end \(end\).*"HTT"/);
});

test('a handler that fails is recorded, and its connection ends', async () => {
  const backend = await rawBackend(() => {
    throw new Error('unexpected request');
  });
  const client = await rawClient(backend.port);
  await client.closed;
  expect(backend.errors).toEqual([new Error('unexpected request')]);
});

test('answering serves request after request on one connection', async () => {
  const backend = await rawBackend(answering(okResponse('yes', ['X-N: 1'])));
  const client = await rawClient(backend.port);
  for (let index = 0; index < 3; index++) {
    await client.write('GET / HTTP/1.1\r\n\r\n');
    expect((await client.readResponse()).body.toString()).toBe('yes');
  }
  client.end();
  expect(await client.closed).toBe('end');
  expect(backend.connections).toHaveLength(1);
  expect(backend.errors).toEqual([]);
});
