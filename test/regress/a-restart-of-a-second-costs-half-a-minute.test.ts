/**
 * With defaults, a backend that was down for a second got nothing for 30 s, so that a rolling restart of two was a total
 * outage of 21 to 29 s; a proxy that was started before its backend found it after up to 30 s; `auto` that had met a 503 of
 * a backend that boots never forgave it its 404; and a TLS backend that nobody could use was UP every second.
 */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { LONG_MS, leastOf, waitFor } from '../support/wait-for.ts';

/** What it has on its way back at most, from the moment at which the backend listens: it took half a minute. */
const BACK_MS = 5_000;

async function msUntilServed(url: string): Promise<number> {
  const startedAt = performance.now();
  await waitFor(async () => (await fetch(url)).status === 200, 20_000);
  return performance.now() - startedAt;
}

test('one backend that comes back after a second is used at once', async () => {
  const backend = await httpBackend();
  const { url } = await startFairlead({ args: [backend.url] });
  expect((await fetch(url)).status).toBe(200);
  let running = backend;
  const backMs = async (): Promise<number> => {
    await running.close();
    expect((await fetch(url)).status).toBeGreaterThanOrEqual(502);
    await sleep(1_000);
    running = await httpBackend(undefined, { port: backend.port });
    return msUntilServed(url);
  };
  expect(await leastOf(backMs, BACK_MS)).toBeLessThan(BACK_MS);
});

async function foundMs(): Promise<number> {
  const port = await freePort();
  const { url } = await startFairlead({ args: [`http://127.0.0.1:${port}`] });
  expect((await fetch(url)).status).toBe(503);
  await httpBackend(undefined, { port });
  return msUntilServed(url);
}

test('a proxy that is there first finds its backend as soon as that listens', async () => {
  expect(await leastOf(foundMs, BACK_MS)).toBeLessThan(BACK_MS);
});

async function usedMs(): Promise<number> {
  let isBooting = true;
  const backend = await httpBackend((request, response) => {
    const status = isBooting ? 503 : request.url === '/health' ? 404 : 200;
    response.writeHead(status).end();
  });
  const fairlead = await startFairlead({ args: [backend.url] });
  await fairlead.waitForLog(({ event }) => event === 'backend.down');
  isBooting = false;
  const ms = await msUntilServed(fairlead.url);
  const told = fairlead.logs().filter(({ event }) => event === 'backend.checked_by_tcp');
  expect(told.length).toBe(1);
  return ms;
}

test('a backend that boots with 503 and has no page for checks is used', async () => {
  expect(await leastOf(usedMs, BACK_MS)).toBeLessThan(BACK_MS);
});

test('a rolling restart of two backends with defaults costs nobody anything', async () => {
  const first = await httpBackend();
  const second = await httpBackend();
  const { url } = await startFairlead({ args: [first.url, second.url] });
  const statuses: (number | string)[] = [];
  const over = new AbortController();
  const client = async (): Promise<void> => {
    while (!over.signal.aborted) {
      statuses.push(
        await fetch(url).then(
          async (response) => (await response.text(), response.status),
          (error: unknown) => String(error),
        ),
      );
      await sleep(40);
    }
  };
  const clients = Array.from({ length: 4 }, client);
  for (const backend of [first, second]) {
    await sleep(500);
    await backend.close();
    await sleep(2_000);
    await httpBackend(undefined, { port: backend.port });
    await sleep(4_000);
  }
  await waitFor(() => statuses.length >= 800, 4 * LONG_MS, '800 answers');
  over.abort();
  await Promise.all(clients);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
}, 120_000);

test('a TLS backend whose certificate nobody knows stays down with tcp checks, with a hint', async () => {
  const files = makeCertificate();
  const tls = { cert: readFileSync(files.cert_file), key: readFileSync(files.key_file) };
  const server = createServer(tls, (_request, response) => response.end('ok'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const args = [`https://127.0.0.1:${port}`, '--health-check-method', 'tcp'];
  const refused = await startFairlead({ args });
  const down = await refused.waitForLog(({ event }) => event === 'backend.down');
  expect(down['hint']).toContain('NODE_EXTRA_CA_CERTS');
  await sleep(1_500);
  expect(refused.logs().filter(({ event }) => event === 'backend.up')).toEqual([]);
  const response = await fetch(refused.url);
  expect(response.status).toBe(503);

  const trusted = await startFairlead({ args, env: { NODE_EXTRA_CA_CERTS: files.cert_file } });
  expect((await fetch(trusted.url)).status).toBe(200);
});
