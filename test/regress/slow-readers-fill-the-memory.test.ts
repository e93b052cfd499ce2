/**
 * What a client does not read waits in memory: a few hundred KiB of each connection, and gigabytes of ten thousand. The same
 * held for bodies that backends do not read, and for tunnels. Now there is a limit over all of them: `limits.buffered`.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  get,
  HANDSHAKE,
  metrics,
  type Script,
  Stage,
  SWITCHED,
  scriptedBackend,
  silent,
  startProxy,
} from '../behaviour/stage.ts';
import type { RawClient } from '../support/raw-client.ts';
import { awaitedLater, waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;
const LIMIT_MIB = 8;
const SLOW = 200;
const LONG_MS = 150_000;
const ANSWER = Buffer.alloc(24 * MIB, 'slow');

async function limited(limit: string, timeouts = {}): Promise<Stage> {
  const backend = await scriptedBackend();
  const fairlead = await startProxy(
    [backend.url],
    { limits: { buffered: limit }, timeouts: { idle: '5m', ...timeouts } },
    { args: ['--threads', '2'] },
  );
  return new Stage(fairlead, backend);
}

/** 0 where the system does not say it. */
async function rssMib(pid: number): Promise<number> {
  if (process.platform !== 'linux') return 0;
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

const bigAnswer: Script = async (connection) => {
  connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${ANSWER.length}\r\n\r\n`);
  connection.socket.write(ANSWER);
  await silent(connection);
};

/** Connections that send something and read no more than the head of the answer. */
async function slowClients(stage: Stage, count: number, request: string): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => stage.client()));
  for (const client of clients) {
    client.socket.on('error', () => {});
    client.pause();
    client.socket.write(request, 'latin1');
  }
  return clients;
}

const buffered = async (stage: Stage): Promise<{ held: number; cut: number }> => {
  const samples = await metrics(stage.fairlead);
  return {
    held: (samples.get('fairlead_buffered_bytes') ?? Number.NaN) / MIB,
    cut: samples.get('fairlead_responses_cut_total{reason="buffered"}') ?? Number.NaN,
  };
};

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Nobody was cut for some time, and more than nobody altogether. */
async function settled(stage: Stage): Promise<number> {
  let last = -1;
  let since = performance.now();
  return waitFor(async () => {
    const { cut } = await buffered(stage);
    if (cut !== last) since = performance.now();
    last = cut;
    return cut > 0 && performance.now() - since > 1_500 ? cut : undefined;
  }, LONG_MS);
}

test('two hundred slow readers are cut down to the limit, and a fast one gets all of its answer', {
  timeout: 300_000,
}, async () => {
  const stage = await limited(`${LIMIT_MIB}MiB`);
  stage.on('/slow', bigAnswer);
  stage.on('/fast', async (connection) => {
    connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${ANSWER.length}\r\n\r\n`);
    connection.socket.write(ANSWER);
  });
  const before = await rssMib(stage.fairlead.pid);
  const clients = await slowClients(stage, SLOW, get('/slow'));
  let most = 0;
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      most = Math.max(most, (await buffered(stage)).held);
      // Without a pause, what it asks would take more memory than what it asks about.
      await sleep(20);
    }
  };
  const watching = awaitedLater(watch());

  const fast = await stage.client();
  await fast.write(get('/fast'));
  const { status, body } = await fast.readResponse({ ms: LONG_MS });
  expect(status).toBe(200);
  expect(hash(body)).toBe(hash(ANSWER));

  const cut = await settled(stage);
  over.abort();
  await watching;
  expect(cut).toBeLessThan(SLOW);
  expect((await buffered(stage)).held).toBeLessThanOrEqual(LIMIT_MIB);
  // With what has begun to wait since the last weighing, which is late on a busy machine. All of them would hold six times the limit.
  expect(most).toBeLessThan(LIMIT_MIB * 3);
  // Without the limit they hold 256 KiB each: 50 MiB.
  expect((await rssMib(stage.fairlead.pid)) - before).toBeLessThan(45);
  for (const client of clients) client.resume();
  const lines = await waitFor(() => {
    const found = stage.fairlead
      .accessLines()
      .filter(({ path, ended }) => path === '/slow' && ended !== undefined);
    return found.length >= cut ? found : undefined;
  }, LONG_MS);
  expect(lines).toHaveLength(cut);
  for (const line of lines) {
    expect(line).toMatchObject({ status: 200, ended: 'buffered', error: 'ERR_BUFFERS_FULL' });
  }
  expect((await stage.backends())[0]).toMatchObject({ alive: true, errors: 0 });
  const told = await stage.fairlead.waitForLog(({ event }) => event === 'memory.limited', LONG_MS);
  expect(told['cut']).toBeGreaterThan(0);
});

const CHUNK = 'x'.repeat(64 * 1024);

describe('so is what waits', () => {
  test('for backends that do not read', async () => {
    const stage = await limited('2MiB');
    stage.on('/upload', async (connection) => {
      connection.pause();
      await silent(connection);
    });
    const head = `POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: ${100 * MIB}\r\n\r\n`;
    const clients = await slowClients(stage, 40, head);
    for (const client of clients) client.socket.write(Buffer.alloc(16 * MIB));
    const cut = await settled(stage);
    expect(cut).toBeLessThan(40);
    expect((await buffered(stage)).held).toBeLessThanOrEqual(2);
    const line = stage.fairlead.accessLines().find(({ path }) => path === '/upload');
    expect(line).toMatchObject({ status: 499, ended: 'buffered', error: 'ERR_BUFFERS_FULL' });
  });

  test('in tunnels', async () => {
    const stage = await limited('2MiB', { tunnel: '5m' });
    stage.on('/tunnel', async (connection) => {
      await connection.write(SWITCHED);
      for (let count = 0; count < 256; count++) connection.socket.write(CHUNK);
      await silent(connection);
    });
    await slowClients(stage, 40, get('/tunnel', HANDSHAKE));
    const cut = await settled(stage);
    expect(cut).toBeLessThan(40);
    expect((await buffered(stage)).held).toBeLessThanOrEqual(2);
    const line = stage.fairlead.accessLines().find(({ path }) => path === '/tunnel');
    expect(line).toMatchObject({ status: 101, ended: 'buffered', error: 'ERR_BUFFERS_FULL' });
  });
});

test('a reload changes the limit for what waits already', async () => {
  const stage = await limited('0');
  stage.on('/slow', bigAnswer);
  await slowClients(stage, 40, get('/slow'));
  await waitFor(async () => (await buffered(stage)).held > 4, LONG_MS);
  expect((await buffered(stage)).cut).toBe(0);
  const file = `${stage.fairlead.cwd}/fairlead.config.json`;
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...config, limits: { buffered: '2MiB' } }));
  expect((await fetch(`${stage.fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  await settled(stage);
  expect((await buffered(stage)).held).toBeLessThanOrEqual(2);
});
