/** What old devices send is understood where that is allowed, and nowhere else; and it is passed on in proper form. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createConnectionOptions } from '../../src/data/wire/connection-options.ts';
import { forwardResponse } from '../../src/data/wire/forward-response.ts';
import { chunkedBody, responseHead } from './arbitrary.ts';
import { decodeChunks, held, LENIENT, latin1, parseHead } from './parse.ts';

const RUNS = { numRuns: 400, interruptAfterTimeLimit: 4_000, markInterruptAsFailure: false };
const SHAPE = {
  isChunked: false,
  dropsLength: false,
  connectionLine: '',
  addedFields: '',
  redirects: null,
  sendsVia: false,
  clock: { dateLine: '' },
};

/** Each single byte of it on its own. */
function everySplit(text: string): { splits: number[] } {
  return { splits: Array.from({ length: text.length - 1 }, (_, index) => index + 1) };
}

/** The same with a bare LF for those of its line ends that `picks` says. */
function bareLf(text: string, picks: readonly boolean[]): string {
  let index = 0;
  return text.replaceAll('\r\n', (end) => (picks[index++ % picks.length] === true ? '\n' : end));
}

describe('a head', () => {
  const text = 'HTTP/1.1 200 OK\nServer: old\nx:  y \nEmpty:\n\n';

  test('may end its lines with LF, from a backend that is taken so', () => {
    const expected = {
      outcome: 'done',
      length: text.length,
      line: '200 OK 1',
      fields: [
        ['Server', 'old'],
        ['x', 'y'],
        ['Empty', ''],
      ],
    };
    expect(parseHead('response', text, { limits: LENIENT })).toMatchObject(expected);
    expect(parseHead('response', text, { limits: LENIENT, ...everySplit(text) })).toMatchObject(
      expected,
    );
    expect(parseHead('response', text).outcome).toBe('ERR_BAD_LINE_END');
  });

  test('goes on with CR LF', () => {
    expect(forwardResponse(held('response', text, LENIENT), createConnectionOptions(), SHAPE)).toBe(
      'HTTP/1.1 200 OK\r\nServer: old\r\nx: y\r\nEmpty: \r\n\r\n',
    );
    const mixed = 'HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\n';
    expect(
      forwardResponse(held('response', mixed, LENIENT), createConnectionOptions(), SHAPE),
    ).toBe('HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n\r\n');
    const short = 'HTTP/1.0 404\n\n';
    expect(
      forwardResponse(held('response', short, LENIENT), createConnectionOptions(), SHAPE),
    ).toBe('HTTP/1.1 404 \r\n\r\n');
  });

  test.each([
    ['HTTP/1.1 200 OK\rServer: a\n\n', 'ERR_BAD_LINE_END'],
    ['HTTP/1.1 200 OK\nServer: a\r\r\n\n', 'ERR_BAD_LINE_END'],
    ['HTTP/1.1 200 OK\nServer: a\rb\n\n', 'ERR_BAD_LINE_END'],
    ['HTTP/1.1 200 OK\nServer: a\n folded\n\n', 'ERR_OBS_FOLD'],
    ['HTTP/1.1 200 OK\nServer : a\n\n', 'ERR_BAD_FIELD_NAME'],
    ['HTTP/1.1 200 OK\nServer: a\0b\n\n', 'ERR_BAD_FIELD_VALUE'],
    ['\nHTTP/1.1 200 OK\n\n', 'ERR_BAD_VERSION'],
  ])('is strict in everything else: %j', (wrong, outcome) => {
    expect(parseHead('response', wrong, { limits: LENIENT }).outcome).toBe(outcome);
  });

  test('of any kind says the same with LF as with CR LF, and leaves with CR LF', () => {
    fc.assert(
      fc.property(
        responseHead,
        fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
        ({ text: strict }, picks) => {
          const loose = bareLf(strict, picks);
          const { line, fields, ids } = parseHead('response', strict);
          const options = { limits: LENIENT, ...everySplit(loose) };
          const understood = { outcome: 'done', length: loose.length, line, fields, ids };
          expect(parseHead('response', loose, options)).toEqual(understood);
          const forwarded = forwardResponse(
            held('response', loose, LENIENT),
            createConnectionOptions(),
            SHAPE,
          );
          expect(parseHead('response', forwarded)).toMatchObject({
            outcome: 'done',
            length: forwarded.length,
          });
        },
      ),
      RUNS,
    );
  });
});

describe('chunks', () => {
  test.each([
    ['5\nhello\n0\n\n', 'hello'],
    ['5  \r\nhello\r\n0 \r\n\r\n', 'hello'],
    ['5\t ;x=y\nhello\r\n0\r\n\n', 'hello'],
    ['5 \nhello\n1;x\na\n0;last\n\n', 'helloa'],
    ['4\n\r\n\n\r\n0\n\n', '\r\n\n\r'],
  ])('%j', (text, data) => {
    const expected = { outcome: 'done', consumed: text.length, data };
    expect(decodeChunks(text, { limits: LENIENT })).toMatchObject(expected);
    expect(decodeChunks(text, { limits: LENIENT, ...everySplit(text) })).toMatchObject(expected);
    expect(decodeChunks(text).outcome).toBe('ERR_BAD_CHUNK');
  });

  test.each([
    ['5 0\r\nhello\r\n0\r\n\r\n'],
    ['5 \rhello\n0\n\n'],
    ['5\n\nhello\n0\n\n'],
    [' 5\nhello\n0\n\n'],
    ['\n'],
    ['5\nhello0\n\n'],
    ['5\nhello\r0\n\n'],
    [`5${' '.repeat(300)}\nhello\n0\n\n`],
  ])('are strict in everything else: %j', (text) => {
    const { outcome, data } = decodeChunks(text, { limits: LENIENT });
    expect([outcome, data.includes('0')]).toEqual(['ERR_BAD_CHUNK', false]);
  });

  test('trailers may end with LF too, and go on with CR LF', () => {
    const text = '1\na\n0\nX-Sum: 1\nX-B:2 \r\n\n';
    expect(decodeChunks(text, { limits: LENIENT, ...everySplit(text) })).toMatchObject({
      outcome: 'done',
      consumed: text.length,
      forwarded: 'X-Sum: 1\r\nX-B: 2\r\n',
    });
    expect(decodeChunks(`0\r\nX-Sum: 1\n\r\n`).outcome).toBe('ERR_BAD_TRAILER');
  });

  test('that are proper are the same bytes either way', () => {
    fc.assert(
      fc.property(chunkedBody, ({ text }) => {
        const bytes = latin1(text);
        expect(decodeChunks(bytes, { limits: LENIENT })).toEqual(decodeChunks(bytes));
      }),
      RUNS,
    );
  });
});
