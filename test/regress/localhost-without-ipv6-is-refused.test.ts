import { expect, test } from 'vitest';
import { describeConnectError } from '../../src/data/backend/connect-errors.ts';

function failure(code: string, address: string): Error {
  return Object.assign(new Error(`connect ${code} ${address}:1`), { code, address });
}

/**
 * In a container without IPv6, the ::1 of localhost fails with EADDRNOTAVAIL before 127.0.0.1 refuses. That was taken for
 * a lack of ports: 503, no retry, and the dead backend stayed alive.
 */
test.each([
  [['EADDRNOTAVAIL', 'ECONNREFUSED'], 'ERR_BACKEND_REFUSED'],
  [['ECONNREFUSED', 'ENETUNREACH'], 'ERR_BACKEND_REFUSED'],
  [['ENETUNREACH', 'ETIMEDOUT'], 'ERR_BACKEND_CONNECT_TIMEOUT'],
  [['ENETUNREACH', 'EHOSTUNREACH'], 'ERR_BACKEND_UNREACHABLE'],
  [['EADDRNOTAVAIL', 'EADDRNOTAVAIL'], 'ERR_OUT_OF_SOCKETS'],
])('%j, one for each address, is %s', (codes, expected) => {
  const errors = codes.map((code, index) => failure(code, index === 0 ? '::1' : '127.0.0.1'));
  const { code, detail } = describeConnectError(new AggregateError(errors));
  expect(code).toBe(expected);
  expect(detail).toContain('::1:1');
  expect(detail).toContain('127.0.0.1:1');
});

test.each([
  ['EMFILE', 'ERR_OUT_OF_SOCKETS'],
  ['EADDRNOTAVAIL', 'ERR_OUT_OF_SOCKETS'],
  ['ENOTFOUND', 'ERR_BACKEND_DNS'],
  ['EHOSTUNREACH', 'ERR_BACKEND_UNREACHABLE'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_BACKEND_TLS'],
])('a single %s is %s', (code, expected) => {
  expect(describeConnectError(failure(code, '192.0.2.1')).code).toBe(expected);
});
