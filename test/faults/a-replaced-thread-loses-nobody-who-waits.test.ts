/**
 * A data thread that ended took the queue of its socket along: about ten clients under load. The socket stays now, and whoever
 * waits there is answered by the thread that comes next, or by another one meanwhile.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect, test } from 'vitest';
import { planThreads } from '../../src/control/threads/plan-threads.ts';
import { get, metrics } from '../behaviour/stage.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';

const FRAGILE = new URL('../../bench/resilience/fragile-threads.mjs', import.meta.url).href;
const WITHOUT_PIPES = new URL('../support/without-pipe-handles.mjs', import.meta.url).href;
/** Two, where threads can share a port. */
const THREADS = planThreads(2).count;
/** Of several sockets, each gets some of so many. */
const CLIENTS = 24;
/** Those that hold the thread that is to leave: it waits 5 s for them. */
const SLOW_CLIENTS = 8;
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

interface Scene {
  readonly fairlead: Fairlead;
  readonly unix: string;
  readonly tlsPort: number;
  /** Answers to `/slow`, which wait. */
  readonly slowOnes: ServerResponse[];
  /** Harms the next data thread, and waits until it can't accept. */
  readonly harm: (signal: NodeJS.Signals) => Promise<void>;
  /** So many deaths in all. */
  readonly haveDied: (count: number) => Promise<unknown>;
}

async function scene(preloads: readonly string[] = []): Promise<Scene> {
  const slowOnes: ServerResponse[] = [];
  const { url } = await httpBackend((request, response) => {
    if (request.url === '/slow') slowOnes.push(response);
    else response.end('ok');
  });
  const unix = join(temporaryFolder('waiting'), 'web.sock');
  const tlsPort = await freePort();
  const fairlead = await startFairlead({
    args: ['--threads', String(THREADS)],
    env: { NODE_OPTIONS: [...preloads, FRAGILE].map((one) => `--import ${one}`).join(' ') },
    config: {
      backends: [url],
      state_file: false,
      request_timeout: '60s',
      listeners: [
        { unix },
        { host: '127.0.0.1', port: tlsPort, tls: { certificates: [makeCertificate()] } },
      ],
    },
  });
  await fairlead.waitForLog(({ event }) => event === 'backend.up');
  let harmed = 0;
  const count = (text: string): number => fairlead.output().split(text).length - 1;
  return {
    fairlead,
    unix,
    tlsPort,
    slowOnes,
    harm: async (signal) => {
      process.kill(fairlead.pid, signal);
      harmed++;
      await waitFor(() => count(' is busy\n') === harmed, LONG_MS, `${harmed} harmed threads`);
    },
    haveDied: (deaths) =>
      waitFor(() => count('"event":"data_thread.died"') === deaths, LONG_MS, `${deaths} deaths`),
  };
}

function answerTo(to: NetConnectOpts, isTls = false): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = isTls ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to);
    socket.setEncoding('latin1').write(GET);
    socket.on('data', (more: string) => {
      text += more;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('close', () => resolve(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? `cut off: ${text}`));
  });
}

/** Each begins the ids of its requests in its own way. */
function threadsThatSent(answers: readonly ServerResponse[]): number {
  const ids = answers.map(({ req }) => String(req.headers['x-request-id']));
  return new Set(ids.map((id) => id.split('-', 1)[0])).size;
}

/** By all ways at a time: what all of them come to is `200`, once. */
async function arriveAtOnce({ fairlead, unix, tlsPort }: Scene): Promise<string[]> {
  const some = Array.from({ length: CLIENTS }, () => [
    answerTo({ host: '127.0.0.1', port: fairlead.port }),
    answerTo({ path: unix }),
    answerTo({ host: '127.0.0.1', port: tlsPort }, true),
  ]);
  return [...new Set(await Promise.all(some.flat()))];
}

/** How many descriptors of the process lead to sockets that are listened on at the port. */
function listeningAt(port: number, pid: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8').split('\n'),
  );
  const fields = lines.map((line) => line.trim().split(/\s+/));
  const sockets = new Set(
    fields
      .filter(([, local = '', , state]) => state === '0A' && local.endsWith(`:${hex}`))
      .map((line) => `socket:[${line[9]}]`),
  );
  return readdirSync(`/proc/${pid}/fd`).filter((descriptor) => {
    try {
      return sockets.has(readlinkSync(`/proc/${pid}/fd/${descriptor}`));
    } catch {
      return false;
    }
  }).length;
}

test('whoever waits for a thread that dies is answered, again and again, and no descriptor stays behind', async () => {
  const self = await scene();
  const { fairlead } = self;
  const ownAndKept = 2 * THREADS;
  expect(listeningAt(fairlead.port, fairlead.pid)).toBe(ownAndKept);
  for (let round = 1; round <= 2 * THREADS; round++) {
    await self.harm('SIGWINCH');
    expect(await arriveAtOnce(self)).toEqual(['200']);
    await self.haveDied(round);
    expect(await arriveAtOnce(self)).toEqual(['200']);
    await waitFor(() => listeningAt(fairlead.port, fairlead.pid) === ownAndKept);
  }
  const restarts = (await metrics(fairlead)).get('fairlead_data_thread_restarts_total');
  expect(restarts).toBe(2 * THREADS);
  expect(fairlead.output()).not.toMatch(/data_thread\.(listen_failed|sockets_not_kept)/);
}, 60_000);

test('whoever waits for a thread that hangs is answered once it has been ended', async () => {
  const self = await scene();
  await self.harm('SIGURG');
  expect(await arriveAtOnce(self)).toEqual(['200']);
  await self.haveDied(1);
});

test('a thread that is not trusted any more loses nobody: not what it has, nor who comes while it leaves', async () => {
  const self = await scene();
  const { fairlead, slowOnes } = self;
  // The system chooses the thread of each, and could choose one for all: the thread that is going to be harmed has to have some.
  const clients: RawClient[] = [];
  while (clients.length < SLOW_CLIENTS || threadsThatSent(slowOnes) < THREADS) {
    const client = await rawClient(fairlead.port);
    clients.push(client);
    await client.write(get('/slow'));
    await waitFor(() => slowOnes.length === clients.length);
  }
  await self.harm('SIGIO');
  const arrived = arriveAtOnce(self);
  // Where there is another thread, nobody waits for the end of what this one still has.
  const port = { host: '127.0.0.1', port: fairlead.port };
  const others = THREADS > 1 ? Array.from({ length: CLIENTS }, () => answerTo(port)) : [];
  expect((await Promise.all(others)).filter((status) => status !== '200')).toEqual([]);
  expect(fairlead.output()).not.toContain('"event":"data_thread.died"');
  for (const response of slowOnes) response.end('slow');
  for (const client of clients) expect((await client.readResponse()).body.toString()).toBe('slow');
  expect(await arrived).toEqual(['200']);
  await self.haveDied(1);
  expect(await arriveAtOnce(self)).toEqual(['200']);
});

test('a reload closes what is kept, too: nobody waits at a port that is gone', async () => {
  const self = await scene();
  const { fairlead, tlsPort } = self;
  expect(listeningAt(tlsPort, fairlead.pid)).toBe(2 * THREADS);
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const { listeners: _listeners, ...rest } = JSON.parse(readFileSync(file, 'utf8'));
  await writeFile(file, JSON.stringify(rest));
  const reload = await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' });
  expect(reload.status).toBe(200);
  await waitFor(() => listeningAt(tlsPort, fairlead.pid) === 0);
  expect(await answerTo({ host: '127.0.0.1', port: tlsPort })).toBe('ECONNREFUSED');
});

test('where sockets can’t be kept, it is said, and a replacement listens all the same', async () => {
  const self = await scene([WITHOUT_PIPES]);
  const { fairlead } = self;
  await fairlead.waitForLog(({ event }) => event === 'data_thread.sockets_not_kept');
  expect(listeningAt(fairlead.port, fairlead.pid)).toBe(THREADS);
  await self.harm('SIGWINCH');
  await self.haveDied(1);
  await waitFor(() => listeningAt(fairlead.port, fairlead.pid) === THREADS);
  expect(await answerTo({ host: '127.0.0.1', port: fairlead.port })).toBe('200');
});
