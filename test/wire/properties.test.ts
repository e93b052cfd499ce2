/** What must hold for any bytes whatsoever. Each property runs for about a second at most. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkSizeLine, lastChunk } from '../../src/data/wire/chunked.ts';
import {
  createConnectionOptions,
  readConnectionOptions,
} from '../../src/data/wire/connection-options.ts';
import type { HeadKind } from '../../src/data/wire/first-line.ts';
import { ForwardContext, forwardRequest } from '../../src/data/wire/forward-request.ts';
import { forwardResponse } from '../../src/data/wire/forward-response.ts';
import { createFraming, frameResponse } from '../../src/data/wire/framing.ts';
import type { HeadLimits } from '../../src/data/wire/head-parser.ts';
import { readRequest } from '../../src/data/wire/request.ts';
import { isValidHost, parseTarget } from '../../src/data/wire/target.ts';
import {
  chunkedBody,
  mutated,
  randomBytes,
  requestHead,
  responseHead,
  target,
  trailerSection,
} from './arbitrary.ts';
import { decodeChunks, held, LIMITS, latin1, parseHead, RULES } from './parse.ts';

const RUNS = { numRuns: 400, interruptAfterTimeLimit: 4_000, markInterruptAsFailure: false };
/** Small enough that generated messages meet them. */
const TIGHT: HeadLimits = { ...LIMITS, requestLineBytes: 24, headBytes: 64, fields: 3 };

/** Places to split `length` bytes at: each place on its own, each byte on its own, and some random ones. */
function waysToSplit(length: number, random: readonly number[]): number[][] {
  const single = Array.from({ length: Math.max(0, length - 1) }, (_, index) => [index + 1]);
  const several = [...new Set(random.map((at) => (length < 2 ? 0 : 1 + (at % (length - 1)))))]
    .filter((at) => at > 0)
    .toSorted((a, b) => a - b);
  return [...single, single.flat(), several];
}

const splits = fc.array(fc.nat(), { minLength: 2, maxLength: 6 });

const HEADS: readonly (readonly [HeadKind, fc.Arbitrary<{ readonly text: string }>])[] = [
  ['request', requestHead],
  ['response', responseHead],
  ['trailer', trailerSection],
];

describe.each(HEADS)('a %s', (kind, heads) => {
  test.each([
    ['the usual limits', LIMITS],
    ['tight limits', TIGHT],
  ])('is read alike however its bytes are split, whatever they are, within %s', (_name, limits) => {
    const bytes = fc.oneof(
      randomBytes,
      mutated(heads),
      heads.map(({ text }) => latin1(text)),
    );
    fc.assert(
      fc.property(bytes, splits, (input, random) => {
        const whole = parseHead(kind, input, { limits });
        for (const split of waysToSplit(input.length, random)) {
          expect(parseHead(kind, input, { limits, splits: split })).toEqual(whole);
        }
      }),
      RUNS,
    );
  });

  test('is decided at one byte: without it there is no answer, and what follows does not change it', () => {
    const bytes = fc.oneof(
      mutated(heads),
      heads.map(({ text }) => latin1(text)),
    );
    fc.assert(
      fc.property(bytes, randomBytes, (input, rest) => {
        const whole = parseHead(kind, input);
        if (whole.outcome === 'more') return;
        expect(parseHead(kind, Buffer.concat([input, rest]))).toEqual(whole);
        if (whole.outcome !== 'done') return;
        expect(parseHead(kind, input.subarray(0, whole.length - 1)).outcome).toBe('more');
      }),
      RUNS,
    );
  });
});

describe('what was written is what is read', () => {
  test('of a request', () => {
    fc.assert(
      fc.property(requestHead, ({ text, emptyLine, method, target: path, minor, fields }) => {
        expect(parseHead('request', `${text}rest`)).toMatchObject({
          outcome: 'done',
          length: text.length,
          line: `${method} ${path} ${minor}`,
          fields: fields.map(({ name, value }) => [name, value]),
        });
        expect(text.startsWith(emptyLine)).toBe(true);
      }),
      RUNS,
    );
  });

  test('of a response', () => {
    fc.assert(
      fc.property(responseHead, ({ text, status, reason, minor, fields }) => {
        expect(parseHead('response', `${text}rest`)).toMatchObject({
          outcome: 'done',
          length: text.length,
          line: `${status} ${reason ?? ''} ${minor}`,
          fields: fields.map(({ name, value }) => [name, value]),
        });
      }),
      RUNS,
    );
  });

  test('of a chunked body, with its trailers', () => {
    fc.assert(
      fc.property(chunkedBody, splits, ({ text, payload, trailer }, random) => {
        const expected = {
          outcome: 'done',
          consumed: text.length,
          data: payload,
          trailer: trailer.fields.map(({ name, value }) => [name, value]),
        };
        const input = latin1(`${text}GET`);
        expect(decodeChunks(input)).toMatchObject(expected);
        for (const split of waysToSplit(text.length, random)) {
          expect(decodeChunks(input, { splits: split })).toMatchObject(expected);
        }
      }),
      RUNS,
    );
  });

  test('of a body that the encoder has chunked', () => {
    const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 });
    fc.assert(
      fc.property(payloads, splits, (chunks, random) => {
        const payload = Buffer.concat(chunks).toString('latin1');
        const encoded = chunks.map(
          (chunk) => `${chunkSizeLine(chunk.length)}${Buffer.from(chunk).toString('latin1')}\r\n`,
        );
        const text = `${encoded.join('')}${lastChunk('A: 1\r\n')}`;
        const last = waysToSplit(text.length, random).slice(-2);
        for (const split of [[], ...last]) {
          const decoded = decodeChunks(text, { splits: split });
          expect(decoded).toMatchObject({ outcome: 'done', consumed: text.length, data: payload });
          expect(decoded.forwarded).toBe('A: 1\r\n');
        }
      }),
      RUNS,
    );
  });
});

test('chunks are read alike however their bytes are split, whatever they are', () => {
  const bytes = fc.oneof(randomBytes, mutated(chunkedBody));
  fc.assert(
    fc.property(bytes, splits, fc.constantFrom(LIMITS, TIGHT), (input, random, limits) => {
      const whole = decodeChunks(input, { limits });
      for (const split of waysToSplit(input.length, random)) {
        expect(decodeChunks(input, { limits, splits: split })).toEqual(whole);
      }
    }),
    RUNS,
  );
});

test('whatever request is understood becomes a head that can be read again, and nothing more', () => {
  const bytes = fc.oneof(
    requestHead.map(({ text }) => latin1(text)),
    mutated(requestHead),
  );
  let understood = 0;
  fc.assert(
    fc.property(bytes, fc.boolean(), fc.boolean(), (input, isTrusted, sendForwarded) => {
      if (parseHead('request', input).outcome !== 'done') return;
      const head = held('request', input);
      const facts = readRequest(head, RULES);
      if (typeof facts === 'string') return;
      understood++;
      const context = new ForwardContext('::1', 'http', isTrusted, {
        sendsXForwarded: true,
        sendsForwarded: sendForwarded,
        viaName: 'fairlead-0',
        upgrades: [],
        rewritesLocation: false,
      });
      const { startLine, fields } = forwardRequest(head, facts, context, 'made-id', {
        dropsHost: true,
        dropsAuthorization: false,
        hasOtherPath: false,
      });
      const text = `${startLine}Host: x\r\n${fields}\r\n`;
      const again = parseHead('request', text);
      expect(again).toMatchObject({ outcome: 'done', length: text.length });
      expect(again.line).toBe(`${facts.method} ${facts.path} 1`);
      expect(again.fields.filter(([name]) => /^transfer[-_]encoding$/i.test(name))).toEqual([]);
    }),
    { ...RUNS, numRuns: 1_500 },
  );
  expect(understood).toBeGreaterThan(20);
});

test('whatever response is understood becomes a head that can be read again, and nothing more', () => {
  const framing = createFraming();
  const clock = { dateLine: 'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n' };
  let understood = 0;
  fc.assert(
    fc.property(responseHead, fc.boolean(), ({ text }, isChunked) => {
      const head = held('response', text);
      if (frameResponse(head, false, framing, false) !== null) return;
      understood++;
      const options = createConnectionOptions();
      readConnectionOptions(head, options);
      const shape = {
        isChunked,
        dropsLength: false,
        connectionLine: '',
        addedFields: '',
        redirects: null,
        sendsVia: true,
        clock,
      };
      const forwarded = forwardResponse(head, options, shape);
      const again = parseHead('response', forwarded);
      expect(again).toMatchObject({ outcome: 'done', length: forwarded.length });
      const codings = again.fields.filter(([name]) => /^transfer-encoding$/i.test(name));
      expect(codings.map(([, value]) => value)).toEqual(isChunked ? ['chunked'] : []);
    }),
    RUNS,
  );
  expect(understood).toBeGreaterThan(20);
});

test('no target and no host makes a parser throw', () => {
  const texts = fc.oneof(target, fc.string({ maxLength: 30 }), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(texts, (text) => {
      const isOrigin = parseTarget('GET', text)?.path.startsWith('/') ?? true;
      const isPlain = !isValidHost(text) || /^[\x21-\x7e]+$/.test(text);
      expect([isOrigin, isPlain]).toEqual([true, true]);
    }),
    RUNS,
  );
});
