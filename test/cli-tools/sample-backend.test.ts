import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import {
  type SampleBackend,
  type SampleBackendOptions,
  startSampleBackend,
} from '../../src/cli/demo/sample-backend.ts';
import { afterTest } from '../support/after-test.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { SOON_MS, within } from '../support/wait-for.ts';

async function started(options: Partial<SampleBackendOptions> = {}): Promise<SampleBackend> {
  const backend = await startSampleBackend({ host: '127.0.0.1', port: 0, name: 'one', ...options });
  afterTest(() => backend.close(0));
  return backend;
}

test('echoes the request as it came', async () => {
  const backend = await started();
  const client = await rawClient(backend.port);
  await client.write(
    'POST /a%20b/../c?d=e HTTP/1.1\r\nhost: x\r\nX-B: 1\r\nx-b: 2\r\nContent-Length: 3\r\n\r\nabc',
  );
  const response = await client.readResponse();
  expect(response.status).toBe(200);
  expect(response.fields.get('x-backend')).toEqual(['one']);
  expect(JSON.parse(response.body.toString())).toEqual({
    name: 'one',
    hostname: hostname(),
    address: `127.0.0.1:${backend.port}`,
    client: `127.0.0.1:${client.socket.localPort}`,
    method: 'POST',
    path: '/a%20b/../c?d=e',
    headers: [
      ['host', 'x'],
      ['X-B', '1'],
      ['x-b', '2'],
      ['Content-Length', '3'],
    ],
    body_bytes: 3,
  });
});

test('a target that is no URL is echoed too', async () => {
  const backend = await started();
  const client = await rawClient(backend.port);
  for (const target of ['//', 'http://[', '*']) {
    await client.write(`OPTIONS ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const response = await client.readResponse();
    expect(JSON.parse(response.body.toString())).toMatchObject({ path: target });
  }
});

test('is healthy until told otherwise', async () => {
  const { url } = await started();
  const health = `${url}/health`;
  const setTo = (body: string): Promise<Response> => fetch(health, { method: 'PUT', body });
  expect((await fetch(health)).status).toBe(200);
  expect((await setTo('{"healthy": false}')).status).toBe(200);
  expect((await fetch(health)).status).toBe(503);
  expect((await setTo('{"healthy": true}')).status).toBe(200);
  expect((await fetch(health)).status).toBe(200);
  for (const bad of [
    '',
    '{',
    'null',
    '{"healthy": 1}',
    `{"healthy": false, "x": "${'x'.repeat(2000)}"}`,
  ]) {
    expect((await setTo(bad)).status).toBe(400);
  }
  expect((await fetch(health)).status).toBe(200);
});

test('answers with the status asked for', async () => {
  const { url } = await started();
  for (const code of [200, 204, 304, 404, 503, 599]) {
    expect((await fetch(`${url}/status/${code}`)).status).toBe(code);
  }
  for (const bad of ['199', '600', 'x', '']) {
    expect((await fetch(`${url}/status/${bad}`)).status).toBe(400);
  }
});

test('sends the number of bytes asked for', async () => {
  const { url } = await started();
  for (const count of [0, 1, 65_536, 1_000_001]) {
    const body = await (await fetch(`${url}/bytes/${count}`)).arrayBuffer();
    expect(body.byteLength).toBe(count);
  }
  const head = await fetch(`${url}/bytes/1000`, { method: 'HEAD' });
  expect(head.headers.get('content-length')).toBe('1000');
  for (const bad of ['-1', '1.5', '99999999999999']) {
    expect((await fetch(`${url}/bytes/${bad}`)).status).toBe(400);
  }
});

test('a reader that stops reading stops the sending', async () => {
  const { url } = await started();
  const request = httpRequest(`${url}/bytes/${10 * 1024 ** 3}`).end();
  request.on('error', () => {});
  const [response] = await once(request, 'response');
  const before = process.memoryUsage().rss;
  response.pause();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 ** 2);
  request.destroy();
});

test('answers late when asked to', async () => {
  const { url } = await started();
  const startedAt = performance.now();
  const response = await fetch(`${url}/slow?ms=80`);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(79);
  expect(await response.json()).toMatchObject({ name: 'one', path: '/slow?ms=80' });
  expect((await fetch(`${url}/slow?ms=x`)).status).toBe(400);
});

test('an address in use is an error', async () => {
  const { port } = await httpBackend();
  await expect(started({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('without a name it is called by host and port', async () => {
  const backend = await startSampleBackend({ port: 0 });
  afterTest(() => backend.close(0));
  expect(backend.name).toBe(`${hostname()}:${backend.port}`);
  expect(backend.url).toBe(`http://localhost:${backend.port}`);
});

test('closing lets a request in flight finish and does not wait for idle connections', async () => {
  const backend = await started();
  const idle = await rawClient(backend.port);
  await idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await idle.readResponse();
  const busy = await rawClient(backend.port);
  await busy.write('GET /slow?ms=150 HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = backend.close();
  expect((await busy.readResponse()).status).toBe(200);
  await within(closed, SOON_MS, 'the end of the backend');
});

test('closing does not wait longer than its grace', async () => {
  const backend = await started();
  const busy = await rawClient(backend.port);
  await busy.write('GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 50));
  await within(backend.close(100), SOON_MS, 'the end of the backend');
  expect(await busy.closed).toBeDefined();
});
