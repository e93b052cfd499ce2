/** A pool whose backends are in Consul: questions that wait, indexes that go back, and all that can be in the place of an answer. */
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { apiServer } from '../support/api-server.ts';
import { startFairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import { configOf, listen, searchOf, untilFailing, untilThere } from './discovery-stage.ts';

/** As its documentation has it: an answer comes when there is something newer than the index that is asked with. */
async function fakeConsul() {
  const state = { index: 10, instances: [] as unknown[], broken: undefined as string | undefined };
  const waiting = new Set<() => void>();
  const tokens: unknown[] = [];
  const server = await apiServer((request, response, url) => {
    tokens.push(request.headers['x-consul-token']);
    const answer = (): void => answerTo(response, state);
    const known = Number(url.searchParams.get('index') ?? 0);
    if (state.broken !== undefined || known === 0 || known !== state.index) answer();
    else waiting.add(answer);
  });
  return {
    server,
    tokens,
    set(change: Partial<typeof state>): void {
      Object.assign(state, change);
      for (const answer of waiting) answer();
      waiting.clear();
    },
  };
}

function answerTo(
  response: ServerResponse,
  { index, instances, broken }: { index: number; instances: unknown[]; broken: string | undefined },
): void {
  if (broken === undefined) {
    response.setHeader('X-Consul-Index', String(index));
    response.end(JSON.stringify(instances));
  } else if (broken === 'cut') response.destroy();
  else if (broken.startsWith('5') || broken.startsWith('4')) {
    response.writeHead(Number(broken.slice(0, 3)));
    response.end(broken.slice(4));
  } else response.end(broken);
}

const instance = (address: string, port: number, weight = 1, node = '') => ({
  Node: { Address: node },
  Service: {
    ID: `web-${address}`,
    Address: address,
    Port: port,
    Weights: { Passing: weight, Warning: 1 },
  },
  Checks: [],
});

test('instances come and go as it tells, with weights, and the last good list outlives all faults', async () => {
  const port = await listen('127.0.0.2', 0);
  await listen('127.0.0.3', port);
  const consul = await fakeConsul();
  const broken = { ...instance('', 0), Service: { ID: 'web-x', Address: 'a b', Port: 1 } };
  consul.set({ instances: [instance('127.0.0.2', port, 5), broken] });
  const options = {
    endpoint: consul.server.url,
    service: 'web',
    tags: ['a', 'b'],
    datacenter: 'd',
    token: 'T0KEN',
  };
  const fairlead = await startFairlead({ config: configOf({ consul: options }) });
  expect(await untilThere(fairlead, '2')).toMatchObject([{ weight: 5, found_by: 'consul' }]);
  expect((await searchOf(fairlead)).left_out).toEqual([
    'the instance web-x has no address that is one: register it with one',
  ]);
  expect(consul.tokens[0]).toBe('T0KEN');
  expect(consul.server.asked[0]).toBe('/v1/health/service/web?passing=1&dc=d&tag=a&tag=b');
  await waitFor(() => consul.server.asked.at(-1)?.includes('index=10&wait=60s'));
  // While nothing changes nobody asks again, whatever time there is.
  const before = consul.server.asked.length;
  await fetch(fairlead.url);
  expect(consul.server.asked.length).toBe(before);

  // Of an instance without an address, that of its node.
  const both = [instance('127.0.0.2', port), instance('', port, 1, '127.0.0.3')];
  consul.set({ index: 11, instances: both });
  await untilThere(fairlead, '2', '3');
  // A server whose data is another one: all is asked from the beginning.
  consul.set({ index: 3, instances: [instance('127.0.0.3', port)] });
  await untilThere(fairlead, '3');
  await waitFor(() => consul.server.asked.at(-1)?.includes('index=3&'));

  for (const [fault, reason] of [
    ['500 No cluster leader', /GET \/v1\/health\/service\/web: 500 \(No cluster leader\)/],
    ['<html>', /it answers no JSON: <html>/],
    ['cut', /hang up/],
  ] as const) {
    consul.set({ broken: fault });
    await untilFailing(fairlead, reason);
  }
  consul.set({ broken: undefined, index: 4, instances: [] });
  await untilFailing(fairlead, 'it has no backend');
  expect((await fetch(fairlead.url)).status).toBe(200);
  await untilThere(fairlead, '3');
  consul.set({ index: 5, instances: both });
  await untilThere(fairlead, '3', '2');
  expect(fairlead.logs().filter(({ event }) => event === 'discovery.failed').length).toBe(1);
  expect(fairlead.output()).not.toContain('T0KEN');
}, 60_000);
