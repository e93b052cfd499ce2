/** Health checks of gRPC, against servers that answer well and badly. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { expect, test } from 'vitest';
import type { ProbeRequest } from '../../src/control/health/check-request.ts';
import { probe } from '../../src/control/health/probe.ts';
import { checkMessage, servingStatus } from '../../src/control/health/probe-grpc.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { httpBackend } from '../support/http-backend.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { LONG_MS } from '../support/wait-for.ts';
import { address, PLAIN_CHECK } from './fixtures.ts';

const HEAD = { ':status': 200, 'content-type': 'application/grpc' };

function framed(...bytes: number[]): Buffer {
  return Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]);
}

async function check(url: string, what: Partial<ProbeRequest> = {}) {
  const asked = { ...PLAIN_CHECK, address: address(url), path: '/health', timeoutMs: LONG_MS };
  return await probe({ ...asked, method: 'grpc', ...what }, new AbortController().signal);
}

function serving(stream: http2.ServerHttp2Stream, status: number, grpcStatus = '0'): void {
  stream.respond(HEAD, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus }));
  stream.end(status === 0 ? framed() : framed(0x08, status));
}

test('a service is asked for, and SERVING is healthy', async () => {
  const asked: unknown[] = [];
  const { url } = await http2Backend((stream, fields) => {
    const { ':method': method, ':path': path, 'content-type': type, te } = fields;
    asked.push(method, path, type, te, fields['x-check']);
    stream.on('data', (body: Buffer) => asked.push(body.toString('latin1')));
    stream.on('end', () => serving(stream, 1));
  });
  const headers = [['X-Check', '1']] as const;
  const result = await check(url, { service: 'shop.v1.Cart', headers });
  expect(result).toMatchObject({ isPassed: true, hasConnected: true, code: undefined });
  expect(result.detail).toMatch(
    /^gRPC check of shop\.v1\.Cart at http:\/\/127\.0\.0\.1:\d+: SERVING after \d+ ms$/,
  );
  expect(asked).toEqual([
    'POST',
    '/grpc.health.v1.Health/Check',
    'application/grpc',
    'trailers',
    '1',
    '\0\0\0\0\x0e\n\x0cshop.v1.Cart',
  ]);
});

test.each([
  [0, 'UNKNOWN'],
  [2, 'NOT_SERVING'],
  [3, 'SERVICE_UNKNOWN'],
  [9, 'a serving status of 9'],
])('a serving status of %i is not healthy: %s', async (status, came) => {
  const { url } = await http2Backend((stream) => serving(stream, status));
  const result = await check(url);
  expect(result).toMatchObject({ isPassed: false, code: 'NOT_SERVING' });
  expect(result.detail).toContain(`: ${came} after `);
});

test.each<[string, (stream: http2.ServerHttp2Stream) => void, string]>([
  [
    'trailers alone',
    (stream) =>
      stream.respond(
        { ...HEAD, 'grpc-status': '12', 'grpc-message': 'unknown service' },
        { endStream: true },
      ),
    'grpc-status 12 UNIMPLEMENTED "unknown service"',
  ],
  ['SERVING, and then a failure', (stream) => serving(stream, 1, '13'), 'grpc-status 13 INTERNAL'],
  [
    'no status at all',
    (stream) => {
      stream.respond(HEAD);
      stream.end(framed(0x08, 1));
    },
    'an answer without a grpc-status',
  ],
  [
    'a status of HTTP',
    (stream) => stream.respond({ ':status': 404 }, { endStream: true }),
    'status 404 of HTTP',
  ],
  [
    'a page',
    (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/html' });
      stream.end('<p>hello</p>');
    },
    'no answer of gRPC',
  ],
  [
    'another message',
    (stream) => {
      stream.respond(HEAD, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(framed(0x0f));
    },
    'a message that is no HealthCheckResponse',
  ],
  [
    'much too much',
    (stream) => {
      stream.respond(HEAD);
      stream.write(Buffer.alloc(64 * 1024));
    },
    'an answer that is too long',
  ],
])('%s is not healthy', async (_what, answer, came) => {
  const { url } = await http2Backend(answer);
  const result = await check(url);
  expect(result.isPassed).toBe(false);
  expect(result.detail).toContain(came);
});

test('a server of HTTP/1.1 is none of gRPC', async () => {
  const { url } = await httpBackend((_request, response) => response.end('ok'));
  expect(await check(url)).toMatchObject({ isPassed: false });
});

test('over TLS it is chosen by ALPN, whatever the protocol of the pool is', async () => {
  const { cert_file, key_file } = makeCertificate();
  const [cert, key] = [readFileSync(cert_file, 'utf8'), readFileSync(key_file, 'utf8')];
  const tls = {
    ca: cert,
    cert: '',
    key: '',
    caFile: cert_file,
    certFile: '',
    keyFile: '',
    facts: null,
    serverName: '',
    verifies: true,
  };
  const good = await http2Backend((stream) => serving(stream, 1), { tls: { cert, key } });
  expect(await check(good.url, { tls, protocol: 'http1' })).toMatchObject({ isPassed: true });

  // It speaks HTTP/1.1 alone, and says so.
  const other = createServer({ cert, key, ALPNProtocols: ['http/1.1'] });
  other.on('tlsClientError', () => {});
  other.listen(0, '127.0.0.1');
  afterTest(() => {
    other.close();
  });
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const result = await check(`https://localhost:${port}`, { tls });
  expect(result).toMatchObject({ isPassed: false, code: 'NOT_GRPC' });
});

test('nor is one that says nothing', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.closed;
    connection.end();
  });
  const result = await check(backend.url, { timeoutMs: 200 });
  expect(result).toMatchObject({ isPassed: false, code: 'TIMEOUT' });
});

test('a long name has a length of two bytes', () => {
  const message = checkMessage('x'.repeat(300));
  expect([...message.subarray(0, 8)]).toEqual([0, 0, 0, 1, 47, 10, 0xac, 0x02]);
  expect(message.length).toBe(5 + 303);
  expect([...checkMessage('')]).toEqual([0, 0, 0, 0, 0]);
});

test.each([
  [framed(), 0],
  [framed(0x08, 1), 1],
  // Fields that are not known today: a number, a text, 64 and 32 bits.
  [framed(0x10, 0x96, 0x01, 0x1a, 2, 97, 98, 0x08, 1), 1],
  [framed(0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4, 0x08, 2), 2],
  // The last one counts; so does what is longer than it has to be.
  [framed(0x08, 2, 0x08, 0x81, 0x80, 0x00), 1],
  [framed(0x08), undefined],
  [framed(0x08, 0x80), undefined],
  [framed(0x1a, 9, 97), undefined],
  [framed(0x0b), undefined],
  [Buffer.from([0, 0, 0, 0, 2, 0x08]), undefined],
  [Buffer.from([1, 0, 0, 0, 2, 0x08, 1]), undefined],
  [Buffer.from([0, 0]), undefined],
])('%j says the serving status %j', (body, status) => {
  expect(servingStatus(body)).toBe(status);
});
