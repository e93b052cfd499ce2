/** What `POST /explain` takes: all that can stand in the head of one request, and nothing that makes two of it. */
import { expect, test } from 'vitest';
import { readQuestion } from '../../src/control/admin/explain-question.ts';

const read = (body: unknown) => readQuestion(Buffer.from(JSON.stringify(body)));

test('what is not said is as usual', () => {
  expect(read({ host: 'a' })).toEqual({
    method: 'GET',
    target: '/',
    host: 'a',
    fields: [],
    peerAddress: '127.0.0.1',
    scheme: 'http',
  });
  expect(read({ host: 'a', headers: { X: ['1', '2'], Y: '' } }).fields).toEqual([
    ['X', '1'],
    ['X', '2'],
    ['Y', ''],
  ]);
});

test.each([
  [{}],
  [[]],
  [{ host: 7 }],
  [{ host: 'a', hots: 'b' }],
  [{ host: 'a\r\nX: y' }],
  [{ host: 'a', path: '/ HTTP/1.1\r\n\r\nGET /' }],
  [{ host: 'a', path: '/a b' }],
  [{ host: 'a', path: '/ü€' }],
  [{ host: 'a', method: 'GET /x' }],
  [{ host: 'a', method: '' }],
  [{ host: 'a', scheme: 'ftp' }],
  [{ host: 'a', client: 'localhost' }],
  [{ host: 'a', client: 'fe80::1%eth0' }],
  [{ host: 'a', headers: 'X: y' }],
  [{ host: 'a', headers: { 'X\r\nY': '1' } }],
  [{ host: 'a', headers: { 'X: y\r\nZ': '1' } }],
  [{ host: 'a', headers: { X: 'y\r\nZ: 1' } }],
  [{ host: 'a', headers: { X: 'y\n' } }],
  [{ host: 'a', headers: { X: 'y\0' } }],
  [{ host: 'a', headers: { X: 7 } }],
  [{ host: 'a', headers: { X: [[]] } }],
  [{ host: 'a', headers: { HOST: 'b' } }],
  [{ host: 'a', headers: { '': 'b' } }],
  [{ host: 'a', headers: { X: 'y'.repeat(300_000) } }],
  [{ host: 'a', headers: { X: Array.from({ length: 1_001 }, () => '') } }],
])('what can be no request is refused (%#)', (body) => {
  expect(() => read(body)).toThrow(expect.objectContaining({ status: 422 }));
});

test('what is no JSON is refused', () => {
  expect(() => readQuestion(Buffer.from('{"host":'))).toThrow(
    expect.objectContaining({ status: 400 }),
  );
});
