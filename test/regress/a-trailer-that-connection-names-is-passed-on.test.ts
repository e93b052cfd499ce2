/**
 * `Connection: X-T` makes X-T a field of this hop only (RFC 9110 §7.6.1). It was taken out of the head, and passed on when it
 * stood in the trailer section.
 */
import { expect, test } from 'vitest';
import { answer, startStage } from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';

const TRAILER = 'X-Sum: 1\r\nX-T: 2\r\nx-t: 3\r\nX-Tail: 4\r\n';
const BODY = `2\r\nok\r\n0\r\n${TRAILER}\r\n`;

test('of a request: what the client names for us does not reach the backend', async () => {
  const stage = await startStage();
  let sent = '';
  stage.on('/up', async (connection) => {
    sent = await connection.readUntil('\r\n\r\n');
    await connection.write(okResponse());
  });
  const client = await stage.client();
  const fields = 'Host: a\r\nConnection: keep-alive, x-t\r\nTransfer-Encoding: chunked';
  await client.write(`POST /up HTTP/1.1\r\n${fields}\r\n\r\n${BODY}`);
  await client.readResponse();
  expect(sent).toBe('2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Tail: 4\r\n\r\n');
});

test('of a response: what the backend names for us does not reach the client', async () => {
  const stage = await startStage();
  const fields = 'Connection: X-T\r\nTransfer-Encoding: chunked';
  stage.on('/down', answer(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${BODY}`));
  const client = await stage.client();
  await client.write('GET /down HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.readUntil('\r\n\r\n');
  expect(await client.readUntil('\r\n\r\n')).toBe('2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Tail: 4\r\n\r\n');
});

test('of the next response: another message has names of its own', async () => {
  const stage = await startStage();
  stage.on('/named', answer('HTTP/1.1 200 OK\r\nConnection: X-T\r\nContent-Length: 0\r\n\r\n'));
  stage.on('/free', answer(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${BODY}`));
  const client = await stage.client();
  await client.write('GET /named HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.readResponse();
  await client.write('GET /free HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.readUntil('\r\n\r\n');
  expect(await client.readUntil('\r\n\r\n')).toBe(BODY);
});
