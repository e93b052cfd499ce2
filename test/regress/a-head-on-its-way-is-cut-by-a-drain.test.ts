/**
 * A drain gave every connection without a request half a second. A client that was in the middle of its head got a 408
 * that spoke of ten seconds, in place of an answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { get, startStage } from '../behaviour/stage.ts';

/** By then an idle connection that closed a moment ago is not the only one that would have been closed. */
const A_FEW_TICKS_MS = 300;

test('a client in the middle of its head is answered, and its connection closes', async () => {
  const stage = await startStage();
  const [client, idle] = [await stage.client(), await stage.client()];
  await client.write(get('/first'));
  expect((await client.readResponse()).status).toBe(200);
  const head = get('/second');
  await client.write(head.slice(0, 20));
  // The proxy has read it: whatever comes next on another connection comes later.
  await idle.write(get('/third'));
  expect((await idle.readResponse()).status).toBe(200);

  const stopped = stage.fairlead.stop();
  await idle.closed;
  await sleep(A_FEW_TICKS_MS);
  await client.write(head.slice(20));
  const response = await client.readResponse();
  expect(response.status).toBe(200);
  expect(response.fields.get('connection')).toEqual(['close']);
  client.end();
  expect(await stopped).toBe(0);
});
