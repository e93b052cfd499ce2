import { expect, test } from 'vitest';
import { isIncremental, urgencyOf } from '../../../src/data/wire/http2/priority.ts';

test.each([
  ['', 3, false],
  ['u=0', 0, false],
  ['u=7, i', 7, true],
  ['i', 3, true],
  ['i, u=1', 1, true],
  ['i=?1,u=5', 5, true],
  ['i=?0', 3, false],
  ['u=2;a=b, i;c', 2, true],
  ['u=1, u=4', 4, false],
  ['u=8', 3, false],
  ['u=-1', 3, false],
  ['u=10', 3, false],
  ['u="1"', 3, false],
  ['u', 3, false],
  ['i=1', 3, false],
  ['U=1, urgent=2, in', 3, false],
  [',,=,', 3, false],
])('%o', (text, urgency, isOne) => {
  expect([urgencyOf(text), isIncremental(text)]).toEqual([urgency, isOne]);
});
