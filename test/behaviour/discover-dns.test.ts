/** A pool whose backends are the addresses of a name: who comes is checked first, who goes drains, and no answer changes nothing. */
import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type DnsServer, dnsServer } from '../support/dns-server.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import { configOf as configOfFound, listen, untilThere, viewsOf } from './discovery-stage.ts';

const WITH_SERVER = new URL('../support/dns-servers.mjs', import.meta.url).href;
const NAME = 'app.test';

function configOf(port: number, pool: object = {}): Record<string, unknown> {
  return configOfFound({ dns: `http://${NAME}:${port}`, every: '1s' }, pool);
}

function start(config: Record<string, unknown>, { address }: DnsServer): Promise<Fairlead> {
  return startFairlead({
    config,
    env: { NODE_OPTIONS: `--import ${WITH_SERVER}`, TEST_DNS: address },
  });
}

test('addresses come and go, and a request in flight ends in peace', async () => {
  const slowOnes: ServerResponse[] = [];
  const hosts: (string | undefined)[] = [];
  const port = await listen('127.0.0.2', 0, (request, response) => {
    hosts.push(request.headers.host);
    if (request.url !== '/slow') response.end('two');
    else slowOnes.push(response);
  });
  await listen('127.0.0.3', port, (_request, response) => response.end('three'));
  const dns = await dnsServer();
  dns.names.set(NAME, ['127.0.0.2']);
  const fairlead = await start(configOf(port), dns);
  const [first] = await untilThere(fairlead, '2');
  expect(first).toMatchObject({ id: 0, url: `http://127.0.0.2:${port}`, source: 'discovery' });
  expect(await (await fetch(fairlead.url)).text()).toBe('two');
  // Checks call it by its name.
  expect(hosts[0]).toBe(`${NAME}:${port}`);

  dns.names.set(NAME, ['127.0.0.3', '127.0.0.2']);
  await untilThere(fairlead, '2', '3');
  const texts = new Set<string>();
  await waitFor(async () => {
    texts.add(await (await fetch(fairlead.url)).text());
    return texts.size === 2;
  });
  await fairlead.waitForLog(({ event }) => event === 'backend.found');

  // Only the one that is to go may get it.
  const { adminUrl } = fairlead;
  await fetch(`${adminUrl}/pools/app/backends/1/status`, {
    method: 'PUT',
    body: JSON.stringify({ alive: false }),
  });
  const slow = fetch(`${fairlead.url}/slow`);
  const answer = await waitFor(() => slowOnes[0]);
  await fetch(`${adminUrl}/pools/app/backends/1/status`, {
    method: 'PUT',
    body: JSON.stringify({ alive: true }),
  });
  dns.names.set(NAME, ['127.0.0.3']);
  const draining = await waitFor(async () =>
    (await viewsOf(fairlead)).find(({ state }) => state === 'draining'),
  );
  expect(draining.url).toBe(`http://127.0.0.2:${port}`);
  for (let round = 0; round < 4; round++) {
    expect(await (await fetch(fairlead.url)).text()).toBe('three');
  }
  answer.end('slow');
  expect(await (await slow).text()).toBe('slow');
  await untilThere(fairlead, '3');

  // Back again, it is another one.
  dns.names.set(NAME, ['127.0.0.2', '127.0.0.3']);
  const again = await waitFor(async () => {
    const views = await viewsOf(fairlead);
    return views.length === 2 ? views : undefined;
  });
  expect(again.map(({ id }) => id)).toEqual([1, 2]);
});

test('a name that moves as a whole leaves no request without a backend', async () => {
  const port = await listen('127.0.0.2', 0, (_request, response) => response.end('two'));
  // Its first check takes a while.
  await listen('127.0.0.3', port, (request, response) => {
    if (request.url === '/health') setTimeout(() => response.end(), 100);
    else response.end('three');
  });
  const dns = await dnsServer();
  dns.names.set(NAME, ['127.0.0.2']);
  const fairlead = await start(configOf(port), dns);
  await untilThere(fairlead, '2');
  dns.names.set(NAME, ['127.0.0.3']);
  await waitFor(async () => {
    const answer = await fetch(fairlead.url);
    expect(answer.status).toBe(200);
    return (await answer.text()) === 'three';
  });
  await untilThere(fairlead, '3');
});

test('without an answer the last one holds, and it is said once', async () => {
  const port = await listen('127.0.0.2', 0, (_request, response) => response.end('two'));
  const dns = await dnsServer();
  dns.names.set(NAME, ['127.0.0.2']);
  const fairlead = await start(configOf(port), dns);
  await untilThere(fairlead, '2');
  for (const state of ['fail', []] as const) {
    dns.names.set(NAME, state);
    await fairlead.waitForLog(({ event }) => event === 'discovery.failed');
    const before = dns.asked.length;
    await waitFor(() => dns.asked.length > before);
    expect((await fetch(fairlead.url)).status).toBe(200);
  }
  expect(fairlead.logs().filter(({ event }) => event === 'discovery.failed').length).toBe(1);
  dns.names.set(NAME, ['127.0.0.2']);
  await fairlead.waitForLog(({ event }) => event === 'discovery.recovered');
  expect((await viewsOf(fairlead)).map(({ id }) => id)).toEqual([0]);
});

test('what operators and reloads want of one holds, and it is in no config and no state', async () => {
  const port = await listen('127.0.0.2', 0, (_request, response) => response.end('two'));
  await listen('127.0.0.3', port, (_request, response) => response.end('three'));
  const dns = await dnsServer();
  dns.names.set(NAME, ['127.0.0.2', '127.0.0.3']);
  const fairlead = await start(configOf(port), dns);
  await untilThere(fairlead, '2', '3');
  const { adminUrl } = fairlead;
  const patch = { method: 'PATCH', body: JSON.stringify({ weight: 7 }) };
  expect((await fetch(`${adminUrl}/pools/app/backends/0`, patch)).status).toBe(200);
  expect((await fetch(`${adminUrl}/pools/app/backends/1`, { method: 'DELETE' })).status).toBe(200);
  const asked = dns.asked.length;
  await waitFor(() => dns.asked.length > asked + 1);
  expect(await viewsOf(fairlead)).toMatchObject([{ id: 0, weight: 7, source: 'discovery' }]);
  const config = await (await fetch(`${adminUrl}/config`)).text();
  expect(config).toContain(`http://${NAME}:${port}`);
  expect(config).not.toContain('127.0.0.2');

  const file = join(fairlead.cwd, 'fairlead.config.json');
  const reload = async (pool: object): Promise<number> => {
    await writeFile(file, JSON.stringify(configOf(port, pool)));
    return (await fetch(`${adminUrl}/reload`, { method: 'POST' })).status;
  };
  expect(await reload({ strategy: 'random-two' })).toBe(200);
  expect(await viewsOf(fairlead)).toMatchObject([{ id: 0, weight: 7, source: 'discovery' }]);
  expect(await reload({ discover: false, backends: [`http://127.0.0.2:${port}`] })).toBe(200);
  const views = await waitFor(async () => {
    const now = await viewsOf(fairlead);
    return now[0]?.source === 'config' ? now : undefined;
  });
  expect(views.map(({ url }) => url)).toEqual([`http://127.0.0.2:${port}`]);
  expect((await fetch(fairlead.url)).status).toBe(200);
});
