/**
 * A reload took away `max_requests` and `queue` while requests waited. Until these had gone, those that came had to wait
 * behind them in a queue that was not there any more: 503, under a config with no limit.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { get, metrics, QUIET_HEALTH, scriptedBackend, startProxy } from '../behaviour/stage.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const LIMITED = { ...QUIET_HEALTH, max_requests: 1, queue: { size: 500, timeout: '10s' } };
const NEWCOMERS = 150;

async function ask(client: RawClient, path: string): Promise<number> {
  await client.write(get(path));
  return (await client.readResponse()).status;
}

test('requests that come while a reload ends the queue are answered by a backend', async () => {
  const backend = await scriptedBackend();
  const slow: (() => void)[] = [];
  backend.on('/slow', async (connection) => {
    await new Promise<void>((resolve) => slow.push(resolve));
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const fairlead = await startProxy([backend.url], LIMITED);
  const reload = async (config: object): Promise<void> => {
    const file = join(fairlead.cwd, 'fairlead.config.json');
    await writeFile(file, JSON.stringify({ ...config, backends: [backend.url] }));
    const response = await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' });
    expect(response.status).toBe(200);
  };
  const clients: RawClient[] = [];
  for (let index = 0; index < NEWCOMERS; index++) clients.push(await rawClient(fairlead.port));
  for (let round = 0; round < 4; round++) {
    const waiting = clients.slice(0, 3).map((client) => ask(client, '/slow'));
    await waitFor(
      async () => (await metrics(fairlead)).get('fairlead_queue_depth{pool="default"}') === 2,
    );
    let isDone = false;
    const reloaded = reload(QUIET_HEALTH).finally(() => {
      isDone = true;
    });
    const newcomers: Promise<number>[] = [];
    for (const client of clients.slice(3)) {
      if (isDone) break;
      newcomers.push(ask(client, '/'));
      await sleep(1);
    }
    await reloaded;
    const statuses = await Promise.all(newcomers);
    expect(statuses).toEqual(statuses.map(() => 200));
    await waitFor(() => slow.length === 3);
    for (const answer of slow.splice(0)) answer();
    expect(await Promise.all(waiting)).toEqual([200, 200, 200]);
    await reload(LIMITED);
  }
});
