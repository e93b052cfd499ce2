/**
 * A POST, PUT or PATCH whose head ends its stream went to a backend of HTTP/1.1 without Content-Length, which some answer 411
 * (RFC 9110 §8.6: who sends such a method says that there is no body). HTTP/1.1 clients say it themselves.
 */
import { beforeAll, expect, test } from 'vitest';
import { ask, type Http2Stage, startHttp2 } from '../behaviour/http2-stage.ts';

const heads = new Map<string, string>();

let stage: Http2Stage;
beforeAll(async () => {
  stage = await startHttp2();
  stage.on('/head', async (connection, head) => {
    heads.set(head.split(' ', 1)[0] ?? '', head.toLowerCase());
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });
});

async function headOf(
  method: string,
  fields: Readonly<Record<string, string>> = {},
): Promise<readonly string[] | null | undefined> {
  const { status } = await ask(stage.session(), { ':path': '/head', ':method': method, ...fields });
  expect(status).toBe(200);
  return heads.get(method)?.match(/^(?:content-length|transfer-encoding):.*$/gm);
}

test.each(['POST', 'PUT', 'PATCH'])('%s says that it has no body', async (method) => {
  expect(await headOf(method)).toEqual(['content-length: 0']);
});

test('who has said so is not repeated', async () => {
  expect(await headOf('POST', { 'content-length': '0' })).toEqual(['content-length: 0']);
});

test.each(['GET', 'DELETE', 'OPTIONS'])('%s means none, and says nothing', async (method) => {
  expect(await headOf(method)).toBeNull();
});
