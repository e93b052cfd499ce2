import { describe, expect, it } from 'vitest';
import { probe } from '../../src/control/probe.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { address } from './fixtures.ts';

const never = new AbortController().signal;

function get(url: string, timeoutMs = 1000, path = '/health') {
  return probe({ address: address(url), method: 'http', path, timeoutMs }, never);
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

  it('connects by TCP', async () => {
    const { url } = await rawBackend(() => {});
    const up = await probe(
      { address: address(url), method: 'tcp', path: '/', timeoutMs: 1000 },
      never,
    );
    expect(up).toMatchObject({ isPassed: true, status: undefined, hasConnected: true });
    const port = await freePort();
    const down = await probe(
      { address: address(`http://127.0.0.1:${port}`), method: 'tcp', path: '/', timeoutMs: 1000 },
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
        { address: address(backend.url), method, path: '/', timeoutMs: 60_000 },
        abort.signal,
      );
      abort.abort();
      expect((await result).isPassed).toBe(false);
    }
  });
});
