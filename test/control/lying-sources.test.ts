/** Sources of backends that lie, hang or never stop: what is taken of it, and what it costs. */
import { afterEach, expect, test, vi } from 'vitest';
import type { KubernetesSettings } from '../../src/config/discovery-settings.ts';
import type { BackendSettings } from '../../src/config/settings.ts';
import { dockerSource } from '../../src/control/discovery/docker-source.ts';
import { Findings } from '../../src/control/discovery/findings.ts';
import { backendAt } from '../../src/control/discovery/found-backends.ts';
import { kubernetesSource } from '../../src/control/discovery/kubernetes-source.ts';
import { PolledSource } from '../../src/control/discovery/polled-source.ts';
import type { SourceUser } from '../../src/control/discovery/source.ts';
import { srvAnswer } from '../../src/control/discovery/srv-answers.ts';
import { afterTest } from '../support/after-test.ts';
import { apiServer } from '../support/api-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { recordLog } from './fixtures.ts';

afterEach(() => {
  vi.useRealTimers();
});

function recordUser() {
  const lists: (readonly BackendSettings[])[] = [];
  const faults: string[] = [];
  const user: SourceUser = {
    async onList(list) {
      lists.push(list);
    },
    onFault: (reason) => void faults.push(reason),
  };
  return { lists, faults, user };
}

test('a name in DNS that is none does not get into a request', async () => {
  const source = { kind: 'srv', url: '', tls: false, name: '_http._tcp.app', everyMs: 0 } as const;
  const record = { priority: 0, weight: 1, port: 8080 };
  const names = ['a\r\nx: y', 'a b', 'a/../b', '', '::1', 'x'.repeat(300), '127.1', 'Good.TEST.'];
  const records = [
    ...names.map((name) => ({ ...record, name })),
    { ...record, name: 'noport.test', port: 0 },
    { ...record, name: '10.0.0.9' },
  ];
  const asked: string[] = [];
  const { list, leftOut } = await srvAnswer(
    { source, basePath: '' },
    async () => records,
    async (host) => {
      asked.push(host);
      return { addresses: ['10.0.0.1'], ttlMs: undefined };
    },
  );
  expect(asked).toEqual(['good.test', '10.0.0.9']);
  expect(list.map(({ authority }) => authority)).toEqual(['good.test:8080', '10.0.0.9:8080']);
  expect(leftOut).toHaveLength(7);
  expect(leftOut?.[0]).toBe(
    'the record of "a\\r\\nx: y" has no port and host that could be one: correct it',
  );
});

test('ten thousand addresses that hold for no time are asked for once a second, and a thousand are taken', async () => {
  vi.useFakeTimers();
  const addresses = Array.from({ length: 10_000 }, (_, n) => `10.1.${n >> 8}.${n & 255}`);
  const list = addresses.map((host) => backendAt({ tls: false, host, port: 80, basePath: '' }));
  const applied: number[] = [];
  const findings = new Findings({
    settings: { minBackends: 1 },
    shown: 'app',
    log: recordLog(),
    now: () => performance.now(),
    apply: async (all) => void applied.push(all.length),
  });
  const ask = async () => ({ list, ttlMs: 0 });
  const source = new PolledSource({ ask, user: findings, everyMs: 0, random: () => 0 });
  source.start();
  await vi.advanceTimersByTimeAsync(9_050);
  source.stop();
  findings.stop();
  expect(applied).toEqual(Array.from({ length: 11 }, () => 1_000));
});

test('what leads back to Fairlead itself is no backend, whoever says so', async () => {
  const log = recordLog();
  const applied: string[][] = [];
  const own = backendAt({ tls: false, host: '10.0.0.1', port: 9000, basePath: '' });
  const other = backendAt({ tls: false, host: '10.0.0.2', port: 9000, basePath: '' });
  const findings = new Findings({
    settings: { minBackends: 1 },
    shown: 'app',
    log,
    now: () => performance.now(),
    apply: async (all) => void applied.push(all.map(({ url }) => url)),
    whyNot: () => (one) => (one.url === own.url ? `${one.url} is ours` : undefined),
    kept: { list: [own, other], at: 0 },
  });
  // Nor is it because it was one before the start.
  await findings.onList([own]);
  await findings.first;
  expect(findings.status).toMatchObject({
    reason: 'it has no backend (http://10.0.0.1:9000 is ours)',
    leftOut: ['http://10.0.0.1:9000 is ours'],
    found: 1,
  });
  await findings.onList([own, other]);
  expect(applied).toEqual([[other.url], [other.url]]);
  findings.stop();
});

function endpoint(url: string) {
  const files = { caFile: '', certFile: '', keyFile: '' };
  const { port } = new URL(url);
  return { url, tls: false, host: '127.0.0.1', port: Number(port), socketPath: '', ...files };
}

/** As many as a slice has at most, by default: 100. */
function sliceOf(number: number, ready = true) {
  const endpoints = Array.from({ length: 100 }, (_, n) => ({
    addresses: [`10.${number}.0.${n}`],
    conditions: { ready, serving: ready, terminating: false },
    nodeName: `node-${n}.zone.example.internal`,
    targetRef: {
      kind: 'Pod',
      namespace: 'shop',
      name: `web-${number}-${n}`,
      uid: `${number}-${n}`,
    },
    zone: 'zone-a',
  }));
  return {
    metadata: { name: `web-${number}`, resourceVersion: `${1000 + number}` },
    addressType: 'IPv4',
    endpoints,
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  };
}

test('five thousand endpoints of Kubernetes, all of which change at once, are a few lists', async () => {
  const items = Array.from({ length: 50 }, (_, n) => sliceOf(n));
  let lists = 0;
  const server = await apiServer((_request, response, url) => {
    if (!url.searchParams.has('watch')) {
      lists++;
      response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items }));
      return;
    }
    if (lists > 1) {
      response.flushHeaders();
      return;
    }
    for (let n = 0; n < 50; n++) {
      const object = sliceOf(n, n % 2 === 0);
      response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
    }
    // And then its version is too old.
    response.end(`${JSON.stringify({ type: 'ERROR', object: { code: 410 } })}\n`);
  });
  const { lists: told, faults, user } = recordUser();
  const settings: KubernetesSettings & { basePath: string } = {
    kind: 'kubernetes',
    endpoint: endpoint(server.url),
    service: 'web',
    namespace: 'shop',
    port: 0,
    tokenFile: '',
    tls: false,
    basePath: '',
  };
  const source = kubernetesSource(settings, user);
  afterTest(() => source.stop());
  source.start();
  await waitFor(() => lists === 2 && told.length >= 4 && told.at(-1)?.length === 5_000, 50_000);
  // Each answer of the server, the beginning of each watch, and what has changed in between.
  expect(told.length).toBeLessThan(12);
  expect(told[0]).toHaveLength(5_000);
  expect(told.map(({ length }) => length)).toContain(2_500);
  expect(faults).toEqual([]);
  source.stop();
});

test('a Docker that takes connections and says nothing is left when the search ends', async () => {
  let left = 0;
  const server = await apiServer((_request, response) => void response.on('close', () => left++));
  const { lists, faults, user } = recordUser();
  const more = { labels: [['fairlead.pool', 'app']], network: '', port: 0, tls: false } as const;
  const source = dockerSource(
    { kind: 'docker', endpoint: endpoint(server.url), ...more, basePath: '' },
    user,
  );
  source.start();
  await waitFor(() => server.asked.length === 1);
  source.stop();
  await waitFor(() => left === 1);
  expect([lists, faults]).toEqual([[], []]);
});
