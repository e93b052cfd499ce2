/** What is spoken over TLS is what the backend chooses by ALPN, of what its pool offers. */
import { once } from 'node:events';
import http2 from 'node:http2';
import { createServer as createHttps } from 'node:https';
import {
  type AddressInfo,
  createServer as createTcp,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { createServer as createTls } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { afterTest } from '../support/after-test.ts';
import { Authority } from '../support/authority.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, startProxy } from './stage.ts';

const WITHOUT_TLS_HANDLES = new URL('../support/without-tls-handles.mjs', import.meta.url).href;

async function askAtOnce(fairlead: Fairlead, count: number): Promise<string[]> {
  const answers = Array.from({ length: count }, async () => (await fetch(fairlead.url)).text());
  return Promise.all(answers);
}

describe.runIf(hasTool('openssl')).each([
  ['on handles', ''],
  ['on sockets', `--import ${WITHOUT_TLS_HANDLES}`],
])('backends over TLS, %s', (_name, options) => {
  let authority: Authority;
  let pair: { readonly cert: string; readonly key: string };
  let both: TcpServer;
  let http1: TcpServer;
  let versions: string[] = [];
  let connections = 0;
  const accepted = new Set<Socket>();
  /** Who gets the next connections. */
  let current: TcpServer;
  let port = 0;

  beforeAll(async () => {
    authority = new Authority();
    pair = authority.sign('localhost');
    const compat = http2.createSecureServer({ ...pair, allowHTTP1: true }, (request, response) => {
      versions.push(`${request.httpVersion} ${request.url}`);
      const { stream } = request;
      if (request.url === '/http1-only' && stream !== undefined) {
        stream.close(http2.constants.NGHTTP2_HTTP_1_1_REQUIRED);
      } else {
        response.end(request.httpVersion);
      }
    });
    const plain = createHttps(pair, (request, response) => {
      response.end(request.httpVersion);
    });
    for (const server of [compat, plain]) {
      const webSockets = new WebSocketServer({ server: server as unknown as typeof plain });
      webSockets.on('connection', (socket) => {
        socket.on('message', (data) => socket.send(`${data}`));
      });
      server.on('sessionError', () => {});
      server.on('tlsClientError', () => {});
    }
    both = compat;
    http1 = plain;
    const front = createTcp((socket) => {
      connections++;
      accepted.add(socket);
      socket.on('close', () => accepted.delete(socket));
      socket.on('error', () => {});
      current.emit('connection', socket);
    }).listen(0, '127.0.0.1');
    await once(front, 'listening');
    afterTest(() => void front.close());
    port = (front.address() as AddressInfo).port;
  });

  async function start(server: TcpServer, config: object): Promise<Fairlead> {
    current = server;
    const env = { NODE_EXTRA_CA_CERTS: authority.file, NODE_OPTIONS: options };
    const fairlead = await startProxy([`https://localhost:${port}`], { ...config }, { env });
    versions = [];
    connections = 0;
    return fairlead;
  }

  test('h2: HTTP/2, all over one connection', async () => {
    const fairlead = await start(both, {
      protocol: 'h2',
      health_check_method: 'http',
      health_check_path: '/',
    });
    expect(await askAtOnce(fairlead, 10)).toEqual(Array(10).fill('2.0'));
    expect(connections).toBe(1);
  });

  test('auto: HTTP/2 where it is chosen, and HTTP/1.1 for WebSockets', async () => {
    const fairlead = await start(both, {
      protocol: 'auto',
      health_check_method: 'http',
      health_check_path: '/',
    });
    expect(await (await fetch(fairlead.url)).text()).toBe('2.0');
    expect(await askAtOnce(fairlead, 10)).toEqual(Array(10).fill('2.0'));
    expect(connections).toBe(1);
    const socket = new WebSocket(`ws://127.0.0.1:${fairlead.port}/`);
    afterTest(() => socket.terminate());
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    expect(connections).toBe(2);
    // What is wanted over HTTP/1.1 goes out again over that, a POST as well, and what comes next does at once.
    const post = { method: 'POST', body: 'a body' };
    expect(await (await fetch(`${fairlead.url}/http1-only`, post)).text()).toBe('1.1');
    expect(await askAtOnce(fairlead, 3)).toEqual(Array(3).fill('1.1'));
    expect(versions.filter((line) => line.endsWith('only'))).toEqual([
      '2.0 /http1-only',
      '1.1 /http1-only',
    ]);
  });

  test('auto: HTTP/1.1 where that is chosen, and what comes next is found out anew', async () => {
    const fairlead = await start(http1, {
      protocol: 'auto',
      health_check_method: 'http',
      health_check_path: '/',
    });
    expect(await askAtOnce(fairlead, 5)).toEqual(Array(5).fill('1.1'));
    // Connections are kept as those of HTTP/1.1 are.
    const before = connections;
    expect(await (await fetch(fairlead.url)).text()).toBe('1.1');
    expect(connections).toBe(before);
    // It is another server from now on.
    current = both;
    for (const socket of accepted) socket.destroy();
    await waitFor(async () => (await (await fetch(fairlead.url)).text()) === '2.0');
    const after = connections;
    expect(await askAtOnce(fairlead, 5)).toEqual(Array(5).fill('2.0'));
    expect(connections).toBe(after);
    // The log says of each what it was.
    const logged = (protocol: string | undefined): number =>
      fairlead.accessLines().filter((line) => line['backend_protocol'] === protocol).length;
    await waitFor(() => logged('HTTP/2.0') >= 6 && logged(undefined) >= 6);
  });

  test('h2: a backend that does not choose it is told from one that is down', async () => {
    const silent = createTls(pair, (socket) => socket.on('error', () => {}));
    const fairlead = await start(silent, { protocol: 'h2', retries: false });
    const client = await rawClient(fairlead.port);
    await client.write(get('/'));
    const { status, body } = await client.readResponse();
    expect([status, body.toString()]).toEqual([
      502,
      expect.stringContaining('ERR_BACKEND_NOT_HTTP2'),
    ]);
    const line = await waitFor(() => fairlead.accessLines()[0]);
    expect(line['error_detail']).toMatch(/ALPN.*protocol: http1/);
  });

  test('h2: a backend that refuses it is down, and what would help is said', async () => {
    current = http1;
    const env = { NODE_EXTRA_CA_CERTS: authority.file, NODE_OPTIONS: options };
    const config = { protocol: 'h2', backends: [`https://localhost:${port}`], state_file: false };
    const fairlead = await startFairlead({ config, env });
    const line = await fairlead.waitForLog(({ event }) => event === 'backend.down');
    expect(line['hint']).toMatch(/protocol of its pool is h2/);
  });
});
