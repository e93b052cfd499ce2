/** curl, nghttp and h2load, in the clear and over TLS, to backends of both versions. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type http2 from 'node:http2';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { httpBackend } from '../../support/http-backend.ts';
import { http2Backend } from '../../support/http2-backend.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { hasTool } from '../../support/tools.ts';
import { type Front, startFront, untilNothingIsLeft } from '../front.ts';

const UPLOAD = randomBytes(300_000);
const LENGTHS = [0, 1, 1_000, 16_384, 65_536];

function body(length: number): Buffer {
  return Buffer.alloc(length, `${length} bytes `);
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** `/POOL/LENGTH` has as many bytes; `/POOL/trailers` has some; `/POOL/digest` says what has come. */
function serve(
  request: IncomingMessage | http2.Http2ServerRequest,
  response: ServerResponse | http2.Http2ServerResponse,
): void {
  const name = request.url?.split('/').at(-1) ?? '';
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    if (name === 'digest') {
      const { 'x-sum': sum = 'none' } = request.trailers;
      const { 'content-length': length = 'none' } = request.headers;
      response.end(`${request.method} ${sha(Buffer.concat(parts))} ${length} ${sum}`);
    } else if (name === 'trailers') {
      response.setHeader('Trailer', 'X-Behind');
      response.addTrailers({ 'X-Behind': 'yes' });
      response.end('before');
    } else {
      const bytes = body(Number(name));
      response.setHeader('Content-Length', bytes.length);
      response.end(bytes);
    }
  });
}

let front: Front;
let folder: string;
let upload: string;

beforeAll(async () => {
  folder = temporaryFolder('clients');
  upload = join(folder, 'upload');
  writeFileSync(upload, UPLOAD);
  const one = await httpBackend(serve);
  const two = await http2Backend(() => {});
  two.server.on('request', serve);
  front = await startFront({
    one: { backends: [one.url] },
    two: { protocol: 'h2', backends: [two.url] },
  });
});

async function run(program: string, args: readonly string[], input?: Buffer): Promise<Buffer> {
  const running = promisify(execFile)(program, args, {
    encoding: 'buffer',
    maxBuffer: 2 ** 26,
    timeout: 50_000,
  });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

function urlOf(isTls: boolean, pool: string, name: string | number): string {
  const origin = isTls ? `https://127.0.0.1:${front.tls}` : `http://127.0.0.1:${front.h2c}`;
  return `${origin}/${pool}/${name}`;
}

async function curl(isTls: boolean, args: readonly string[], input?: Buffer): Promise<string> {
  const version = isTls ? '--http2' : '--http2-prior-knowledge';
  return String(await run('curl', ['-sSk', '-m', '45', version, ...args], input));
}

describe.each([
  ['in the clear, backend of HTTP/1.1', false, 'one'],
  ['in the clear, backend of HTTP/2', false, 'two'],
  ['over TLS, backend of HTTP/1.1', true, 'one'],
  ['over TLS, backend of HTTP/2', true, 'two'],
])('%s', (_name, isTls, pool) => {
  function url(name: string | number): string {
    return urlOf(isTls, pool, name);
  }

  describe.runIf(hasTool('curl'))('curl', () => {
    test('uploads: a file, and what comes from a pipe', async () => {
      const put = await curl(isTls, ['-T', upload, url('digest')]);
      expect(put).toBe(`PUT ${sha(UPLOAD)} ${UPLOAD.length} none`);
      const piped = await curl(isTls, ['-T', '-', url('digest')], UPLOAD);
      expect(piped).toBe(`PUT ${sha(UPLOAD)} none none`);
    });

    test('HEAD, trailers, and an empty body', async () => {
      const head = await curl(isTls, ['-I', url(65_536)]);
      expect(head).toMatch(/^HTTP\/2 200 \r\n/);
      expect(head).toContain('content-length: 65536\r\n');
      expect(await curl(isTls, ['-D', '-', url('trailers')])).toMatch(
        /^HTTP\/2 200 \r\n(.+\r\n)+\r\nbefore(.*\r\n)?x-behind: yes\r\n/,
      );
      expect(await curl(isTls, ['-w', '%{http_code} %{size_download}', url(0)])).toBe('200 0');
    });
  });

  describe.runIf(hasTool('h2load'))('nghttp and h2load', () => {
    test.each([4, 10, 16])('nghttp with windows of 2^%i - 1 bytes', async (bits) => {
      const length = bits === 4 ? 3_000 : 200_000;
      const windows = ['-w', String(bits), '-W', '16'];
      const got = await run('nghttp', [...windows, url(length)]);
      expect([got.length, sha(got)]).toEqual([length, sha(body(length))]);
    });

    test('nghttp: many at once, and a table of no length', async () => {
      const urls = LENGTHS.map(url);
      const told = String(
        await run('nghttp', ['-nsy', '-m', '10', '-c', '0', '--no-dep', ...urls]),
      );
      expect(told.match(/ 200 /g)).toHaveLength(urls.length * 10);
    });

    test('nghttp: an upload with trailers, which waits to be asked for it', async () => {
      const options = ['-d', upload, '--no-content-length', '--trailer', 'x-sum: 7'];
      const told = String(await run('nghttp', [...options, '--expect-continue', url('digest')]));
      expect(told).toBe(`POST ${sha(UPLOAD)} none 7`);
    });

    test('h2load: 1,000 requests for all lengths, 32 at once on each of 4 connections', async () => {
      const urls = LENGTHS.map(url);
      const told = String(await run('h2load', ['-n', '1000', '-c', '4', '-m', '32', ...urls]));
      expect(told).toContain('1000 succeeded, 0 failed, 0 errored, 0 timeout');
      expect(told).toContain('1000 2xx, 0 3xx, 0 4xx, 0 5xx');
    });

    test('h2load: 60 uploads, with small windows of its own', async () => {
      const options = ['-n', '60', '-c', '4', '-m', '10', '-w', '10', '-d', upload];
      const told = String(await run('h2load', [...options, url('digest')]));
      expect(told).toContain('60 succeeded, 0 failed, 0 errored, 0 timeout');
      expect(told).toContain('60 2xx, 0 3xx, 0 4xx, 0 5xx');
    });
  });
});

// In the clear, curl 7.88 can't use a connection again: to node:http2 it can't either.
describe.runIf(hasTool('curl')).each(['one', 'two'])(
  'curl that keeps its connection: pool %s',
  (pool) => {
    test('60 downloads at once over one connection', async () => {
      const lengths = Array.from({ length: 60 }, (_, index) => LENGTHS[index % 5] ?? 0);
      const files = lengths.map((_, index) => join(folder, `${pool}-${index}`));
      const each = lengths.flatMap((length, index) => [
        '-o',
        files[index] ?? '',
        urlOf(true, pool, length),
      ]);
      const format = '%{http_version} %{http_code} %{num_connects}\n';
      const told = await curl(true, ['-Z', '--parallel-max', '60', '-w', format, ...each]);
      const lines = told.trimEnd().split('\n');
      expect(lines.map((line) => line.slice(0, 5))).toEqual(Array(60).fill('2 200'));
      expect(lines.filter((line) => line.endsWith(' 1'))).toHaveLength(1);
      expect(files.map((file) => sha(readFileSync(file)))).toEqual(
        lengths.map((length) => sha(body(length))),
      );
    });

    test('uploads, one after the other', async () => {
      const url = urlOf(true, pool, 'digest');
      const post = ['--data-binary', `@${upload}`, '-w', ' %{num_connects}\n'];
      const said = `POST ${sha(UPLOAD)} ${UPLOAD.length} none`;
      expect(await curl(true, [...post, url, url])).toBe(`${said} 1\n${said} 0\n`);
    });
  },
);

describe.runIf(hasTool('curl'))('curl that may choose', () => {
  const format = ['-sSk', '-o', '/dev/null', '-w', '%{http_version} %{http_code}'];

  test('stays at HTTP/1.1 where it asks for an upgrade to h2c', async () => {
    const told = await run('curl', [...format, '--http2', `http://127.0.0.1:${front.h2c}/one/1`]);
    expect(String(told)).toBe('1.1 200');
  });

  test('takes HTTP/2 over TLS, unless it or the listener does not want it', async () => {
    const url = `https://127.0.0.1:${front.tls}/one/1`;
    expect(String(await run('curl', [...format, url]))).toBe('2 200');
    expect(String(await run('curl', [...format, '--http1.1', url]))).toBe('1.1 200');
    const old = `https://127.0.0.1:${front.tls1}/one/1`;
    expect(String(await run('curl', [...format, '--http2', old]))).toBe('1.1 200');
  });
});

test('at the end nothing is left, and nobody has broken a rule', async () => {
  expect(await untilNothingIsLeft(front)).toEqual([]);
});
