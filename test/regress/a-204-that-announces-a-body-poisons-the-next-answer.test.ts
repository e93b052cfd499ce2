/**
 * A 204 has no body whatever its fields say (RFC 9112 §6.3). A backend that announces one may send it late, and on a
 * connection that is used again it would be read as the answer to somebody else's request.
 */
import { expect, test } from 'vitest';
import { answer, type Stage, startStage } from '../behaviour/stage.ts';
import { waitFor } from '../support/wait-for.ts';

async function connectionsOfTwo(stage: Stage, first: string): Promise<unknown[]> {
  const path = `/${first.length}`;
  stage.on(path, answer(first));
  const client = await stage.client();
  await client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.readResponse();
  await client.write(`GET ${path}/next HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.readResponse();
  return [stage.backend.served(path)[0], stage.backend.served(`${path}/next`)[0]];
}

test.each([
  'HTTP/1.1 204 No Content\r\nContent-Length: 60\r\n\r\n',
  'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n',
])('%j: the connection is not used again', async (response) => {
  const [first, next] = await connectionsOfTwo(await startStage(), response);
  expect(next).not.toBe(first);
});

test.each([
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 60\r\n\r\n',
])('%j: the connection is used again', async (response) => {
  const stage = await startStage();
  stage.on('/again', answer(response));
  const client = await stage.client();
  // It is looked at once more first: a request that comes meanwhile gets another connection.
  const isReused = await waitFor(async () => {
    await client.write('GET /again HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.readResponse();
    const served = stage.backend.served('/again');
    return new Set(served).size < served.length;
  });
  expect(isReused).toBe(true);
});
