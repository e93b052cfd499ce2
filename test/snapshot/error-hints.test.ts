import { expect, test } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/errors.ts';
import { ownHintOf } from '../../src/snapshot/error-hints.ts';

const codes = Object.keys(ERRORS) as ErrorCode[];

test.each(codes.filter((code) => ERRORS[code].source !== 'client'))(
  '%s, which no client can help, says what to look at',
  (code) => {
    expect(ownHintOf(code)).toMatch(/./);
  },
);
