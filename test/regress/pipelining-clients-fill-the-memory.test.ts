/**
 * Each answer to a pipelining client read another 64 KiB of its requests: a client that asks faster than it is served
 * filled the memory, and each request moved all that waited. And a client whose requests need no backend kept all others
 * waiting until its last one was answered.
 */
import { expect, test } from 'vitest';
import { startStage } from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';
import { awaitedLater, waitFor } from '../support/wait-for.ts';

/** More than the kernel holds for both ends of a connection. */
const KERNEL_BYTES = 16 * 1024 * 1024;

test('requests that wait are bounded, however many are answered', async () => {
  const stage = await startStage({ access_log: false });
  stage.on('/next', (connection) => connection.write(okResponse('x')));
  const client = await stage.client();
  const requests = 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2000);
  let taken = 0;
  const progress = { isOver: false };
  const send = async (): Promise<void> => {
    while (!progress.isOver && taken < 4 * KERNEL_BYTES) {
      await Promise.race([client.write(requests), client.closed]);
      taken += requests.length;
    }
  };
  const sending = awaitedLater(send());
  await waitFor(
    () => client.text.split('HTTP/1.1 200').length > 1000,
    20_000,
    'a thousand answers',
  );
  expect(taken).toBeLessThan(KERNEL_BYTES);
  progress.isOver = true;
  client.reset();
  await sending;
});

test('pipelined requests that need no backend are all answered, in order, over many turns', async () => {
  const stage = await startStage({ access_log: false });
  stage.on('/last', (connection) => connection.write(okResponse('the last')));
  const client = await stage.client();
  const options = 'OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n';
  await client.write(`${options.repeat(5000)}GET /last HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.readUntil('the last', 10_000);
  expect(client.text.split('HTTP/1.1 204').length - 1).toBe(5000);
  await client.write(options);
  expect((await client.readResponse()).status).toBe(204);
});
