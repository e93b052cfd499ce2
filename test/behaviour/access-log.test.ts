import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'undici';
import { beforeAll, describe, expect, test } from 'vitest';
import { httpBackend } from '../support/http-backend.ts';
import { okResponse } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  answer,
  get,
  type Stage,
  scriptedBackend,
  silent,
  startProxy,
  startStage,
} from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
});

const BASE = {
  time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  client: '127.0.0.1',
  request_id: expect.stringMatching(/^[\w-]{16,}$/),
  duration_ms: expect.any(Number),
  bytes_in: expect.any(Number),
  bytes_out: expect.any(Number),
};

describe('a JSON line', () => {
  test('of a request that went well', async () => {
    stage.on('/fine?a=b', answer(okResponse('hello')));
    const client = await stage.client();
    const request = get('/fine?a=b');
    await client.write(request);
    await client.readResponse();
    const line = await stage.logged('/fine?a=b');
    expect(line).toEqual({
      ...BASE,
      method: 'GET',
      host: 'test',
      path: '/fine?a=b',
      status: 200,
      bytes_in: request.length,
      bytes_out: client.text.length,
      connect_ms: expect.any(Number),
      first_byte_ms: expect.any(Number),
      backend: stage.backend.url,
    });
    expect((await stage.backend.request('/fine?a=b')).text).toContain(
      `\r\nX-Request-Id: ${String(line['request_id'])}\r\n`,
    );
  });

  test('counts bodies both ways, and has no connect time on a reused connection', async () => {
    stage.on('/counted', async (connection) => {
      await connection.readBytes(5_000);
      await connection.write(okResponse('y'.repeat(7_000)));
    });
    const client = await stage.client();
    await client.write(get('/warm-up'));
    await client.readResponse();
    const from = client.text.length;
    const request = `POST /counted HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n${'x'.repeat(5_000)}`;
    await client.write(request);
    await client.readResponse();
    const line = await stage.logged('/counted');
    expect(line).toMatchObject({ bytes_in: request.length, bytes_out: client.text.length - from });
    expect(line).not.toHaveProperty('connect_ms');
  });

  test('of a request that was retried names every attempt', async () => {
    const gone = await httpBackend();
    const left = await scriptedBackend();
    const fairlead = await startProxy([gone.url, left.url]);
    await gone.close();
    await fetch(`${fairlead.url}/retried`);
    const [line] = await waitFor<ReturnType<typeof fairlead.accessLines> | undefined>(() => {
      const lines = fairlead.accessLines();
      return lines.length > 0 ? lines : undefined;
    });
    expect(line).toMatchObject({
      status: 200,
      backend: left.url,
      attempts: [
        { backend: gone.url, outcome: 'ERR_BACKEND_REFUSED' },
        { backend: left.url, outcome: 'ok' },
      ],
    });
    expect(line).not.toHaveProperty('error');
  });

  test('of a request that failed says who is to blame', async () => {
    stage.on('/failed', answer('garbage\r\n\r\n'));
    const client = await stage.client();
    await client.write(get('/failed'));
    expect((await client.readResponse()).status).toBe(502);
    const line = await stage.logged('/failed');
    expect(line).toMatchObject({
      ...BASE,
      status: 502,
      error: 'ERR_BACKEND_BAD_RESPONSE',
      error_source: 'backend',
      error_detail: expect.stringMatching(/./),
      bytes_out: client.text.length,
      attempts: [{ outcome: 'ERR_BACKEND_BAD_RESPONSE' }],
    });
  });

  test('of a client that left is a 499', async () => {
    stage.on('/left', silent);
    const client = await stage.client();
    await client.write(get('/left'));
    await stage.backend.request('/left');
    client.reset();
    expect(await stage.logged('/left')).toMatchObject({
      ...BASE,
      status: 499,
      bytes_out: 0,
      error: 'ERR_CLIENT_GONE',
      error_source: 'client',
    });
  });

  test('of a request that was refused has what its request line said', async () => {
    const client = await stage.client();
    await client.write('GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
    expect((await client.readResponse()).status).toBe(400);
    const line = await waitFor(() =>
      stage.fairlead.accessLines().find(({ error }) => error === 'ERR_DUPLICATE_HOST'),
    );
    expect(line).toMatchObject({
      ...BASE,
      method: 'GET',
      path: '/bad',
      bytes_in: 'GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'.length,
      status: 400,
      error_source: 'client',
      bytes_out: client.text.length,
    });
    for (const field of ['host', 'backend', 'attempts']) expect(line).not.toHaveProperty(field);
  });

  test('of a tunnel comes at its end, with the bytes of both directions', async () => {
    stage.on('/tunnel', async (connection) => {
      await connection.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      );
      await connection.readUntil('x'.repeat(1_000));
      await connection.write('y'.repeat(2_000));
      connection.end();
      await connection.closed;
    });
    const client = await stage.client();
    const request = get('/tunnel', ['Connection: Upgrade', 'Upgrade: websocket']);
    await client.write(request);
    await client.readUntil('\r\n\r\n');
    expect(stage.fairlead.accessLines().some(({ path }) => path === '/tunnel')).toBe(false);
    await client.write('x'.repeat(1_000));
    await client.readToEnd();
    client.end();
    const line = await stage.logged('/tunnel');
    expect(line).toMatchObject({
      ...BASE,
      status: 101,
      bytes_in: request.length + 1_000,
      bytes_out: client.text.length,
    });
    expect(line).not.toHaveProperty('error');
  });

  test('cannot be forged or broken by what a client sends', async () => {
    const hostile = '/%22},{"forged":true}\'\\x';
    const client = await stage.client();
    await client.write(
      `GET ${hostile} HTTP/1.1\r\nHost: test\r\nX-Request-Id: "},{"a":"\r\nUser-Agent: \x80\xff"\r\n\r\n`,
    );
    await client.readResponse();
    const line = await stage.logged(hostile);
    expect(line).not.toHaveProperty('forged');
    expect(line['request_id']).not.toContain('"');
    // Every byte of the log is printable ASCII, so no terminal is steered by it.
    expect(stage.fairlead.output()).toMatch(/^[\n -~]*$/);
  });

  test('of the longest head that is accepted is whole', async () => {
    const path = `/${'"'.repeat(16_000)}`;
    const client = await stage.client();
    await client.write(get(path));
    await client.readResponse();
    const line = await waitFor(() =>
      stage.fairlead.accessLines().find((one) => String(one['path']).startsWith('/""')),
    );
    expect(String(line['path']).length).toBeLessThan(5_000);
    expect(line['status']).toBe(200);
  });
});

describe('access_log_format: combined', () => {
  const COMBINED =
    /^(\S+) - - \[(\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000)\] ("(?:[^"\\]|\\.)*") (\d{3}) (\d+) ("(?:[^"\\]|\\.)*") ("(?:[^"\\]|\\.)*")$/;

  test('is Apache’s, in the file it was told', async () => {
    const backend = await scriptedBackend();
    const fairlead = await startProxy([backend.url], {
      access_log: 'access.log',
      access_log_format: 'combined',
    });
    const client = new Client(fairlead.url);
    await client.request({
      path: '/page?x=1',
      method: 'GET',
      headers: { referer: 'http://from.example/', 'user-agent': 'Say "hi" \\ \xe9' },
    });
    await client.close();
    await fetch(`${fairlead.url}/plain`, { headers: { 'user-agent': '' } });
    const lines = await waitFor(async () => {
      const text = await readFile(join(fairlead.cwd, 'access.log'), 'latin1');
      const all = text.trimEnd().split('\n');
      return all.length >= 2 ? all : undefined;
    });
    const first = COMBINED.exec(lines[0] ?? '');
    expect(first?.[1]).toBe('127.0.0.1');
    expect(first?.[3]).toBe('"GET /page?x=1 HTTP/1.1"');
    expect(first?.[4]).toBe('200');
    expect(Number(first?.[5])).toBeGreaterThan(0);
    expect(first?.[6]).toBe('"http://from.example/"');
    expect(JSON.parse(first?.[7] ?? '')).toBe('Say "hi" \\ \xe9');
    expect(lines[1]).toMatch(COMBINED);
    expect(fairlead.accessLines()).toEqual([]);
  });

  test('is whole for the longest and most hostile fields', async () => {
    const backend = await scriptedBackend();
    const fairlead = await startProxy([backend.url], {
      access_log: 'access.log',
      access_log_format: 'combined',
    });
    const client = await rawClient(fairlead.port);
    const junk = '\xff'.repeat(8_000);
    for (let round = 0; round < 5; round++) {
      await client.write(get(`/${'"'.repeat(8_000)}`, [`Referer: ${junk}`, `User-Agent: ${junk}`]));
      expect((await client.readResponse()).status).toBe(200);
    }
    const lines = await waitFor(async () => {
      const text = await readFile(join(fairlead.cwd, 'access.log'), 'latin1');
      const all = text.split('\n');
      return all.length >= 6 ? all : undefined;
    });
    expect(lines.length).toBe(6);
    for (const line of lines.slice(0, 5)) expect(line).toMatch(COMBINED);
  });
});
