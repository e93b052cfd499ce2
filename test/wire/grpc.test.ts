import { expect, test } from 'vitest';
import {
  isGrpc,
  NO_STATUS,
  readTimeout,
  statusLines,
  statusOfTrailers,
  withTimeout,
} from '../../src/data/wire/grpc.ts';
import { ERRORS } from '../../src/errors.ts';
import { GRPC_STATUSES, grpcOf } from '../../src/grpc-status.ts';

test.each([
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['application/grpc;charset=utf-8', true],
  ['application/grpc-web', false],
  ['application/grpc-web+proto', false],
  ['application/grpc-web-text', false],
  ['application/grp', false],
  ['application/json', false],
  ['', false],
])('%j is gRPC: %j', (contentType, is) => {
  expect(isGrpc(contentType)).toBe(is);
});

test.each([
  ['grpc-status: 0\r\n', 0],
  ['x-a: 1\r\ngrpc-status: 14\r\ngrpc-message: no\r\n', 14],
  // From a backend that speaks HTTP/1.1.
  ['Grpc-Status:5 \r\n', 5],
  // There is none such: UNKNOWN to every client.
  ['grpc-status: 17\r\n', 2],
  ['grpc-status: 123\r\n', 2],
  ['grpc-status: -1\r\n', 2],
  ['grpc-status: \r\n', 2],
  ['x-grpc-status: 3\r\n', NO_STATUS],
  ['', NO_STATUS],
])('the status in the trailers %j is %i', (trailers, status) => {
  expect(statusOfTrailers(trailers)).toBe(status);
});

test('a message is percent-encoded UTF-8', () => {
  expect(statusLines(14, '100 % of "ü"\n')).toBe(
    'grpc-status: 14\r\ngrpc-message: 100 %25 of "%C3%BC"%0A\r\n',
  );
});

test('statuses have the numbers of gRPC', () => {
  expect(GRPC_STATUSES.length).toBe(17);
  expect([0, 4, 8, 12, 14, 16].map((number) => GRPC_STATUSES[number])).toEqual([
    'OK',
    'DEADLINE_EXCEEDED',
    'RESOURCE_EXHAUSTED',
    'UNIMPLEMENTED',
    'UNAVAILABLE',
    'UNAUTHENTICATED',
  ]);
});

test('no error of ours looks like success, and a status without an entry is UNKNOWN', () => {
  expect(Object.values(ERRORS).filter(({ grpc }) => grpc === 'OK')).toEqual([]);
  expect([grpcOf(200), grpcOf(418)]).toEqual(['UNKNOWN', 'UNKNOWN']);
});

test.each([
  ['1S', 1_000],
  ['99999999H', 99_999_999 * 3_600_000],
  ['2M', 120_000],
  ['250m', 250],
  ['1500u', 1.5],
  ['500000n', 0.5],
  ['0S', 0],
  ['', Number.NaN],
  ['S', Number.NaN],
  ['10', Number.NaN],
  ['1s', Number.NaN],
  ['-1S', Number.NaN],
  ['1.5S', Number.NaN],
  ['123456789S', Number.NaN],
  // No name of an object's own.
  ['1constructor', Number.NaN],
])('a timeout of %j is %d ms', (value, ms) => {
  // To the nanosecond.
  expect(Math.round(readTimeout(value) * 1e6)).toBe(Math.round(ms * 1e6));
});

test.each([
  [0, '1u'],
  [0.4, '400u'],
  [250, '250000u'],
  [99_999.999, '99999999u'],
  [100_000, '100000m'],
  [3_600_000 * 24 * 30, '2592000S'],
  [Number.MAX_SAFE_INTEGER, '99999999S'],
])('%d ms are said as %j', (ms, text) => {
  expect(withTimeout('', ms)).toBe(`grpc-timeout: ${text}\r\n`);
});

test('what is left takes the place of what was said, wherever that stands', () => {
  const own = 'grpc-timeout: 1000u\r\n';
  expect(withTimeout('grpc-timeout: 5S\r\nte: trailers\r\n', 1)).toBe(`te: trailers\r\n${own}`);
  expect(withTimeout('POST / HTTP/1.1\r\ngrpc-timeout: 5S\r\nx-a: 1\r\n', 1)).toBe(
    `POST / HTTP/1.1\r\nx-a: 1\r\n${own}`,
  );
  expect(withTimeout('x-a: 1\r\ngrpc-timeout: 5S\r\ngrpc-timeout: 6S\r\n', 1)).toBe(
    `x-a: 1\r\n${own}`,
  );
  expect(withTimeout('x-grpc-timeout: 5S\r\n', 1)).toBe(`x-grpc-timeout: 5S\r\n${own}`);
});
