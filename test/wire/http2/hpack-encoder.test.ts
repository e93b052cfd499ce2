import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadLines } from '../../../src/data/wire/http2/head-lines.ts';
import {
  blockBytes,
  HpackEncoder,
  type RequestPseudo,
} from '../../../src/data/wire/http2/hpack-encoder.ts';
import { requestHead, responseHead, trailerSection } from '../arbitrary.ts';
import { decode, decoder, hex, tableOf } from './blocks.ts';

const PSEUDO: RequestPseudo = { scheme: 'https', authority: 'a.example', protocol: '' };

/** Without a byte more room than is asked for, and none written behind it. */
function within(room: number, write: (out: Buffer, at: number) => number): Buffer {
  const out = Buffer.alloc(room + 16, 0xa5);
  const end = write(out, 3);
  expect(end).toBeLessThanOrEqual(3 + room);
  expect(out.readUInt32LE(end)).toBe(0xa5a5a5a5);
  return Buffer.from(out.subarray(3, end));
}

function response(of: HpackEncoder, head: string): Buffer {
  return within(blockBytes(head), (out, at) => of.encodeResponse(out, at, head));
}

function request(of: HpackEncoder, head: string, pseudo = PSEUDO): Buffer {
  return within(blockBytes(head) + pseudo.authority.length, (out, at) =>
    of.encodeRequest(out, at, head, pseudo),
  );
}

function trailers(of: HpackEncoder, lines: string): Buffer {
  return within(blockBytes(lines), (out, at) => of.encodeTrailers(out, at, lines));
}

function fieldsOf(block: Buffer): string[] {
  return decode(decoder(), block).fields;
}

const encoder = (lines = new HeadLines()) => new HpackEncoder(lines);

describe('a response', () => {
  test('is what its lines say, in lower case', () => {
    const head =
      'HTTP/1.1 200 OK\r\nServer: a\r\nX-Empty:\r\nX-Space: \t b c \t\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n';
    expect(fieldsOf(response(encoder(), head))).toEqual([
      ':status: 200',
      'server: a',
      'x-empty: ',
      'x-space: b c',
      'set-cookie: a=1',
      'set-cookie: b=2',
    ]);
  });

  test('ends with the blank line, or with the text', () => {
    const of = encoder();
    expect(fieldsOf(response(of, 'HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nC: d\r\n'))).toEqual([
      ':status: 404',
      'a: b',
    ]);
    expect(fieldsOf(response(of, 'HTTP/1.1 404 \r\nE: f\r\n'))).toEqual([':status: 404', 'e: f']);
    expect(fieldsOf(response(of, 'HTTP/1.1 404 \r\n'))).toEqual([':status: 404']);
  });

  test.each([100, 103, 200, 204, 206, 304, 400, 404, 418, 500, 599])('of status %i', (status) => {
    expect(fieldsOf(response(encoder(), `HTTP/1.1 ${status} x\r\n\r\n`))).toEqual([
      `:status: ${status}`,
    ]);
  });

  test('has no field of its connection', () => {
    const head =
      'HTTP/1.1 426 x\r\nConnection: close, Upgrade\r\nUPGRADE: h2c\r\nKeep-Alive: timeout=5\r\nProxy-Connection: a\r\nTransfer-Encoding: chunked\r\nHTTP2-Settings: a\r\nTE: gzip\r\nA: b\r\n\r\n';
    for (let round = 0; round < 3; round++) {
      expect(fieldsOf(response(encoder(), head))).toEqual([':status: 426', 'a: b']);
    }
  });

  test('that switches to WebSocket is the answer to an extended CONNECT', () => {
    const head =
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: abc\r\nSec-WebSocket-Protocol: chat\r\n\r\n';
    expect(fieldsOf(response(encoder(), head))).toEqual([
      ':status: 200',
      'sec-websocket-protocol: chat',
    ]);
  });
});

/** Of a request with this line. */
function fieldsWith(line: string): string[] {
  return fieldsOf(request(encoder(), `GET / HTTP/1.1\r\n${line}\r\n\r\n`)).slice(4);
}

describe('a request', () => {
  test('has its pseudo-headers first, and no Host', () => {
    const head = 'POST /a?b HTTP/1.1\r\nX: y\r\nHOST: other\r\nHost: a.example\r\n\r\n';
    expect(fieldsOf(request(encoder(), head))).toEqual([
      ':method: POST',
      ':scheme: https',
      ':authority: a.example',
      ':path: /a?b',
      'x: y',
    ]);
  });

  test.each([
    ['GET', '/'],
    ['POST', '/'],
    ['GETS', '/x'],
    ['OPTIONS', '*'],
    ['PUT', '/index.html'],
    ['M-SEARCH', `/${'x'.repeat(5000)}`],
  ])('%s', (method, path) => {
    const pseudo: RequestPseudo = { scheme: 'http', authority: 'b:1', protocol: '' };
    expect(fieldsOf(request(encoder(), `${method} ${path} HTTP/1.1\r\n\r\n`, pseudo))).toEqual([
      `:method: ${method}`,
      ':scheme: http',
      ':authority: b:1',
      `:path: ${path}`,
    ]);
  });

  test('may say that it takes trailers, and nothing else of TE', () => {
    expect(fieldsWith('TE: trailers')).toEqual(['te: trailers']);
    expect(fieldsWith('te:Trailers ')).toEqual(['te: trailers']);
    expect(fieldsWith('TE: trailers, gzip')).toEqual([]);
    expect(fieldsWith('TE: gzip')).toEqual([]);
  });

  test('for WebSocket is an extended CONNECT', () => {
    const head =
      'GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\n\r\n';
    expect(fieldsOf(request(encoder(), head, { ...PSEUDO, protocol: 'websocket' }))).toEqual([
      ':method: CONNECT',
      ':protocol: websocket',
      ':scheme: https',
      ':authority: a.example',
      ':path: /chat',
      'sec-websocket-version: 13',
    ]);
    // Another one that has such a field keeps it.
    expect(fieldsOf(request(encoder(), head)).slice(4)).toEqual([
      'sec-websocket-key: abc',
      'sec-websocket-version: 13',
    ]);
  });
});

describe('the table', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\nServer: nginx\r\nVary: Accept\r\n\r\n';

  test('gets what is met twice', () => {
    const of = encoder();
    const reader = decoder();
    expect(decode(reader, response(of, HEAD)).fields).toHaveLength(3);
    expect(tableOf(reader).fields).toEqual([]);
    decode(reader, response(of, HEAD));
    expect(tableOf(reader).fields).toEqual(['vary: Accept', 'server: nginx']);
    expect(response(of, HEAD)).toEqual(hex('88 bf be'));
  });

  test('gets at once what another connection has met', () => {
    const lines = new HeadLines();
    response(encoder(lines), HEAD);
    const reader = decoder();
    decode(reader, response(encoder(lines), HEAD));
    expect(tableOf(reader).fields).toEqual(['vary: Accept', 'server: nginx']);
  });

  test('gets nothing that is secret or differs each time', () => {
    const of = encoder();
    const reader = decoder();
    const head =
      'GET / HTTP/1.1\r\nAuthorization: Basic YTpi\r\nProxy-Authorization: x\r\nCookie: a=b\r\nCookie: a=0123456789012345678901234567890\r\nX-Forwarded-For: ::1\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\n';
    let block = hex('');
    for (let round = 0; round < 4; round++) {
      block = request(of, head);
      expect(decode(reader, block).fields).toHaveLength(11);
    }
    expect(tableOf(reader).fields).toEqual([':authority: a.example']);
    // Never indexed (RFC 7541 §7.1.3): authorization (23), proxy-authorization (49), cookie (32), set-cookie (55).
    const text = block.toString('hex');
    expect(text).toContain('1f080a4261736963');
    expect(text).toContain('1f220178');
    expect(text).toContain('1f1103613d62');
    expect(text).toContain('1f1121');
    expect(text).toContain('1f2803613d62');
  });

  test('is as large as the peer says, and it is told so', () => {
    const lines = new HeadLines();
    const of = encoder(lines);
    of.setPeerTableSize(0);
    const reader = decoder(0);
    for (let round = 0; round < 3; round++) {
      const block = response(of, HEAD);
      expect(block[0]).toBe(round === 0 ? 0x20 : 0x88);
      expect(decode(reader, block)).toMatchObject({ outcome: 0, fields: { length: 3 } });
    }
  });

  test('that has become smaller and larger between two blocks is told of both', () => {
    const of = encoder();
    const reader = decoder();
    for (let round = 0; round < 2; round++) decode(reader, response(of, HEAD));
    expect(tableOf(reader).fields).toHaveLength(2);
    of.setPeerTableSize(10);
    of.setPeerTableSize(100);
    const block = response(of, HEAD);
    expect(block.subarray(0, 3)).toEqual(hex('2a 3f 45'));
    expect(decode(reader, block)).toMatchObject({ outcome: 0, fields: { length: 3 } });
    of.setPeerTableSize(100);
    expect(response(of, HEAD)[0]).toBe(0x88);
  });

  test('is of the default size at most', () => {
    const of = encoder();
    of.setPeerTableSize(1_000_000);
    expect(response(of, HEAD)[0]).toBe(0x88);
  });

  test('evicts, and what was evicted comes in again', () => {
    const lines = new HeadLines();
    const of = encoder(lines);
    const reader = decoder();
    for (let round = 0; round < 3; round++) {
      for (let number = 0; number < 60; number++) {
        const value = `${number}`.padStart(60, 'x');
        const head = `HTTP/1.1 200 OK\r\nX-A: ${value}\r\nServer: nginx\r\n\r\n`;
        expect(decode(reader, response(of, head)).fields.slice(1)).toEqual([
          `x-a: ${value}`,
          'server: nginx',
        ]);
      }
    }
    expect(tableOf(reader).size).toBeGreaterThan(3000);
  });

  test('of a field that is another one each time does not grow, nor do the lines', () => {
    const lines = new HeadLines();
    const of = encoder(lines);
    const reader = decoder();
    for (let number = 0; number < 400; number++) {
      const head = `HTTP/1.1 200 OK\r\nX-Runtime: ${number}\r\nX-${number}: a\r\nServer: nginx\r\n\r\n`;
      expect(decode(reader, response(of, head)).fields.slice(1)).toEqual([
        `x-runtime: ${number}`,
        `x-${number}: a`,
        'server: nginx',
      ]);
    }
    expect(tableOf(reader).fields).toEqual(['server: nginx']);
  });
});

test('trailers', () => {
  const of = encoder();
  expect(fieldsOf(trailers(of, 'Grpc-Status: 0\r\nGrpc-Message:\r\n'))).toEqual([
    'grpc-status: 0',
    'grpc-message: ',
  ]);
  expect(trailers(of, '')).toHaveLength(0);
});

// ── For any head ────────────────────────────────────────────────────────────────────────────────────────────────────

const LEFT_OUT = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te']);

function expected(fields: readonly { name: string; value: string }[], besides: string[]): string[] {
  return fields
    .map(({ name, value }) => [name.toLowerCase(), value])
    .filter(([name = '']) => !LEFT_OUT.has(name) && !besides.includes(name))
    .map(([name, value]) => `${name}: ${value}`);
}

test('decode ∘ encode is identity, whatever came before', () => {
  const lines = new HeadLines();
  const tableSize = fc.constantFrom(0, 50, 100, 4096, 5000);
  const message = fc.oneof(
    requestHead.map(({ text, emptyLine, method, target, fields }) => ({
      write: (of: HpackEncoder) => request(of, text.slice(emptyLine.length)),
      means: [
        `:method: ${method}`,
        ':scheme: https',
        ':authority: a.example',
        `:path: ${target}`,
        ...expected(fields, ['host']),
      ],
    })),
    responseHead.map(({ text, status, fields }) => ({
      write: (of: HpackEncoder) => response(of, text),
      means: [`:status: ${status === 101 ? 200 : status}`, ...expected(fields, [])],
    })),
    trailerSection.map(({ text, fields }) => ({
      write: (of: HpackEncoder) => trailers(of, text),
      means: expected(fields, []),
    })),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(tableSize, message, fc.nat({ max: 2 })), { minLength: 1, maxLength: 8 }),
      (messages) => {
        const of = encoder(lines);
        const reader = decoder(5000);
        for (const [size, { write, means }, again] of messages) {
          of.setPeerTableSize(size);
          for (let round = 0; round <= again; round++) {
            expect(decode(reader, write(of)).fields).toEqual(means);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('lines that come again in any order, once or twice, or changed, are what they are', () => {
  const line = fc.constantFrom(
    'Server: nginx',
    'Vary: Accept',
    'Vary: Cookie',
    'Date: Mon, 21 Oct 2013 20:13:21 GMT',
    'Date: Mon, 21 Oct 2013 20:13:22 GMT',
    'Content-Length: 5',
    'Content-Length: 55',
    'Connection: close',
    'server: nginx',
    'X-A:b',
    'X-A: b',
    'X-A: b ',
    'X-A:',
  );
  const part = fc.array(line, { maxLength: 4 });
  const heads = fc
    .tuple(part, part, fc.array(fc.tuple(fc.boolean(), fc.boolean(), line), { maxLength: 12 }))
    .map(([first, last, middles]) =>
      middles.map(([hasFirst, hasLast, middle]) => [
        ...(hasFirst ? first : []),
        middle,
        ...(hasLast ? last : []),
      ]),
    );
  const lines = new HeadLines();
  fc.assert(
    fc.property(heads, (several) => {
      const of = encoder(lines);
      const reader = decoder();
      for (const head of several) {
        const text = `HTTP/1.1 200 OK\r\n${head.map((one) => `${one}\r\n`).join('')}\r\n`;
        const fields = head.map((one) => {
          const colon = one.indexOf(':');
          return { name: one.slice(0, colon), value: one.slice(colon + 1).trim() };
        });
        const means = [':status: 200', ...expected(fields, [])];
        expect(decode(reader, response(of, text)).fields).toEqual(means);
      }
    }),
    { numRuns: 200 },
  );
});

test('lines in use stay known, however many others come', () => {
  const lines = new HeadLines();
  const of = encoder(lines);
  const reader = decoder();
  const lengths: number[] = [];
  for (let count = 0; count < 1000; count++) {
    const head = `HTTP/1.1 200 OK\r\nServer: nginx\r\nVary: Accept\r\nX-${count}: ${count}\r\n\r\n`;
    const block = response(of, head);
    decode(reader, block);
    lengths.push(block.length);
  }
  // The status, two indexes, and the new field: nothing is sent as a whole a second time.
  expect(Math.max(...lengths.slice(2))).toBeLessThan(16);
  expect(tableOf(reader).fields).toEqual(['vary: Accept', 'server: nginx']);
});

test('as many lines as a table holds are a byte each', () => {
  const of = encoder();
  const reader = decoder();
  const lines = Array.from({ length: 60 }, (_, index) => `X-${index}: a\r\n`).join('');
  const blocks = [1, 2, 3].map(() => response(of, `HTTP/1.1 200 OK\r\n${lines}\r\n`));
  for (const block of blocks) decode(reader, block);
  expect(tableOf(reader).fields).toHaveLength(60);
  expect(blocks.at(-1)).toHaveLength(1 + 60);
});

/** A literal, never indexed. */
function note(name: string): void {
  const bytes = Buffer.concat([Buffer.from([0x10, name.length]), Buffer.from(`${name}\x01s`)]);
  expect(decode(decoder(), bytes).fields).toEqual([`${name}: s`]);
}

function blocksOf(of: HpackEncoder, line: string): string[] {
  const head = `HTTP/1.1 200 OK\r\nServer: nginx\r\n${line}\r\nVary: Accept\r\n\r\n`;
  return [1, 2, 3].map(() => response(of, head).toString('hex'));
}

describe('what a peer has sent as never indexed', () => {
  test('goes on so, also where it was in the table before', () => {
    const of = encoder();
    // Index 63, between those of the other two.
    expect(blocksOf(of, 'X-Api-Key: s')[2]).toBe('88c0bfbe');
    note('x-api-key');
    const literal = /^.*1087[0-9a-f]{14}0173.*$/;
    for (const block of blocksOf(of, 'X-Api-Key: s')) expect(block).toMatch(literal);
    for (const block of blocksOf(encoder(), 'x-api-key: s')) expect(block).toMatch(literal);
  });

  test('of what differs each time too', () => {
    expect(blocksOf(encoder(), 'ETag: s')[2]).toContain('0f130173');
    note('etag');
    expect(blocksOf(encoder(), 'ETag: s')[2]).toContain('1f130173');
  });

  test('is not heeded where all messages have it, and changes nothing about what is dropped', () => {
    note('server');
    expect(blocksOf(encoder(), 'A: b')[2]).toBe('88c0bfbe');
    note('host');
    expect(fieldsOf(request(encoder(), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'))).toHaveLength(4);
  });

  test('has few names', () => {
    for (let count = 0; count < 200; count++) note(`x-secret-${count}`);
    expect(blocksOf(encoder(), 'X-Secret-199: s')[2]).toBe('88c0bfbe');
  });
});
