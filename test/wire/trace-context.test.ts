import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTraceParent, traceParentLine } from '../../src/data/wire/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

/** Not all zeros. */
const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''))
    .filter((id) => !/^0+$/.test(id));

test.each([
  [`00-${TRACE}-${SPAN}-01`, 1],
  [`00-${TRACE}-${SPAN}-00`, 0],
  // Level 2: the trace id is random. What no level knows is not said on.
  [`00-${TRACE}-${SPAN}-03`, 3],
  [`00-${TRACE}-${SPAN}-ff`, 3],
  [`cc-${TRACE}-${SPAN}-01`, 1],
  [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, 1],
])('%s', (text, flags) => {
  expect(parseTraceParent(text)).toEqual({ traceId: TRACE, spanId: SPAN, flags });
});

test.each([
  '',
  TRACE,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-1`,
  `00-${TRACE}-${SPAN}-01-more`,
  `cc-${TRACE}-${SPAN}-01.more`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE}-${SPAN}-01 `,
  `00_${TRACE}_${SPAN}_01`,
])('"%s" is none', (text) => {
  expect(parseTraceParent(text)).toBeNull();
});

test('what is written is read', () => {
  fc.assert(
    fc.property(hex(32), hex(16), fc.integer({ min: 0, max: 3 }), (traceId, spanId, flags) => {
      const line = traceParentLine(traceId, spanId, flags);
      expect(line.endsWith('\r\n')).toBe(true);
      const value = line.slice('traceparent: '.length, -2);
      expect(parseTraceParent(value)).toEqual({ traceId, spanId, flags });
    }),
  );
});

test('no text makes it throw', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseTraceParent(text)));
});
