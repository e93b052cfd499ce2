import { execFileSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { type Fairlead, type LogLine, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { okResponse } from '../support/raw-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { SOON_MS, waitFor } from '../support/wait-for.ts';
import {
  get,
  leftover,
  NOTHING,
  QUIET_HEALTH,
  type Stage,
  startProxy,
  startStage,
} from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage({ timeouts: { response: '5s', idle: '5s' } });
});

async function statusOf(fairlead: Fairlead): Promise<{ alive: boolean; errors: number }[]> {
  const status = (await (await fetch(`${fairlead.adminUrl}/status`)).json()) as {
    backends: { alive: boolean; errors: number }[];
  };
  return status.backends;
}

/** The first `count` lines of the access log. */
function logged(fairlead: Fairlead, count: number): Promise<LogLine[]> {
  return waitFor<LogLine[] | undefined>(() => {
    const lines = fairlead.accessLines();
    return lines.length >= count ? lines : undefined;
  });
}

/** A certificate for localhost, signed by itself, and its key. */
function selfSigned(): { cert: string; key: string; file: string } {
  const folder = temporaryFolder('tls');
  const file = join(folder, 'cert.pem');
  const keyFile = join(folder, 'key.pem');
  execFileSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ${keyFile} -out ${file} -subj /CN=localhost -addext subjectAltName=DNS:localhost`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  );
  return { cert: readFileSync(file, 'utf8'), key: readFileSync(keyFile, 'utf8'), file };
}

/** Listens at a port of its own choice until the test is over. */
async function listening(server: Server, host: string): Promise<number> {
  server.listen(0, host);
  afterTest(() => {
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('a backend that refuses the connection', () => {
  test.each([
    ['GET', ''],
    ['POST', 'precious body'],
    ['PATCH', 'x'.repeat(40_000)],
  ])('hands a %s to another one, and is not alive at once', async (method, body) => {
    const received: string[] = [];
    const gone = await httpBackend();
    const left = await httpBackend((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        received.push(`${request.method} ${text}`);
        response.end('left');
      });
    });
    const fairlead = await startProxy([gone.url, left.url]);
    await gone.close();
    for (let round = 0; round < 2; round++) {
      const response = await fetch(`${fairlead.url}/`, {
        method,
        ...(body === '' ? {} : { body }),
      });
      expect(response.status).toBe(200);
      expect(await response.text()).toBe('left');
    }
    expect(received).toEqual([`${method} ${body}`, `${method} ${body}`]);
    await waitFor(async () => (await statusOf(fairlead))[0]?.alive === false);
    const lines = await logged(fairlead, 2);
    const outcomes = lines.map((line) => line['attempts']);
    expect(outcomes).toMatchObject([
      [{ outcome: 'ERR_BACKEND_REFUSED' }, { outcome: 'ok' }],
      // One attempt that went well.
      undefined,
    ]);
  });

  test('is a 502 that names it when nobody else is left, and 503 from then on', async () => {
    const gone = await httpBackend();
    const fairlead = await startProxy([gone.url]);
    await gone.close();
    const first = await fetch(`${fairlead.url}/first`);
    expect(first.status).toBe(502);
    expect(first.headers.get('proxy-status')).toBe('fairlead; error=connection_refused');
    expect(first.headers.get('retry-after')).toBeNull();
    expect(await first.text()).toContain('ERR_BACKEND_REFUSED');
    const [line] = await logged(fairlead, 1);
    expect(line).toMatchObject({
      status: 502,
      error: 'ERR_BACKEND_REFUSED',
      error_source: 'backend',
      error_detail: expect.stringContaining(`127.0.0.1:${gone.port}`),
      phase: 'connect',
      hint: expect.stringContaining('is it running'),
    });
    await waitFor(async () => (await statusOf(fairlead))[0]?.alive === false);
    const second = await fetch(`${fairlead.url}/second`);
    expect(second.status).toBe(503);
    expect(second.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(second.headers.get('proxy-status')).toBe('fairlead; error=destination_unavailable');
  });
});

describe('answers of the proxy’s own', () => {
  test('are text or JSON, as the client accepts', async () => {
    const fairlead = await startFairlead({ config: QUIET_HEALTH });
    const text = await fetch(`${fairlead.url}/`);
    expect(text.status).toBe(503);
    expect(text.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await text.text()).toMatch(/^503 Service Unavailable: .+ \(ERR_NO_BACKEND\)\n$/);
    const json = await fetch(`${fairlead.url}/`, { headers: { accept: 'application/json' } });
    expect(json.headers.get('content-type')).toBe('application/json');
    expect(json.headers.get('cache-control')).toBe('no-store');
    expect(await json.json()).toMatchObject({
      status: 503,
      code: 'ERR_NO_BACKEND',
      source: 'proxy',
      request_id: json.headers.get('x-request-id'),
    });
    const head = await fetch(`${fairlead.url}/`, { method: 'HEAD' });
    expect(head.status).toBe(503);
    expect(await head.text()).toBe('');
  });

  test('keep the connection when the request is complete', async () => {
    const fairlead = await startFairlead({ config: QUIET_HEALTH });
    const client = await rawClient(fairlead.port);
    for (let round = 0; round < 3; round++) {
      await client.write(get('/'));
      const response = await client.readResponse();
      expect(response.status).toBe(503);
      expect(response.fields.has('connection')).toBe(false);
    }
  });
});

/** How the client saw the exchange end. */
async function seen(client: RawClient): Promise<string> {
  const end = await client.closed;
  return `${client.text.slice(9, 12)} ${end}`;
}

describe('a backend that resets the connection', () => {
  test('before its head: 502, and the client’s connection goes on', async () => {
    stage.on('/before-head', async (connection) => {
      await connection.readBytes(4);
      connection.reset();
    });
    const client = await stage.client();
    await client.write('POST /before-head HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody');
    const response = await client.readResponse();
    expect(response.status).toBe(502);
    expect(response.fields.get('proxy-status')).toEqual(['fairlead; error=connection_terminated']);
    await client.write(get('/goes-on'));
    expect((await client.readResponse()).status).toBe(200);
  });

  test.each([
    ['HTTP/1.1 200 OK\r\nX-Half', 'reset'],
    ['HTTP/1.1 200 OK\r\nX-Half', 'close'],
    ['HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1', 'reset'],
  ])('in the middle of its head (%j, %s): 502', async (part, how) => {
    stage.on('/mid-head', async (connection) => {
      await connection.write(part);
      if (how === 'reset') connection.reset();
      else connection.end();
    });
    const client = await stage.client();
    await client.write(get('/mid-head'));
    expect((await client.readResponse()).status).toBe(502);
    expect(stage.backend.served('/mid-head').length).toBeGreaterThan(0);
  });

  test.each([
    ['by length, reset', 'Content-Length: 100\r\n\r\nhalf', true],
    ['by length, closed', 'Content-Length: 100\r\n\r\nhalf', false],
    ['chunked, reset', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', true],
    ['chunked, closed', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', false],
    [
      'chunked, closed before the last line',
      'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n',
      false,
    ],
    ['until close, reset', '\r\nhalf', true],
  ])('in the middle of its body (%s): the client is reset', async (name, rest, isReset) => {
    const path = `/mid-body/${name.replaceAll(/[ ,]+/g, '-')}`;
    const released = new EventEmitter();
    stage.on(path, async (connection) => {
      await connection.write(`HTTP/1.1 200 OK\r\n${rest}`);
      await once(released, 'read');
      if (isReset) connection.reset();
      else connection.end();
      await connection.closed;
    });
    const client = await stage.client();
    await client.write(get(path));
    await client.readUntil('half');
    released.emit('read');
    expect(await seen(client)).toBe('200 ECONNRESET');
    expect(client.text).not.toContain('0\r\n\r\n');
    expect(await stage.logged(path)).toMatchObject({
      status: 200,
      error: 'ERR_BACKEND_TRUNCATED',
      error_source: 'backend',
    });
  });

  test('an HTTP/1.0 client is reset too where a cut body would look complete', async () => {
    stage.on('/cut-for-old', async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
      setTimeout(() => connection.reset(), 30);
      await connection.closed;
    });
    const client = await stage.client();
    await client.write('GET /cut-for-old HTTP/1.0\r\n\r\n');
    await client.readUntil('half');
    expect(await client.closed).toBe('ECONNRESET');
  });

  test('right after its response: nobody notices', async () => {
    stage.on('/after', async (connection) => {
      await connection.write(okResponse('whole'));
      connection.reset();
    });
    const client = await stage.client();
    for (let round = 0; round < 20; round++) {
      await client.write(get('/after'));
      expect((await client.readResponse()).body.toString()).toBe('whole');
    }
  });

  test.each([0, 1, 2, 3, 4])(
    'during an upload: 502 soon, not the response timeout (%i)',
    async (round) => {
      const path = `/mid-upload/${round}`;
      stage.on(path, async (connection) => {
        // Later rounds read a part, so that the reset meets the proxy at other moments.
        await connection.readBytes(round * 100_000);
        connection.reset();
      });
      const client = await stage.client();
      const from = performance.now();
      await client.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n`);
      client.socket.write(Buffer.alloc(10_000_000));
      const response = await client.readResponse();
      expect(response.status).toBe(502);
      expect(performance.now() - from).toBeLessThan(SOON_MS);
      client.socket.destroy();
    },
  );

  test('in a tunnel: the client is reset', async () => {
    stage.on('/in-tunnel', async (connection) => {
      await connection.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello',
      );
      await connection.readUntil('bye');
      connection.reset();
    });
    const client = await stage.client();
    await client.write(get('/in-tunnel', ['Connection: Upgrade', 'Upgrade: websocket']));
    await client.readUntil('hello');
    await client.write('bye');
    expect(await seen(client)).toBe('101 ECONNRESET');
  });

  test('again and again, in every phase at once, leaves nothing behind', async () => {
    const paths = ['/mid-head', '/after', '/storm/reset', '/storm/half', '/storm/fine'];
    stage.on('/storm/reset', (connection) => connection.reset());
    stage.on('/storm/half', async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      connection.reset();
    });
    await Promise.all(
      Array.from({ length: 20 }, async (_, worker) => {
        for (let round = 0; round < 10; round++) {
          const client = await stage.client();
          await client.write(
            get(paths[(worker + round) % paths.length] as string, ['Connection: close']),
          );
          await client.readToEnd();
          client.socket.destroy();
        }
      }),
    );
    expect(await stage.leftover()).toEqual(NOTHING);
  });
});

describe('host names', () => {
  const NODE_OPTIONS = `--import ${new URL('stub-lookup.mjs', import.meta.url).href}`;

  test.each(['127.0.0.1', '::1'])('localhost works when only %s listens', async (host) => {
    const { port } = await httpBackend(undefined, { host });
    const fairlead = await startProxy([`http://localhost:${port}`], {}, { env: { NODE_OPTIONS } });
    for (let round = 0; round < 3; round++) {
      expect(await (await fetch(`${fairlead.url}/`)).text()).toBe('ok');
    }
  });

  test('the error names every address that was tried', async () => {
    const backend = await httpBackend(undefined, { host: '127.0.0.1' });
    const url = `http://localhost:${backend.port}`;
    const fairlead = await startProxy([url], {}, { env: { NODE_OPTIONS } });
    await backend.close();
    const response = await fetch(`${fairlead.url}/`);
    expect(response.status).toBe(502);
    expect(await response.text()).toContain('ERR_BACKEND_REFUSED');
    const [line] = await logged(fairlead, 1);
    expect(line?.['error_detail']).toContain(`127.0.0.1:${backend.port}`);
    expect(line?.['error_detail']).toContain(`::1:${backend.port}`);
  });

  test('one that does not resolve any more is a 502, and its backend is not alive at once', async () => {
    const { port } = await httpBackend();
    const url = `http://vanished.test:${port}`;
    const fairlead = await startProxy([url], {}, { env: { NODE_OPTIONS } });
    const response = await fetch(`${fairlead.url}/`);
    expect(response.status).toBe(502);
    expect(response.headers.get('proxy-status')).toBe('fairlead; error=dns_error');
    expect(await response.text()).toContain('ERR_BACKEND_DNS');
    const [line] = await logged(fairlead, 1);
    expect(line).toMatchObject({ error_detail: expect.stringContaining('vanished.test') });
    await waitFor(async () => (await statusOf(fairlead))[0]?.alive === false);
  });
});

describe.skipIf(!hasTool('openssl'))('a backend behind TLS', () => {
  test('is spoken to when its certificate is trusted', async () => {
    const { cert, key, file } = selfSigned();
    const requests: string[] = [];
    const server = createHttpsServer({ cert, key }, (request, response) => {
      requests.push(`${request.method} ${request.headers.host}`);
      request.pipe(response);
    });
    const port = await listening(server, '127.0.0.1');
    const url = `https://localhost:${port}`;
    const fairlead = await startFairlead({
      config: { ...QUIET_HEALTH, backends: [url] },
      env: { NODE_EXTRA_CA_CERTS: file },
    });
    await fairlead.waitForLog(({ event }) => event === 'backend.up');
    const body = 'x'.repeat(1_000_000);
    for (let round = 0; round < 3; round++) {
      const response = await fetch(`${fairlead.url}/`, { method: 'POST', body });
      expect(response.status).toBe(200);
      expect((await response.text()) === body).toBe(true);
    }
    expect(requests[0]).toBe(`POST 127.0.0.1:${fairlead.port}`);
    server.closeAllConnections();
    expect(await leftover(fairlead, 200)).toMatchObject({ inFlight: 0 });
  });

  test('whose certificate nobody vouches for any more is a 502 that says so', async () => {
    const trusted = selfSigned();
    const server = createHttpsServer(trusted, (_request, response) => response.end('ok'));
    const port = await listening(server, '127.0.0.1');
    // Its first check passes, the next one is far away.
    const env = { NODE_EXTRA_CA_CERTS: trusted.file };
    const fairlead = await startProxy([`https://localhost:${port}`], {}, { env });
    server.setSecureContext(selfSigned());
    const response = await fetch(`${fairlead.url}/`);
    expect(response.status).toBe(502);
    expect(response.headers.get('proxy-status')).toBe('fairlead; error=tls_protocol_error');
    expect(await response.text()).toContain('ERR_BACKEND_TLS');
    const [line] = await logged(fairlead, 1);
    expect(line).toMatchObject({
      error: 'ERR_BACKEND_TLS',
      error_detail: expect.stringMatching(/self-signed certificate/),
    });
  });

  test('that speaks TLS no more is a 502 that says so', async () => {
    const { cert, key, file } = selfSigned();
    const secure = createHttpsServer({ cert, key }, (_request, response) => response.end('ok'));
    const plain = createHttpServer((_request, response) => response.end('ok'));
    let current: Server = secure;
    const server = createServer((socket) => current.emit('connection', socket));
    const port = await listening(server, '127.0.0.1');
    const env = { NODE_EXTRA_CA_CERTS: file };
    const fairlead = await startProxy([`https://localhost:${port}`], {}, { env });
    current = plain;
    const response = await fetch(`${fairlead.url}/`);
    expect(response.status).toBe(502);
    expect(await response.text()).toContain('ERR_BACKEND_TLS');
  });
});

test('afterwards nothing is in flight, and the process is the same', async () => {
  expect(await stage.leftover()).toEqual(NOTHING);
  expect(stage.fairlead.logs().some(({ event }) => event === 'data_thread.died')).toBe(false);
});
