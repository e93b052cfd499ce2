/**
 * A backend answered a HEAD with a body, which came a moment after the head: by then the connection had the next request on it,
 * of any client, and the body was taken for its answer. The same behind a 204 and a 304.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { answer, get, type Stage, startStage } from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';
import { waitFor } from '../support/wait-for.ts';

const POISON = okResponse('poison');

let stage: Stage;

beforeAll(async () => {
  stage = await startStage();
});

test.each([
  ['HEAD', `HTTP/1.1 200 OK\r\nContent-Length: ${POISON.length}\r\n\r\n`],
  ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['GET', `HTTP/1.1 304 Not Modified\r\nContent-Length: ${POISON.length}\r\n\r\n`],
])('%s, %j: the next request does not get what follows', async (method, head) => {
  const path = `/late/${method}/${head.length}`;
  stage.on(path, async (connection) => {
    await connection.write(head);
    await sleep(5);
    await connection.write(POISON);
  });
  const client = await stage.client();
  await client.write(get(path, [], method) + get(`${path}/next`));
  await client.readResponse({ hasBody: false });
  expect((await client.readResponse()).body.toString()).toBe('ok');
  // What came late has closed its connection.
  await (await stage.backend.request(path)).closed;
});

test('HEADs of a backend that is right share connections', async () => {
  stage.on('/right', answer('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n'));
  const client = await stage.client();
  const isReused = await waitFor(async () => {
    await client.write(get('/right', [], 'HEAD'));
    await client.readResponse({ hasBody: false });
    const served = stage.backend.served('/right');
    return new Set(served).size < served.length;
  });
  expect(isReused).toBe(true);
});
