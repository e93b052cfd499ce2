/** `sticky: { by: socket.io }`, with the real thing on both sides: no part of it knows that there are several servers. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, type ServerOptions } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { metrics, startProxy } from './stage.ts';

const CLIENTS = 12;
const CALLS = 4;

interface App {
  readonly url: string;
  readonly server: Server;
}

/** Answers `name` with its own, `echo` with what it got, and `later` later. */
async function startApp(name: string, options: Partial<ServerOptions>): Promise<App> {
  const http = createServer();
  const server = new Server(http, { serveClient: false, ...options });
  server.on('connection', (socket) => {
    socket.on('name', (answer: (name: string) => void) => answer(name));
    socket.on('later', (answer: (text: string) => void) => {
      setTimeout(answer, 400, 'later');
    });
    socket.on('echo', (text: string, answer: (text: string) => void) => answer(text));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  afterTest(async () => {
    await server.close();
  });
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, server };
}

async function startApps(count: number, options: Partial<ServerOptions> = {}): Promise<App[]> {
  const apps: App[] = [];
  for (const name of [...'ABC'].slice(0, count)) apps.push(await startApp(name, options));
  return apps;
}

function start(apps: readonly App[], config: Readonly<Record<string, unknown>>): Promise<Fairlead> {
  const urls = apps.map(({ url }) => url);
  // Two data threads where there can be two: what one learns, the other has to know.
  return startProxy(urls, config, { args: ['--threads', '2'] });
}

/** A client, and whatever went wrong with it. */
class Client {
  readonly socket: Socket;
  readonly errors: string[] = [];

  constructor(url: string, transports: string[], reconnection = false) {
    this.socket = io(url, {
      transports,
      reconnection,
      forceNew: true,
      timeout: 10_000,
      rejectUnauthorized: false,
    });
    afterTest(() => {
      this.socket.disconnect();
    });
    this.socket.on('connect_error', ({ message }) => this.errors.push(message));
    this.socket.on('disconnect', (reason) => this.errors.push(reason));
    this.socket.io.on('open', () => {
      this.socket.io.engine.on('upgradeError', ({ message }: Error) => this.errors.push(message));
    });
  }

  get transport(): string {
    return this.socket.io.engine.transport.name;
  }

  async connected(): Promise<void> {
    await waitFor(() => this.socket.connected || this.errors.length > 0, 15_000);
  }

  async ask(what: 'name' | 'later' | 'echo', ...values: string[]): Promise<string> {
    return (await this.socket.timeout(10_000).emitWithAck(what, ...values)) as string;
  }
}

/** Each client asks a few times who answers: all of what it heard, and all that went wrong. */
async function converse(clients: readonly Client[]) {
  const names = await Promise.all(
    clients.map(async (client) => {
      await client.connected();
      const heard: string[] = [];
      for (let call = 0; call < CALLS && client.errors.length === 0; call++) {
        heard.push(await client.ask('name'));
      }
      return heard;
    }),
  );
  return { names, errors: clients.flatMap(({ errors }) => errors) };
}

const STICKY = { sticky: { by: 'socket.io' } } as const;

describe.each([
  ['polling alone', ['polling'], 'polling'],
  ['polling, then WebSocket', ['polling', 'websocket'], 'websocket'],
  ['WebSocket alone', ['websocket'], 'websocket'],
])('%s', (_name, transports, last) => {
  test('every client stays with one of three servers, and nothing fails', async () => {
    const fairlead = await start(await startApps(3), STICKY);
    const clients = Array.from({ length: CLIENTS }, () => new Client(fairlead.url, transports));
    const { names, errors } = await converse(clients);
    expect(errors).toEqual([]);
    for (const heard of names) expect(heard).toEqual(Array(CALLS).fill(heard[0]));
    expect(new Set(names.flat())).toEqual(new Set(['A', 'B', 'C']));
    await waitFor(() => clients.every(({ transport }) => transport === last), 15_000);
    // Longer than one part of a body, both ways.
    const text = 'x'.repeat(100_000);
    for (const client of clients) expect(await client.ask('echo', text)).toBe(text);
    expect(clients.flatMap((client) => client.errors)).toEqual([]);
    expect((await metrics(fairlead)).get('fairlead_sessions_evicted_total') ?? 0).toBe(0);
  });
});

test.runIf(hasTool('openssl'))('by TLS as well', async () => {
  const fairlead = await start(await startApps(3), { ...STICKY, ssl: makeCertificate() });
  const url = fairlead.url.replace('http:', 'https:');
  const clients = Array.from({ length: 6 }, () => new Client(url, ['polling', 'websocket']));
  const { names, errors } = await converse(clients);
  expect(errors).toEqual([]);
  for (const heard of names) expect(heard).toEqual(Array(CALLS).fill(heard[0]));
  await waitFor(() => clients.every(({ transport }) => transport === 'websocket'), 15_000);
});

test.each([
  ['revision 3', 'EIO=3&b64=1'],
  ['revision 3 with JSONP', 'EIO=3&j=0'],
  ['revision 4', 'EIO=4'],
])('the sid of %s is found', async (_revision, query) => {
  const fairlead = await start(await startApps(3, { allowEIO3: true }), STICKY);
  const path = `/socket.io/?${query}&transport=polling`;
  for (let client = 0; client < 6; client++) {
    const opened = await (await fetch(`${fairlead.url}${path}`)).text();
    const sid = /sid\\?":\\?"([\w-]+)/.exec(opened)?.[1] ?? '';
    expect(sid).toMatch(/^[\w-]{20}$/);
    // What it says does not matter: only who opened the session knows it at all.
    for (let call = 0; call < 3; call++) {
      const body = query.includes('j=') ? `d=${encodeURIComponent('1:6')}` : '6';
      const text = query.startsWith('EIO=3') && !query.includes('j=') ? '1:6' : body;
      const type = query.includes('j=') ? 'application/x-www-form-urlencoded' : 'text/plain';
      const answer = await fetch(`${fairlead.url}${path}&sid=${sid}`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: text,
      });
      expect([answer.status, await answer.text()]).toEqual([200, 'ok']);
    }
  }
});

test('without it, polling fails over several servers', async () => {
  const fairlead = await start(await startApps(3), {});
  const clients = Array.from({ length: 4 }, () => new Client(fairlead.url, ['polling']));
  for (const client of clients) await client.connected();
  await waitFor(() => clients.some(({ errors }) => errors.length > 0), 15_000);
  expect(clients.every(({ errors }) => errors.length === 0)).toBe(false);
});

test('a request waits for a server that is full: it is of no use to any other', async () => {
  // Polls that wait fill a server with two clients, for as long as it lets them wait.
  const apps = await startApps(2, { pingInterval: 200 });
  const config = { ...STICKY, max_requests: 2, queue: { size: 100, timeout: '20s' } };
  const fairlead = await start(apps, config);
  const clients = Array.from({ length: 4 }, () => new Client(fairlead.url, ['polling']));
  const { names, errors } = await converse(clients);
  expect(errors).toEqual([]);
  for (const heard of names) expect(heard).toEqual(Array(CALLS).fill(heard[0]));
});

test('hedges keep away from polls that wait', async () => {
  const config = { ...STICKY, retries: { hedge_after: '50ms', budget_percent: 100 } };
  const fairlead = await start(await startApps(3), config);
  const clients = Array.from({ length: 4 }, () => new Client(fairlead.url, ['polling']));
  for (const client of clients) await client.connected();
  // The poll that brings the answer waits for longer than a hedge does.
  for (const client of clients) expect(await client.ask('later')).toBe('later');
  expect(clients.flatMap(({ errors }) => errors)).toEqual([]);
});

test('a server that goes costs its own clients one reconnection, and nobody else anything', async () => {
  const apps = await startApps(2);
  const fairlead = await start(apps, { ...STICKY, outlier_detection: false });
  const clients = Array.from({ length: 6 }, () => new Client(fairlead.url, ['polling'], true));
  const before = (await converse(clients)).names.map(([name]) => name);
  expect(new Set(before)).toEqual(new Set(['A', 'B']));
  const response = await fetch(`${fairlead.adminUrl}/backends/0?sessions=move`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ state: 'draining' }),
  });
  expect(response.status).toBe(200);
  await waitFor(async () => {
    const names = await Promise.all(clients.map((client) => client.ask('name').catch(() => '')));
    return names.every((name) => name === 'B');
  }, 20_000);
  for (const [index, { errors }] of clients.entries()) {
    expect(errors.length > 0).toBe(before[index] === 'A');
  }
});
