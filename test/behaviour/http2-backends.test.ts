/** Backends that are spoken to in HTTP/2 by prior knowledge: what passes, over how many connections, and how they end. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import {
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { afterTest } from '../support/after-test.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { bodyOf, type Http2Backend, http2Backend } from '../support/http2-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, leftover, metrics, NOTHING, startProxy } from './stage.ts';

const BIG = Buffer.alloc(3_000_000, 'HTTP/2 to the backend. ');

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Those that a test holds back until it lets them go. */
class Gate {
  #held: (() => void)[] = [];
  #isOpen = false;

  pass(step: () => void): void {
    if (this.#isOpen) step();
    else this.#held.push(step);
  }

  get count(): number {
    return this.#held.length;
  }

  open(): void {
    this.#isOpen = true;
    for (const step of this.#held.splice(0)) step();
  }
}

describe('one that behaves', () => {
  let backend: Http2Backend;
  let fairlead: Fairlead;
  const gates = new Map<string, Gate>();
  const closed: string[] = [];
  const resets: (readonly [path: string, code: number])[] = [];

  function gate(path: string): Gate {
    const known = gates.get(path) ?? new Gate();
    gates.set(path, known);
    return known;
  }

  const answers: Record<string, (stream: ServerHttp2Stream) => void> = {
    '/echo': (stream) => {
      void (async () => {
        const body = await bodyOf(stream);
        stream.respond({ ':status': 200, 'content-type': 'text/plain' });
        stream.end(hash(body));
      })();
    },
    '/big': (stream) => {
      stream.respond({ ':status': 200, 'content-length': String(BIG.length) });
      stream.end(BIG);
    },
    '/big-without-length': (stream) => {
      stream.respond({ ':status': 200 });
      stream.end(BIG);
    },
    '/trailers': (stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42', 'x-sum-2': 'b' }));
      stream.end('with trailers');
    },
    '/trailers-of-the-request': (stream) => {
      let trailers: unknown = null;
      stream.on('trailers', (fields) => {
        trailers = { ...fields };
      });
      void (async () => {
        const body = await bodyOf(stream);
        stream.respond({ ':status': 200 });
        stream.end(JSON.stringify({ body: body.toString(), trailers }));
      })();
    },
    '/hints': (stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' });
      stream.respond({ ':status': 200 });
      stream.end('after hints');
    },
    '/no-content': (stream) => stream.respond({ ':status': 204 }, { endStream: true }),
    '/not-modified': (stream) =>
      stream.respond({ ':status': 304, etag: '"1"' }, { endStream: true }),
    '/early': (stream) => {
      stream.respond({ ':status': 413 });
      stream.end('too much');
    },
  };

  beforeAll(async () => {
    backend = await http2Backend((stream, fields) => {
      const path = String(fields[':path']);
      stream.on('close', () => {
        closed.push(path);
        if (stream.rstCode !== 0) resets.push([path, stream.rstCode]);
      });
      const answer = answers[path.split('?')[0] as string];
      if (answer !== undefined) answer(stream);
      else {
        gate(path).pass(() => {
          if (stream.destroyed) return;
          stream.respond({ ':status': 200, 'set-cookie': ['a=1', 'b=2'] });
          stream.end(JSON.stringify(fields));
        });
      }
    });
    fairlead = await startProxy([backend.url], { protocol: 'h2' });
  });

  async function ask(
    text: string,
    options?: { readonly hasBody: boolean },
  ): Promise<Awaited<ReturnType<RawClient['readResponse']>>> {
    const client = await rawClient(fairlead.port);
    await client.write(text);
    return client.readResponse(options);
  }

  test('gets the request as HTTP/2 has it, and its answer goes on', async () => {
    gate('/fields?a=b').open();
    const { status, body, fields } = await ask(
      get('/fields?a=b', [
        'X-Mixed-Case: As It Is ',
        'Cookie: a=b',
        'Keep-Alive: 5',
        'TE: trailers',
      ]),
    );
    expect(status).toBe(200);
    expect(fields.get('set-cookie')).toEqual(['a=1', 'b=2']);
    const seen = JSON.parse(body.toString()) as Record<string, string>;
    expect(seen).toMatchObject({
      ':method': 'GET',
      ':path': '/fields?a=b',
      ':scheme': 'http',
      ':authority': 'test',
      'x-mixed-case': 'As It Is',
      cookie: 'a=b',
      te: 'trailers',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': 'test',
    });
    expect(seen['x-request-id']).toMatch(/./);
    for (const name of ['host', 'connection', 'keep-alive', 'transfer-encoding']) {
      expect(seen).not.toHaveProperty([name]);
    }
  });

  test.each([
    ['with a length', (body: Buffer) => [`Content-Length: ${body.length}`, body] as const],
    [
      'in chunks',
      (body: Buffer) =>
        [
          'Transfer-Encoding: chunked',
          Buffer.concat([
            Buffer.from(`${body.length.toString(16)}\r\n`),
            body,
            Buffer.from('\r\n0\r\n\r\n'),
          ]),
        ] as const,
    ],
  ])('gets a body of 3 MB, %s, and one of none', async (_how, framed) => {
    for (const body of [BIG, Buffer.from('small'), Buffer.alloc(0)]) {
      const [line, bytes] = framed(body);
      if (line.startsWith('Transfer') && body.length === 0) continue;
      const client = await rawClient(fairlead.port);
      const [, response] = await Promise.all([
        client.write(Buffer.concat([Buffer.from(get('/echo', [line], 'POST')), bytes])),
        client.readResponse(),
      ]);
      expect([response.status, response.body.toString()]).toEqual([200, hash(body)]);
    }
  });

  test.each(['/big', '/big-without-length'])('sends a body of 3 MB: %s', async (path) => {
    const { body } = await ask(get(path));
    expect(hash(body)).toBe(hash(BIG));
  });

  test('answers a HEAD, and with statuses that have no body', async () => {
    const head = await ask(get('/big', [], 'HEAD'), { hasBody: false });
    expect([head.status, head.fields.get('content-length')]).toEqual([200, [String(BIG.length)]]);
    expect((await ask(get('/no-content'))).status).toBe(204);
    expect((await ask(get('/not-modified'))).fields.get('etag')).toEqual(['"1"']);
  });

  test('sends trailers, and gets them', async () => {
    const client = await rawClient(fairlead.port);
    await client.write(get('/trailers', ['TE: trailers']));
    expect(await client.readUntil('\r\n\r\n')).toContain('Transfer-Encoding: chunked');
    expect(await client.readUntil('0\r\nx-sum: 42\r\nx-sum-2: b\r\n\r\n')).toContain(
      'with trailers',
    );
    const { body } = await ask(
      `${get('/trailers-of-the-request', ['Transfer-Encoding: chunked'], 'POST')}3\r\nabc\r\n0\r\nX-Check: 1\r\nContent-Length: 3\r\n\r\n`,
    );
    expect(JSON.parse(body.toString())).toEqual({ body: 'abc', trailers: { 'x-check': '1' } });
  });

  test('sends interim responses', async () => {
    const client = await rawClient(fairlead.port);
    await client.write(get('/hints'));
    expect(await client.readUntil('\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 103 .*\r\nlink: <\/a\.css>; rel=preload\r\n/s,
    );
    expect((await client.readResponse()).body.toString()).toBe('after hints');
  });

  test('may answer before it has all of the request', async () => {
    const client = await rawClient(fairlead.port);
    await client.write(`${get('/early', ['Content-Length: 1000000'], 'POST')}the first of it`);
    const { status, body } = await client.readResponse();
    expect([status, body.toString()]).toEqual([413, 'too much']);
    // The rest is called off there, and everybody else is served on.
    await waitFor(() => closed.includes('/early'));
    expect((await ask(get('/hints'))).status).toBe(200);
  });

  test('carries fifty requests at once on one connection, and is told of each that leaves', async () => {
    const before = backend.sessions.length;
    const clients = await Promise.all(Array.from({ length: 50 }, () => rawClient(fairlead.port)));
    for (const client of clients) await client.write(get('/held'));
    await waitFor(() => gate('/held').count === 50);
    expect(backend.sessions.length).toBe(before);
    const status = (await (await fetch(`${fairlead.adminUrl}/status`)).json()) as {
      backends: { conns: number }[];
    };
    expect(status.backends[0]?.conns).toBe(50);
    for (const client of clients.slice(0, 10)) client.reset();
    // 8 is CANCEL.
    await waitFor(
      () => resets.filter(([path, code]) => path === '/held' && code === 8).length === 10,
    );
    gate('/held').open();
    for (const client of clients.slice(10)) expect((await client.readResponse()).status).toBe(200);
    for (const client of clients) client.socket.destroy();
    expect(await leftover(fairlead)).toEqual(NOTHING);
    const samples = await metrics(fairlead);
    const open = [...samples].filter(([name]) => name.startsWith('fairlead_backend_connections'));
    expect(open.map(([, value]) => value).toSorted()).toEqual([0, 1]);
  });

  test('keeps a client that does not read from no other', async () => {
    const slow = await rawClient(fairlead.port);
    slow.socket.pause();
    const sent = backend.requests.filter((one) => one === 'GET /big').length;
    await slow.write(get('/big'));
    await waitFor(() => backend.requests.filter((one) => one === 'GET /big').length > sent);
    for (let round = 0; round < 3; round++)
      expect(hash((await ask(get('/big'))).body)).toBe(hash(BIG));
    slow.socket.resume();
    expect(hash((await slow.readResponse()).body)).toBe(hash(BIG));
  });

  test('has ended its connection in order, and requests go on over another one', async () => {
    expect((await ask(get('/hints'))).status).toBe(200);
    const last = backend.sessions.at(-1);
    // Those that are under way end there, and no more of them come.
    const held = await rawClient(fairlead.port);
    await held.write(get('/slow'));
    await waitFor(() => gate('/slow').count === 1);
    last?.close();
    for (let round = 0; round < 5; round++) {
      const { status } = await ask(`${get('/echo', ['Content-Length: 3'], 'POST')}abc`);
      expect(status).toBe(200);
    }
    expect(backend.sessions.at(-1)).not.toBe(last);
    gate('/slow').open();
    expect((await held.readResponse()).status).toBe(200);
    expect(fairlead.accessLines().filter(({ status }) => Number(status) >= 500)).toEqual([]);
  });
});

test('a backend that takes so many requests at once gets further connections, as many as there may be', async () => {
  const gate = new Gate();
  const backend = await http2Backend(
    (stream) => {
      gate.pass(() => {
        stream.respond({ ':status': 200 });
        stream.end('ok');
      });
    },
    { settings: { maxConcurrentStreams: 4 } },
  );
  const fairlead = await startProxy([backend.url], {
    protocol: 'h2',
    max_connections: 3,
    queue: { size: 100, timeout: '10s' },
  });
  const clients = await Promise.all(Array.from({ length: 20 }, () => rawClient(fairlead.port)));
  for (const client of clients) await client.write(get('/'));
  await waitFor(() => gate.count === 12);
  expect(backend.sessions.length).toBe(3);
  gate.open();
  for (const client of clients) expect((await client.readResponse()).status).toBe(200);
  expect(backend.sessions.length).toBe(3);
  for (const client of clients) client.socket.destroy();
  expect(await leftover(fairlead)).toEqual(NOTHING);
});

test('a backend at a Unix socket is spoken to in HTTP/2, and checked in it', async () => {
  const socketPath = join(temporaryFolder('unix'), 'h2.sock');
  const backend = await http2Backend(undefined, { socketPath });
  const fairlead = await startProxy([backend.url], {
    protocol: 'h2',
    health_check_method: 'http',
    health_check_path: '/ready',
  });
  expect(backend.requests).toContain('GET /ready');
  expect(await (await fetch(fairlead.url)).text()).toBe('ok');
  expect(backend.requests).toContain('GET /');
});

test('a server of HTTP/1.1 in a pool of HTTP/2 is told from one that is down, and what would help', async () => {
  const backend = await httpBackend();
  const fairlead = await startProxy([backend.url], { protocol: 'h2', retries: false });
  const response = await fetch(fairlead.url, { headers: { accept: 'application/json' } });
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({ code: 'ERR_BACKEND_NOT_HTTP2', source: 'backend' });
  const line = await waitFor(() => fairlead.accessLines()[0]);
  expect(line['error_detail']).toMatch(/answers in HTTP\/1\.1.*protocol: http1/);
});

test('a check in HTTP/2 of a server of HTTP/1.1 fails, and says what would help', async () => {
  const backend = await httpBackend();
  const fairlead = await startFairlead({
    config: { backends: [backend.url], protocol: 'h2', health_check_path: '/', state_file: false },
  });
  const line = await fairlead.waitForLog(({ event }) => event === 'backend.down');
  expect(JSON.stringify(line)).toMatch(/not HTTP\/2.*protocol of its pool is h2/);
});

test('the protocol of a pool changes with a reload, and no request fails', async () => {
  const old = await httpBackend();
  const fairlead = await startProxy([old.url], { protocol: 'http1' });
  expect(await (await fetch(fairlead.url)).text()).toBe('ok');
  const backend = await http2Backend((stream) => {
    stream.respond({ ':status': 200 });
    stream.end('HTTP/2');
  });
  const config = { health_check_method: 'tcp', backends: [backend.url], protocol: 'h2' };
  await writeFile(join(fairlead.cwd, 'fairlead.config.json'), JSON.stringify(config));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  await fairlead.waitForLog(({ msg }) => msg?.includes(`${backend.url} is UP`) === true);
  expect(await (await fetch(fairlead.url)).text()).toBe('HTTP/2');
});

test('a backend that takes no requests at all is asked for no end of connections', async () => {
  const backend = await http2Backend(undefined, { settings: { maxConcurrentStreams: 0 } });
  let connections = 0;
  backend.server.on('session', () => connections++);
  const fairlead = await startProxy([backend.url], { protocol: 'h2', outlier_detection: false });
  const response = await fetch(fairlead.url, { headers: { accept: 'application/json' } });
  expect([response.status, await response.json()]).toEqual([
    503,
    expect.objectContaining({ code: 'ERR_BACKEND_REFUSED_STREAM' }),
  ]);
  // That of the check, and that of the request.
  expect(connections).toBeLessThanOrEqual(2);
});

test('max_connections leaves each data thread its connection', async () => {
  const backend = await http2Backend();
  const fairlead = await startProxy(
    [backend.url],
    { protocol: 'h2', max_connections: 1 },
    { args: [] },
  );
  const clients = await Promise.all(Array.from({ length: 40 }, () => rawClient(fairlead.port)));
  await Promise.all(clients.map((client) => client.write(get('/'))));
  for (const client of clients) expect((await client.readResponse()).status).toBe(200);
  // One of each: on Node 20 there is one thread.
  expect(backend.sessions.length).toBeLessThanOrEqual(2);
});

test('a connection that is too old takes no more requests, and ends behind its last', async () => {
  const gate = new Gate();
  const backend = await http2Backend((stream, fields) => {
    const answer = (): void => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    };
    if (fields[':path'] === '/held') gate.pass(answer);
    else answer();
  });
  const fairlead = await startProxy([backend.url], {
    protocol: 'h2',
    timeouts: { backend_max_age: '300ms' },
  });
  const held = await rawClient(fairlead.port);
  await held.write(get('/held'));
  await waitFor(() => gate.count === 1);
  await waitFor(async () => {
    expect((await fetch(fairlead.url)).status).toBe(200);
    return backend.sessions.length >= 3;
  });
  expect(backend.sessions[0]?.closed).toBe(false);
  gate.open();
  expect((await held.readResponse()).status).toBe(200);
  await waitFor(() => backend.sessions[0]?.destroyed === true);
});

test('what is in flight at a backend is cut when an operator says so, and its connection serves on', async () => {
  const gate = new Gate();
  const backend = await http2Backend((stream) => {
    gate.pass(() => {
      if (stream.destroyed) return;
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
  });
  const fairlead = await startProxy([backend.url], { protocol: 'h2' });
  const client = await rawClient(fairlead.port);
  await client.write(get('/'));
  await waitFor(() => gate.count === 1);
  const answer = await fetch(`${fairlead.adminUrl}/backends/0?drain=0s&cut=true`, {
    method: 'DELETE',
  });
  expect(answer.status).toBeLessThan(300);
  const { status, body } = await client.readResponse();
  expect([status, body.toString()]).toEqual([503, expect.stringContaining('ERR_CUT_BY_DRAIN')]);
});

describe('WebSockets to a backend of HTTP/2', () => {
  test('go over an extended CONNECT where it offers that', async () => {
    const seen: unknown[] = [];
    const backend = await http2Backend(
      (stream, fields) => {
        seen.push([
          fields[':method'],
          fields[':protocol'],
          fields[':path'],
          fields['sec-websocket-key'],
        ]);
        stream.respond({ ':status': 200 });
        stream.on('data', (bytes: Buffer) => stream.write(unmasked(bytes)));
        stream.on('end', () => stream.end());
      },
      { settings: { enableConnectProtocol: true } },
    );
    const fairlead = await startProxy([backend.url], { protocol: 'h2' });
    const socket = new WebSocket(`ws://127.0.0.1:${fairlead.port}/chat`);
    afterTest(() => socket.terminate());
    const messages: string[] = [];
    socket.on('message', (data) => messages.push(String(data)));
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    socket.send('hello');
    await waitFor(() => messages.includes('hello'));
    expect(seen).toEqual([['CONNECT', 'websocket', '/chat', undefined]]);
    socket.terminate();
    expect(await leftover(fairlead)).toEqual(NOTHING);
  });

  test('stay one of HTTP/2 where the client speaks that, too', async () => {
    const seen: unknown[] = [];
    const backend = await http2Backend(
      (stream, fields) => {
        seen.push([fields[':method'], fields[':protocol'], fields['sec-websocket-protocol']]);
        stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' });
        stream.pipe(stream);
      },
      { settings: { enableConnectProtocol: true } },
    );
    await onFreePorts(1, async ([port = 0]) => {
      await startProxy([backend.url], {
        protocol: 'h2',
        listeners: [{ port, host: '127.0.0.1', h2c: true }],
      });
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      session.on('error', () => {});
      afterTest(() => session.destroy());
      await once(session, 'remoteSettings');
      const stream = session.request(
        {
          ':method': 'CONNECT',
          ':protocol': 'websocket',
          ':path': '/chat',
          'sec-websocket-version': '13',
          'sec-websocket-protocol': 'chat',
        },
        { endStream: false },
      );
      const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders];
      expect(fields).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'chat' });
      expect(fields).not.toHaveProperty('sec-websocket-accept');
      for (const text of ['one', 'two', 'x'.repeat(300_000)]) {
        let got = '';
        const isAll = new Promise<void>((resolve) => {
          stream.on('data', (bytes: Buffer) => {
            got += bytes.toString();
            if (got.length >= text.length) resolve();
          });
        });
        stream.write(text);
        await isAll;
        stream.removeAllListeners('data');
        expect(got === text).toBe(true);
      }
      // An end of one side is one of the other, and the answer to it comes back.
      stream.resume().end();
      await once(stream, 'end');
    });
    expect(seen).toEqual([['CONNECT', 'websocket', 'chat']]);
  });

  test('are answered 501 where it does not', async () => {
    const backend = await http2Backend();
    const fairlead = await startProxy([backend.url], { protocol: 'h2' });
    const client = await rawClient(fairlead.port);
    await client.write(
      get('/', [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13',
      ]),
    );
    const { status, body } = await client.readResponse();
    expect([status, body.toString()]).toEqual([
      501,
      expect.stringContaining('ERR_BACKEND_NO_WEBSOCKET'),
    ]);
    expect(backend.requests).toEqual([]);
  });
});

/** A short text frame of a client, as a server would send it back. */
function unmasked(bytes: Buffer): Buffer {
  const length = (bytes[1] as number) & 0x7f;
  const mask = bytes.subarray(2, 6);
  const payload = bytes
    .subarray(6, 6 + length)
    .map((byte, index) => byte ^ (mask[index % 4] as number));
  return Buffer.concat([Buffer.from([bytes[0] as number, length]), payload]);
}
