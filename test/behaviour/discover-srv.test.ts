/** A pool whose backends stand in SRV records: ports, weights, backups, and what DNS says when there is none. */
import { expect, test } from 'vitest';
import { type DnsServer, dnsServer } from '../support/dns-server.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  configOf,
  listen,
  searchOf,
  untilFailing,
  untilThere,
  viewsOf,
} from './discovery-stage.ts';

const WITH_SERVER = new URL('../support/dns-servers.mjs', import.meta.url).href;
const NAME = '_http._tcp.app.test';
const DISCOVER = { srv: `http://${NAME}`, every: '1s' };

function start(discover: object, { address }: DnsServer): Promise<Fairlead> {
  return startFairlead({
    config: configOf(discover),
    env: { NODE_OPTIONS: `--import ${WITH_SERVER}`, TEST_DNS: address },
  });
}

const record = (target: string, port: number, weight = 1, priority = 10) => ({
  target,
  port,
  weight,
  priority,
});

test('each record is a backend with its port and its weight, and those of a higher number are backups', async () => {
  const hosts: (string | undefined)[] = [];
  const one = await listen('127.0.0.2', 0, (request, response) => {
    hosts.push(request.headers.host);
    response.end('two');
  });
  const other = await listen('127.0.0.3', 0);
  const dns = await dnsServer();
  // A dot at the end, and capitals, make no other target.
  dns.names.set('a.test', ['127.0.0.2']);
  dns.names.set('b.test', ['127.0.0.3']);
  dns.services.set(NAME, [record('B.test.', other, 2000, 20), record('a.test.', one, 1000, 10)]);
  const fairlead = await start(DISCOVER, dns);
  const views = await untilThere(fairlead, '2', '3');
  expect(views).toMatchObject([
    { url: `http://127.0.0.2:${one}`, weight: 500, backup: false, found_by: 'srv' },
    { url: `http://127.0.0.3:${other}`, weight: 1000, backup: true, found_by: 'srv' },
  ]);
  expect(hosts[0]).toBe(`a.test:${one}`);
  for (let round = 0; round < 4; round++) {
    expect(await (await fetch(fairlead.url)).text()).toBe('two');
  }
  expect(await searchOf(fairlead)).toMatchObject({
    source: 'srv',
    asks: `${NAME} in DNS (SRV)`,
    failing: false,
    found: 2,
    fault: null,
  });

  // The other way round, with nobody coming or going.
  dns.services.set(NAME, [record('b.test', other, 3, 1), record('a.test', one, 0, 2)]);
  await waitFor(async () => {
    const now = await viewsOf(fairlead);
    return now[0]?.backup === true && now[0].weight === 1 && now[1]?.weight === 3;
  });
  expect((await viewsOf(fairlead)).map(({ id }) => id)).toEqual([0, 1]);
});

test('what DNS can not say keeps the last list; a target without an address is left out', async () => {
  const port = await listen('127.0.0.2', 0);
  await listen('127.0.0.3', port);
  const dns = await dnsServer();
  dns.names.set('a.test', ['127.0.0.2', '127.0.0.3']);
  dns.services.set(NAME, [record('a.test', port), record('gone.test', port)]);
  const fairlead = await start(DISCOVER, dns);
  await untilThere(fairlead, '2', '3');
  expect((await searchOf(fairlead)).left_out).toEqual([
    'gone.test has no address: give it one, or no record',
  ]);
  dns.services.set(NAME, 'fail');
  await untilFailing(fairlead, 'ESERVFAIL');
  dns.services.set(NAME, [record('a.test', port)]);
  dns.names.set('a.test', 'fail');
  await untilFailing(fairlead, /SERVFAIL.*a\.test/);
  // The service is not to be had (RFC 2782), and by default there has to be one.
  dns.services.set(NAME, [record('.', 0)]);
  await untilFailing(fairlead, 'it has no backend');
  expect((await fetch(fairlead.url)).status).toBe(200);
  await untilThere(fairlead, '2', '3');
  expect(fairlead.logs().filter(({ event }) => event === 'discovery.failed').length).toBe(1);
});

test('with min_backends 0 a service that is not to be had has no backends', async () => {
  const port = await listen('127.0.0.2', 0);
  const dns = await dnsServer();
  dns.names.set('a.test', ['127.0.0.2']);
  dns.services.set(NAME, [record('a.test', port)]);
  const fairlead = await start({ ...DISCOVER, min_backends: 0 }, dns);
  await untilThere(fairlead, '2');
  dns.services.set(NAME, [record('.', 0)]);
  await untilThere(fairlead);
  expect((await fetch(fairlead.url)).status).toBe(503);
  const metrics = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
  expect(metrics).toMatch(/^fairlead_discovery_backends\{pool="app",source="srv"\} 0$/m);
});
