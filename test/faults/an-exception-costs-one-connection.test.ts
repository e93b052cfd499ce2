/**
 * An exception in the handling of one connection cost its data thread with all its clients. Now it costs that connection:
 * it is closed, logged and counted, what it held is given back, and nobody else notices.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  get,
  HANDSHAKE,
  metrics,
  type ScriptedBackend,
  Stage,
  SWITCHED,
  scriptedBackend,
  silent,
  startProxy,
} from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const THROWING = new URL('../support/patches/throwing.mjs', import.meta.url).href;
const WITHOUT_HANDLES = new URL('../support/without-tcp-handles.mjs', import.meta.url).href;

const OK = okResponse('ok', ['Connection: close']);
const MUCH = 32 * 1024 * 1024;

interface Counts {
  readonly inFlight: number;
  readonly clients: number;
  readonly backendConnections: number;
}

interface Others {
  readonly status: number;
  readonly counts: Counts;
  readonly restarts: number | undefined;
}

const FINE: Others = {
  status: 200,
  counts: { inFlight: 1, clients: 2, backendConnections: 1 },
  restarts: 0,
};

/** A stage with somebody who is in the middle of a download all the time, and somebody between two requests. */
class Scene {
  readonly stage: Stage;
  readonly #download: RawClient;
  readonly #idle: RawClient;

  constructor(stage: Stage, download: RawClient, idle: RawClient) {
    this.stage = stage;
    this.#download = download;
    this.#idle = idle;
  }

  async counts(): Promise<Counts> {
    const all = await metrics(this.stage.fairlead);
    const sum = (name: string): number =>
      [...all].reduce((total, [key, value]) => (key.startsWith(name) ? total + value : total), 0);
    return {
      inFlight: sum('fairlead_backend_requests_in_flight'),
      clients: sum('fairlead_client_connections{') + (all.get('fairlead_client_connections') ?? 0),
      backendConnections: sum('fairlead_backend_connections'),
    };
  }

  async crashed(): Promise<number> {
    return (await metrics(this.stage.fairlead)).get('fairlead_connections_crashed_total') ?? -1;
  }

  /** The download goes on, the idle client is served on its connection, and there is nothing left of anybody else. */
  async others(): Promise<Others> {
    const part = this.#download.readUntil('part\r\n');
    const connection = await this.stage.backend.request('/download');
    await connection.write('6\r\npart\r\n\r\n');
    await part;
    await this.#idle.write(get('/idle'));
    const { status } = await this.#idle.readResponse();
    let counts = FINE.counts;
    await waitFor(async () => {
      counts = await this.counts();
      return JSON.stringify(counts) === JSON.stringify(FINE.counts);
    }).catch(() => {});
    const all = await metrics(this.stage.fairlead);
    return { status, counts, restarts: all.get('fairlead_data_thread_restarts_total') };
  }
}

async function scene(
  config: Readonly<Record<string, unknown>> = {},
  preloads: readonly string[] = [],
  others: readonly ScriptedBackend[] = [],
): Promise<Scene> {
  const backend = await scriptedBackend();
  const env = {
    NODE_OPTIONS: [...preloads, THROWING].map((url) => `--import ${url}`).join(' '),
  };
  const urls = [backend, ...others].map(({ url }) => url);
  const stage = new Stage(
    await startProxy(urls, config, { env, args: ['--threads', '1'] }),
    backend,
  );
  for (const { on } of [backend, ...others].map((one) => ({ on: one.on.bind(one) }))) {
    on('/idle', (connection) => connection.write(OK));
    on('/ok', (connection) => connection.write(OK));
    on('/silent', silent);
    on('/download', async (connection) => {
      await connection.write(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npart\r\n\r\n',
      );
      await connection.closed;
    });
  }
  const download = await stage.client();
  await download.write(get('/download'));
  await download.readUntil('part\r\n');
  const idle = await stage.client();
  await idle.write(get('/idle'));
  expect((await idle.readResponse()).status).toBe(200);
  return new Scene(stage, download, idle);
}

function throwing(path: string, seam: string, fields: readonly string[] = [], method = 'GET') {
  return get(path, [...fields, `X-Throw: ${seam}`], method);
}

/** What the client of a request that throws does until its connection is gone. */
type Script = (client: RawClient, seam: string, stage: Stage) => Promise<void>;

/** Until the backend has the request, which it does not answer. */
async function asked(client: RawClient, seam: string, { backend }: Stage): Promise<void> {
  const before = backend.served('/silent').length;
  await client.write(throwing('/silent', seam));
  await waitFor(() => backend.served('/silent').length > before);
}

function sending(path: string): Script {
  return (client, seam) => client.write(throwing(path, seam));
}

async function uploading(client: RawClient, seam: string, stage: Stage): Promise<void> {
  stage.on('/upload', silent);
  await client.write(throwing('/upload', seam, [`Content-Length: ${MUCH}`], 'POST'));
  const connection = await stage.backend.request('/upload');
  connection.pause();
  client.socket.write(Buffer.alloc(MUCH));
  await sleep(300);
  connection.resume();
}

async function downloading(client: RawClient, seam: string, stage: Stage): Promise<void> {
  stage.on('/much', async (connection) => {
    await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MUCH}\r\n\r\n`);
    connection.socket.write(Buffer.alloc(MUCH));
    await connection.closed;
  });
  client.pause();
  await client.write(throwing('/much', seam));
  await sleep(300);
  client.resume();
}

const SEAMS: Readonly<Record<string, Script>> = {
  'client-read': sending('/ok'),
  'client-read-after': sending('/silent'),
  begin: sending('/ok'),
  connected: sending('/silent'),
  'connected-after': sending('/silent'),
  'backend-read': sending('/ok'),
  'backend-read-after': sending('/ok'),
  'backend-end': async (client, seam, stage) => {
    stage.on('/until-the-end', async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\n\r\nuntil the end');
      connection.end();
      await connection.closed;
    });
    await client.write(throwing('/until-the-end', seam));
  },
  'body-read': async (client, seam) => {
    await client.write(throwing('/silent', seam, [`Content-Length: ${MUCH}`], 'POST'));
    await client.write(Buffer.alloc(64 * 1024));
  },
  'client-drain': downloading,
  'backend-drain': uploading,
  tunnel: async (client, seam, stage) => {
    stage.on('/tunnel', async (connection) => {
      await connection.write(SWITCHED);
      await connection.closed;
    });
    await client.write(throwing('/tunnel', seam, HANDSHAKE));
    await client.readUntil('\r\n\r\n');
    await client.write('bytes');
  },
  'client-end': async (client, seam, stage) => {
    await asked(client, seam, stage);
    client.end();
  },
  'client-closed': async (client, seam, stage) => {
    await asked(client, seam, stage);
    client.reset();
  },
  later: async (client, seam) => {
    await client.write(get('/ok').repeat(18) + throwing('/ok', seam) + get('/ok'));
  },
};

/** In what a backend's stream tells of a response. Few at a time: only so many exceptions are logged in one go. */
const RESPONSE_SEAMS: Readonly<Record<string, Script>> = {
  'begin-after': sending('/ok'),
  head: sending('/ok'),
  'head-after': sending('/ok'),
  'response-end': sending('/ok'),
  'response-end-after': sending('/ok'),
};

/** They wait for a timeout, which would come before other things on a busy machine. */
const DEADLINE_SEAMS: Readonly<Record<string, Script>> = {
  deadline: sending('/silent'),
  'deadline-after': sending('/silent'),
};

const ON_HANDLES_ONLY: Readonly<Record<string, Script>> = {
  'client-flush': sending('/ok'),
  'backend-flush': sending('/silent'),
};

describe.each([
  ['TCP handles', [], { ...SEAMS, ...ON_HANDLES_ONLY }, '1m'],
  ['sockets', [WITHOUT_HANDLES], SEAMS, '1m'],
  ['TCP handles', [], RESPONSE_SEAMS, '1m'],
  ['TCP handles', [], DEADLINE_SEAMS, '500ms'],
  ['sockets', [WITHOUT_HANDLES], DEADLINE_SEAMS, '500ms'],
])('on %s, an exception costs one connection', (_carrier, preloads, seams, response) => {
  let the: Scene;
  beforeAll(async () => {
    the = await scene({ timeouts: { response } }, preloads);
  });

  test.each(Object.entries(seams))('%s', async (seam, script) => {
    const before = await the.crashed();
    const client = await the.stage.client();
    await script(client, seam, the.stage);
    await client.closed;
    await waitFor(async () => (await the.crashed()) === before + 1);
    await the.stage.fairlead.waitForLog(
      ({ event, detail }) =>
        event === 'connection.crashed' && detail === `Error: thrown at ${seam}`,
    );
    expect(await the.others()).toEqual(FINE);
  });

  test('each of those that had an exchange is in the access log', async () => {
    const crashed = () =>
      the.stage.fairlead.accessLines().filter((line) => line['error'] === 'ERR_INTERNAL');
    await waitFor(() => crashed().length >= Object.keys(seams).length / 2);
    expect(the.stage.fairlead.logs().filter(({ event }) => event === 'backend.down')).toEqual([]);
  });

  test('an exception that belongs to nobody is logged and counted', async () => {
    const client = await the.stage.client();
    await client.write(throwing('/ok', 'next-tick'));
    expect((await client.readResponse()).status).toBe(200);
    client.end();
    const line = await the.stage.fairlead.waitForLog(
      ({ event }) => event === 'data_thread.exception',
    );
    expect(line['detail']).toBe('Error: thrown at next-tick');
    expect((await metrics(the.stage.fairlead)).get('fairlead_exceptions_total')).toBe(1);
    expect(await the.others()).toEqual(FINE);
  });
});

test.each(['next-accept', 'next-accepted'])('in accepting (%s)', async (seam) => {
  const the = await scene();
  const arming = await the.stage.client();
  await arming.write(throwing('/ok', seam));
  expect((await arming.readResponse()).status).toBe(200);
  const client = await the.stage.client();
  await client.closed;
  arming.end();
  await arming.closed;
  expect(await the.crashed()).toBe(1);
  expect(await the.others()).toEqual(FINE);
});

test('in a hedge, and in the timer that starts one', async () => {
  const second = await scriptedBackend();
  const the = await scene(
    { strategy: 'round-robin', retries: { hedge_after: '100ms' } },
    [],
    [second],
  );
  let slow = 0;
  for (const backend of [the.stage.backend, second]) {
    // Only the hedge is answered.
    backend.on('/slow', (connection) =>
      slow++ % 2 === 0 ? silent(connection) : connection.write(OK),
    );
  }
  for (const seam of ['hedge', 'timer']) {
    const before = await the.crashed();
    const client = await the.stage.client();
    await client.write(throwing('/slow', seam));
    await client.closed;
    await client.closed;
    expect(await the.crashed()).toBe(before + 1);
  }
  await waitFor(async () => {
    const { inFlight, clients, backendConnections } = await the.counts();
    return inFlight === 1 && clients === 2 && backendConnections === 1;
  });
});

test('in a request that has waited for room', async () => {
  const the = await scene({ max_requests: 2, queue: { size: 10, timeout: '10s' } });
  the.stage.on('/held', async (connection) => {
    await sleep(300);
    await connection.write(OK);
  });
  const holder = await the.stage.client();
  await holder.write(get('/held'));
  await the.stage.backend.request('/held');
  const client = await the.stage.client();
  await client.write(throwing('/ok', 'queue'));
  const patient = await the.stage.client();
  await patient.write(get('/ok'));
  expect((await holder.readResponse()).status).toBe(200);
  await client.closed;
  expect((await patient.readResponse()).status).toBe(200);
  expect(await the.crashed()).toBe(1);
  for (const one of [holder, patient]) one.end();
  expect(await the.others()).toEqual(FINE);
});

test('in a connect that fails', async () => {
  const the = await scene();
  const { fairlead, backend } = the.stage;
  await backend.raw.close();
  const client = await rawClient(fairlead.port);
  await client.write(throwing('/ok', 'connect-failed'));
  await client.closed;
  await waitFor(async () => (await the.counts()).inFlight === 0);
  expect(await the.crashed()).toBe(1);
});

async function drainAndBack({ stage }: Scene): Promise<void> {
  for (const state of ['draining', 'enabled']) {
    await fetch(`${stage.fairlead.adminUrl}/backends/0`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ state }),
    });
  }
}

describe('a thread that is not trusted any more', () => {
  test.each([
    ['next-uncaught', 3, async () => {}],
    ['next-message', 1, drainAndBack],
  ] as const)('ends in order and is replaced (%s)', async (seam, count, provoke) => {
    const the = await scene();
    const { fairlead, backend } = the.stage;
    backend.on('/long', async (connection) => {
      await sleep(1_000);
      await connection.write(OK);
    });
    const inFlight = await the.stage.client();
    await inFlight.write(get('/long'));
    await backend.request('/long');
    const arming = await the.stage.client();
    await arming.write(throwing('/ok', seam));
    await arming.readResponse();
    await provoke(the);
    const response = await inFlight.readResponse();
    expect(response.status).toBe(200);
    await fairlead.waitForLog(({ event }) => event === 'data_thread.exception');
    await fairlead.waitForLog(({ event }) => event === 'data_thread.died', 10_000);
    await waitFor(async () => (await fetch(`${fairlead.url}/idle`)).status === 200, 10_000);
    const all = await metrics(fairlead);
    expect(all.get('fairlead_data_thread_restarts_total')).toBe(1);
    expect(all.get('fairlead_exceptions_total')).toBe(count);
  });
});
