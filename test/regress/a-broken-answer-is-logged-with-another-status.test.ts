/**
 * A 200 whose body broke off was logged and counted as 200 when the backend broke it, as 499 when the client left, and as 503
 * when the proxy ended: the status said now this and now that. It is what the client got, and how it ended stands beside it.
 */
import { beforeAll, describe, expect, test } from 'vitest';
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
import type { LogLine } from '../support/fairlead.ts';
import { okResponse } from '../support/raw-backend.ts';
import type { RawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

/** So many at once that every data thread has some. */
const COUNT = 12;
const LONG_MS = 30_000;

async function twoThreads(timeouts: Readonly<Record<string, string>>): Promise<Stage> {
  const backend = await scriptedBackend();
  const fairlead = await startProxy(
    [backend.url],
    { timeouts, outlier_detection: false },
    { args: ['--threads', '2'] },
  );
  return new Stage(fairlead, backend);
}

/** Sends the request over so many connections; each has got `until` when this returns. */
async function begun(stage: Stage, request: string, until: string): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: COUNT }, () => stage.client()));
  for (const client of clients) {
    await client.write(request);
    if (until !== '') await client.readUntil(until, LONG_MS);
  }
  return clients;
}

/** What the lines of a path say of its end, each text once. */
async function said(stage: Stage, path: string): Promise<unknown[]> {
  const lines = await waitFor(() => {
    const found = stage.fairlead.accessLines().filter((line) => line['path'] === path);
    return found.length === COUNT ? found : undefined;
  }, LONG_MS);
  const texts = lines.map(({ status, ended, error }: LogLine) =>
    JSON.stringify({ status, ended, error }),
  );
  return [...new Set(texts)].map((text) => JSON.parse(text) as unknown);
}

/** By how much requests by status, broken answers by reason, and failures of backends grow by `act`. */
async function grown(stage: Stage, act: () => Promise<void>): Promise<Record<string, number>> {
  const before = await metrics(stage.fairlead);
  await act();
  const after = await metrics(stage.fairlead);
  const counted = /^fairlead_(requests|responses_cut|backend_failures)_total\{/;
  const changes = [...after]
    .filter(([name]) => counted.test(name))
    .map(([name, value]): [string, number] => [
      /(?:code|reason)="(\w+)"/.exec(name)?.[1] ?? 'failures',
      value - (before.get(name) ?? 0),
    ]);
  return Object.fromEntries(changes.filter(([, change]) => change !== 0));
}

const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf';
const halfAnswer: Script = async (connection) => {
  await connection.write(HALF);
  await silent(connection);
};

let stage: Stage;
beforeAll(async () => {
  stage = await twoThreads({ idle: '30s', tunnel: '1s' });
});

describe('a 200 whose body breaks off is a 200', () => {
  test('by the backend, which is to blame', async () => {
    stage.on('/backend', async (connection) => {
      await connection.write(HALF);
      await connection.readUntil('\n', 1).catch(() => {});
      connection.socket.resetAndDestroy();
    });
    const growth = await grown(stage, async () => {
      const clients = await begun(stage, get('/backend'), 'half');
      for (const client of clients) await client.closed;
      expect(await said(stage, '/backend')).toEqual([
        { status: 200, ended: 'backend_truncated', error: 'ERR_BACKEND_TRUNCATED' },
      ]);
    });
    expect(growth).toEqual({ 200: COUNT, backend_truncated: COUNT, failures: COUNT });
  });

  test('by a client that leaves, for which no backend is to blame', async () => {
    stage.on('/client', halfAnswer);
    const growth = await grown(stage, async () => {
      for (const client of await begun(stage, get('/client'), 'half')) client.reset();
      expect(await said(stage, '/client')).toEqual([
        { status: 200, ended: 'client_gone', error: 'ERR_CLIENT_GONE' },
      ]);
    });
    expect(growth).toEqual({ 200: COUNT, client_gone: COUNT });
    expect((await stage.backends())[0]).toMatchObject({ alive: true, conns: 0 });
  });

  test('by the end of the process', async () => {
    const ending = await twoThreads({ drain: '300ms' });
    ending.on('/streams', halfAnswer);
    ending.on('/waits', silent);
    await begun(ending, get('/streams'), 'half');
    await begun(ending, get('/waits'), '');
    await ending.backend.request('/waits', COUNT - 1, LONG_MS);
    expect(await ending.fairlead.stop('SIGTERM', LONG_MS)).toBe(0);
    expect(await said(ending, '/streams')).toEqual([
      { status: 200, ended: 'shutdown', error: 'ERR_CUT_AT_SHUTDOWN' },
    ]);
    // Nothing was sent: so it is no 503 either.
    expect(await said(ending, '/waits')).toEqual([
      { status: 499, ended: 'shutdown', error: 'ERR_CUT_AT_SHUTDOWN' },
    ]);
  });

  test('by what the client sends while it comes', async () => {
    stage.on('/early', halfAnswer);
    const upload =
      'POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n';
    for (const client of await begun(stage, upload, 'half')) await client.write('nonsense\r\n');
    expect(await said(stage, '/early')).toEqual([
      { status: 200, ended: 'client_error', error: 'ERR_BAD_CHUNK' },
    ]);
  });
});

test('a client that leaves before anything was sent is a 499', async () => {
  stage.on('/silent', silent);
  const growth = await grown(stage, async () => {
    const clients = await begun(stage, get('/silent'), '');
    await stage.backend.request('/silent', COUNT - 1, LONG_MS);
    for (const client of clients) client.reset();
    expect(await said(stage, '/silent')).toEqual([
      { status: 499, ended: 'client_gone', error: 'ERR_CLIENT_GONE' },
    ]);
  });
  expect(growth).toEqual({ 499: COUNT, client_gone: COUNT });
});

describe('nothing is said of the end of what is whole', () => {
  test.each<[string, string, Script, unknown]>([
    ['an answer to a HEAD', 'HEAD', (c) => c.write(HALF.slice(0, -4)), { status: 200 }],
    ['a 204', 'GET', (c) => c.write('HTTP/1.1 204 No Content\r\n\r\n'), { status: 204 }],
    ['a 200', 'GET', (c) => c.write(okResponse()), { status: 200 }],
    ['an answer of ours', 'TRACE', silent, { status: 405, error: 'ERR_METHOD_REFUSED' }],
  ])('%s', async (what, method, script, line) => {
    const path = `/${what.replaceAll(' ', '-')}`;
    stage.on(path, script);
    const growth = await grown(stage, async () => {
      const clients = await begun(stage, get(path, [], method), '\r\n\r\n');
      for (const client of clients) client.reset();
      expect(await said(stage, path)).toEqual([line]);
    });
    expect(growth).toEqual({ [(line as { status: number }).status]: COUNT });
  });
});

async function opened(path: string, then: Script, through = stage): Promise<RawClient[]> {
  through.on(path, async (connection, head) => {
    await connection.write(SWITCHED);
    await then(connection, head);
  });
  return begun(through, get(path, HANDSHAKE), '\r\n\r\n');
}

describe('a tunnel is a 101, and its end is', () => {
  test('nothing to speak of when both sides have ended it', async () => {
    for (const client of await opened('/over', silent)) client.end();
    expect(await said(stage, '/over')).toEqual([{ status: 101 }]);
  });

  test('its silence', async () => {
    await opened('/idle', silent);
    expect(await said(stage, '/idle')).toEqual([{ status: 101, ended: 'idle' }]);
  });

  test('a client that leaves, which is no error', async () => {
    for (const client of await opened('/left', silent)) client.reset();
    expect(await said(stage, '/left')).toEqual([{ status: 101, ended: 'client_gone' }]);
  });

  test('a backend that breaks', async () => {
    const clients = await opened('/broken', async (connection) => {
      await connection.readUntil('now', LONG_MS);
      connection.socket.resetAndDestroy();
    });
    for (const client of clients) await client.write('now');
    expect(await said(stage, '/broken')).toEqual([
      { status: 101, ended: 'backend_truncated', error: 'ERR_BACKEND_TRUNCATED' },
    ]);
  });

  test('a drain of its backend', async () => {
    const other = await twoThreads({ tunnel: '30s' });
    await opened('/drained', silent, other);
    const drain = await fetch(`${other.fairlead.adminUrl}/backends/0?drain=500ms`, {
      method: 'PATCH',
      body: JSON.stringify({ state: 'draining' }),
    });
    expect(drain.status).toBe(200);
    expect(await said(other, '/drained')).toEqual([{ status: 101, ended: 'drain' }]);
  });
});
