/** Backends by name: lookups are shared and renewed in time, names move, resolvers fail, and some addresses don't answer. */
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, startProxy } from './stage.ts';
import { stallingServer } from './stalling-server.ts';

const LONG_MS = 30_000;
const FRESH_MS = 5_000;
const BLAME = ['backend.ejected', 'breaker.opened', 'backend.down'];
const PRELOAD = (name: string): string =>
  `--import ${new URL(`../support/${name}.mjs`, import.meta.url).href}`;

type Names = Readonly<Record<string, readonly string[] | string>>;

/** The names that the proxy will know, and what its data threads have asked for. */
function resolver(first: Names, preloads = '') {
  const folder = temporaryFolder('names');
  const file = join(folder, 'names.json');
  const change = (names: Names): void => {
    writeFileSync(`${file}.new`, JSON.stringify(names));
    renameSync(`${file}.new`, file);
  };
  change(first);
  return {
    change,
    lookups: (): number =>
      existsSync(`${file}.log`) ? readFileSync(`${file}.log`, 'utf8').split('\n').length - 1 : 0,
    env: { NODE_OPTIONS: `${PRELOAD('names')} ${preloads}`, TEST_NAMES: file },
  };
}

async function tlsBackend({
  cert_file,
  key_file,
}: ReturnType<typeof makeCertificate>): Promise<number> {
  const options = { cert: readFileSync(cert_file), key: readFileSync(key_file) };
  const server = createServer(options, (_request, response) => void response.end('ok'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function answeringAt(host: string, port = 0) {
  return httpBackend((_, response) => void response.end(host), { host, port });
}

/** The same port at two addresses, each of which answers with its own. */
async function twoAddresses() {
  const first = await answeringAt('127.0.0.1');
  await answeringAt('127.0.0.2', first.port);
  return first;
}

test('200 new connections cost each data thread one lookup in five seconds', async () => {
  const backend = await httpBackend((_, response) => {
    response.setHeader('Connection', 'close');
    response.end('ok');
  });
  const names = resolver({ 'one.test': ['127.0.0.1'] });
  const fairlead = await startProxy(
    [`http://one.test:${backend.port}`],
    {},
    { args: [], env: names.env },
  );
  const threads = Number(
    /"threads": ?(\d+)/.exec(await (await fetch(`${fairlead.adminUrl}/status`)).text())?.[1] ?? 2,
  );
  const from = performance.now();
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 10 }, async () => expect((await fetch(fairlead.url)).status).toBe(200)),
    );
  }
  const rounds = 1 + Math.floor((performance.now() - from) / FRESH_MS);
  expect(names.lookups()).toBeGreaterThan(0);
  expect(names.lookups()).toBeLessThanOrEqual(threads * rounds);
});

test('when a name moves, idle connections to where it was are closed, and those in use behind their request', async () => {
  const first = await twoAddresses();
  const held: (() => void)[] = [];
  first.server.removeAllListeners('request');
  first.server.on('request', (request, response) => {
    if (request.url === '/slow') held.push(() => response.end('slow'));
    else response.end('127.0.0.1');
  });
  const names = resolver({ 'moving.test': ['127.0.0.1'] });
  const fairlead = await startProxy(
    [`http://moving.test:${first.port}`],
    { timeouts: { response: '60s' } },
    { args: [], env: names.env },
  );
  const client = await rawClient(fairlead.port);
  await client.write(get('/slow'));
  await waitFor(() => held.length === 1);
  expect(await (await fetch(fairlead.url)).text()).toBe('127.0.0.1');
  const open = (): Promise<number> =>
    new Promise((resolve, reject) => {
      first.server.getConnections((error, count) =>
        error === null ? resolve(count) : reject(error),
      );
    });
  await waitFor(async () => (await open()) === 2);
  names.change({ 'moving.test': ['127.0.0.2'] });
  // Nobody has asked for anything meanwhile.
  await waitFor(async () => (await open()) === 1, LONG_MS);
  await fairlead.waitForLog(({ event }) => event === 'backend.moved');
  expect(await (await fetch(fairlead.url)).text()).toBe('127.0.0.2');
  held[0]?.();
  expect((await client.readResponse()).body.toString()).toBe('slow');
  await waitFor(async () => (await open()) === 0, LONG_MS);
});

test('a resolver that fails takes nothing away', async () => {
  const backend = await httpBackend();
  const names = resolver({ 'kept.test': ['127.0.0.1'] });
  const fairlead = await startProxy([`http://kept.test:${backend.port}`], {}, { env: names.env });
  expect((await fetch(fairlead.url)).status).toBe(200);
  const before = names.lookups();
  names.change({ 'kept.test': 'EAI_AGAIN' });
  await fairlead.waitForLog(({ event }) => event === 'backend.lookup_failed', LONG_MS);
  expect(names.lookups()).toBeGreaterThan(before);
  backend.server.closeAllConnections();
  for (let round = 0; round < 5; round++) {
    expect((await fetch(fairlead.url, { headers: { Connection: 'close' } })).status).toBe(200);
    backend.server.closeAllConnections();
  }
  expect(fairlead.logs().filter(({ event }) => event === 'backend.lookup_failed').length).toBe(1);
});

test('a name that can not be looked up at first is not asked for by each request, and nobody is blamed', async () => {
  const backend = await httpBackend();
  const names = resolver({ 'late.test': ['127.0.0.1'] });
  const fairlead = await startProxy(
    [`http://late.test:${backend.port}`],
    { retries: false },
    { env: names.env },
  );
  names.change({ 'late.test': 'EAI_AGAIN' });
  const before = names.lookups();
  const from = performance.now();
  const statuses = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const response = await fetch(fairlead.url);
      return `${response.status} ${response.headers.get('proxy-status') ?? ''}`;
    }),
  );
  for (const status of statuses) expect(status).toMatch(/^503 fairlead; error=dns_error/);
  expect(names.lookups() - before).toBeLessThanOrEqual(2 + (performance.now() - from) / 1_000);
  names.change({ 'late.test': ['127.0.0.1'] });
  await waitFor(async () => (await fetch(fairlead.url)).status === 200);
  for (const event of BLAME) expect(fairlead.logs().map((line) => line.event)).not.toContain(event);
});

test.each([
  ['on handles', ''],
  ['on sockets', PRELOAD('without-tcp-handles')],
])(
  'an address that does not answer, and one that refuses, cost no request its answer, %s',
  async (_name, preload) => {
    const stalling = await stallingServer();
    await httpBackend(undefined, { host: '127.0.0.2', port: stalling.port });
    const addresses = ['127.0.0.3', '127.0.0.1', '127.0.0.2'];
    const names = resolver({ 'half.test': addresses }, preload);
    const fairlead = await startProxy(
      [`http://half.test:${stalling.port}`],
      { retries: false },
      { args: [], env: names.env },
    );
    await stalling.stall();
    for (let round = 0; round < 3; round++) {
      const response = await fetch(fairlead.url);
      expect([response.status, await response.text()]).toEqual([200, 'ok']);
    }
    for (const event of BLAME)
      expect(fairlead.logs().map((line) => line.event)).not.toContain(event);
  },
);

test.each([
  ['on handles', ''],
  ['on sockets', PRELOAD('without-tls-handles')],
])('an address that refuses, over TLS, %s', async (_name, preload) => {
  const certificate = makeCertificate();
  const port = await tlsBackend(certificate);
  const names = resolver({ localhost: ['127.0.0.3', '127.0.0.1'] }, preload);
  const fairlead = await startProxy(
    [`https://localhost:${port}`],
    { retries: false },
    { env: { ...names.env, NODE_EXTRA_CA_CERTS: certificate.cert_file } },
  );
  expect((await fetch(fairlead.url)).status).toBe(200);
});
