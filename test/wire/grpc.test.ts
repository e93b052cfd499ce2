import { expect, test } from 'vitest';
import { isGrpc, NO_STATUS, statusLines, statusOfTrailers } from '../../src/data/wire/grpc.ts';
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
