import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { get, metrics, NOTHING, startStage } from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';
import { waitFor } from '../support/wait-for.ts';

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function post(path: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n${'x'.repeat(10_000)}`;
}

/**
 * http-proxy-middleware#782: sockets and counters that stay when clients leave early. Some thousand requests with aborts
 * and resets of both sides in every phase; afterwards nothing is left, and the memory is what it was.
 */
test('thousands of aborted and reset requests leave no socket and no count behind', async () => {
  const stage = await startStage({ timeouts: { backend_keep_alive: '1s', keep_alive: '1s' } });
  stage.on('/ok', (connection) => connection.write(okResponse('fine')));
  stage.on('/reset', (connection) => connection.reset());
  stage.on('/half-head', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nX-Half');
    connection.reset();
  });
  stage.on('/half-body', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    connection.socket.destroy();
  });
  stage.on('/slow', async (connection) => {
    await sleep(5);
    if (!connection.isEnded) await connection.write(okResponse('late'));
  });
  stage.on('/early', async (connection) => {
    await connection.write('HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno');
    connection.socket.destroy();
  });
  const requests = [
    get('/ok'),
    get('/ok'),
    get('/reset'),
    get('/half-head'),
    get('/half-body'),
    get('/slow'),
    get('/ok') + get('/slow') + get('/reset'),
    post('/early'),
    post('/reset'),
    'GET /part',
    'BAD\r\n\r\n',
  ];
  const before = openFiles(stage.fairlead.pid);
  let made = 0;
  await Promise.all(
    Array.from({ length: 30 }, async (_, worker) => {
      for (let round = 0; round < 110; round++) {
        const client = await stage.client();
        const request = requests[(worker * 7 + round) % requests.length] as string;
        client.socket.write(request);
        made++;
        // Left at once, a moment later, or after the first bytes of an answer.
        if (round % 3 === 1) await sleep(round % 7);
        else if (round % 3 === 2)
          await Promise.race([client.readUntil('\r\n'), sleep(20)]).catch(() => {});
        if (round % 2 === 0) client.reset();
        else client.socket.destroy();
      }
    }),
  );
  expect(made).toBe(3_300);
  expect(await stage.leftover(8_000)).toEqual(NOTHING);
  await waitFor(async () => {
    const samples = await metrics(stage.fairlead);
    return ['active', 'idle'].every(
      (state) =>
        samples.get(
          `fairlead_backend_connections{pool="default",backend="${stage.backend.url}",state="${state}"}`,
        ) === 0,
    );
  });
  await waitFor(() => openFiles(stage.fairlead.pid) <= before + 2);
  expect((await stage.backends())[0]).toMatchObject({ conns: 0, alive: true });
  expect(stage.fairlead.logs().some(({ event }) => event === 'data_thread.died')).toBe(false);
}, 40_000);
