/** `max_connections`: open connections to one backend, at most. */
import { expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import {
  type Connection,
  get,
  metrics,
  NOTHING,
  Stage,
  scriptedBackend,
  startProxy,
  startStage,
} from './stage.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Answers when it is told to. */
function held(): { readonly script: (connection: Connection) => Promise<void>; go: () => void } {
  let go: (() => void) | undefined;
  const started = new Promise<void>((resolve) => {
    go = resolve;
  });
  return {
    go: () => go?.(),
    script: async (connection) => {
      await started;
      await connection.write(OK);
    },
  };
}

test('a full backend: 503 that says so, and a place for the next one once it is free', async () => {
  const stage = await startStage({ max_connections: 1 });
  const hold = held();
  stage.on('/held', hold.script);
  const [first, second] = [await stage.client(), await stage.client()];
  await first.write(get('/held'));
  await stage.backend.request('/held');

  await second.write(get('/refused'));
  const refused = await second.readResponse();
  expect(refused.status).toBe(503);
  expect(refused.fields.get('proxy-status')).toEqual(['fairlead; error=connection_limit_reached']);
  expect(refused.fields.get('retry-after')).toEqual(['1']);
  expect(String(refused.body)).toContain('ERR_BACKENDS_FULL');
  const line = await stage.logged('/refused');
  expect(line).toMatchObject({ error: 'ERR_BACKENDS_FULL' });
  expect(line).not.toHaveProperty('backend');

  hold.go();
  expect((await first.readResponse()).status).toBe(200);
  await second.write(get('/next'));
  expect((await second.readResponse()).status).toBe(200);
  // One connection did it all.
  expect(stage.backend.served('/next')[0]).toBe(stage.backend.served('/held')[0]);
  first.reset();
  second.reset();
  expect(await stage.leftover()).toEqual(NOTHING);
});

test('a full backend is passed over while another has room', async () => {
  const [one, two] = [await scriptedBackend(), await scriptedBackend()];
  const fairlead = await startProxy([one.url, two.url], { max_connections: 1 });
  const stage = new Stage(fairlead, one);
  const hold = held();
  for (const backend of [one, two]) backend.on('/held', hold.script);
  const holder = await stage.client();
  await holder.write(get('/held'));
  await waitFor(() => one.served('/held').length + two.served('/held').length === 1);
  const client = await stage.client();
  for (let index = 0; index < 4; index++) {
    await client.write(get(`/${index}`));
    expect((await client.readResponse()).status).toBe(200);
  }
  const [held1, held2] = [one.served('/held').length, two.served('/held').length];
  expect(held1 + held2).toBe(1);
  const free = held1 === 1 ? two : one;
  for (let index = 0; index < 4; index++) expect(free.served(`/${index}`)).toHaveLength(1);
  hold.go();
  expect((await holder.readResponse()).status).toBe(200);
  const open = [...(await metrics(fairlead))]
    .filter(([name]) => name.startsWith('fairlead_backend_connections{'))
    .reduce((sum, [, count]) => sum + count, 0);
  // One each, whether active or idle by now.
  expect(open).toBe(2);
});
