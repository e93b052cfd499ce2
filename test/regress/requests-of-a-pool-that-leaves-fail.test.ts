/**
 * A pool was renamed while requests waited in its queue, or were about to be retried: nobody could be picked there any more, and
 * they got 503, though the backends were as healthy as before.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  get,
  metrics,
  QUIET_HEALTH,
  type ScriptedBackend,
  scriptedBackend,
} from '../behaviour/stage.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

function poolNamed(
  name: string,
  urls: readonly string[],
  policies: object,
): Record<string, unknown> {
  const { health_check_frequency: frequency, health_check_timeout: timeout } = QUIET_HEALTH;
  const pool = { health_check: { method: 'tcp', frequency, timeout }, backends: urls, ...policies };
  return { pools: { [name]: pool }, routes: [{ pool: name }] };
}

async function reload({ adminUrl, cwd }: Fairlead, config: object): Promise<void> {
  await writeFile(join(cwd, 'fairlead.config.json'), JSON.stringify(config));
  const response = await fetch(`${adminUrl}/reload`, { method: 'POST' });
  expect(await response.json()).toMatchObject({ changed: true });
}

async function ask({ port }: Fairlead, path: string): Promise<number> {
  const client = await rawClient(port);
  await client.write(get(path));
  return (await client.readResponse()).status;
}

/** Answers what comes for the path when told to. */
function held(backend: ScriptedBackend, path: string): (() => void)[] {
  const waiting: (() => void)[] = [];
  backend.on(path, async (connection) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  return waiting;
}

const QUEUED = { max_requests: 1, queue: { size: 10, timeout: '60s' } };

test('who waits in the queue of a pool that is renamed is served by its backends', async () => {
  const backend = await scriptedBackend();
  const slow = held(backend, '/slow');
  const fairlead = await startFairlead({ config: poolNamed('web', [backend.url], QUEUED) });
  const asked = [0, 1, 2].map(() => ask(fairlead, '/slow'));
  await waitFor(
    async () => (await metrics(fairlead)).get('fairlead_queue_depth{pool="web"}') === 2,
  );
  await reload(fairlead, poolNamed('site', [backend.url], QUEUED));
  expect(await ask(fairlead, '/')).toBe(200);
  // One after the other, as their pool had it.
  for (let served = 1; served <= 3; served++) {
    await waitFor(() => slow.length === served);
    slow.at(-1)?.();
  }
  expect(await Promise.all(asked)).toEqual([200, 200, 200]);
  // Nothing stays open there.
  const ends = backend.served('/slow').map(({ closed }) => closed);
  await within(Promise.all(ends), SOON_MS, 'the end of the connections of the pool');
});

test('a request that fails at a backend of a pool that has left goes to the other one', async () => {
  const [one, other] = await Promise.all([scriptedBackend(), scriptedBackend()]);
  const ends: (() => void)[] = [];
  let requests = 0;
  for (const backend of [one, other]) {
    backend.on('/', async (connection) => {
      if (requests++ === 0) {
        await new Promise<void>((resolve) => ends.push(resolve));
        connection.end();
      } else await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  }
  const urls = [one.url, other.url];
  const fairlead = await startFairlead({ config: poolNamed('web', urls, {}) });
  const asked = ask(fairlead, '/');
  await waitFor(() => ends.length === 1);
  await reload(fairlead, poolNamed('site', urls, {}));
  ends[0]?.();
  expect(await asked).toBe(200);
});
