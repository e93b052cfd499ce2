/** Backends that drain, and the end of the process, as the clients of their WebSockets see it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { okResponse } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import type { ReusedFairlead } from '../support/reused-fairlead.ts';
import { LONG_MS, SOON_MS, waitFor, within } from '../support/wait-for.ts';
import {
  get,
  HANDSHAKE,
  metrics,
  SWITCHED,
  scriptedBackend,
  silent,
  startProxy,
  startStage,
} from './stage.ts';

const GOING_AWAY = '\x88\x02\x03\xe9';

interface DrainAnswer {
  readonly status: number;
  readonly json: {
    readonly state?: string;
    readonly code?: string;
    readonly drained?: boolean;
    readonly draining?: {
      readonly since: string;
      readonly deadline: string;
      readonly in_flight: number;
      readonly tunnels: number;
      readonly cut: number;
    };
  };
}

/** @param path with ids that begin at 0 */
async function call(
  { adminUrl, firstId }: ReusedFairlead,
  method: string,
  path: string,
  body?: unknown,
): Promise<DrainAnswer> {
  const response = await fetch(adminUrl + path.replace('/backends/0', `/backends/${firstId}`), {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as DrainAnswer['json'] };
}

async function webSocketServer(isCompressed = false): Promise<WebSocketServer> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    perMessageDeflate: isCompressed,
  });
  await once(server, 'listening');
  afterTest(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return server;
}

function proxyTo(server: WebSocketServer, config = {}, args?: readonly string[]) {
  const { port } = server.address() as AddressInfo;
  return startProxy([`http://127.0.0.1:${port}`], config, {
    isReused: true,
    ...(args === undefined ? {} : { args }),
  });
}

interface Closed {
  readonly code: number;
  readonly atMs: number;
}

interface Opened {
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  readonly errors: unknown[];
}

async function opened(fairlead: ReusedFairlead): Promise<Opened> {
  const socket = new WebSocket(`ws://127.0.0.1:${fairlead.port}/`);
  afterTest(() => socket.terminate());
  const errors: unknown[] = [];
  socket.on('error', (error) => errors.push(error));
  const closed = new Promise<Closed>((resolve) => {
    socket.on('close', (code) => resolve({ code, atMs: performance.now() }));
  });
  await once(socket, 'open');
  return { socket, closed, errors };
}

describe('a backend that drains', () => {
  test('sends its WebSockets away with 1001, one after the other, and tells how far it is', async () => {
    const server = await webSocketServer();
    const backendCodes: number[] = [];
    server.on('connection', (socket) => socket.on('close', (code) => backendCodes.push(code)));
    const fairlead = await proxyTo(server);
    const count = 12;
    const clients = await Promise.all(Array.from({ length: count }, () => opened(fairlead)));
    const begun = performance.now();
    const { json } = await call(fairlead, 'PATCH', '/backends/0?drain=2s', { state: 'draining' });
    expect(json).toMatchObject({
      state: 'draining',
      drained: false,
      draining: { in_flight: count, tunnels: count, cut: 0 },
    });
    const { since = '', deadline = '' } = json.draining ?? {};
    expect(Date.parse(deadline) - Date.parse(since)).toBe(2_000);

    const closed = await within(
      Promise.all(clients.map((client) => client.closed)),
      10_000,
      'the end of all',
    );
    expect(closed.map(({ code }) => code)).toEqual(Array(count).fill(1001));
    expect(clients.flatMap(({ errors }) => errors)).toEqual([]);
    const times = closed.map(({ atMs }) => atMs - begun).toSorted((a, b) => a - b);
    // One turn per 150 ms, whatever the dice say.
    expect((times[count - 1] as number) - (times[0] as number)).toBeGreaterThan(1_000);
    expect((times[8] as number) - (times[2] as number)).toBeGreaterThan(400);
    await waitFor(async () => (await call(fairlead, 'GET', '/backends/0')).json.drained);
    expect((await call(fairlead, 'GET', '/backends/0')).json).toMatchObject({
      why: 'drained: nothing is in flight there, and nothing comes any more',
      draining: { in_flight: 0, tunnels: 0, cut: 0 },
    });
    // The backend has heard it from the clients themselves.
    await waitFor(() => backendCodes.length === count);
    expect(backendCodes).toEqual(Array(count).fill(1001));
    await waitFor(
      () => fairlead.accessLines().filter(({ status }) => status === 101).length === count,
    );
    expect(fairlead.accessLines().some(({ error }) => error !== undefined)).toBe(false);
  });

  test.each([
    ['plain', false],
    ['compressed', true],
  ])('never breaks a %s stream of messages', async (_name, isCompressed) => {
    const server = await webSocketServer(isCompressed);
    server.on('connection', (socket) => {
      let next = 0;
      const timer = setInterval(() => {
        // Fragments, pings between them, and sizes around the limits of the three forms of length.
        for (const size of [1, 125, 126, 127, 65_535, 65_536, 200_000]) {
          socket.send(`${next}`.padEnd(size, 'x'), { fin: false, compress: isCompressed });
          socket.ping();
          socket.send(`-${next++}`, { fin: true, compress: isCompressed });
        }
      }, 5);
      socket.on('close', () => clearInterval(timer));
    });
    const fairlead = await proxyTo(server);
    const clients = await Promise.all(Array.from({ length: 4 }, () => opened(fairlead)));
    let messages = 0;
    for (const { socket } of clients) socket.on('message', () => messages++);
    await call(fairlead, 'PATCH', '/backends/0?drain=1s', { state: 'draining' });
    for (const { closed, errors } of clients) {
      expect((await within(closed, SOON_MS, 'the close')).code).toBe(1001);
      expect(errors).toEqual([]);
    }
    expect(messages).toBeGreaterThan(0);
  });

  test('waits for the end of a frame', async () => {
    const stage = await startStage({}, { isReused: true });
    stage.on('/halves', async (connection) => {
      await connection.write(`${SWITCHED}\x81\x0ahello`);
      // Every piece ends within a frame: what Fairlead puts in can only go between two frames of one piece.
      const timer = setInterval(() => void connection.write('world\x81\x0ahello'), 10);
      await connection.closed;
      clearInterval(timer);
      connection.end();
    });
    const client = await stage.client();
    await client.write(get('/halves', HANDSHAKE));
    await client.readUntil('\r\n\r\n');
    await call(stage.fairlead, 'PATCH', '/backends/0?drain=2s', { state: 'draining' });
    const sent = (await client.readToEnd()).toString('latin1');
    const frames = sent.slice(0, -GOING_AWAY.length).split('\x81\x0ahelloworld');
    expect(frames.length).toBeGreaterThan(1);
    expect(frames.join('')).toBe('');
    expect(sent.endsWith(GOING_AWAY)).toBe(true);
  });

  test('cuts at the deadline what is no WebSocket framing, without a byte of its own', async () => {
    const stage = await startStage({}, { isReused: true });
    stage.on('/text', async (connection) => {
      await connection.write(`${SWITCHED}welcome`);
      await connection.closed;
      connection.end();
    });
    const client = await stage.client();
    await client.write(get('/text', HANDSHAKE));
    await client.readUntil('welcome');
    const begun = performance.now();
    await call(stage.fairlead, 'PATCH', '/backends/0?drain=1s', { state: 'draining' });
    expect((await client.readToEnd()).toString()).toBe('');
    expect(performance.now() - begun).toBeGreaterThan(950);
    client.end();
    await waitFor(async () => (await call(stage.fairlead, 'GET', '/backends/0')).json.drained);
    const { json } = await call(stage.fairlead, 'GET', '/backends/0');
    expect(json.draining).toMatchObject({ in_flight: 0, tunnels: 0, cut: 1 });
    await stage.fairlead.waitForLog(({ event }) => event === 'backend.tunnels_cut');
  });

  test('cuts a client that does not answer, after a moment', async () => {
    const stage = await startStage({}, { isReused: true });
    stage.on('/mute', async (connection) => {
      await connection.write(SWITCHED);
      await connection.closed;
      connection.end();
    });
    const client = await stage.client();
    await client.write(get('/mute', HANDSHAKE));
    await client.readUntil('\r\n\r\n');
    await call(stage.fairlead, 'PATCH', '/backends/0?drain=2s', { state: 'draining' });
    expect((await client.readToEnd()).toString('latin1')).toBe(GOING_AWAY);
  });

  test('lets requests finish, beyond its deadline too', async () => {
    const stage = await startStage({}, { isReused: true });
    // It never ends by itself: the test answers.
    stage.on('/slow', silent);
    const client = await stage.client();
    await client.write(get('/slow'));
    const connection = await stage.backend.request('/slow');
    await call(stage.fairlead, 'PATCH', '/backends/0?drain=100ms', { state: 'draining' });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { json } = await call(stage.fairlead, 'GET', '/backends/0');
    expect(json).toMatchObject({ drained: false, draining: { in_flight: 1, tunnels: 0, cut: 0 } });
    await connection.write(okResponse('late'));
    expect((await client.readResponse()).body.toString()).toBe('late');
    await waitFor(async () => (await call(stage.fairlead, 'GET', '/backends/0')).json.drained);
  });

  test('that is enabled again keeps its WebSockets', async () => {
    const server = await webSocketServer();
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    const fairlead = await proxyTo(server);
    // When it is told to go is drawn from the whole time, and may be before it is enabled again: with many, some stay.
    const clients = await Promise.all(Array.from({ length: 10 }, () => opened(fairlead)));
    await call(fairlead, 'PATCH', '/backends/0?drain=1m', { state: 'draining' });
    const { json } = await call(fairlead, 'PATCH', '/backends/0', { state: 'enabled' });
    expect([json.draining, json.drained]).toEqual([undefined, undefined]);
    await call(fairlead, 'PATCH', '/backends/0?drain=2s', { state: 'draining' });
    await call(fairlead, 'PUT', '/backends/0/status', { alive: true });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const stayed = clients.filter(({ socket }) => socket.readyState === socket.OPEN);
    expect(stayed.length).toBeGreaterThan(0);
    for (const { socket } of stayed) {
      const echoed = once(socket, 'message');
      socket.send('still here');
      expect(String((await within(echoed, SOON_MS, 'the echo'))[0])).toBe('still here');
    }
  });

  test('is removed once its WebSockets are gone', async () => {
    const fairlead = await proxyTo(await webSocketServer(), {}, ['--threads', '2']);
    const clients = await Promise.all(Array.from({ length: 6 }, () => opened(fairlead)));
    const { status, json } = await call(fairlead, 'DELETE', '/backends/0?drain=2s');
    expect(status).toBe(202);
    expect(json).toMatchObject({ state: 'draining', draining: { tunnels: 6 } });
    for (const { closed } of clients) {
      expect((await within(closed, SOON_MS, 'the close')).code).toBe(1001);
    }
    await waitFor(async () => (await call(fairlead, 'GET', '/backends/0')).status === 404);
  });

  test('takes timeouts.drain where no time is given, and keeps it when asked again', async () => {
    const stage = await startStage({ timeouts: { drain: '40s' } }, { isReused: true });
    const lasts = async (method: string, path: string, body?: unknown): Promise<number> => {
      const { json } = await call(stage.fairlead, method, path, body);
      const { since = '', deadline = '' } = json.draining ?? {};
      return Date.parse(deadline) - Date.parse(since);
    };
    const client = await stage.client();
    stage.on('/hang', () => new Promise(() => {}));
    await client.write(get('/hang'));
    await stage.backend.request('/hang');
    const state = 'draining';
    expect(await lasts('PATCH', '/backends/0', { state })).toBe(40_000);
    expect(await lasts('PATCH', '/backends/0?drain=7s', { state })).toBe(7_000);
    expect(await lasts('PATCH', '/backends/0', { state, weight: 2 })).toBe(7_000);
    expect(await lasts('PATCH', '/backends/0?drain', { state })).toBe(40_000);
    expect(await lasts('DELETE', '/backends/0?drain')).toBe(40_000);
  });

  test('is not asked to drain by mistake', async () => {
    const stage = await startStage({}, { isReused: true });
    for (const [method, path, body] of [
      ['PATCH', '/backends/0?drain=soon', { state: 'draining' }],
      ['PATCH', '/backends/0?drain=5s', { state: 'disabled' }],
      ['PATCH', '/backends/0?drain=5s', { weight: 2 }],
      ['DELETE', '/backends/0?drain=5', undefined],
    ] as const) {
      const { status, json } = await call(stage.fairlead, method, path, body);
      expect([status, json.code]).toEqual([422, 'ERR_INVALID_VALUE']);
    }
    const { json } = await call(stage.fairlead, 'GET', '/backends/0');
    expect(json).toMatchObject({ state: 'enabled', weight: 1 });
  });
});

/** A way to `port` on which the last part of what a client says first waits for `release`. */
async function halfSaid(port: number) {
  let release!: () => void;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const server = createServer((client) => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
    upstream.pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => client.destroy());
    client.once('data', async (first: Buffer) => {
      client.pause();
      upstream.write(first.subarray(0, 15));
      await released;
      upstream.write(first.subarray(15));
      client.pipe(upstream);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  return { port: (server.address() as AddressInfo).port, release };
}

describe('SIGTERM', () => {
  test.each([
    ['a TLS handshake', { tls: { certificates: [makeCertificate()] } }, ''],
    [
      'a PROXY header',
      { proxy_protocol: { from: ['127.0.0.1'] } },
      'PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n',
    ],
  ])(
    'hears %s that has begun to its end, and waits for nobody who is silent',
    async (_name, how, said) => {
      const backend = await scriptedBackend();
      const { fairlead, port } = await onFreePorts(1, async ([free = 0]) => {
        const listeners = [{ port: free, host: '127.0.0.1', ...how }];
        const config = { listeners, timeouts: { head: '60s', drain: '60s' } };
        const proxy = await startProxy([backend.url], config, { isReused: true });
        return { fairlead: proxy, port: free };
      });
      const way = await halfSaid(port);
      const isTls = said === '';
      const answered = (async () => {
        const client = await rawClient(way.port, { tls: isTls });
        await client.write(said + get('/'));
        return client.readResponse();
      })();
      answered.catch(() => {});
      await rawClient(port);
      await waitFor(async () => (await metrics(fairlead)).get('fairlead_client_connections') === 2);

      const isOver = fairlead.stop('SIGTERM', LONG_MS);
      await fairlead.waitForLog(({ event }) => event === 'stopping');
      // Long enough for who would not wait to have ended, and not for a handshake to take too long.
      await sleep(300);
      way.release();
      const { status, fields } = await within(answered, SOON_MS, 'the answer');
      expect([status, fields.get('connection')]).toEqual([200, ['close']]);
      expect(await isOver).toBe(0);
      expect(fairlead.logs().some(({ event }) => event === 'drain.cut_off')).toBe(false);
    },
  );

  test.each([1, 2])(
    'sends WebSockets away with 1001, spread over the time (threads: %i)',
    async (threads) => {
      const fairlead = await proxyTo(await webSocketServer(), { timeouts: { drain: '2s' } }, [
        '--threads',
        String(threads),
      ]);
      const count = 12;
      const clients = await Promise.all(Array.from({ length: count }, () => opened(fairlead)));
      const begun = performance.now();
      const isOver = fairlead.stop('SIGTERM', 10_000);
      const closed = await within(
        Promise.all(clients.map((client) => client.closed)),
        10_000,
        'the end of all',
      );
      expect(closed.map(({ code }) => code)).toEqual(Array(count).fill(1001));
      const times = closed.map(({ atMs }) => atMs - begun).toSorted((a, b) => a - b);
      expect((times[count - 1] as number) - (times[0] as number)).toBeGreaterThan(700);
      expect(await isOver).toBe(0);
      expect(fairlead.logs().some(({ event }) => event === 'drain.cut_off')).toBe(false);
    },
  );
});
