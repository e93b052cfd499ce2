/**
 * Where clients may begin with HTTP/2, what has come of a head can be the beginning of either: a client of HTTP/1.1 that stops there is
 * told why it is sent away, as on any other listener.
 */
import { beforeAll, expect, test } from 'vitest';
import { type Http2Stage, startHttp2 } from '../behaviour/http2-stage.ts';
import { rawClient } from '../support/raw-client.ts';

let stage: Http2Stage;
beforeAll(async () => {
  stage = await startHttp2({ timeouts: { head: '200ms' } });
});

test.each(['P', 'PR', 'PROPFIND / HTTP/1.1\r\nHost:'])('%j is answered 408', async (begun) => {
  const client = await rawClient(stage.h2c);
  await client.write(begun);
  const { status, body } = await client.readResponse();
  expect(status).toBe(408);
  expect(body.toString()).toContain('ERR_HEAD_TIMEOUT');
});

test('half a preface of HTTP/2 is no request', async () => {
  const client = await rawClient(stage.h2c);
  await client.write('PRI * HTTP/2.0\r\n\r\nSM');
  const { status } = await client.readResponse();
  expect(status).toBe(505);
});
