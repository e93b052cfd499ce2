/** Clients that come through a proxy which says who they are: PROXY protocol, versions 1 and 2, before anything else. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { ByteReader } from '../support/byte-reader.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const V1 = 'PROXY TCP4 192.0.2.9 10.0.0.1 4386 443\r\n';
const V2 = '\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x09\x0a\x00\x00\x01\x11\x22\x01\xbb';
const V2_WITH_MORE = `${V2.replace('\x00\x0c', '\x00\x12')}\x04\x00\x03abc`;
const V2_LOCAL = '\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00';

const WITHOUT_HANDLES = new URL('../support/without-tcp-handles.mjs', import.meta.url).pathname;

interface Stage {
  readonly fairlead: Fairlead;
  readonly port: number;
}

async function start(
  proxies: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Stage> {
  const backend = await httpBackend((request, response) => {
    response.end(`for ${request.headers['x-forwarded-for']}`);
  });
  const port = await freePort();
  const { tls, ...config } = more;
  const listener = { port, proxy_protocol: { from: proxies }, ...(tls !== undefined && { tls }) };
  const fairlead = await startFairlead({
    config: { backends: [backend.url], state_file: false, listeners: [listener], ...config },
    env,
  });
  return { fairlead, port };
}

async function dial(to: number | string): Promise<Socket> {
  const socket = typeof to === 'string' ? connect(to) : connect(to, '127.0.0.1');
  afterTest(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

function of(address: string): string {
  return `PROXY TCP4 ${address} 10.0.0.1 4386 443\r\n`;
}

/** Everything that is answered to these pieces, until the end. */
async function say(to: number | string, pieces: readonly string[]): Promise<string> {
  const socket = await dial(to);
  if (typeof to === 'number') socket.setNoDelay(true);
  const reader = new ByteReader(socket);
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, 'latin1', resolve));
    await new Promise(setImmediate);
  }
  // A reset where what was sent has not been read.
  return (await reader.readToEnd().catch(() => Buffer.from('reset'))).toString('latin1');
}

async function counted({ adminUrl }: Fairlead, code: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return Number(
    new RegExp(`fairlead_errors_total\\{code="${code}"\\} (\\d+)`).exec(text)?.[1] ?? 0,
  );
}

describe.each([
  ['on handles', {}],
  ['on sockets', { NODE_OPTIONS: `--import ${WITHOUT_HANDLES}` }],
])('a listed proxy, %s', (_way, env) => {
  test('says who its client is, in any number of pieces', async () => {
    const { fairlead, port } = await start(['127.0.0.1'], {}, env);
    for (const header of [V1, V2, V2_WITH_MORE]) {
      expect(await say(port, [header + REQUEST])).toContain('for 192.0.2.9');
      expect(await say(port, [header, REQUEST])).toContain('for 192.0.2.9');
      expect(await say(port, [...(header + REQUEST)])).toContain('for 192.0.2.9');
    }
    await waitFor(() => fairlead.accessLines().length === 9);
    const clients = fairlead.accessLines().map((line) => line['client']);
    expect(clients).toEqual(Array(9).fill('192.0.2.9'));
  });

  test('may speak for itself', async () => {
    const { port } = await start(['127.0.0.0/8'], {}, env);
    expect(await say(port, [V2_LOCAL, REQUEST])).toContain('for 127.0.0.1');
    expect(await say(port, ['PROXY UNKNOWN\r\n', REQUEST])).toContain('for 127.0.0.1');
  });

  test('that says something else is closed without an answer, counted, and told of', async () => {
    const { fairlead, port } = await start(['127.0.0.1'], {}, env);
    expect(['', 'reset']).toContain(await say(port, [REQUEST]));
    const line = await fairlead.waitForLog(({ event }) => event === 'listener.no_proxy_header');
    for (const garbage of ['PROXY TCP4 1.2.3.4\r\n', `\r\n\r\n\0${'x'.repeat(40)}`]) {
      expect(['', 'reset']).toContain(await say(port, [garbage]));
    }
    await waitFor(async () => (await counted(fairlead, 'ERR_CLIENT_PROXY_HEADER')) === 3);
    expect(await say(port, [V1, REQUEST])).toContain('for 192.0.2.9');
    expect(line).toMatchObject({
      listener: `*:${port}`,
      peer: '127.0.0.1',
      came: String.raw`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    });
    await fairlead.stop();
    const told = fairlead.logs().filter(({ event }) => event === 'listener.no_proxy_header');
    expect(told.reduce((sum, { count }) => sum + Number(count), 0)).toBe(3);
    // One at once, and one at the end.
    expect(told.length).toBeLessThanOrEqual(2);
  });

  test('that says nothing, or not all of it, is closed after timeouts.head', async () => {
    const { fairlead, port } = await start(['127.0.0.1'], { timeouts: { head: '300ms' } }, env);
    expect(await say(port, [])).toBe('');
    expect(await say(port, [V2.slice(0, 20)])).toBe('');
    await waitFor(async () => (await counted(fairlead, 'ERR_CLIENT_PROXY_HEADER')) === 2);
    const line = await fairlead.waitForLog(({ event }) => event === 'listener.no_proxy_header');
    expect(line.msg).toContain('sent no whole PROXY header within 300ms (timeouts.head), but ');
  });

  test.runIf(hasTool('openssl'))('says it before TLS', async () => {
    const tls = { certificates: [makeCertificate()] };
    const { port } = await start(['127.0.0.1'], { tls }, env);
    for (const header of [V1, V2]) {
      const carrier = await dial(port);
      carrier.write(header, 'latin1');
      const socket = connectTls({ socket: carrier, rejectUnauthorized: false });
      const reader = new ByteReader(socket);
      socket.write(REQUEST);
      expect((await reader.readToEnd()).toString('latin1')).toContain('for 192.0.2.9');
    }
  });
});

test('from others the header is no request, and changes nothing', async () => {
  const { fairlead, port } = await start(['192.0.2.1']);
  for (const header of [V1, V2]) {
    expect(await say(port, [header + REQUEST])).toMatch(/^HTTP\/1\.1 400 |^reset/);
  }
  expect(await say(port, [REQUEST])).toContain('for 127.0.0.1');
  expect(await counted(fairlead, 'ERR_CLIENT_PROXY_HEADER')).toBe(0);
});

test('the address is the client’s in all that goes by one', async () => {
  const { fairlead, port } = await start(['127.0.0.1'], {
    rate_limit: { rate: 1, per: '1h', burst: 1 },
    limits: { connections_per_client: 1 },
    trusted_proxies: ['192.0.2.77'],
  });
  expect(await say(port, [of('192.0.2.1'), REQUEST])).toContain('for 192.0.2.1');
  // Its place is given back when its connection is gone, which it may hear of before we do.
  const again = () => say(port, [of('192.0.2.1'), REQUEST]);
  expect(await waitFor(async () => (await again()) || null)).toMatch(/^HTTP\/1\.1 429 /);
  expect(await say(port, [of('192.0.2.2'), REQUEST])).toContain('for 192.0.2.2');

  // The proxy is not the client that its X-Forwarded-For counts from; what it stands for may be.
  const forged = REQUEST.replace('Host', 'X-Forwarded-For: 198.51.100.7\r\nHost');
  expect(await say(port, [of('192.0.2.3'), forged])).toContain('for 192.0.2.3');
  expect(await say(port, [of('192.0.2.77'), forged])).toContain('for 198.51.100.7, 192.0.2.77');

  // One connection of each client.
  const first = await dial(port);
  const reader = new ByteReader(first);
  first.write(of('192.0.2.4') + REQUEST.replace('Connection: close\r\n', ''));
  await reader.readUntil('for 192.0.2.4');
  expect(['', 'reset']).toContain(await say(port, [of('192.0.2.4'), REQUEST]));
  expect(await say(port, [of('192.0.2.5'), REQUEST])).toContain('for 192.0.2.5');
  first.destroy();
  await waitFor(async () => (await say(port, [of('192.0.2.4'), REQUEST])).startsWith('HTTP/1.1'));
  expect(fairlead.logs().filter(({ level }) => level === 'error')).toEqual([]);
});

test('by a unix socket', async () => {
  const { fairlead } = await start(['127.0.0.1'], {
    listeners: [
      { unix: 'a.sock', proxy_protocol: { from: ['unix'] } },
      { unix: 'b.sock', proxy_protocol: { from: ['127.0.0.1'] } },
    ],
  });
  expect(await say(join(fairlead.cwd, 'a.sock'), [V2, REQUEST])).toContain('for 192.0.2.9');
  expect(['', 'reset']).toContain(await say(join(fairlead.cwd, 'a.sock'), [REQUEST]));
  expect(await say(join(fairlead.cwd, 'b.sock'), [REQUEST])).toContain('for unknown');
});

test.runIf(hasTool('curl'))('as curl sends it', async () => {
  const { port } = await start(['127.0.0.1']);
  const args = ['-sS', '--haproxy-protocol', `http://127.0.0.1:${port}/`];
  const { stdout } = await promisify(execFile)('curl', args);
  expect(stdout).toBe('for 127.0.0.1');
});
