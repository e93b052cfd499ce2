/**
 * A backend was added to a pool. While it was checked, a reload took the pool away: 201, with a Location that was 404 by then.
 */
import { expect, it } from 'vitest';
import { backend, poolSettings, settings } from '../control/fixtures.ts';
import { type Answer, loaded, type Running, running } from '../control/running.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

const A = 'http://127.0.0.1:1';
const WEB = poolSettings('web', { backends: [backend(A)] });

async function reload(the: Running, others: Parameters<typeof settings>[1]): Promise<void> {
  the.next = loaded(settings({}, others));
  expect((await the.call('POST', '/reload')).json).toMatchObject({ changed: true });
}

/** Adds one to the pool `web`, and lets something happen while it is checked. */
async function add(meanwhile: (the: Running) => Promise<void>): Promise<[Running, Answer]> {
  const { url, requests } = await httpBackend(() => {});
  const the = await running({}, undefined, [WEB]);
  const adding = the.call('POST', '/pools/web/backends', { url });
  await waitFor(() => requests.length > 0);
  await meanwhile(the);
  return [the, await adding];
}

it('is not said to be there when its pool has gone, and is when that is back', async () => {
  const [the, answer] = await add((one) => reload(one, []));
  expect(answer).toMatchObject({
    status: 404,
    json: { code: 'ERR_UNKNOWN_POOL', detail: expect.stringContaining('was added') },
  });
  expect(answer.headers['location']).toBeUndefined();
  await reload(the, [WEB]);
  expect((await the.call('GET', '/pools/web/backends')).json).toMatchObject([
    { source: 'api' },
    { url: A },
  ]);
});

it('is not said to be there when it was removed', async () => {
  const [, answer] = await add(async ({ call }) => {
    expect((await call('DELETE', '/pools/web/backends/1')).status).toBe(200);
  });
  expect(answer).toMatchObject({
    status: 404,
    json: { code: 'ERR_UNKNOWN_BACKEND', detail: expect.stringContaining('was added') },
  });
});
