import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import http2 from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { jsonReport, percentile, textReport } from '../../src/cli/try/try-report.ts';
import {
  emptyResult,
  runRequests,
  type TryOptions,
  type TryResult,
} from '../../src/cli/try/try-run.ts';
import { afterTest } from '../support/after-test.ts';
import { Authority } from '../support/authority.ts';
import { makeCertificate } from '../support/certificate.ts';
import { runHere } from '../support/command-here.ts';
import { runFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { answering, okResponse, rawBackend } from '../support/raw-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

function optionsFor(url: string, changes: Partial<TryOptions> = {}): TryOptions {
  return {
    url: new URL(url),
    requests: 20,
    connections: 4,
    method: 'GET',
    headers: new Map(),
    body: undefined,
    timeoutMs: 5_000,
    tls: {},
    isHttp2: false,
    byHeader: undefined,
    ...changes,
  };
}

async function tried(
  options: TryOptions,
  signal = new AbortController().signal,
): Promise<TryResult> {
  const result = emptyResult();
  await runRequests(options, result, signal);
  return result;
}

/** Answers like sample backends called a, b and c in turn. */
function takingTurns(): RequestListener {
  let turn = 0;
  return (_request, response) => {
    const name = ['a', 'b', 'c'][turn++ % 3];
    response.writeHead(200, { 'Content-Type': 'application/json', 'X-Who': `who-${name}` });
    response.end(JSON.stringify({ name }));
  };
}

test('counts who answered, by the name in the echo', async () => {
  const { url } = await httpBackend(takingTurns());
  const result = await tried(optionsFor(url, { requests: 30 }));
  expect(Object.fromEntries(result.backends)).toEqual({ a: 10, b: 10, c: 10 });
  expect(Object.fromEntries(result.statuses)).toEqual({ 200: 30 });
  expect(result).toMatchObject({ completed: 30, failed: 0 });
  expect(result.latenciesMs).toHaveLength(30);
  expect(result.seconds).toBeGreaterThan(0);
});

test('counts who answered, by a header field', async () => {
  const { url } = await httpBackend(takingTurns());
  const result = await tried(optionsFor(url, { requests: 3, byHeader: 'X-WHO' }));
  expect([...result.backends.keys()].toSorted()).toEqual(['who-a', 'who-b', 'who-c']);
});

test('says unknown for an answer without a name', async () => {
  const { url } = await httpBackend((_request, response) => {
    response.writeHead(404, { 'Content-Type': 'application/json' }).end('[1');
  });
  const result = await tried(optionsFor(url));
  expect(Object.fromEntries(result.backends)).toEqual({ unknown: 20 });
  expect(Object.fromEntries(result.statuses)).toEqual({ 404: 20 });
});

test('keeps its connections and opens no more than asked for', async () => {
  const backend = await rawBackend(answering(okResponse()));
  const result = await tried(optionsFor(backend.url, { requests: 40, connections: 3 }));
  expect(result.completed).toBe(40);
  expect(backend.connections).toHaveLength(3);
});

test('sends method, header fields and body as given', async () => {
  const raw = await rawBackend(async (connection) => {
    await connection.readUntil('a=b');
    await connection.write(okResponse());
  });
  const headers = new Map([
    ['host', ['example.org']],
    ['x-a', ['1', '2']],
  ]);
  await tried(optionsFor(raw.url, { requests: 1, method: 'PATCH', headers, body: 'a=b' }));
  expect(raw.received()).toMatch(/^PATCH \/ HTTP\/1\.1\r\n/);
  expect(raw.received().match(/^host: .*$/gim)).toEqual(['host: example.org']);
  expect(raw.received().match(/^x-a: .*$/gim)).toEqual(['x-a: 1', 'x-a: 2']);
  expect(raw.received()).toMatch(/^content-length: 3\r$/im);
});

test('a refused connection is an error with its code', async () => {
  const result = await tried(optionsFor(`http://127.0.0.1:${await freePort()}`));
  expect(Object.fromEntries(result.errors)).toEqual({ ECONNREFUSED: 20 });
  expect(result).toMatchObject({ completed: 0, failed: 20 });
});

test('a truncated response is an error, never a complete one', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.readHead();
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
    connection.end();
  });
  const result = await tried(optionsFor(backend.url, { requests: 2, connections: 1 }));
  expect(result).toMatchObject({ completed: 0, failed: 2 });
});

test.each(['before the head', 'in the body'])(
  'a response that stops %s times out',
  async (where) => {
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
      if (where === 'in the body') {
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      }
    });
    const result = await tried(
      optionsFor(backend.url, { requests: 2, connections: 2, timeoutMs: 100 }),
    );
    expect(Object.fromEntries(result.errors)).toEqual({ TIMEOUT: 2 });
  },
);

test('an interruption ends the run, and what was under way counts neither way', async () => {
  let answered = 0;
  const { url, requests } = await httpBackend((_request, response) => {
    if (answered++ < 5) response.end('ok');
  });
  const interruption = new AbortController();
  const running = tried(optionsFor(url), interruption.signal);
  await waitFor(() => requests.length === 9);
  interruption.abort();
  expect(await running).toMatchObject({ completed: 5, failed: 0 });
});

test('percentiles are nearest ranks', () => {
  const hundred = Array.from({ length: 100 }, (_value, index) => index + 1);
  expect([0.5, 0.9, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 90, 99, 100]);
  expect([0.5, 0.99].map((share) => percentile([7], share))).toEqual([7, 7]);
  expect(percentile([], 0.5)).toBe(0);
});

test('the reports hold every count', () => {
  const options = optionsFor('http://localhost:8080/', { requests: 10 });
  const result = emptyResult();
  Object.assign(result, { completed: 8, failed: 2, seconds: 2, latenciesMs: [4, 1, 2, 3] });
  result.backends.set('backend-10', 2).set('backend-2', 6);
  result.statuses.set(503, 2).set(200, 6);
  result.errors.set('ECONNRESET', 2);
  expect(JSON.parse(jsonReport(options, result))).toEqual({
    url: 'http://localhost:8080/',
    requests: 10,
    concurrency: 4,
    completed: 8,
    failed: 2,
    seconds: 2,
    requests_per_second: 4,
    backends: { 'backend-2': 6, 'backend-10': 2 },
    backends_by: 'answers',
    statuses: { 200: 6, 503: 2 },
    errors: { ECONNRESET: 2 },
    latency_ms: { p50: 2, p90: 4, p99: 4, max: 4 },
  });
  expect(textReport(options, result)).toBe(`10 requests to http://localhost:8080/ over 4 connections
8 complete, 2 failed, 2.00 s, 4 requests/s

Backends
  backend-2          6   75.0 %
  backend-10         2   25.0 %

Status codes
  200         6   75.0 %
  503         2   25.0 %

Errors
  ECONNRESET         2   20.0 %

Latency
  p50  2.00 ms
  p90  4.00 ms
  p99  4.00 ms
  max  4.00 ms
`);
});

test('the command ends with 0 when all is well, whatever the statuses', async () => {
  const { url } = await httpBackend(takingTurns());
  const run = await runFairlead(['try', url, '-n', '6', '-c', '2', '--json']);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(run.stdout)).toMatchObject({ completed: 6, backends: { a: 2, b: 2, c: 2 } });
});

test('the command ends with 1 when a request failed', async () => {
  const run = await runFairlead(['try', `:${await freePort()}`, '-n', '2']);
  expect(run.code).toBe(1);
  expect(run.stdout).toMatch(/ECONNREFUSED +2/);
});

test.each([
  [[], 'Which URL?'],
  [['http://a/', 'http://b/'], 'Unexpected argument "http://b/"'],
  [['ftp://a/'], 'the scheme "ftp"'],
  [['http://'], 'is not a URL'],
  [['http://a/', '-n', '0'], '--requests must be a whole number from 1 to 10000000, not "0"'],
  [['http://a/', '-n', '1e3'], '--requests'],
  [['http://a/', '-c', 'x'], '--concurrency'],
  [['http://a/', '--method', 'G T'], '"G T" is not a method'],
  [['http://a/', '--header', 'no colon'], '--header must be'],
  [['http://a/', '--timeout', '5'], '--timeout'],
  [['http://a/', '--by-header', 'a b'], '"a b" is not a field name'],
  [['http://a/', '--insecur'], 'did you mean "insecure"?'],
])('the command refuses %j', async (args, message) => {
  const run = await runHere(['try', ...args]);
  expect(run).toMatchObject({ code: 2, stdout: '' });
  expect(run.stderr).toContain(message);
});

async function http2Server(
  answer: (stream: http2.ServerHttp2Stream, socket: Socket) => void,
  certificate?: { readonly cert_file: string; readonly key_file: string },
) {
  const server =
    certificate === undefined
      ? http2.createServer()
      : http2.createSecureServer({
          cert: readFileSync(certificate.cert_file),
          key: readFileSync(certificate.key_file),
        });
  let socket = new Socket();
  server.on(certificate === undefined ? 'connection' : 'secureConnection', (one: Socket) => {
    socket = one;
  });
  const sessions = new Map<http2.Http2Session | undefined, Socket>();
  let connections = 0;
  server.on('session', (session) => {
    connections++;
    sessions.set(session, socket);
  });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    answer(stream, sessions.get(stream.session) as Socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    for (const session of sessions.keys()) session?.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const scheme = certificate === undefined ? 'http' : 'https';
  return { url: `${scheme}://127.0.0.1:${port}/x?y`, connections: () => connections };
}

describe('--http2', () => {
  test('asks all over one connection, and counts as otherwise', async () => {
    let turn = 0;
    const { url, connections } = await http2Server((stream) => {
      stream.on('data', () => {});
      stream.respond({ ':status': 200, 'content-type': 'application/json', 'x-who': 'a' });
      stream.end(JSON.stringify({ name: ['a', 'b'][turn++ % 2] }));
    });
    const asked = { isHttp2: true, requests: 30, method: 'POST', body: 'some' };
    const result = await tried(optionsFor(url, asked));
    expect(Object.fromEntries(result.backends)).toEqual({ a: 15, b: 15 });
    expect(result).toMatchObject({ completed: 30, failed: 0 });
    expect(connections()).toBe(1);
    const byHeader = await tried(optionsFor(url, { isHttp2: true, byHeader: 'X-Who' }));
    expect(Object.fromEntries(byHeader.backends)).toEqual({ a: 20 });
    expect(textReport(optionsFor(url, asked), result)).toContain('over one HTTP/2 connection');
  });

  test('over TLS too, and large ones as well as empty ones', async () => {
    let turn = 0;
    const { url } = await http2Server((stream) => {
      if (turn++ % 2 === 0) stream.respond({ ':status': 204 }, { endStream: true });
      else {
        stream.respond({ ':status': 200 });
        stream.end(Buffer.alloc(200_000));
      }
    }, makeCertificate());
    const result = await tried(
      optionsFor(url, { isHttp2: true, tls: { rejectUnauthorized: false } }),
    );
    expect(Object.fromEntries(result.statuses)).toEqual({ 200: 10, 204: 10 });
    const { completed } = await tried(optionsFor(url, { isHttp2: true, requests: 1 }));
    expect(completed).toBe(0);
  });

  // Of the streams of a session that is destroyed, Node's server resets some with NO_ERROR.
  test.each<[string, (stream: http2.ServerHttp2Stream, socket: Socket) => void]>([
    ['its connection', (_stream, socket) => socket.destroy()],
    ['its session', (stream) => stream.session?.destroy()],
  ])('an answer that is cut off with %s is none', async (_, cut) => {
    const { url } = await http2Server((stream, socket) => {
      stream.respond({ ':status': 200 });
      stream.write('part', () => cut(stream, socket));
    });
    const result = await tried(optionsFor(url, { isHttp2: true }));
    expect(result).toMatchObject({ completed: 0, failed: 20 });
  });

  test('nor is one that is late', async () => {
    const late = await http2Server(() => {});
    const waiting = { isHttp2: true, requests: 2, timeoutMs: 50 };
    const { errors } = await tried(optionsFor(late.url, waiting));
    expect(Object.fromEntries(errors)).toEqual({ TIMEOUT: 2 });
  });

  test('of a server of HTTP/1.1, each request and the report say so', async () => {
    const server = await rawBackend(async (connection) => {
      await connection.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
    });
    const options = optionsFor(server.url, { isHttp2: true, requests: 3 });
    const result = await tried(options);
    expect(Object.fromEntries(result.errors)).toEqual({ NO_HTTP2: 3 });
    expect(textReport(options, result)).toContain('The server does not speak HTTP/2 there');
  });

  test('of nobody there, each request says so', async () => {
    const url = `http://127.0.0.1:${await freePort()}/`;
    const { errors } = await tried(optionsFor(url, { isHttp2: true, requests: 3 }));
    expect(Object.fromEntries(errors)).toEqual({ ECONNREFUSED: 3 });
  });
});

/** Wants a certificate of its own authority, and says whose it was. */
async function mutualServer(authority: Authority): Promise<string> {
  const ca = readFileSync(authority.file);
  const options = { ...authority.sign('localhost'), ca, requestCert: true };
  const server = createHttpsServer(options, (request, response) => {
    const { CN } = (request.socket as TLSSocket).getPeerCertificate().subject;
    response.setHeader('X-Who', String(CN)).end();
  });
  server.listen(0, '127.0.0.1');
  afterTest(() => void server.close());
  await once(server, 'listening');
  return `https://localhost:${(server.address() as AddressInfo).port}/`;
}

describe('over TLS, as curl names it', () => {
  test('--cacert, --cert and --key', async () => {
    const authority = new Authority();
    const url = await mutualServer(authority);
    const cwd = temporaryFolder('try');
    const me = authority.sign('me');
    writeFileSync(join(cwd, 'me.crt'), me.cert);
    writeFileSync(join(cwd, 'me.key'), me.key);
    writeFileSync(join(cwd, 'no.key'), 'no key');
    const ask = (...args: readonly string[]) =>
      runHere(['try', url, '-n', '2', '--by-header', 'x-who', '--json', ...args], { cwd });
    const [trust, cert] = [
      ['--cacert', authority.file],
      ['--cert', 'me.crt'],
    ];
    const good = await ask(...trust, ...cert, '--key', 'me.key');
    expect(JSON.parse(good.stdout)).toMatchObject({ completed: 2, backends: { me: 2 } });
    const anonymous = await ask(...trust);
    expect(JSON.parse(anonymous.stdout)).toMatchObject({ completed: 0, failed: 2 });
    const distrusting = await ask(...cert, '--key', 'me.key');
    expect(JSON.parse(distrusting.stdout)).toMatchObject({
      errors: { SELF_SIGNED_CERT_IN_CHAIN: 2 },
    });
    for (const [args, message] of [
      [cert, '--cert and --key go together'],
      [[...cert, '--key', 'no.key'], '--cacert, --cert, --key: '],
      [['--cacert', 'none.crt'], '--cacert: ENOENT'],
    ] as const) {
      const { code, stdout, stderr } = await ask(...args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain(`fairlead try: ${message}`);
    }
  });
});
