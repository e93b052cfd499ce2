/**
 * Requests that must not reach a backend (protocol.md): the raw bytes over a socket, whole and split at every byte. Each
 * gets its answer and a closed connection, and the backend gets not one byte.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Fairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { answering, okResponse, type RawBackend, rawBackend } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import { everySplit, inParallel, type Seen, sendEverySplit, sendParts } from './split-send.ts';
import { leftover, NOTHING, startProxy } from './stage.ts';

const LIMITS = { request_line: 256, head: 2048, fields: 10, body: 100_000 } as const;

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function get(...fields: readonly string[]): string {
  return ['GET / HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n');
}

/** A request inside of a body: whoever reads the framing otherwise takes it for one. */
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n';
const CHUNKED = 'Transfer-Encoding: chunked';

function post(fields: readonly string[], body: string = `0\r\n\r\n${HIDDEN}`): string {
  return `${['POST / HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n')}${body}`;
}

function chunks(body: string): string {
  return post([CHUNKED], body);
}

/** The wire layer's tests have many more of each kind; here it is about sockets, answers and backends. */
const BAD: readonly (readonly [status: number, name: string, text: string])[] = [
  [400, 'Content-Length before Transfer-Encoding (CL.TE)', post(['Content-Length: 35', CHUNKED])],
  [400, 'Transfer-Encoding before Content-Length (TE.CL)', post([CHUNKED, 'Content-Length: 3'])],
  [400, 'Content-Length: 0 with Transfer-Encoding', post(['Content-Length: 0', CHUNKED])],
  [400, 'two Content-Lengths that differ', post(['Content-Length: 5', 'Content-Length: 35'])],
  [400, 'two Content-Lengths that agree', post(['Content-Length: 5', 'content-length: 5'])],
  ...['5, 5', '5,', '+5', '-5', '0x5', '5_0', '5 0', '5.0', '"5"', ''].map(
    (value) => [400, `Content-Length: ${value}`, post([`Content-Length: ${value}`])] as const,
  ),
  [400, 'Content-Length of 2^53', post(['Content-Length: 9007199254740992'])],
  [400, 'Content-Length over 2^64', post(['Content-Length: 18446744073709551621'])],
  ...[
    'xchunked',
    'chunked, identity',
    'identity, chunked',
    'gzip, chunked',
    'identity',
    'chunked, chunked',
    'chunked;q=1',
    '"chunked"',
    '\x0bchunked',
    'chunked\x0c',
    '',
  ].map(
    (value) => [400, `Transfer-Encoding: ${value}`, post([`Transfer-Encoding: ${value}`])] as const,
  ),
  [400, 'two Transfer-Encodings (TE.TE)', post([CHUNKED, 'Transfer-encoding: x'])],
  [400, 'two Transfer-Encodings that agree', post([CHUNKED, CHUNKED])],
  [400, 'Transfer-Encoding behind a space', post(['Transfer-Encoding : chunked'])],
  [400, 'Transfer-Encoding behind a fold', post(['X: 1', ' Transfer-Encoding: chunked'])],
  [400, 'Transfer-Encoding on a new line', post(['Transfer-Encoding:', ' chunked'])],
  [400, 'Transfer-Encoding on HTTP/1.0', post([CHUNKED]).replace('HTTP/1.1', 'HTTP/1.0')],

  [400, 'a bare LF after the request line', get().replace('\r\n', '\n')],
  [400, 'a bare CR after the request line', get().replace('\r\n', '\r')],
  [400, 'a bare LF after a field', get('A: 1').replace('1\r\n', '1\n')],
  [400, 'a bare CR after a field', get('A: 1').replace('1\r\n', '1\r')],
  [400, 'a bare LF in place of the empty line', get().replace('\r\n\r\n', '\r\n\n')],
  [400, 'a bare CR in place of the empty line', get().replace('\r\n\r\n', '\r\n\rX')],
  [400, 'CR CR LF', get('A: 1').replace('1\r\n', '1\r\r\n')],
  [400, 'a bare CR inside of a value', get('A: 1\rB: 2')],
  [400, 'NUL in the method', get().replace('GET', 'G\0T')],
  [400, 'NUL in the target', get().replace('/ ', '/\0 ')],
  [400, 'a control byte in the target', get().replace('/ ', '/\x01 ')],
  [400, 'NUL in a name', get('A\0: 1')],
  [400, 'NUL in a value', get('A: 1\x002')],
  [400, 'another control byte in a value', get('A: \x1b[2J')],
  [400, 'DEL in a value', get('A: \x7f')],
  [400, 'obs-fold', get('A: 1', ' 2')],
  [400, 'obs-fold by a tab', get('A: 1', '\t2')],
  [400, 'a space before the colon', get('A : 1')],
  [400, 'a tab before the colon', get('A\t: 1')],
  [400, 'a space before the first field', get().replace('Host', ' Host')],
  [400, 'an empty name', get(': 1')],
  [400, 'a name that is no token', get('A(B): 1')],
  [400, 'a name with a byte over 127', get('\xc4: 1')],
  [400, 'a line without a colon', get('A')],
  [400, 'two empty lines first', `\r\n\r\n${get()}`],
  [400, 'a bare LF first', `\n${get()}`],

  [400, 'no Host', 'GET / HTTP/1.1\r\nA: 1\r\n\r\n'],
  [400, 'no Host, absolute target', 'GET http://a/ HTTP/1.1\r\n\r\n'],
  [400, 'two Hosts', get('Host: b')],
  [400, 'two Hosts on HTTP/1.0', get('Host: a').replace('1.1', '1.0')],
  ...['', 'a b', 'a/b', 'a@b', 'a:b', 'a:65536', '[::1', 'a,b c', '\xe4', 'a%zz'].map(
    (value) => [400, `Host: ${value}`, get().replace('Host: a', `Host: ${value}`)] as const,
  ),
  ...[
    'a',
    '*',
    'a:80',
    '?a',
    'ftp://a/',
    'http://',
    'http://u:p@a/',
    'http:/a',
    '/#a',
    '/\xe4',
    '/a b',
  ].map((target) => [400, `target ${target}`, get().replace('/ ', `${target} `)] as const),
  [400, 'no target', 'GET HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'no version (HTTP/0.9)', 'GET /\r\n\r\n'],
  [400, 'two spaces', get().replace('/ ', '/  ')],
  [400, 'a space after the version', get().replace('1.1', '1.1 ')],
  [400, 'a version in lower case', get().replace('HTTP', 'http')],
  [400, 'a version of two digits', get().replace('1.1', '1.10')],
  [400, 'a method of 33 bytes', get().replace('GET', 'M'.repeat(33))],
  [400, 'a method that is no token', get().replace('GET', 'G:T')],
  [400, 'a TLS hello', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],

  [505, 'HTTP/2.0', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  [505, 'HTTP/0.9', get().replace('1.1', '0.9')],
  [405, 'TRACE', get('Max-Forwards: 0').replace('GET', 'TRACE')],
  [405, 'CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03'],
  [405, 'CONNECT with a path', get().replace('GET', 'CONNECT')],
  [414, 'a request line over the limit', get().replace('/ ', `/${'a'.repeat(243)} `)],
  [431, 'one field too many', get(...Array.from({ length: 10 }, () => 'A: 1'))],
  [413, 'a Content-Length over the limit', post(['Content-Length: 100001'], 'x')],

  [400, 'an empty chunk size', chunks('\r\nhello\r\n0\r\n\r\n')],
  ...['+5', '-5', '0x5', ' 5', '5 ', '5\t', '5 ;a', '5,', 'x', ';a', '5.0', '5_0'].map(
    (size) => [400, `chunk size ${size}`, chunks(`${size}\r\nhello\r\n0\r\n\r\n`)] as const,
  ),
  [400, 'a chunk size of 2^53', chunks('20000000000000\r\n')],
  [400, 'a chunk size over 2^64', chunks('10000000000000005\r\nhello\r\n0\r\n\r\n')],
  [400, 'a chunk size that ends with LF (CVE-2025-22871)', chunks('5\nhello\r\n0\r\n\r\n')],
  [400, 'a chunk size that ends with CR', chunks('5\rhello\r\n0\r\n\r\n')],
  [
    400,
    'an extension that ends with LF (CVE-2025-55315)',
    chunks(`2;\nxx\r\n2b\r\n0\r\n\r\n${HIDDEN}0\r\n\r\n`),
  ],
  [400, 'an extension with a bare CR', chunks('5;a\rb\r\nhello\r\n0\r\n\r\n')],
  [400, 'an extension with NUL', chunks('5;\0\r\nhello\r\n0\r\n\r\n')],
  [400, 'data that is longer than its size', chunks('5\r\nhello!\r\n0\r\n\r\n')],
  [400, 'data that ends with LF', chunks('5\r\nhello\n0\r\n\r\n')],
  [400, 'data that ends with CR', chunks('5\r\nhello\r0\r\n\r\n')],
  [400, 'a last chunk that ends with LF', chunks('5\r\nhello\r\n0\n\n')],
  [400, 'a body that ends with LF', chunks('5\r\nhello\r\n0\r\n\n')],
  [400, 'a body that ends with CR', chunks('5\r\nhello\r\n0\r\n\rX')],
  [400, 'a trailer with a space before the colon', chunks('1\r\nx\r\n0\r\nA : 1\r\n\r\n')],
  [400, 'a trailer without a colon', chunks('1\r\nx\r\n0\r\nA\r\n\r\n')],
  [400, 'a trailer that is folded', chunks('1\r\nx\r\n0\r\nA: 1\r\n 2\r\n\r\n')],
  [400, 'a trailer with NUL', chunks('1\r\nx\r\n0\r\nA: \0\r\n\r\n')],
  [400, 'a request in the trailer', chunks(`1\r\nx\r\n0\r\n${HIDDEN}`)],
];

/** The same, but too long to be split at each of their bytes. */
const LONG: readonly (readonly [status: number, name: string, text: string])[] = [
  [431, 'a head over the limit', get(`A: ${'a'.repeat(2048)}`)],
  [431, 'a head over the limit, without an end', get(`A: ${'a'.repeat(2048)}`).trimEnd()],
  [414, 'a request line without an end', `GET /${'a'.repeat(3000)}`],
  [400, 'a method without an end', 'M'.repeat(3000)],
  [400, 'a chunk extension over the limit', chunks(`5;${'a'.repeat(300)}\r\nhello\r\n0\r\n\r\n`)],
  [400, 'a trailer over the limit', chunks(`0\r\nA: ${'a'.repeat(2048)}\r\n\r\n`)],
  [400, 'too many trailers', chunks(`0\r\n${'A: 1\r\n'.repeat(11)}\r\n`)],
];

/** What came after the head. */
function bodyOf(message: string): string {
  return message.slice(message.indexOf('\r\n\r\n') + 4);
}

let backend: RawBackend;
let fairlead: Fairlead;

beforeAll(async () => {
  backend = await rawBackend(answering(okResponse()));
  fairlead = await startProxy([backend.url], { limits: LIMITS, access_log: false });
  // Idle connections to the backend wait: what goes out by mistake goes out at once.
  const clients = Array.from({ length: 32 }, () => [latin1(get('Connection: close'))]);
  await inParallel(clients, (parts) => sendParts(fairlead.port, parts));
});

function looksOf({ text, end }: Seen): string {
  const status = /^HTTP\/1\.1 (\d{3}) [^]*\r\nConnection: close\r\n/.exec(text)?.[1] ?? 'no close';
  const heads = text.match(/HTTP\/1\.1 \d{3} /g)?.length ?? 0;
  return `${status}, ${heads} answer, ${end}`;
}

/** How often each kind of outcome was seen: one kind, if all is well. */
function tally(seen: readonly Seen[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of seen) counts[looksOf(one)] = (counts[looksOf(one)] ?? 0) + 1;
  return counts;
}

/**
 * Sends a request in all these ways: what the clients saw, and what the backend got. The proxy holds a chunked body back
 * for a tenth of a second at least: on a machine that stands still for longer a beginning of it may get out, but not
 * three times over.
 */
async function refusalOf(
  text: string,
  ways: readonly (readonly Buffer[])[],
): Promise<{ seen: Record<string, number>; leaked: string }> {
  const tries = text.startsWith(chunks('')) ? 3 : 1;
  for (let attempt = 1; ; attempt++) {
    const before = backend.received().length;
    const seen = tally(await inParallel(ways, (parts) => sendParts(fairlead.port, parts)));
    const leaked = backend.received().slice(before);
    if (leaked === '' || attempt === tries) return { seen, leaked };
  }
}

describe('never reaches a backend, whole or split at any byte', () => {
  test.each(BAD)('%i: %s', async (status, _name, text) => {
    expect(await refusalOf(text, everySplit(latin1(text)))).toEqual({
      seen: { [`${status}, 1 answer, end`]: text.length },
      leaked: '',
    });
  });

  test.each(LONG)('%i: %s', async (status, _name, text) => {
    const bytes = latin1(text);
    const ways = [1, 20, 200, 255, 256, 257, 300, 340, bytes.length - 1]
      .filter((cut) => cut < bytes.length)
      .map((cut) => [bytes.subarray(0, cut), bytes.subarray(cut)]);
    expect(await refusalOf(text, [[bytes], ...ways])).toEqual({
      seen: { [`${status}, 1 answer, end`]: ways.length + 1 },
      leaked: '',
    });
  });

  test('and nothing is left of it: the next request is all that the backend gets', async () => {
    expect(await leftover(fairlead)).toEqual(NOTHING);
    const before = backend.received().length;
    const seen = await sendParts(fairlead.port, [latin1(get('Connection: close'))]);
    expect(looksOf(seen)).toBe('200, 1 answer, end');
    expect(backend.received().slice(before)).toMatch(
      /^GET \/ HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)+\r\n$/,
    );
  });
});

test('the answer says what is wrong, in the form that RFC 9209 and RFC 9110 ask for', async () => {
  const refused = await sendParts(fairlead.port, [latin1(get().replace('GET', 'TRACE'))]);
  expect(refused.text).toMatch(/^HTTP\/1\.1 405 Method Not Allowed\r\n/);
  expect(refused.text).toMatch(/\r\nAllow: GET, HEAD, POST, /);
  expect(refused.text).toContain('\r\nProxy-Status: fairlead; error=http_request_error\r\n');
  const bad = await sendParts(fairlead.port, [latin1(get('A : 1'))]);
  expect(bad.text).toContain('(ERR_BAD_FIELD_NAME)');
});

test('an error answer waits for the answers before it, and nothing after it is read', async () => {
  const before = backend.received().length;
  const pipelined = `${get('A: 1')}${get('A : 1')}${get('A: 3')}`;
  const { text, end } = await sendParts(fairlead.port, [latin1(pipelined)]);
  expect(Array.from(text.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status)).toEqual([
    '200',
    '400',
  ]);
  expect(end).toBe('end');
  expect(backend.received().slice(before).split('HTTP/1.1').length).toBe(2);
});

describe('408', () => {
  test('a head that does not arrive in time, wherever it stops', async () => {
    const quick = await startProxy([backend.url], {
      timeouts: { head: '300ms' },
      access_log: false,
    });
    const before = backend.received().length;
    const bytes = latin1(get('A: 1'));
    const beginnings = Array.from({ length: bytes.length - 1 }, (_, index) => [
      bytes.subarray(0, index + 1),
    ]);
    const seen = await inParallel(beginnings, (parts) => sendParts(quick.port, parts));
    expect(tally(seen)).toEqual({ '408, 1 answer, end': bytes.length - 1 });
    // Who says nothing at all gets no answer.
    expect(await sendParts(quick.port, [])).toEqual({ text: '', end: 'end' });
    expect(await sendParts(quick.port, [latin1('\r\n')])).toEqual({ text: '', end: 'end' });
    expect(backend.received().slice(before)).toBe('');
    expect(await leftover(quick)).toEqual(NOTHING);
  });
});

test('a chunked body that is still coming is held back for a tenth of a second', async () => {
  const held: number[] = [];
  for (let round = 0; round < 8; round++) {
    const before = backend.received().length;
    const client = await rawClient(fairlead.port);
    // At any point between two ticks of the proxy's clock.
    await sleep(round * 13);
    const sentAt = performance.now();
    await client.write(chunks('5\r\nhel'));
    await waitFor(() => backend.received().length > before);
    held.push(performance.now() - sentAt);
    client.reset();
  }
  expect(Math.min(...held)).toBeGreaterThan(90);
});

describe('a chunked body that turns out malformed after a part of it has gone', () => {
  /** What a backend must never see of it: the end. */
  const END = /(^|\r\n)0\r\n/;
  const BIG = `8000\r\n${'x'.repeat(0x8000)}\r\n`;

  let silent: RawBackend;
  let proxy: Fairlead;

  beforeAll(async () => {
    silent = await rawBackend(async (connection) => {
      await connection.closed;
      connection.end();
    });
    proxy = await startProxy([silent.url], { limits: LIMITS, access_log: false });
  });

  /** The connection that carries the request, once the beginning of it is there. */
  function carrying(name: string): Promise<RawBackend['connections'][number]> {
    return waitFor(() =>
      silent.connections.find(({ text }) => text.includes(`X-Name: ${name}\r\n`)),
    );
  }

  test.each([
    ['a size that is none', 'x\r\n'],
    ['data without its end', '1\r\nxx'],
    ['a bad trailer', '0\r\nA : 1\r\n\r\n'],
    ['an end with LF', '0\r\n\n'],
  ])('big: %s', async (name, ending) => {
    const client = await rawClient(proxy.port);
    await client.write(post([CHUNKED, `X-Name: ${name}`], BIG));
    const connection = await carrying(name);
    await client.write(ending);
    const answer = (await client.readToEnd()).toString('latin1');
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n/);
    await connection.closed;
    expect(bodyOf(connection.text)).not.toMatch(END);
  });

  test('slow: the backend has all that the client has sent', async () => {
    const client = await rawClient(proxy.port);
    await client.write(post([CHUNKED, 'X-Name: slow'], '5\r\nhello\r\n'));
    const connection = await carrying('slow');
    await waitFor(() => connection.text.endsWith('5\r\nhello\r\n'));
    await client.write('5;\nhello\r\n0\r\n\r\n');
    const answer = (await client.readToEnd()).toString('latin1');
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n/);
    await connection.closed;
    expect(bodyOf(connection.text)).toBe('5\r\nhello\r\n');
  });

  test('expecting 100-continue: the backend has the head', async () => {
    const client = await rawClient(proxy.port);
    await client.write(post([CHUNKED, 'X-Name: expects', 'Expect: 100-continue'], ''));
    const connection = await carrying('expects');
    await client.write('5\nhello\r\n0\r\n\r\n');
    expect((await client.readToEnd()).toString('latin1')).toMatch(/^HTTP\/1\.1 400 /);
    await connection.closed;
    expect(bodyOf(connection.text)).toBe('');
  });

  test('over the limit: 413, and the backend never sees the end', async () => {
    const client = await rawClient(proxy.port);
    await client.write(post([CHUNKED, 'X-Name: large'], BIG));
    const connection = await carrying('large');
    await client.write(`${BIG}${BIG}${BIG}0\r\n\r\n`);
    const answer = (await client.readToEnd()).toString('latin1');
    expect(answer).toMatch(/^HTTP\/1\.1 413 [^]*\r\nConnection: close\r\n/);
    await connection.closed;
    expect(bodyOf(connection.text)).not.toMatch(END);
  });

  test('nothing is left of it', async () => {
    expect(await leftover(proxy)).toEqual(NOTHING);
  });
});

describe('what passes is framed anew', () => {
  interface Got {
    readonly line: string;
    readonly fields: readonly string[];
    readonly body: string;
  }
  const got: Got[] = [];
  let strict: Fairlead;

  beforeAll(async () => {
    // node:http is the judge: it reads the requests by their framing, and nothing else.
    const judge = await httpBackend((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (chunk: Buffer) => parts.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(parts).toString('latin1');
        got.push({ line: `${request.method} ${request.url}`, fields: request.rawHeaders, body });
        response.end(`${request.method} ${request.url} ${body.length}\n`);
      });
    });
    strict = await startProxy([judge.url], { access_log: false });
  });

  test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PROPFIND'])(
    'a %s with a body and a pipelined request after it are two requests (CVE-2026-29057)',
    async (method) => {
      got.length = 0;
      const next = get('Connection: close').replace('/', '/next');
      const withLength = `${method} /l HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`;
      const withChunks = `${method} /c HTTP/1.1\r\nHost: a\r\n${CHUNKED}\r\n\r\n${HIDDEN.length.toString(16)};x\r\n${HIDDEN}\r\n0\r\n\r\n`;
      const text = `${withLength}${withChunks}${next}`;
      const seen = await sendEverySplit(strict.port, latin1(text));
      expect(seen.map(({ end }) => end)).toEqual(seen.map(() => 'end'));
      const perConnection = seen.map(
        ({ text: answers }) => answers.split('HTTP/1.1 200').length - 1,
      );
      expect(perConnection).toEqual(seen.map(() => 3));
      const counts: Record<string, number> = {};
      for (const { line, body } of got) {
        const key = `${line} ${body === HIDDEN ? 'whole' : body}`;
        counts[key] = (counts[key] ?? 0) + 1;
      }
      expect(counts).toEqual({
        [`${method} /l whole`]: seen.length,
        [`${method} /c whole`]: seen.length,
        'GET /next ': seen.length,
      });
    },
  );

  test('an upgrade to h2c is stripped, and a body is no tunnel', async () => {
    got.length = 0;
    const fields = [
      'Upgrade: h2c',
      'HTTP2-Settings: AAMA',
      'Connection: Upgrade, HTTP2-Settings, close',
    ];
    await sendEverySplit(strict.port, latin1(get(...fields)));
    expect(got.length).toBe(latin1(get(...fields)).length);
    expect(
      new Set(got.map(({ fields: raw }) => raw.join('|').match(/upgrade|http2|h2c/gi))),
    ).toEqual(new Set([null]));
  });

  test('strange names and bytes over 127 pass as they are, twins of protected fields do not', async () => {
    got.length = 0;
    const highBytes = Array.from({ length: 128 }, (_, index) =>
      String.fromCharCode(0x80 + index),
    ).join('');
    const kept = [
      ['__proto__', '1'],
      ['constructor', '2'],
      ['hasOwnProperty', '3'],
      ['__proto__', '4'],
      ['X-High', highBytes],
      ['x_own', '5'],
    ];
    const dropped = ['X_Forwarded_For: 6.6.6.6', 'X-Forwarded-For: 6.6.6.6', 'Content_Length: 5'];
    const lines = [...kept.map((pair) => pair.join(': ')), ...dropped, 'Connection: close'];
    const seen = await sendEverySplit(strict.port, latin1(get(...lines)));
    expect(tally(seen)).toEqual({ '200, 1 answer, end': seen.length });
    const expected = [
      'Host',
      'a',
      ...kept.flat(),
      'X-Forwarded-For',
      '127.0.0.1',
      'X-Forwarded-Proto',
      'http',
      'X-Forwarded-Port',
      // Host names none.
      '80',
      'X-Forwarded-Host',
      'a',
    ];
    expect(got.length).toBe(seen.length);
    for (const { fields } of got) {
      expect(fields.slice(0, expected.length)).toEqual(expected);
      expect(fields.slice(expected.length).filter((_, index) => index % 2 === 0)).toEqual([
        'X-Request-Id',
        'Via',
      ]);
    }
  });

  test('nothing is left of it', async () => {
    expect(await leftover(strict)).toEqual(NOTHING);
  });
});
