import { beforeAll, describe, expect, test } from 'vitest';
import { okResponse } from '../support/raw-backend.ts';
import type { RawClient } from '../support/raw-client.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';
import { get, metrics, NOTHING, Stage, silent, startProxy, startStage } from './stage.ts';
import { stallingServer } from './stalling-server.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage({ timeouts: { idle: '30s', tunnel: '30s' } });
});

const LEAVING: [string, (client: RawClient) => void][] = [
  ['a FIN', (client) => client.end()],
  ['a close', (client) => client.socket.destroy()],
  ['a reset', (client) => client.reset()],
];

const CANCELLED = {
  status: 499,
  error: 'ERR_CLIENT_GONE',
  error_source: 'client',
  alive: true,
  errors: 0,
  conns: 0,
} as const;
/** With a part of its answer. */
const BROKEN_OFF = { ...CANCELLED, status: 200, ended: 'client_gone' } as const;

/** Waits for the end of the backend's connection: the request's log line and the backend's state after it. */
async function outcome(path: string): Promise<Record<string, unknown>> {
  const connection = await stage.backend.request(path);
  await within(connection.closed, SOON_MS, 'the end of the backend connection');
  return { ...(await stage.logged(path)), ...(await stage.backends())[0] };
}

describe.each(LEAVING)('a client that leaves with %s', (name, leave) => {
  const path = (phase: string): string => `/${phase}/${name.slice(2)}`;

  test('in the middle of a head is forgotten', async () => {
    const before = (await metrics(stage.fairlead)).get('fairlead_client_connections') ?? 0;
    const client = await stage.client();
    await client.write(`GET ${path('head')} HTTP/1.1\r\nHos`);
    await waitFor(
      async () =>
        ((await metrics(stage.fairlead)).get('fairlead_client_connections') ?? 0) > before,
    );
    leave(client);
    await waitFor(
      async () => (await metrics(stage.fairlead)).get('fairlead_client_connections') === before,
    );
    expect(stage.backend.served(path('head'))).toEqual([]);
  });

  test('while it uploads cancels the request', async () => {
    stage.on(path('upload'), silent);
    const client = await stage.client();
    await client.write(
      `POST ${path('upload')} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf`,
    );
    await stage.backend.request(path('upload'));
    leave(client);
    expect(await outcome(path('upload'))).toMatchObject(CANCELLED);
  });

  test('while it uploads chunks cancels the request, and the body never looks complete', async () => {
    stage.on(path('chunks'), silent);
    const client = await stage.client();
    await client.write(
      `POST ${path('chunks')} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`,
    );
    const connection = await stage.backend.request(path('chunks'));
    await connection.readUntil('half');
    leave(client);
    expect(await outcome(path('chunks'))).toMatchObject(CANCELLED);
    expect(connection.text).not.toContain('\r\n0\r\n');
  });

  test('while it waits for the head cancels the request', async () => {
    stage.on(path('wait'), silent);
    const client = await stage.client();
    await client.write(get(path('wait')));
    await stage.backend.request(path('wait'));
    leave(client);
    expect(await outcome(path('wait'))).toMatchObject(CANCELLED);
  });

  test('after a part of the head from the backend cancels the request', async () => {
    stage.on(path('part'), async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nX-Part');
      await silent(connection);
    });
    const client = await stage.client();
    await client.write(get(path('part')));
    await stage.backend.request(path('part'));
    leave(client);
    expect(await outcome(path('part'))).toMatchObject(CANCELLED);
  });

  test('in the middle of a download cancels it', async () => {
    stage.on(path('download'), async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
      await silent(connection);
    });
    const client = await stage.client();
    await client.write(get(path('download')));
    await client.readUntil('half');
    leave(client);
    expect(await outcome(path('download'))).toMatchObject(BROKEN_OFF);
  });

  test('in the middle of a large download that it does not read cancels it', async () => {
    stage.on(path('large'), async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
      connection.socket.write(Buffer.alloc(100_000_000));
      await silent(connection);
    });
    const client = await stage.client();
    await client.write(get(path('large')));
    await client.readUntil('\r\n\r\n');
    client.pause();
    leave(client);
    expect(await outcome(path('large'))).toMatchObject(BROKEN_OFF);
    client.socket.destroy();
  });

  test('with requests in the pipeline cancels them all', async () => {
    stage.on(path('first'), silent);
    const client = await stage.client();
    await client.write(get(path('first')) + get(path('second')));
    await stage.backend.request(path('first'));
    leave(client);
    expect(await outcome(path('first'))).toMatchObject(CANCELLED);
    expect(stage.backend.served(path('second'))).toEqual([]);
  });

  test('in a tunnel closes it', async () => {
    stage.on(path('tunnel'), async (connection) => {
      await connection.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      );
      await connection.closed;
      connection.end();
    });
    const client = await stage.client();
    await client.write(get(path('tunnel'), ['Connection: Upgrade', 'Upgrade: websocket']));
    await client.readUntil('\r\n\r\n');
    leave(client);
    const connection = await stage.backend.request(path('tunnel'));
    await within(connection.closed, SOON_MS, 'the end of the tunnel');
    expect(await stage.logged(path('tunnel'))).toMatchObject({ status: 101 });
    expect((await stage.backends())[0]).toMatchObject({ alive: true, errors: 0 });
  });

  test('once it has its answer is no error', async () => {
    stage.on(path('done'), (connection) => connection.write(okResponse()));
    const client = await stage.client();
    await client.write(get(path('done')));
    await client.readResponse();
    leave(client);
    const line = await stage.logged(path('done'));
    expect(line).toMatchObject({ status: 200 });
    expect(line).not.toHaveProperty('error');
  });
});

test('a client that leaves while the backend does not accept ends the attempt', async () => {
  const server = await stallingServer();
  const fairlead = await startProxy([server.url], { timeouts: { connect: '20s' } });
  const full = new Stage(fairlead, stage.backend);
  await server.stall();
  const client = await full.client();
  await client.write(get('/connecting'));
  await waitFor(async () => (await full.backends())[0]?.['conns'] === 1);
  client.reset();
  expect(await full.logged('/connecting')).toMatchObject({ status: 499, error: 'ERR_CLIENT_GONE' });
  expect((await full.backends())[0]).toMatchObject({ alive: true, errors: 0, conns: 0 });
});

test('afterwards nothing is in flight and nobody is connected', async () => {
  expect(await stage.leftover()).toEqual(NOTHING);
});
