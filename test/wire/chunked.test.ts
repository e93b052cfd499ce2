import { describe, expect, test } from 'vitest';
import { CHUNK_DATA, ChunkDecoder, chunkSizeLine, lastChunk } from '../../src/data/wire/chunked.ts';
import { decodeChunks, LIMITS, latin1 } from './parse.ts';

const END = '0\r\n\r\n';

test.each([
  [END, ''],
  [`5\r\nhello\r\n${END}`, 'hello'],
  [`1\r\na\r\n2\r\nbc\r\n${END}`, 'abc'],
  [`A\r\n0123456789\r\n${END}`, '0123456789'],
  [`a\r\n0123456789\r\n${END}`, '0123456789'],
  [`0000000000000005\r\nhello\r\n${END}`, 'hello'],
  [`000\r\n\r\n`, ''],
  [`4\r\n\r\n\0\xff\r\n${END}`, '\r\n\0\xff'],
  [`5;a\r\nhello\r\n${END}`, 'hello'],
  [`5;a=b;c="d e"; f\t\r\nhello\r\n0;last\r\n\r\n`, 'hello'],
])('%j', (text, data) => {
  expect(decodeChunks(text)).toMatchObject({ outcome: 'done', consumed: text.length, data });
});

/** The runs that the decoder hands over for bytes that come in one piece. */
function runsOf(text: string): string[] {
  const bytes = latin1(text);
  const decoder = new ChunkDecoder(LIMITS);
  const runs: string[] = [];
  let position = 0;
  while (position < bytes.length) {
    const event = decoder.next(bytes, position, bytes.length);
    if (event !== CHUNK_DATA) break;
    runs.push(bytes.latin1Slice(decoder.dataStart, decoder.dataEnd));
    position = decoder.position;
  }
  return runs;
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

/** One chunk for each byte. */
function each(data: string): string {
  return [...data].map(chunk).join('');
}

describe('short runs come together', () => {
  const long = 'x'.repeat(2_000);

  test('ten thousand chunks of one byte are one run', () => {
    const data = '0123456789'.repeat(1_000);
    expect(runsOf(`${each(data)}${END}`)).toEqual([data]);
  });

  test('leading zeros, extensions and sizes of all kinds make no difference', () => {
    const text = `${chunk('a'.repeat(16))}${chunk('b'.repeat(17))}0001\r\nc\r\n2;x=y\r\nde\r\n${each('fg')}`;
    expect(runsOf(`${text}${END}`)).toEqual([`${'a'.repeat(16)}${'b'.repeat(17)}cdefg`]);
  });

  test('a long run is not moved: what was gathered before it goes first', () => {
    const text = `${each('abc')}${chunk(long)}${each('def')}${chunk(long)}`;
    expect(runsOf(`${text}${END}`)).toEqual(['abc', long, 'def', long]);
  });

  test('so does what was gathered before a trailer, an error and the end of what has come', () => {
    expect(runsOf(`${each('abc')}0\r\nA: 1\r\n\r\n`)).toEqual(['abc']);
    expect(runsOf(`${each('abc')}x\r\n`)).toEqual(['abc']);
    expect(runsOf(`${each('abc')}5\r\nde`)).toEqual(['abcde']);
    expect(decodeChunks(`${each('abc')}1\r\nxx\r\n`)).toMatchObject({
      outcome: 'ERR_BAD_CHUNK',
      data: 'abcx',
    });
  });
});

test('what follows the last chunk is not touched', () => {
  expect(decodeChunks(`5\r\nhello\r\n${END}GET / HTTP/1.1\r\n`)).toMatchObject({
    outcome: 'done',
    consumed: `5\r\nhello\r\n${END}`.length,
  });
});

describe('malformed', () => {
  test.each([
    '\r\nhello\r\n',
    '\nhello\r\n',
    ' 5\r\n',
    '5 \r\n',
    '5\t\r\n',
    '5 ;a\r\n',
    '+5\r\n',
    '-5\r\n',
    '-1\r\n',
    '0x5\r\n',
    '5x\r\n',
    'x\r\n',
    '5,5\r\n',
    '5.0\r\n',
    '"5"\r\n',
    '5_0\r\n',
    ';a\r\n',
    '\xb2\r\n',
    '20000000000000\r\n',
    'ffffffffffffffff\r\n',
    'fffffffffffffffff\r\n',
    '10000000000000005\r\n',
    '00000000000000005\r\n',
    // Line ends: RFC 9112 §2.2; a bare LF after an extension is CVE-2025-55315, a bare LF after a size CVE-2025-22871.
    '5\nhello\r\n',
    '5\rhello\r\n',
    '5\r\rhello\r\n',
    '5;a\nhello\r\n',
    '5;a\rb\r\nhello\r\n',
    '5;\n\r\nhello\r\n',
    '5;a\0\r\nhello\r\n',
    '5;a\x7f\r\nhello\r\n',
    '5;\xe4\r\nhello\r\n',
    '0\n\r\n',
    '0;a\n\r\n',
    `0\r\n\r\r\n`,
    // Data of another length than announced.
    '5\r\nhello0\r\n\r\n',
    '5\r\nhello\n0\r\n\r\n',
    '5\r\nhello\r0\r\n\r\n',
    '5\r\nhello!\r\n',
    '5\r\nhel\r\n0\r\n\r\n',
    `5;${'a'.repeat(257)}`,
  ])('%j', (text) => {
    expect(decodeChunks(text).outcome).toBe('ERR_BAD_CHUNK');
  });

  test.each([
    '\n',
    'A : 1\r\n',
    ' A: 1\r\n',
    'A: 1\r\n B: 2\r\n',
    'A\r\n',
    ': 1\r\n',
    'A: 1\n',
    'A: 1\rB: 2\r\n',
    'A: \0\r\n',
    'A: 1\r\n\n',
    'A: 1\r\n'.repeat(101),
    `A: ${'a'.repeat(LIMITS.headBytes)}`,
  ])('trailer %j', (trailer) => {
    expect(decodeChunks(`0\r\n${trailer}`).outcome).toBe('ERR_BAD_TRAILER');
  });
});

test('the size of one chunk goes to 2^53 − 1', () => {
  expect(decodeChunks('1fffffffffffff\r\nabc')).toMatchObject({ outcome: 'more', data: 'abc' });
});

test('extensions are bounded, each and all together', () => {
  expect(decodeChunks(`1;${'a'.repeat(255)}\r\nx\r\n${END}`).outcome).toBe('done');
  const many = `1;${'a'.repeat(250)}\r\nx\r\n`;
  expect(decodeChunks(`${many.repeat(60)}${END}`).outcome).toBe('done');
  expect(decodeChunks(`${many.repeat(80)}${END}`).outcome).toBe('ERR_BAD_CHUNK');
});

test('trailers come out in order, case and number; what must not be a trailer does not pass', () => {
  const dropped = [
    'Host: evil',
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'Connection: close',
    'Keep-Alive: 1',
    'TE: trailers',
    'Trailer: x',
    'Upgrade: h2c',
    'Authorization: x',
    'Proxy-Authorization: x',
    'Content-Type: x',
    'Content-Encoding: gzip',
    'Content-Range: bytes 0-1/2',
    'Cookie: a=b',
    'Set-Cookie: a=b',
    'X-Forwarded-For: 1.2.3.4',
    'X_Forwarded_For: 1.2.3.4',
    'Forwarded: for=1.2.3.4',
    'X-Request-Id: x',
    'Max-Forwards: 1',
    'Expect: 100-continue',
    'Via: 1.1 x',
  ];
  const kept = ['X-Sum: 1', 'x-SUM:2', 'ETag: "\xe4"', 'Server-Timing: a'];
  const lines = [kept[0], ...dropped, ...kept.slice(1)];
  const text = `3\r\nabc\r\n0\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
  const result = decodeChunks(`${text}rest`);
  expect(result).toMatchObject({ outcome: 'done', consumed: text.length, data: 'abc' });
  expect(result.trailer.map(([name]) => name)).toEqual(lines.map((line) => line?.split(':')[0]));
  expect(result.forwarded).toBe(kept.map((line) => `${line}\r\n`).join(''));
});

test('the encoder writes what the decoder reads', () => {
  const text = `${chunkSizeLine(26)}${'x'.repeat(26)}\r\n${lastChunk('A: 1\r\n')}`;
  expect(text).toBe(`1a\r\n${'x'.repeat(26)}\r\n0\r\nA: 1\r\n\r\n`);
  expect(decodeChunks(text)).toMatchObject({ outcome: 'done', forwarded: 'A: 1\r\n' });
  expect(lastChunk('')).toBe(END);
});
