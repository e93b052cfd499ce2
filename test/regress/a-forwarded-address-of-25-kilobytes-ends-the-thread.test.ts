import { expect, test } from 'vitest';
import { answer, startStage } from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';
import { waitFor } from '../support/wait-for.ts';

const ZONE = `fe80::1%${'z'.repeat(25_000)}`;
const PIPELINED = 8;

test('an address with an endless zone costs neither the thread nor a line of the log', async () => {
  const stage = await startStage({ trusted_proxies: ['127.0.0.1'], limits: { head: '64KiB' } });
  stage.on('/zone', answer(okResponse('ok')));
  const bystander = await stage.client();
  const client = await stage.client();
  await client.write(
    `GET /zone HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${ZONE}\r\n\r\n`.repeat(PIPELINED),
  );
  for (let count = 0; count < PIPELINED; count++) {
    expect((await client.readResponse()).status).toBe(200);
  }
  const lines = await waitFor(() => {
    const found = stage.fairlead.accessLines().filter(({ path }) => path === '/zone');
    return found.length === PIPELINED ? found : undefined;
  });
  // What is no address says nothing of the client: it is the peer.
  for (const line of lines) expect(line['client']).toBe('127.0.0.1');
  await bystander.write('GET /zone HTTP/1.1\r\nHost: a\r\n\r\n');
  expect((await bystander.readResponse()).status).toBe(200);
  expect(stage.fairlead.logs().some(({ event }) => event === 'data_thread.died')).toBe(false);
});
