import { describe, expect, test } from 'vitest';
import {
  BODY_CHUNKED,
  BODY_LENGTH,
  BODY_NONE,
  BODY_UNTIL_CLOSE,
  createFraming,
  frameRequest,
  frameResponse,
} from '../../src/data/wire/framing.ts';
import { held } from './parse.ts';

const KINDS = {
  none: BODY_NONE,
  length: BODY_LENGTH,
  chunked: BODY_CHUNKED,
  close: BODY_UNTIL_CLOSE,
} as const;

type Expected = string | readonly [kind: keyof typeof KINDS, length: number];

function ofRequest(minor: number, lines: readonly string[]): unknown {
  const framing = createFraming();
  const text = `POST / HTTP/1.${minor}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
  const head = held('request', text);
  return frameRequest(head, framing) ?? [framing.kind, framing.length];
}

function ofResponse(
  status: number,
  lines: readonly string[],
  answersHead = false,
  isLenient = false,
): unknown {
  const framing = createFraming();
  const text = `HTTP/1.1 ${status} \r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
  const head = held('response', text);
  return frameResponse(head, answersHead, framing, isLenient) ?? [framing.kind, framing.length];
}

function plain(expected: Expected): unknown {
  return typeof expected === 'string' ? expected : [KINDS[expected[0]], expected[1]];
}

const LENGTH = 'ERR_BAD_CONTENT_LENGTH';
const CODING = 'ERR_BAD_TRANSFER_ENCODING';
const BOTH = 'ERR_LENGTH_AND_ENCODING';

const BY_FIELDS: readonly (readonly [lines: readonly string[], expected: Expected])[] = [
  [['Content-Length: 5'], ['length', 5]],
  [['cONTENT-lENGTH:\t5 \t'], ['length', 5]],
  [['Content-Length: 0'], ['length', 0]],
  [['Content-Length: 00012'], ['length', 12]],
  [['Content-Length: 9007199254740991'], ['length', Number.MAX_SAFE_INTEGER]],
  [['Content-Length: 9007199254740992'], LENGTH],
  [['Content-Length: 18446744073709551621'], LENGTH],
  [[`Content-Length: ${'9'.repeat(400)}`], LENGTH],
  [['Content-Length:'], LENGTH],
  [['Content-Length: +5'], LENGTH],
  [['Content-Length: -5'], LENGTH],
  [['Content-Length: -0'], LENGTH],
  [['Content-Length: 0x5'], LENGTH],
  [['Content-Length: 5_0'], LENGTH],
  [['Content-Length: 5 0'], LENGTH],
  [['Content-Length: 5.0'], LENGTH],
  [['Content-Length: 5e1'], LENGTH],
  [['Content-Length: 5, 5'], LENGTH],
  [['Content-Length: 5,'], LENGTH],
  [['Content-Length: "5"'], LENGTH],
  [['Content-Length: 5;'], LENGTH],
  [['Content-Length: \xb2'], LENGTH],
  [['Content-Length: \xa05'], LENGTH],
  [['Content-Length: 5', 'Content-Length: 6'], LENGTH],
  [['Transfer-Encoding: chunked'], ['chunked', -1]],
  [['Transfer-Encoding: cHuNkEd'], ['chunked', -1]],
  [['Transfer-Encoding:\tchunked \t'], ['chunked', -1]],
  [['Transfer-Encoding:'], CODING],
  [['Transfer-Encoding: xchunked'], CODING],
  [['Transfer-Encoding: chunkedx'], CODING],
  [['Transfer-Encoding: chunke'], CODING],
  [['Transfer-Encoding: "chunked"'], CODING],
  [['Transfer-Encoding: chunked, identity'], CODING],
  [['Transfer-Encoding: identity, chunked'], CODING],
  [['Transfer-Encoding: chunked, chunked'], CODING],
  [['Transfer-Encoding: gzip, chunked'], CODING],
  [['Transfer-Encoding: chunked;q=1'], CODING],
  [['Transfer-Encoding: chunked,'], CODING],
  [['Transfer-Encoding: ,chunked'], CODING],
  [['Transfer-Encoding: identity'], CODING],
  [['Transfer-Encoding: chunked\xa0'], CODING],
  [['Transfer-Encoding: \x85chunked'], CODING],
  [['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], CODING],
  [['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], CODING],
  [['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'], CODING],
  [['Content-Length: 5', 'Transfer-Encoding: chunked'], BOTH],
  [['Transfer-Encoding: chunked', 'Content-Length: 5'], BOTH],
  [['Transfer-Encoding: chunked', 'Content-Length: x'], LENGTH],
  [['Content-Length: 0', 'Transfer-Encoding: identity'], CODING],
  // Told apart from the real ones, and never forwarded.
  [
    ['Content_Length: 5', 'Transfer_Encoding: chunked'],
    ['none', -1],
  ],
];

test('two Content-Lengths that agree are one in a response, and refused in a request', () => {
  const lines = ['Content-Length: 5', 'content-length: 5'];
  expect(ofRequest(1, lines)).toBe(LENGTH);
  expect(ofResponse(200, lines)).toEqual([BODY_LENGTH, 5]);
  expect(ofResponse(200, [...lines, 'Content-Length: 6'])).toBe(LENGTH);
});

test('taken leniently, chunks overrule a length in a response, which is no error else', () => {
  const both = ['Content-Length: 5', 'Transfer-Encoding: chunked'];
  for (const lines of [both, both.toReversed(), [both[0] as string, ...both]]) {
    expect(ofResponse(200, lines, false, true)).toEqual([BODY_CHUNKED, -1]);
    expect(ofResponse(200, lines, true, true)).toEqual([BODY_NONE, -1]);
  }
  expect(ofResponse(200, ['Content-Length: x', 'Transfer-Encoding: chunked'], false, true)).toBe(
    LENGTH,
  );
  expect(ofResponse(200, [...both, 'Content-Length: 6'], false, true)).toBe(LENGTH);
  expect(ofResponse(200, ['Content-Length: 5', 'Transfer-Encoding: gzip'], false, true)).toBe(
    CODING,
  );
});

describe.each(BY_FIELDS)('%j', (lines, expected) => {
  test('of a request', () => expect(ofRequest(1, lines)).toEqual(plain(expected)));

  test('of a response', () => {
    const isNone = expected[0] === 'none';
    expect(ofResponse(200, lines)).toEqual(plain(isNone ? ['close', -1] : expected));
  });
});

test.each([
  [[], ['none', -1]],
  [['Content-Length: 5'], ['length', 5]],
  [['Transfer-Encoding: chunked'], CODING],
  [['Content-Length: 5', 'Transfer-Encoding: chunked'], CODING],
] as const)('in HTTP/1.0, %j', (lines, expected) => {
  expect(ofRequest(0, lines)).toEqual(plain(expected));
});

test.each([
  [100, false, ['Content-Length: 5'], ['none', 5]],
  [101, false, [], ['none', -1]],
  [103, false, ['Transfer-Encoding: chunked'], ['none', -1]],
  [200, false, [], ['close', -1]],
  [200, true, [], ['none', -1]],
  [200, true, ['Content-Length: 5'], ['none', 5]],
  [200, true, ['Transfer-Encoding: chunked'], ['none', -1]],
  [204, false, ['Content-Length: 5'], ['none', 5]],
  [204, false, ['Transfer-Encoding: chunked'], ['none', -1]],
  [205, false, ['Content-Length: 0'], ['length', 0]],
  [304, false, ['Content-Length: 5'], ['none', 5]],
  [304, false, ['Transfer-Encoding: chunked'], ['none', -1]],
  [404, false, [], ['close', -1]],
  // Garbage is garbage, also where no body follows.
  [204, false, ['Content-Length: 5', 'Content-Length: 6'], LENGTH],
  [304, true, ['Transfer-Encoding: gzip'], CODING],
] as const)('a %i response (to a HEAD: %s) with %j', (status, answersHead, lines, expected) => {
  expect(ofResponse(status, lines, answersHead)).toEqual(plain(expected));
});
