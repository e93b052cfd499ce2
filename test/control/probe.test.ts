import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import type { ProbeRequest } from '../../src/control/health/check-request.ts';
import { probe } from '../../src/control/health/probe.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { waitFor } from '../support/wait-for.ts';
import { address, PLAIN_CHECK } from './fixtures.ts';

const never = new AbortController().signal;

function get(url: string, timeoutMs = 1000, path = '/health', what: Partial<ProbeRequest> = {}) {
  const asked = { ...PLAIN_CHECK, address: address(url), method: 'http', path, timeoutMs } as const;
  return probe({ ...asked, ...what }, never);
}

describe('a health probe', () => {
  it('passes on 2xx and on nothing else, and does not follow redirects', async () => {
    const { url, requests } = await httpBackend((request, response) => {
      response.writeHead(Number(request.url?.slice(1)), { Location: '/200' }).end();
    });
    for (const status of [200, 204, 299, 301, 302, 404, 500, 503]) {
      const result = await get(url, 1000, `/${status}`);
      expect([status, result.isPassed, result.status]).toEqual([status, status < 300, status]);
    }
    expect(requests.length).toBe(8);
  });

  it('names itself and the backend, over a connection of its own', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    await get(backend.url);
    await get(backend.url);
    expect(backend.connections.length).toBe(2);
    expect(backend.connections[0]?.text).toMatch(/^GET \/health HTTP\/1\.1\r\n/);
    expect(backend.connections[0]?.text).toContain(`Host: 127.0.0.1:${backend.port}\r\n`);
    expect(backend.connections[0]?.text).toContain('User-Agent: fairlead-health-check\r\n');
  });

  it('says what was tried, what came, and after how long', async () => {
    const port = await freePort();
    const refused = await get(`http://localhost:${port}`);
    expect(refused).toMatchObject({ isPassed: false, hasConnected: false });
    expect(refused.detail).toMatch(
      /^GET http:\/\/localhost:\d+\/health: .*ECONNREFUSED .*127\.0\.0\.1.* after \d+ ms$/,
    );
  });

  it('fails when no answer comes in time', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
    });
    const result = await get(backend.url, 100);
    expect(result).toMatchObject({ isPassed: false, status: undefined, hasConnected: true });
    expect(result.detail).toContain('no answer within 100 ms');
  });

  it('fails on what is not HTTP, on a close and on 101', async () => {
    for (const answer of [
      'SSH-2.0-OpenSSH\r\n\r\n',
      '',
      'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ]) {
      const backend = await rawBackend(async (connection) => {
        await connection.readHead();
        if (answer !== '') await connection.write(answer);
        connection.end();
      });
      expect((await get(backend.url)).isPassed).toBe(false);
    }
  });

  it('reads no endless body', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
      await connection.write('HTTP/1.1 200 OK\r\n\r\n');
      const chunk = Buffer.alloc(65_536);
      while (!connection.socket.destroyed) await connection.write(chunk);
    });
    expect((await get(backend.url)).isPassed).toBe(true);
    const connection = await backend.connection(0);
    await new Promise((resolve) => connection.socket.on('close', resolve));
  });

  it('gives up on endless interim answers, within their first bytes', async () => {
    const many = 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(3000);
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
      while (!connection.socket.destroyed) await connection.write(many);
    });
    const result = await get(backend.url, 60_000);
    expect(result).toMatchObject({ isPassed: false, code: 'NOT_HTTP' });
    expect(result.detail).toContain('nothing but interim answers');
  });

  it('passes over a few of them', async () => {
    const { url } = await rawBackend(async (connection) => {
      await connection.readHead();
      for (const part of [
        'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r',
        '\nHTTP/1.1 2',
        '00 OK\r\n',
      ]) {
        await connection.write(part);
      }
      await connection.write('Content-Length: 2\r\n\r\nok');
    });
    expect(await get(url)).toMatchObject({ isPassed: true, status: 200 });
  });

  it.each([
    ['a head that does not end', 'HTTP/1.1 200 OK\r\nX: ', 'x'],
    ['chunks of one byte', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
  ])('leaves early from %s', async (_what, start, more) => {
    let sent = 0;
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
      await connection.write(start);
      while (!connection.socket.destroyed) {
        await connection.write(more);
        sent++;
        if (sent % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    });
    await get(backend.url, 60_000);
    const connection = await backend.connection(0);
    expect(await waitFor(() => connection.socket.destroyed)).toBe(true);
  });

  it('ends with the answer, also when the backend leaves the connection open', async () => {
    for (const answer of [
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ]) {
      const backend = await rawBackend(async (connection) => {
        await connection.readHead();
        await connection.write(answer);
      });
      expect((await get(backend.url, 60_000)).isPassed).toBe(true);
      const { socket } = await backend.connection(0);
      await waitFor(() => socket.readableEnded || socket.destroyed);
    }
  });

  it('shakes hands with a backend over TLS, by TCP too, and wants a certificate as requests do', async () => {
    const files = makeCertificate();
    const server = createServer({
      cert: readFileSync(files.cert_file),
      key: readFileSync(files.key_file),
    });
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    afterTest(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const target = {
      address: address(`https://127.0.0.1:${port}`),
      path: '/',
      timeoutMs: 1000,
      ...PLAIN_CHECK,
    };
    const result = await probe({ ...target, method: 'tcp' }, never);
    expect(result).toMatchObject({
      isPassed: false,
      hasConnected: false,
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
      isInconclusive: false,
    });
    expect(result.detail).toContain('TLS connect to https://');
  });

  it('connects by TCP', async () => {
    const { url } = await rawBackend(() => {});
    const up = await probe(
      { address: address(url), method: 'tcp', path: '/', timeoutMs: 1000, ...PLAIN_CHECK },
      never,
    );
    expect(up).toMatchObject({ isPassed: true, status: undefined, hasConnected: true });
    const port = await freePort();
    const down = await probe(
      {
        address: address(`http://127.0.0.1:${port}`),
        method: 'tcp',
        path: '/',
        timeoutMs: 1000,
        ...PLAIN_CHECK,
      },
      never,
    );
    expect(down).toMatchObject({ isPassed: false, hasConnected: false });
    expect(down.detail).toContain('ECONNREFUSED');
  });

  it('can be called off', async () => {
    const backend = await rawBackend(() => {});
    for (const method of ['http', 'tcp'] as const) {
      const abort = new AbortController();
      const result = probe(
        { address: address(backend.url), method, path: '/', timeoutMs: 60_000, ...PLAIN_CHECK },
        abort.signal,
      );
      abort.abort();
      expect((await result).isPassed).toBe(false);
    }
  });
});

function expecting(url: string, what: Partial<ProbeRequest>, timeoutMs = 10_000) {
  return get(url, timeoutMs, '/', what);
}

async function answers(...pieces: string[]) {
  return rawBackend(async (connection) => {
    await connection.readHead();
    for (const piece of pieces) {
      await connection.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    connection.end();
  });
}

describe('what a check expects', () => {
  it('is any of its statuses, and no other', async () => {
    const { url } = await httpBackend((request, response) => {
      response.writeHead(Number(request.url?.slice(1))).end();
    });
    const passed: number[] = [];
    for (const status of [200, 204, 205, 299, 301, 404, 405, 500]) {
      const expectStatus = [[204, 299] as const, [404, 404] as const];
      if ((await get(url, 10_000, `/${status}`, { expectStatus })).isPassed) passed.push(status);
    }
    expect(passed).toEqual([204, 205, 299, 404]);
  });

  it('is a text of the body, in pieces and across chunks', async () => {
    const head = 'HTTP/1.1 200 OK\r\n';
    for (const pieces of [
      [`${head}Content-Length: 9\r\n\r\nall is we`, 'll'],
      [`${head}\r\nall is ready`, ', and well', ' done: all is well'],
      [
        `${head}Transfer-Encoding: chunked\r\n\r\n6\r\nall is\r`,
        '\n0',
        '5;x=y\r\n well\r\n0\r\n\r\n',
      ],
    ]) {
      const { url } = await answers(...pieces);
      expect(await expecting(url, { expectBody: 'is well' })).toMatchObject({
        isPassed: true,
        status: 200,
      });
    }
  });

  it('is not found in what frames the chunks, nor in the head', async () => {
    const { url } = await answers(
      'HTTP/1.1 200 OK\r\nX-State: well\r\nTransfer-Encoding: chunked\r\n\r\n2;well\r\nok\r\n0\r\n\r\n',
    );
    const result = await expecting(url, { expectBody: 'well' });
    expect(result).toMatchObject({
      isPassed: false,
      status: 200,
      code: 'OTHER_BODY',
      hasConnected: true,
    });
    expect(result.detail).toMatch(/: 200 without "well" after \d+ ms$/);
  });

  it('is compared byte for byte, in UTF-8', async () => {
    const { url } = await httpBackend((_request, response) => response.end('Zustand: grün'));
    expect((await expecting(url, { expectBody: 'grün' })).isPassed).toBe(true);
    expect((await expecting(url, { expectBody: 'GRÜN' })).isPassed).toBe(false);
  });

  it('is not looked for in a body of another status', async () => {
    const { url } = await httpBackend((_request, response) => response.writeHead(500).end('well'));
    const result = await expecting(url, { expectBody: 'well' });
    expect(result).toMatchObject({ isPassed: false, status: 500, code: undefined });
  });

  it('is not looked for without end', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
      await connection.write('HTTP/1.1 200 OK\r\n\r\n');
      const chunk = Buffer.alloc(16_384, 'x');
      while (!connection.socket.destroyed) await connection.write(chunk);
    });
    const result = await expecting(backend.url, { expectBody: 'well' }, 60_000);
    expect(result.detail).toContain('200 without "well" in its first 64 KiB');
    const connection = await backend.connection(0);
    await waitFor(() => connection.socket.destroyed);
  });

  it('is no verdict on an answer that does not end, but for its time', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nw');
    });
    const result = await expecting(backend.url, { expectBody: 'well' }, 200);
    expect(result).toMatchObject({ isPassed: false, code: 'TIMEOUT' });
    expect(result.detail).toContain('no end of the answer within 200 ms');
  });

  it.each(['5\r\nwell\r\n\r\n', 'x\r\n', '2\r\nokay\r\n', `${'0'.repeat(5000)}`])(
    'is not looked for in chunks that are none: %j',
    async (chunks) => {
      const { url } = await answers(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
      );
      expect(await expecting(url, { expectBody: 'nowhere' })).toMatchObject({ isPassed: false });
    },
  );

  it('is asked with its own Host and fields, at its own port', async () => {
    const backend = await answers('HTTP/1.1 204 No Content\r\n\r\n');
    const result = await expecting('http://127.0.0.1:1', {
      port: backend.port,
      host: 'shop.test',
      headers: [
        ['accept', 'text/plain'],
        ['Authorization', 'Bearer abc'],
      ],
    });
    expect(result.detail).toMatch(`GET ${backend.url}/: 204`);
    expect(backend.connections[0]?.text.split('\r\n')).toEqual([
      'GET / HTTP/1.1',
      'Host: shop.test',
      'User-Agent: fairlead-health-check',
      'accept: text/plain',
      'Authorization: Bearer abc',
      'Connection: close',
      '',
      '',
    ]);
  });

  it('names the port that is checked in its Host', async () => {
    const backend = await answers('HTTP/1.1 204 No Content\r\n\r\n');
    await expecting('http://127.0.0.1:1', { port: backend.port });
    expect(backend.connections[0]?.text).toContain(`Host: 127.0.0.1:${backend.port}\r\n`);
  });
});
