/**
 * What a function of the program throws or gives may be a Proxy, or have getters that throw: looking at it for the log threw once
 * more, past all who were prepared for that.
 */
import { expect, test } from 'vitest';
import { type AskedRequest, type Functions, Hooks } from '../../src/data/relay/hooks.ts';
import type { FromDataThread } from '../../src/snapshot/messages.ts';

const refusing = (): never => {
  throw new Error('not to be looked at');
};
const CLOSED = new Proxy(
  {},
  {
    get: refusing,
    getPrototypeOf: refusing,
    has: refusing,
    ownKeys: refusing,
    getOwnPropertyDescriptor: refusing,
  },
);
const textless = Object.defineProperty(new Error(), 'message', { get: refusing });
const ASKED: AskedRequest = {
  id: '1',
  method: 'GET',
  path: '/',
  host: null,
  client: '::1',
  headers: {},
};

test.each<[string, () => unknown]>([
  [
    'a closed Proxy is thrown',
    () => {
      throw CLOSED;
    },
  ],
  [
    'an error without a text is thrown',
    () => {
      throw textless;
    },
  ],
  [
    'something is thrown that has no text',
    () => {
      throw Object.create(null);
    },
  ],
  ['a closed Proxy is given', () => CLOSED],
  ['its headers are a closed Proxy', () => ({ status: 200, headers: CLOSED })],
  ['its status is one', () => ({ status: CLOSED })],
  ['its body is one', () => ({ status: 200, body: CLOSED })],
])('%s', (_what, request) => {
  const told: FromDataThread[] = [];
  const hooks = new Hooks({ request: request as Functions['request'] & {} }, (one) =>
    told.push(one),
  );
  expect(hooks.terms(ASKED, null)).toMatchObject({ refused: { code: 'ERR_FUNCTION_FAILED' } });
  expect(told).toMatchObject([{ kind: 'log', event: 'function.failed' }]);
});
