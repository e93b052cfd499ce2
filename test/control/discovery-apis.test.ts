/** What sources ask of APIs: bounded in time and in size, over TLS, sent nowhere else, and from within a pod. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ApiEndpoint } from '../../src/config/discovery-settings.ts';
import type { BackendSettings } from '../../src/config/settings.ts';
import { askApi, followApi } from '../../src/control/discovery/api-request.ts';
import { consulSource } from '../../src/control/discovery/consul-source.ts';
import { kubernetesSource } from '../../src/control/discovery/kubernetes-source.ts';
import type { DiscoverySource, SourceUser } from '../../src/control/discovery/source.ts';
import { afterTest } from '../support/after-test.ts';
import { type ApiHandler, apiServer } from '../support/api-server.ts';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;

function endpointAt(url: string, more: Partial<ApiEndpoint> = {}): ApiEndpoint {
  const { hostname: host, port, protocol } = new URL(url);
  const files = { caFile: '', certFile: '', keyFile: '' };
  const tls = protocol === 'https:';
  return { url, tls, host, port: Number(port), socketPath: '', ...files, ...more };
}

async function requestTo(handler: ApiHandler, timeoutMs = 60_000) {
  const server = await apiServer(handler);
  const { signal } = new AbortController();
  return {
    server,
    request: { endpoint: endpointAt(server.url), path: '/x?token=1', timeoutMs, signal },
  };
}

test.each<[string, ApiHandler]>([
  ['says nothing', () => {}],
  ['stops in its answer', (_request, response) => void response.write('[')],
])(
  'an API that %s is given up after its time, and what is asked is not in the reason',
  async (_, handler) => {
    const { request } = await requestTo(handler, 100);
    await expect(askApi(request)).rejects.toThrow(/^GET \/x: no answer within 0\.1 s$/);
  },
);

test('an answer of more than 8 MiB is not read to its end, as a whole or in a line', async () => {
  let cut = 0;
  const { request } = await requestTo((_request, response) => {
    response.on('close', () => cut++);
    const more = (): void => {
      while (response.write('x'.repeat(MIB)));
    };
    response.on('drain', more);
    more();
  });
  await expect(askApi(request)).rejects.toThrow('it answers more than 8 MiB');
  const follow = { longestMs: 60_000, onOpen: () => {}, onLine: () => {} };
  await expect(followApi(request, follow)).rejects.toThrow('it answers more than 8 MiB');
  await waitFor(() => cut === 2);
});

test('a redirect is no answer: nobody else is told the token', async () => {
  const other = await apiServer((_request, response) => void response.end('[]'));
  const { request } = await requestTo((_request, response) => {
    response.writeHead(302, { Location: `${other.url}/stolen` });
    response.end();
  });
  await expect(askApi(request)).rejects.toThrow('GET /x: 302');
  expect(other.asked).toEqual([]);
});

/** Over TLS, by a certificate for localhost. */
async function tlsServer(handler: ApiHandler) {
  const { cert_file: caFile, key_file: keyFile } = makeCertificate();
  const tls = { cert: readFileSync(caFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  const server = await apiServer(handler, { tls });
  return { server, caFile, url: server.url.replace('127.0.0.1', 'localhost') };
}

/** Runs the source until the test is over. */
function heardFrom(create: (user: SourceUser) => DiscoverySource) {
  const lists: string[][] = [];
  const faults: string[] = [];
  const source = create({
    async onList(list: readonly BackendSettings[]) {
      lists.push(list.map(({ url }) => url));
    },
    onFault: (reason) => void faults.push(reason),
  });
  afterTest(() => source.stop());
  source.start();
  return { lists, faults };
}

test('Consul is asked over TLS, if its certificate is by the authority of the config', async () => {
  const tokens: unknown[] = [];
  const { server, caFile, url } = await tlsServer((request, response) => {
    tokens.push(request.headers['x-consul-token']);
    if (tokens.length > 1) return;
    response.writeHead(200, { 'X-Consul-Index': '7' });
    const service = { Address: '10.0.0.1', Port: 80, Weights: { Passing: 1, Warning: 1 } };
    response.end(
      JSON.stringify([{ Node: { Address: '10.0.0.9' }, Service: { ID: 'web-1', ...service } }]),
    );
  });
  const settings = {
    kind: 'consul',
    service: 'web',
    datacenter: '',
    tags: [],
    token: 'secret',
  } as const;
  const stranger = heardFrom((user) =>
    consulSource({ ...settings, tls: false, basePath: '', endpoint: endpointAt(url) }, user),
  );
  await waitFor(() => stranger.faults[0]?.includes('certificate'));
  expect(server.asked).toEqual([]);
  const endpoint = endpointAt(url, { caFile });
  const { lists } = heardFrom((user) =>
    consulSource({ ...settings, tls: false, basePath: '', endpoint }, user),
  );
  await waitFor(() => lists.length > 0);
  expect(lists[0]).toEqual(['http://10.0.0.1']);
  expect(tokens[0]).toBe('secret');
});

test('in a pod, its account says where Kubernetes is, who is asking, and for which namespace', async () => {
  const authorizations: unknown[] = [];
  const { server, caFile } = await tlsServer((request, response, { searchParams }) => {
    authorizations.push(request.headers.authorization);
    if (searchParams.has('watch')) return;
    const slice = {
      metadata: { name: 'a' },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [{ addresses: ['10.1.0.1'], conditions: { ready: true } }],
    };
    response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: [slice] }));
  });
  const account = temporaryFolder('account');
  writeFileSync(join(account, 'token'), 'of the pod\n');
  writeFileSync(join(account, 'namespace'), 'shop');
  writeFileSync(join(account, 'ca.crt'), readFileSync(caFile));
  const env = {
    KUBERNETES_SERVICE_HOST: 'localhost',
    KUBERNETES_SERVICE_PORT: new URL(server.url).port,
  };
  const settings = {
    kind: 'kubernetes',
    service: 'web',
    namespace: '',
    port: 0,
    tokenFile: '',
  } as const;
  const { lists, faults } = heardFrom((user) =>
    kubernetesSource({ ...settings, endpoint: null, tls: false, basePath: '' }, user, {
      env,
      account,
    }),
  );
  await waitFor(() => lists.length > 0 || faults.length > 0);
  expect(faults).toEqual([]);
  expect(lists[0]).toEqual(['http://10.1.0.1:8080']);
  expect(server.asked[0]).toContain('/namespaces/shop/endpointslices?');
  expect(authorizations[0]).toBe('Bearer of the pod');
});
