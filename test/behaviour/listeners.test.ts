/** Several addresses that clients connect to: TCP and unix sockets, opened and closed by reloads. */
import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { planThreads } from '../../src/control/threads/plan-threads.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type Fairlead, runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { type ReusedOptions, reusedFairlead } from '../support/reused-fairlead.ts';
import { hasTool } from '../support/tools.ts';
import { LONG_MS, waitFor, within } from '../support/wait-for.ts';

type Where = { readonly port: number; readonly host?: string } | { readonly socketPath: string };

/** The body of the answer to `GET /`, over a connection of its own. */
function get(where: Where, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(
      { host: '127.0.0.1', ...where, path: '/', headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve(text));
      },
    );
    request.on('error', reject);
  });
}

async function isRefused(where: Where): Promise<boolean> {
  return get(where).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED' || error.code === 'ENOENT',
  );
}

async function reload(
  { adminUrl, cwd }: Fairlead,
  config: Readonly<Record<string, unknown>>,
): Promise<{ readonly status: number; readonly json: unknown }> {
  await writeFile(join(cwd, 'fairlead.config.json'), JSON.stringify(config, null, 2));
  const response = await fetch(`${adminUrl}/reload`, { method: 'POST' });
  return { status: response.status, json: await response.json() };
}

/** @param begin for those that see its start, its end or its generation: a process of its own */
async function start(
  listeners: readonly unknown[],
  more: Readonly<Record<string, unknown>> = {},
  begin: (options: ReusedOptions) => Promise<Fairlead> = reusedFairlead,
) {
  const backend = await httpBackend((request, response) => {
    response.end(`from ${request.headers['x-forwarded-for']}`);
  });
  const config = { backends: [backend.url], state_file: false, ...more };
  const fairlead = await begin({ config: { ...config, listeners } });
  return { fairlead, config, socketOf: (name: string) => join(fairlead.cwd, name) };
}

/** Several threads can have both addresses for a moment, where they can share a port at all. */
const OVERLAPPING: readonly (readonly [number, number, string])[] = [
  [1, 422, "127.0.0.1:PORT has the address, and one data thread can't have both at a time"],
  ...(planThreads(2).count === 2 ? ([[2, 200, '"changed":true']] as const) : []),
];

/** With a listener at 127.0.0.1. */
async function movable(threads: number) {
  const port = await freePort();
  const at = (host: string) => [{ host, port }];
  const { fairlead, config } = await start(at('127.0.0.1'), { threads });
  return {
    fairlead,
    config,
    port,
    moveTo: (host: string) => reload(fairlead, { ...config, listeners: at(host) }),
    isServed: async (host: string): Promise<boolean> =>
      (await get({ port, host }).catch(() => '')) === 'from 127.0.0.1',
  };
}

/** Somebody else's port. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  afterTest(() => void server.close());
  await waitFor(() => server.listening);
  return (server.address() as { port: number }).port;
}

describe('listeners', () => {
  test('are served side by side: of the short form, of IPv4, of IPv6, and unix sockets', async () => {
    const [port4, port6] = [await freePort(), await freePort()];
    const { fairlead, socketOf } = await start(
      [
        { port: port4, host: '127.0.0.1' },
        { port: port6, host: '::1' },
        { unix: 'web.sock' },
        { unix: 'private.sock', mode: '0600' },
      ],
      {},
      startFairlead,
    );
    expect(await get({ port: fairlead.port })).toBe('from 127.0.0.1');
    expect(await get({ port: port4 })).toBe('from 127.0.0.1');
    expect(await get({ port: port6, host: '::1' })).toBe('from ::1');
    expect(await get({ socketPath: socketOf('web.sock') })).toBe('from unknown');
    expect(await get({ socketPath: socketOf('private.sock') })).toBe('from unknown');
    expect(await isRefused({ port: port4, host: '::1' })).toBe(true);
    expect(statSync(socketOf('web.sock')).mode & 0o777).toBe(0o660);
    expect(statSync(socketOf('private.sock')).mode & 0o777).toBe(0o600);
    const { listeners } = await fairlead.waitForLog(({ event }) => event === 'listening');
    expect(listeners).toEqual([
      `http://localhost:${fairlead.port}`,
      `http://127.0.0.1:${port4}`,
      `http://[::1]:${port6}`,
      `unix:${socketOf('web.sock')}`,
      `unix:${socketOf('private.sock')}`,
    ]);
    expect(await fairlead.stop()).toBe(0);
    expect(existsSync(socketOf('web.sock'))).toBe(false);
  });

  test('may be all of the long form: then there is none of port', async () => {
    const [port, adminPort] = [await freePort(), await freePort()];
    const backend = await httpBackend();
    const fairlead = await startFairlead({
      config: { listeners: [{ port }], admin_port: adminPort, backends: [backend.url] },
      ports: { port, adminPort },
    });
    expect(await get({ port })).toBe('ok');
    const printed = await fetch(`${fairlead.adminUrl}/config`);
    const { config } = (await printed.json()) as { config: Record<string, unknown> };
    expect(config['listeners']).toEqual([
      { port, host: '*', redirect_to_https: false, h2c: false },
    ]);
    expect(config).not.toHaveProperty('port');
    expect(config).not.toHaveProperty('ssl');
  });

  test.runIf(hasTool('curl'))('can be asked by curl', async () => {
    const { socketOf } = await start([{ unix: 'web.sock' }]);
    const args = ['-sS', '--unix-socket', socketOf('web.sock'), 'http://any/', 'http://any/'];
    const { stdout } = await promisify(execFile)('curl', args);
    expect(stdout).toBe('from unknownfrom unknown');
  });
});

describe('a unix socket', () => {
  test('that was left behind is replaced', async () => {
    const { fairlead, config, socketOf } = await start([{ unix: 'web.sock' }], {}, startFairlead);
    await fairlead.kill();
    expect(existsSync(socketOf('web.sock'))).toBe(true);
    await startFairlead({
      cwd: fairlead.cwd,
      config: { ...config, listeners: [{ unix: 'web.sock' }] },
    });
    expect(await get({ socketPath: socketOf('web.sock') })).toBe('from unknown');
  });

  test('that somebody listens on is left alone', async () => {
    const { fairlead, config, socketOf } = await start([{ unix: 'web.sock' }]);
    const second = join(fairlead.cwd, 'second.json');
    const [port, adminPort] = [await freePort(), await freePort()];
    await writeFile(second, JSON.stringify({ ...config, listeners: [{ unix: 'web.sock' }] }));
    const ports = ['--port', String(port), '--admin-port', String(adminPort)];
    const { code, stdout, stderr } = await runFairlead(['--config', second, ...ports]);
    expect(code).toBe(3);
    expect(stdout + stderr).toContain(
      `can't listen on unix:${socketOf('web.sock')} (listeners.0): the address is in use`,
    );
    expect(await get({ socketPath: socketOf('web.sock') })).toBe('from unknown');
  });

  test('is not made in the place of a file', async () => {
    const { fairlead, config, socketOf } = await start([{ unix: 'web.sock' }]);
    await writeFile(socketOf('letter'), 'dear reader');
    const { status, json } = await reload(fairlead, { ...config, listeners: [{ unix: 'letter' }] });
    expect(status).toBe(422);
    expect(JSON.stringify(json)).toContain('letter is there, and is no socket');
    expect(statSync(socketOf('letter')).isFile()).toBe(true);
  });

  test('that has become somebody else’s stays at the end', async () => {
    const { fairlead, socketOf } = await start([{ unix: 'web.sock' }], {}, startFairlead);
    const other = createServer().listen(socketOf('other.sock'));
    afterTest(() => void other.close());
    await waitFor(() => other.listening);
    await rename(socketOf('other.sock'), socketOf('web.sock'));
    expect(await fairlead.stop()).toBe(0);
    expect(statSync(socketOf('web.sock')).isSocket()).toBe(true);
    await rm(socketOf('web.sock'));
  });

  test('gets another mode by a reload, and clients notice nothing', async () => {
    const { fairlead, config, socketOf } = await start([{ unix: 'web.sock', mode: '0600' }]);
    const { ino } = statSync(socketOf('web.sock'));
    const listeners = [{ unix: 'web.sock', mode: '0666' }];
    expect(await reload(fairlead, { ...config, listeners })).toMatchObject({ status: 200 });
    const now = statSync(socketOf('web.sock'));
    expect(now.mode & 0o777).toBe(0o666);
    expect(now.ino).toBe(ino);
  });
});

describe('a reload', () => {
  test('opens and closes listeners; those that stay refuse nobody', async () => {
    const [first, second] = [await freePort(), await freePort()];
    const { fairlead, config, socketOf } = await start([{ port: first }]);
    const over = new AbortController();
    let served = 0;
    const clients = Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) {
        expect(await get({ port: fairlead.port })).toBe('from 127.0.0.1');
        served++;
      }
    });
    for (let round = 0; round < 5; round++) {
      const listeners = [{ port: second }, { unix: 'web.sock' }];
      expect(await reload(fairlead, { ...config, listeners })).toMatchObject({ status: 200 });
      expect(await get({ port: second })).toBe('from 127.0.0.1');
      expect(await get({ socketPath: socketOf('web.sock') })).toBe('from unknown');
      await waitFor(() => isRefused({ port: first }));

      const before = { ...config, listeners: [{ port: first }] };
      expect(await reload(fairlead, before)).toMatchObject({ status: 200 });
      expect(await get({ port: first })).toBe('from 127.0.0.1');
      await waitFor(() => isRefused({ port: second }));
      await waitFor(() => isRefused({ socketPath: socketOf('web.sock') }));
      expect(existsSync(socketOf('web.sock'))).toBe(false);
    }
    over.abort();
    await Promise.all(clients);
    expect(served).toBeGreaterThan(0);
  });

  test('lets the idle clients of a closed listener go, and answers those in an exchange', async () => {
    let mayGoOn = false;
    const backend = await rawBackend(async (connection) => {
      for (;;) {
        await connection.readHead(600_000);
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
        await waitFor(() => mayGoOn);
        await connection.write('world');
      }
    });
    const port = await freePort();
    const check = { health_check_method: 'tcp' };
    const config = { backends: [backend.url], state_file: false, ...check };
    const fairlead = await reusedFairlead({ config: { ...config, listeners: [{ port }] } });
    const kept = await rawClient(fairlead.port);
    const [idle, busy] = [await rawClient(port), await rawClient(port)];
    await busy.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await busy.readUntil('hello');
    expect(await reload(fairlead, config)).toMatchObject({ status: 200 });
    await within(idle.readToEnd(), LONG_MS, 'the end of the idle client');
    mayGoOn = true;
    await busy.readUntil('world');
    await within(busy.readToEnd(), LONG_MS, 'the end of the busy client');
    await kept.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await kept.readUntil('helloworld');
  });

  test.each([1, 2])(
    'moves a listener to another host on its port, with %i data threads',
    async (threads) => {
      const { fairlead, config, port, isServed, moveTo } = await movable(threads);
      expect(await moveTo('127.0.0.2')).toMatchObject({ status: 200 });
      expect(await isServed('127.0.0.2')).toBe(true);
      await waitFor(() => isRefused({ port, host: '127.0.0.1' }));
      // By way of another one.
      expect(await reload(fairlead, config)).toMatchObject({ status: 200 });
      await waitFor(() => isRefused({ port, host: '127.0.0.2' }));
      expect(await moveTo('0.0.0.0')).toMatchObject({ status: 200 });
      expect(await isServed('127.0.0.1')).toBe(true);
    },
  );

  test.each(OVERLAPPING)(
    'to a host that overlaps with it, with %i data threads: %i',
    async (threads, status, said) => {
      const { port, isServed, moveTo } = await movable(threads);
      for (const host of ['0.0.0.0', '::', '::ffff:127.0.0.1']) {
        const answer = await moveTo(host);
        expect(answer.status).toBe(status);
        expect(JSON.stringify(answer.json)).toContain(said.replace('PORT', String(port)));
        await waitFor(() => isServed('127.0.0.1'));
        expect(await moveTo('127.0.0.1')).toMatchObject({ status: 200 });
        await waitFor(() => isServed('127.0.0.1'));
        await waitFor(() => isRefused({ port, host: '127.0.0.2' }));
      }
    },
  );

  test('that can’t open one of them leaves everything as it was, and says so', async () => {
    const taken = await takenPort();
    const [first, second] = [await freePort(), await freePort()];
    const { fairlead, config, socketOf } = await start([{ port: first }], {}, startFairlead);
    const listeners = [{ port: second }, { unix: 'web.sock' }, { host: '127.0.0.1', port: taken }];
    const { status, json } = await reload(fairlead, { ...config, listeners, strategy: 'ip-hash' });
    expect(status).toBe(422);
    expect(json).toMatchObject({
      code: 'ERR_BAD_CONFIG',
      problems: [
        {
          origin: 'file',
          line: expect.any(Number),
          path: 'listeners.2',
          message: `can't listen on 127.0.0.1:${taken}: the address is in use`,
        },
      ],
    });
    expect(await get({ port: first })).toBe('from 127.0.0.1');
    await waitFor(() => isRefused({ port: second }));
    await waitFor(() => isRefused({ socketPath: socketOf('web.sock') }));
    const answer = await fetch(`${fairlead.adminUrl}/status`);
    expect(await answer.json()).toMatchObject({ strategy: 'round-robin', generation: 1 });
    // What was in the way is gone: the same config is taken.
    const next = { ...config, listeners: listeners.slice(0, 2) };
    expect(await reload(fairlead, next)).toMatchObject({ status: 200 });
    expect(await get({ port: second })).toBe('from 127.0.0.1');
  });
});

test('a listener that can’t be opened ends the start with 3, and is named', async () => {
  const taken = await takenPort();
  const args = ['--port', String(await freePort()), '--admin-port', String(await freePort())];
  const { code, stdout, stderr } = await runFairlead(['http://127.0.0.1:1', ...args], {
    env: { FAIRLEAD_LISTENERS: JSON.stringify([{ host: '127.0.0.1', port: taken }]) },
  });
  expect(code).toBe(3);
  expect(stdout + stderr).toContain(
    `can't listen on 127.0.0.1:${taken} (listeners.0): the address is in use`,
  );
});

async function redirecting(more: Readonly<Record<string, unknown>> = {}) {
  const [plain, secure] = [await freePort(), await freePort()];
  const tls = { certificates: [makeCertificate()] };
  const listeners = [
    { port: plain, redirect_to_https: true },
    { port: secure, tls },
  ];
  return { ...(await start(listeners, more)), listeners, plain, secure };
}

describe.runIf(hasTool('openssl'))('a listener that redirects to https', () => {
  test('answers 308 to the same host and path, and no backend is asked', async () => {
    const { fairlead, plain, secure } = await redirecting();
    const asked = [
      ['GET /a%2fb?c=d HTTP/1.1\r\nHost: Example.com:81\r\n', `Example.com:${secure}/a%2fb?c=d`],
      ['GET / HTTP/1.1\r\nHost: [::1]\r\n', `[::1]:${secure}/`],
      ['GET http://other.test/x HTTP/1.1\r\nHost: a\r\n', `other.test:${secure}/x`],
      ['OPTIONS * HTTP/1.1\r\nHost: a\r\n', `a:${secure}/`],
      ['POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n', `a:${secure}/p`],
    ];
    for (const [head, location] of asked) {
      const client = await rawClient(plain);
      await client.write(`${head}\r\n`);
      const { status, fields } = await client.readResponse();
      expect(status).toBe(308);
      expect(fields.get('location')).toEqual([`https://${location}`]);
      expect(fields.get('connection')).toEqual(['close']);
    }
    await waitFor(() => fairlead.accessLines().length === asked.length);
    const hosts = fairlead.accessLines().map((line) => line['host']);
    expect(hosts.toSorted()).toEqual(['Example.com:81', '[::1]', 'a', 'a', 'other.test']);
    expect(fairlead.accessLines().some((line) => 'backend' in line || 'error' in line)).toBe(false);
  });

  test('does not serve a request without a host, nor one that it can’t read', async () => {
    const { plain } = await redirecting();
    for (const head of ['GET / HTTP/1.0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n']) {
      const client = await rawClient(plain);
      await client.write(head);
      expect((await client.readResponse()).status).toBe(400);
    }
  });

  test('serves what a trusted proxy says came over https', async () => {
    const { plain } = await redirecting({ trusted_proxies: ['127.0.0.1'] });
    expect(await get({ port: plain }, { 'x-forwarded-proto': 'https' })).toContain('from');
    expect(await get({ port: plain }, { 'x-forwarded-proto': 'http' })).toBe('');
  });

  test('begins and ends to by a reload, for connected clients, too', async () => {
    const { fairlead, config, listeners, plain } = await redirecting();
    const [, secure] = listeners;
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    await reload(fairlead, { ...config, listeners: [{ port: plain }, secure] });
    const client = await rawClient(plain);
    await client.write(request);
    expect((await client.readResponse()).status).toBe(200);
    await reload(fairlead, { ...config, listeners });
    await within(client.readToEnd(), LONG_MS, 'the end of a client that was served');
    const next = await rawClient(plain);
    await next.write(request);
    expect((await next.readResponse()).status).toBe(308);
  });
});
