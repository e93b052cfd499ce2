/** Clients that speak HTTP/2, as they are: node:http2, curl, h2load and nghttp, over TLS and in the clear. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import { join } from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { runFairlead } from '../support/fairlead.ts';
import { okResponse } from '../support/raw-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { LONG_MS, waitFor, within } from '../support/wait-for.ts';
import { answerOf, ask, type Http2Stage, startHttp2 } from './http2-stage.ts';
import { answer, type Connection, metrics } from './stage.ts';

const run = promisify(execFile);
const { NGHTTP2_NO_ERROR } = http2.constants;

let stage: Http2Stage;
beforeAll(async () => {
  stage = await startHttp2();
});

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A body of this length, and a script that answers with it. */
function bodyOf(length: number, isChunked: boolean) {
  const body = randomBytes(length);
  const head = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`;
  const framed = isChunked
    ? Buffer.concat([
        Buffer.from(`${length.toString(16)}\r\n`),
        body,
        Buffer.from('\r\n0\r\nX-After: all\r\n\r\n'),
      ])
    : body;
  const whole = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`), framed]);
  return { body, script: answer(whole) };
}

/** Answers with the hash of the body that it has got, and with what its head said of it. */
async function hashes(connection: Connection, head: string): Promise<void> {
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  let body: Buffer;
  if (length === undefined) {
    const parts: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt(await connection.readUntil('\r\n'), 16);
      if (size === 0) break;
      parts.push(await connection.readBytes(size));
      await connection.readBytes(2);
    }
    let trailers = '';
    for (let line = ''; line !== '\r\n'; trailers += line)
      line = await connection.readUntil('\r\n');
    body = Buffer.concat(parts);
    await connection.write(okResponse(`${sha(body)} chunked ${trailers.trim()}`));
    return;
  }
  body = await connection.readBytes(Number(length));
  await connection.write(okResponse(`${sha(body)} ${length}`));
}

describe.each([
  ['in the clear', false],
  ['over TLS', true],
])('node:http2 %s', (_, isTls) => {
  test('bodies of all sizes, many at once, are what the backend has sent', async () => {
    const session = stage.session(isTls);
    const asked = [0, 1, 100, 16_383, 16_384, 16_385, 65_535, 300_000, 2_000_000].flatMap(
      (length) =>
        [false, true].map((isChunked) => {
          const path = `/body/${isTls}/${length}/${isChunked}`;
          const { body, script } = bodyOf(length, isChunked && length > 0);
          stage.on(path, script);
          return { path, body, isChunked: isChunked && length > 0 };
        }),
    );
    const answers = await Promise.all(asked.map(({ path }) => ask(session, { ':path': path })));
    expect(answers.map(({ status, body }) => [status, sha(body)])).toEqual(
      asked.map(({ body }) => [200, sha(body)]),
    );
    expect(answers.map(({ trailers }) => trailers['x-after'])).toEqual(
      asked.map(({ isChunked }) => (isChunked ? 'all' : undefined)),
    );
  });

  test('so are uploads, with a length and without', async () => {
    const session = stage.session(isTls);
    const path = `/up/${isTls}`;
    stage.on(path, hashes);
    const asked = [1, 1_000, 20_000, 70_000, 1_500_000].flatMap((length) =>
      [true, false].map((isCounted) => ({ body: randomBytes(length), isCounted })),
    );
    const answers = await Promise.all(
      asked.map(({ body, isCounted }) =>
        ask(
          session,
          {
            ':path': path,
            ':method': 'POST',
            ...(isCounted && { 'content-length': body.length }),
          },
          body,
        ),
      ),
    );
    expect(answers.map(({ body }) => String(body).split(' ')[0])).toEqual(
      asked.map(({ body }) => sha(body)),
    );
    // One without a length that is small gets one.
    expect(String(answers[1]?.body)).toMatch(/ 1$/);
  });

  test('trailers, HEAD, 204, and what is refused', async () => {
    const session = stage.session(isTls);
    const path = `/odd/${isTls}`;
    stage.on(path, hashes);
    const stream = session.request(
      { ':method': 'POST', ':path': path, trailer: 'x-checked' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checked': 'yes' }));
    const big = randomBytes(20_000);
    const { body } = await answerOf(stream, big);
    expect(String(body)).toBe(`${sha(big)} chunked x-checked: yes`);
    stage.on(`${path}/head`, answer('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'));
    const head = await ask(session, { ':method': 'HEAD', ':path': `${path}/head` });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0]);
    stage.on(`${path}/204`, answer('HTTP/1.1 204 No Content\r\n\r\n'));
    expect((await ask(session, { ':path': `${path}/204` })).status).toBe(204);
    const refused = await ask(session, { ':method': 'TRACE', ':path': '/' });
    expect([refused.status, String(refused.body)]).toEqual([
      405,
      expect.stringContaining('ERR_METHOD_REFUSED'),
    ]);
  });
});

test('interim responses pass', async () => {
  const session = stage.session();
  stage.on('/hints', async (connection) => {
    await connection.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n');
    await connection.write(okResponse());
  });
  const stream = session.request({ ':path': '/hints' });
  const hints: unknown[] = [];
  stream.on('headers', (head) => hints.push([head[':status'], head['link']]));
  expect(String((await answerOf(stream)).body)).toBe('ok');
  expect(hints).toEqual([[103, '</a.css>']]);
});

test('a client that waits for 100 gets it from the backend', async () => {
  const session = stage.session();
  stage.on('/continue', async (connection) => {
    await connection.write('HTTP/1.1 100 Continue\r\n\r\n');
    await connection.write(okResponse(String(await connection.readBytes(3))));
  });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/continue',
    expect: '100-continue',
    'content-length': 3,
  });
  await within(once(stream, 'continue'), LONG_MS, 'the 100');
  expect(String((await answerOf(stream, Buffer.from('abc'))).body)).toBe('abc');
});

test('the backend gets one head of HTTP/1.1: names and values as they came, cookies in one field', async () => {
  const session = stage.session(true);
  const heads: string[] = [];
  stage.on('/head?a=%7E', async (connection, head) => {
    heads.push(head);
    await connection.write(
      okResponse('ok', ['Set-Cookie: a=1', 'Set-Cookie: b=2', 'Keep-Alive: 5']),
    );
  });
  const { headers } = await ask(session, {
    ':path': '/head?a=%7E',
    ':authority': 'shop.test:8443',
    cookie: ['a=1', 'b=2'],
    'x-many': ['1', '2'],
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: ['a=1,b=2', 'c=3'],
    te: 'trailers',
  });
  const [line, ...fields] = (heads[0] ?? '').trimEnd().split('\r\n');
  expect(line).toBe('GET /head?a=%7E HTTP/1.1');
  const said = fields.filter((field) => /^(host|cookie|x-many|trace|te|x-f|via|conn)/i.test(field));
  expect(said.map((field) => field.replace(/fairlead.*/, ''))).toEqual([
    'host: shop.test:8443',
    'cookie: a=1; b=2',
    'x-many: 1',
    'x-many: 2',
    'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'tracestate: a=1,b=2',
    'tracestate: c=3',
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 8443',
    'X-Forwarded-Host: shop.test:8443',
    'Via: 2.0 ',
    'TE: trailers',
    'Connection: TE',
  ]);
  expect([headers['set-cookie'], headers['keep-alive'], headers['via']]).toEqual([
    ['a=1', 'b=2'],
    undefined,
    '1.1 fairlead',
  ]);
  const logged = await stage.logged('/head?a=%7E');
  expect([logged['protocol'], logged['host'], logged['status']]).toEqual([
    'HTTP/2.0',
    'shop.test:8443',
    200,
  ]);
});

test('an answer that is complete before its request ends the stream without an error', async () => {
  const limited = await startHttp2({ limits: { body: '1KiB' } });
  const session = limited.session();
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  stream.write(randomBytes(2_000));
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [head] = await within(once(stream, 'response'), LONG_MS, 'the answer');
  await waitFor(() => stream.closed, LONG_MS, 'the end of the stream');
  expect([head[':status'], stream.rstCode]).toEqual([413, NGHTTP2_NO_ERROR]);
  expect(String(Buffer.concat(chunks))).toContain('ERR_BODY_TOO_LARGE');
  expect((await ask(session, { ':path': '/after' })).status).toBe(200);
});

test('an answer that its backend breaks off is reset, and the connection stays', async () => {
  const session = stage.session();
  stage.on('/cut', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    connection.end();
  });
  await expect(ask(session, { ':path': '/cut' })).rejects.toThrow(/NGHTTP2_INTERNAL_ERROR/);
  expect((await ask(session, { ':path': '/whole' })).status).toBe(200);
  expect((await stage.logged('/cut'))['error']).toBe('ERR_BACKEND_TRUNCATED');
});

test('a request that its client calls off is called off at the backend', async () => {
  const session = stage.session();
  stage.on('/called-off', async (connection) => {
    await connection.closed;
    connection.end();
  });
  const stream = session.request({ ':path': '/called-off' });
  const backend = await stage.backend.request('/called-off');
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await within(backend.closed, LONG_MS, 'the end of the backend connection');
  const line = await stage.logged('/called-off');
  expect([line['status'], line['error_detail']]).toEqual([
    499,
    'the client reset the stream (CANCEL)',
  ]);
  expect((await ask(session, { ':path': '/whole' })).status).toBe(200);
});

/** What a listener chooses of these. */
async function chosen(port: number, ALPNProtocols: string[]): Promise<string | false | null> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ALPNProtocols,
  });
  await within(once(socket, 'secureConnect'), LONG_MS, 'the handshake');
  const { alpnProtocol } = socket;
  socket.destroy();
  return alpnProtocol;
}

test('who does not choose HTTP/2 speaks HTTP/1.1, and a listener may not offer it', async () => {
  expect(await chosen(stage.tls, ['h2', 'http/1.1'])).toBe('h2');
  expect(await chosen(stage.tls, ['http/1.1'])).toBe('http/1.1');
  const old = await startHttp2({}, { tls: { http2: false } });
  expect(await chosen(old.tls, ['h2', 'http/1.1'])).toBe('http/1.1');
  const plain = await fetch(`http://127.0.0.1:${stage.h2c}/one`);
  expect(await plain.text()).toBe('ok');
});

describe.runIf(hasTool('curl'))('curl', () => {
  test('--http2-prior-knowledge and --http2 over TLS, with an upload', async () => {
    stage.on('/curl', hashes);
    const file = join(temporaryFolder('curl'), 'body');
    const body = randomBytes(200_000);
    await writeFile(file, body);
    const format = '\n%{http_version} %{http_code}';
    const common = ['-sk', '-m', '15', '-w', format, '--data-binary', `@${file}`];
    for (const more of [
      ['--http2-prior-knowledge', `http://127.0.0.1:${stage.h2c}/curl`],
      ['--http2', `https://127.0.0.1:${stage.tls}/curl`],
    ]) {
      const { stdout } = await run('curl', [...common, ...more]);
      expect(stdout).toBe(`${sha(body)} 200000\n2 200`);
    }
  });
});

describe.runIf(hasTool('h2load'))('h2load and nghttp', () => {
  test.each([
    ['h2c', () => `http://127.0.0.1:${stage.h2c}/load`],
    ['TLS', () => `https://127.0.0.1:${stage.tls}/load`],
  ])('2,000 requests, 16 at once on each of 4 connections: %s', async (_, url) => {
    const { stdout } = await run('h2load', ['-n', '2000', '-c', '4', '-m', '16', url()]);
    expect(stdout).toContain('2000 succeeded, 0 failed, 0 errored, 0 timeout');
    expect(stdout).toContain('2000 2xx');
  });

  test('nghttp sends dependencies, weights and settings of its own', async () => {
    const { stdout } = await run('nghttp', [
      '-nsy',
      '--window-bits=16',
      '--header-table-size=0',
      `https://127.0.0.1:${stage.tls}/nghttp`,
      `https://127.0.0.1:${stage.tls}/nghttp?2`,
    ]);
    expect(stdout.match(/ 200 /g)).toHaveLength(2);
  });
});

test('fairlead try --http2', async () => {
  const url = `http://127.0.0.1:${stage.h2c}/tried`;
  const { code, stdout } = await runFairlead(['try', url, '--http2', '-n', '50', '--json']);
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { completed: 50, statuses: { 200: 50 } }]);
  expect((await stage.logged('/tried', 49))['protocol']).toBe('HTTP/2.0');
});

test('at the end nothing is left, and nobody has broken a rule', async () => {
  const { fairlead } = stage;
  await waitFor(
    async () => (await metrics(fairlead)).get('fairlead_client_connections') === 0,
    LONG_MS,
    'the end of all connections',
  );
  const samples = [...(await metrics(fairlead))];
  expect(samples.filter(([name]) => /ERR_CLIENT_HTTP2|ERR_CLIENT_FLOOD/.test(name))).toEqual(
    samples
      .filter(([name]) => /ERR_CLIENT_HTTP2|ERR_CLIENT_FLOOD/.test(name))
      .map(([name]) => [name, 0]),
  );
  expect((await stage.leftover()).inFlight).toBe(0);
});
