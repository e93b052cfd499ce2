/** The control plane with the real data plane: threads that die, and the library mode without a thread. */
import { BroadcastChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { get } from '../behaviour/stage.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { LONG_MS, waitFor, within } from '../support/wait-for.ts';
import { backend } from './fixtures.ts';
import { type Running, running } from './running.ts';

const MORTAL_WORKER = new URL('mortal-worker.mjs', import.meta.url);

interface Status {
  readonly backends: readonly { readonly conns: number; readonly requests: number }[];
}

async function inFlight(self: Running): Promise<number> {
  const { backends } = (await self.call('GET', '/status')).json as Status;
  return backends.reduce((sum, { conns }) => sum + conns, 0);
}

describe('a data thread that dies', () => {
  it('with a request in flight is replaced, and its share is given back', async () => {
    const { url } = await httpBackend((request, response) => {
      if (request.url !== '/never') response.end('ok');
    });
    const self = await running({ backends: [backend(url)] }, MORTAL_WORKER);
    const proxy = `http://127.0.0.1:${self.fairlead.port}`;
    expect((await fetch(proxy)).status).toBe(200);
    const cutOff = fetch(`${proxy}/never`).then(
      () => 'answered',
      () => 'cut off',
    );
    await waitFor(async () => (await inFlight(self)) === 1);

    const channel = new BroadcastChannel('fairlead-test');
    channel.postMessage('exit');
    channel.close();
    expect(await within(cutOff, LONG_MS, 'the end of the request in flight')).toBe('cut off');
    await waitFor(() => fetch(proxy).then(({ status }) => status === 200));
    const client = await rawClient(self.fairlead.port);
    await client.write(get('/'));
    expect((await client.readResponse()).status).toBe(200);
    await waitFor(async () => (await inFlight(self)) === 0);
    const metrics = (await self.call('GET', '/metrics')).text;
    expect(metrics).toContain('fairlead_data_thread_restarts_total 1');
    await waitFor(async () =>
      (await self.call('GET', '/metrics')).text.includes('fairlead_client_connections 1\n'),
    );
    await waitFor(async () => (await self.log()).includes('"data_thread.died"'));
  });
});

describe('threads: 0', () => {
  it('runs the data plane in the caller’s thread, by the same messages', async () => {
    const { url, requests } = await httpBackend();
    const self = await running({ threads: 0, backends: [backend(url)] });
    const proxy = `http://127.0.0.1:${self.fairlead.port}`;
    expect(await (await fetch(`${proxy}/page`)).text()).toBe('ok');
    expect(requests).toContain('GET /page');
    expect((await self.call('PUT', '/backends/0/status', { alive: false })).status).toBe(200);
    expect((await fetch(proxy)).status).toBe(503);
    expect(await within(self.fairlead.shutdown('the test'), LONG_MS, 'the end')).toBe(0);
  });
});
