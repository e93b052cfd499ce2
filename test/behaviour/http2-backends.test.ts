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
import type { Fairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { type HttpBackend, httpBackend } from '../support/http-backend.ts';
import {
  bodyOf,
  type Http2Backend,
  type Http2BackendOptions,
  type Http2Handler,
  http2Backend,
} from '../support/http2-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, leftover, metrics, NOTHING, QUIET_HEALTH, startProxy } from './stage.ts';

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

/** One for all tests but those that need another config or two threads: each pool is at the path of its name. */
let fairlead: Fairlead;
/** Where its clients speak HTTP/2. */
let h2cPort = 0;
let behaving: Http2Backend;
let few: Http2Backend;
let unix: Http2Backend;
let none: Http2Backend;
let old: Http2Backend;
let cut: Http2Backend;
let sockets: Http2Backend;
let socketless: Http2Backend;
let unchecked: HttpBackend;
let checked: HttpBackend;

/** What each does with a request, until a test says something else. */
const scripts = new Map<string, Http2Handler>();

function scripted(name: string, options?: Http2BackendOptions): Promise<Http2Backend> {
  scripts.set(name, ok);
  return http2Backend((stream, fields) => scripts.get(name)?.(stream, fields), options);
}

function ok(stream: ServerHttp2Stream): void {
  if (stream.destroyed) return;
  stream.respond({ ':status': 200 });
  stream.end('ok');
}

beforeAll(async () => {
  behaving = await scripted('behaving');
  few = await scripted('few', { settings: { maxConcurrentStreams: 4 } });
  unix = await scripted('unix', { socketPath: join(temporaryFolder('unix'), 'h2.sock') });
  none = await scripted('none', { settings: { maxConcurrentStreams: 0 } });
  old = await scripted('old');
  cut = await scripted('cut');
  sockets = await scripted('sockets', { settings: { enableConnectProtocol: true } });
  socketless = await scripted('socketless');
  unchecked = await httpBackend();
  checked = await httpBackend();
  const { health_check_timeout: timeout } = QUIET_HEALTH;
  const byTcp = { method: 'tcp', frequency: '1h', timeout };
  const pool = ({ url }: { readonly url: string }, more: object = {}): object => ({
    backends: [url],
    protocol: 'h2',
    health_check: byTcp,
    ...more,
  });
  const pools = {
    few: pool(few, { max_connections: 3, queue: { size: 100, timeout: '10s' } }),
    unix: pool(unix, { health_check: { ...byTcp, method: 'http', path: '/ready' } }),
    none: pool(none, { outlier_detection: false }),
    old: pool(old, { timeouts: { backend_max_age: '300ms' } }),
    cut: pool(cut),
    sockets: pool(sockets),
    socketless: pool(socketless),
    unchecked: pool(unchecked, { retries: false }),
    checked: pool(checked, { health_check: { path: '/', timeout } }),
  };
  const routes = Object.keys(pools).map((name) => ({ path: `/${name}`, pool: name }));
  await onFreePorts(1, async ([port = 0]) => {
    fairlead = await startProxy([behaving.url], {
      protocol: 'h2',
      listeners: [{ port, host: '127.0.0.1', h2c: true }],
      pools,
      routes: [...routes, { path: '/', pool: 'default' }],
    });
    h2cPort = port;
  });
  for (const { url } of [few, unix, none, old, cut, sockets, socketless, unchecked]) {
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
    );
  }
});

async function ask(
  text: string,
  options?: { readonly hasBody: boolean },
): Promise<Awaited<ReturnType<RawClient['readResponse']>>> {
  const client = await rawClient(fairlead.port);
  await client.write(text);
  return client.readResponse(options);
}

/** The code of an error that Fairlead answers with, and its status. */
async function refusal(path: string): Promise<readonly [status: number, code: unknown]> {
  const { status, body } = await ask(get(path, ['Accept: application/json']));
  return [status, (JSON.parse(body.toString()) as { code?: unknown }).code];
}

/** What the admin API says of the only backend of a pool. */
async function backendOf(pool: string): Promise<{ id: number; conns: number }> {
  const answer = await fetch(`${fairlead.adminUrl}/pools/${pool}/backends`);
  const [backend] = (await answer.json()) as { id: number; conns: number }[];
  if (backend === undefined) throw new Error(`no backend in ${pool}`);
  return backend;
}

describe('one that behaves', () => {
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

  beforeAll(() => {
    scripts.set('behaving', (stream, fields) => {
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
  });

  test('is said in the access log and in the status to be spoken to in HTTP/2', async () => {
    gate('/logged').open();
    await ask(get('/logged'));
    const line = await waitFor(() =>
      fairlead.accessLines().find((one) => one['path'] === '/logged'),
    );
    expect(line).toMatchObject({ backend: behaving.url, backend_protocol: 'HTTP/2.0' });
    expect(line['protocol']).toBeUndefined();
    const status = await fetch(`${fairlead.adminUrl}/status`);
    expect(await status.json()).toMatchObject({
      client_protocols: ['HTTP/1.1', 'HTTP/2.0'],
      backend_protocol: 'h2',
    });
  });

  test('gets the request as HTTP/2 has it, and its answer goes on', async () => {
    gate('/fields?a=b').open();
    const { status, body, fields } = await ask(
      get('/fields?a=b', [
        'X-Mixed-Case: As It Is ',
        'Cookie: a=b',
        'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        'tracestate: a=1,b=2',
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
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=1,b=2',
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
    const before = behaving.sessions.length;
    const clients = await Promise.all(Array.from({ length: 50 }, () => rawClient(fairlead.port)));
    for (const client of clients) await client.write(get('/held'));
    await waitFor(() => gate('/held').count === 50);
    expect(behaving.sessions.length).toBe(before);
    expect((await backendOf('default')).conns).toBe(50);
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
    const open = [...samples].filter(
      ([name]) => name.startsWith('fairlead_backend_connections') && name.includes(behaving.url),
    );
    expect(open.map(([, value]) => value).toSorted()).toEqual([0, 1]);
  });

  test('keeps a client that does not read from no other', async () => {
    const slow = await rawClient(fairlead.port);
    slow.socket.pause();
    const sent = behaving.requests.filter((one) => one === 'GET /big').length;
    await slow.write(get('/big'));
    await waitFor(() => behaving.requests.filter((one) => one === 'GET /big').length > sent);
    for (let round = 0; round < 3; round++)
      expect(hash((await ask(get('/big'))).body)).toBe(hash(BIG));
    slow.socket.resume();
    expect(hash((await slow.readResponse()).body)).toBe(hash(BIG));
  });

  test('has ended its connection in order, and requests go on over another one', async () => {
    expect((await ask(get('/hints'))).status).toBe(200);
    const last = behaving.sessions.at(-1);
    // Those that are under way end there, and no more of them come.
    const held = await rawClient(fairlead.port);
    await held.write(get('/slow'));
    await waitFor(() => gate('/slow').count === 1);
    last?.close();
    for (let round = 0; round < 5; round++) {
      const { status } = await ask(`${get('/echo', ['Content-Length: 3'], 'POST')}abc`);
      expect(status).toBe(200);
    }
    expect(behaving.sessions.at(-1)).not.toBe(last);
    gate('/slow').open();
    expect((await held.readResponse()).status).toBe(200);
    expect(fairlead.accessLines().filter(({ status }) => Number(status) >= 500)).toEqual([]);
  });
});

test('a backend that takes so many requests at once gets further connections, as many as there may be', async () => {
  const gate = new Gate();
  scripts.set('few', (stream) => gate.pass(() => ok(stream)));
  const clients = await Promise.all(Array.from({ length: 20 }, () => rawClient(fairlead.port)));
  for (const client of clients) await client.write(get('/few'));
  await waitFor(() => gate.count === 12);
  expect(few.sessions.length).toBe(3);
  gate.open();
  for (const client of clients) expect((await client.readResponse()).status).toBe(200);
  expect(few.sessions.length).toBe(3);
  for (const client of clients) client.socket.destroy();
  expect(await leftover(fairlead)).toEqual(NOTHING);
});

test('a backend at a Unix socket is spoken to in HTTP/2, and checked in it', async () => {
  expect(unix.requests).toContain('GET /ready');
  expect((await ask(get('/unix'))).body.toString()).toBe('ok');
  expect(unix.requests).toContain('GET /unix');
});

test('a server of HTTP/1.1 in a pool of HTTP/2 is told from one that is down, and what would help', async () => {
  expect(await refusal('/unchecked')).toEqual([502, 'ERR_BACKEND_NOT_HTTP2']);
  const line = await waitFor(() =>
    fairlead.accessLines().find(({ path }) => path === '/unchecked'),
  );
  expect(line['error_detail']).toMatch(/answers in HTTP\/1\.1.*protocol: http1/);
});

test('a check in HTTP/2 of a server of HTTP/1.1 fails, and says what would help', async () => {
  const line = await fairlead.waitForLog(({ event }) => event === 'backend.down');
  expect(JSON.stringify(line)).toContain(checked.url);
  expect(JSON.stringify(line)).toMatch(/not HTTP\/2.*protocol of its pool is h2/);
});

test('a backend that takes no requests at all is asked for no end of connections', async () => {
  let connections = 0;
  none.server.on('session', () => connections++);
  expect(await refusal('/none')).toEqual([503, 'ERR_BACKEND_REFUSED_STREAM']);
  // That of the request, and perhaps that of the check.
  expect(connections).toBeLessThanOrEqual(2);
});

test('a connection that is too old takes no more requests, and ends behind its last', async () => {
  const gate = new Gate();
  scripts.set('old', (stream, fields) => {
    if (fields[':path'] === '/old/held') gate.pass(() => ok(stream));
    else ok(stream);
  });
  const held = await rawClient(fairlead.port);
  await held.write(get('/old/held'));
  await waitFor(() => gate.count === 1);
  const client = await rawClient(fairlead.port);
  await waitFor(async () => {
    await client.write(get('/old'));
    expect((await client.readResponse()).status).toBe(200);
    return old.sessions.length >= 3;
  });
  expect(old.sessions[0]?.closed).toBe(false);
  gate.open();
  expect((await held.readResponse()).status).toBe(200);
  await waitFor(() => old.sessions[0]?.destroyed === true);
});

test('what is in flight at a backend is cut when an operator says so', async () => {
  const gate = new Gate();
  scripts.set('cut', (stream) => gate.pass(() => ok(stream)));
  const client = await rawClient(fairlead.port);
  await client.write(get('/cut'));
  await waitFor(() => gate.count === 1);
  const { id } = await backendOf('cut');
  const answer = await fetch(`${fairlead.adminUrl}/pools/cut/backends/${id}?drain=0s&cut=true`, {
    method: 'DELETE',
  });
  expect(answer.status).toBeLessThan(300);
  const { status, body } = await client.readResponse();
  expect([status, body.toString()]).toEqual([503, expect.stringContaining('ERR_CUT_BY_DRAIN')]);
});

describe('WebSockets to a backend of HTTP/2', () => {
  test('go over an extended CONNECT where it offers that', async () => {
    const seen: unknown[] = [];
    scripts.set('sockets', (stream, fields) => {
      seen.push([
        fields[':method'],
        fields[':protocol'],
        fields[':path'],
        fields['sec-websocket-key'],
      ]);
      stream.respond({ ':status': 200 });
      stream.on('data', (bytes: Buffer) => stream.write(unmasked(bytes)));
      stream.on('end', () => stream.end());
    });
    const socket = new WebSocket(`ws://127.0.0.1:${fairlead.port}/sockets`);
    afterTest(() => socket.terminate());
    const messages: string[] = [];
    socket.on('message', (data) => messages.push(String(data)));
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    socket.send('hello');
    await waitFor(() => messages.includes('hello'));
    expect(seen).toEqual([['CONNECT', 'websocket', '/sockets', undefined]]);
    socket.terminate();
    expect(await leftover(fairlead)).toEqual(NOTHING);
  });

  test('stay one of HTTP/2 where the client speaks that, too', async () => {
    const seen: unknown[] = [];
    scripts.set('sockets', (stream, fields) => {
      seen.push([fields[':method'], fields[':protocol'], fields['sec-websocket-protocol']]);
      stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' });
      stream.pipe(stream);
    });
    const session = connectHttp2(`http://127.0.0.1:${h2cPort}`);
    session.on('error', () => {});
    afterTest(() => session.destroy());
    await once(session, 'remoteSettings');
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': '/sockets',
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
    expect(seen).toEqual([['CONNECT', 'websocket', 'chat']]);
  });

  test('are answered 501 where it does not', async () => {
    const { status, body } = await ask(
      get('/socketless', [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13',
      ]),
    );
    expect([status, body.toString()]).toEqual([
      501,
      expect.stringContaining('ERR_BACKEND_NO_WEBSOCKET'),
    ]);
    expect(socketless.requests).toEqual([]);
  });
});

test('the protocol of a pool changes with a reload', async () => {
  const former = await httpBackend();
  const changed = await startProxy([former.url], { protocol: 'http1' });
  expect(await (await fetch(changed.url)).text()).toBe('ok');
  const backend = await http2Backend((stream) => {
    stream.respond({ ':status': 200 });
    stream.end('HTTP/2');
  });
  const config = { health_check_method: 'tcp', backends: [backend.url], protocol: 'h2' };
  await writeFile(join(changed.cwd, 'fairlead.config.json'), JSON.stringify(config));
  expect((await fetch(`${changed.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  await changed.waitForLog(({ msg }) => msg?.includes(`${backend.url} is UP`) === true);
  // It is said before every data thread has heard of it.
  await waitFor(async () => (await (await fetch(changed.url)).text()) === 'HTTP/2');
});

test('max_connections leaves each data thread its connection', async () => {
  const backend = await http2Backend();
  const { port } = await startProxy(
    [backend.url],
    { protocol: 'h2', max_connections: 1 },
    { args: [] },
  );
  const clients = await Promise.all(Array.from({ length: 40 }, () => rawClient(port)));
  await Promise.all(clients.map((client) => client.write(get('/'))));
  for (const client of clients) expect((await client.readResponse()).status).toBe(200);
  // One of each: on Node 20 there is one thread.
  expect(backend.sessions.length).toBeLessThanOrEqual(2);
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
