/** A pool whose backends are pods: slices listed and watched, watches that end in all ways, tokens that change, wrong certificates. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { apiServer } from '../support/api-server.ts';
import { makeCertificate } from '../support/certificate.ts';
import { startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { configOf, listen, untilFailing, untilThere, viewsOf } from './discovery-stage.ts';

const slice = (name: string, port: number, ...addresses: string[]) => ({
  metadata: { name, resourceVersion: '100' },
  addressType: 'IPv4',
  ports: [
    { name: 'metrics', port: 9 },
    { name: 'http', port, protocol: 'TCP' },
  ],
  endpoints: addresses.map((one) => ({ addresses: [one], conditions: { ready: true } })),
});

test('slices are listed, watched, and listed anew when the watch is too old', async () => {
  const port = await listen('127.0.0.2', 0);
  await listen('127.0.0.3', port);
  await listen('127.0.0.4', port);
  const folder = temporaryFolder('kubernetes');
  const token = join(folder, 'token');
  writeFileSync(token, 'first\n');
  const certificate = makeCertificate();
  const watches: ServerResponse[] = [];
  const tokens: unknown[] = [];
  let items: unknown[] = [slice('a', port, '127.0.0.2')];
  let version = 1;
  let isGone = false;
  const tls = {
    cert: readFileSync(certificate.cert_file, 'utf8'),
    key: readFileSync(certificate.key_file, 'utf8'),
  };
  const server = await apiServer(
    (request, response, { searchParams }) => {
      tokens.push(request.headers.authorization);
      if (searchParams.get('watch') === null) {
        response.end(JSON.stringify({ metadata: { resourceVersion: String(version) }, items }));
      } else if (isGone) {
        isGone = false;
        response.writeHead(410);
        response.end('{"code":410}');
      } else {
        response.flushHeaders();
        watches.push(response);
      }
    },
    { tls },
  );
  const say = async (type: string, object: object, end = '\n'): Promise<void> => {
    const watch = await waitFor(() => watches.at(-1));
    version++;
    const { metadata, ...rest } = object as { metadata?: object };
    const whole = {
      type,
      object: { metadata: { ...metadata, resourceVersion: String(version) }, ...rest },
    };
    watch.write(`${JSON.stringify(whole)}${end}`);
  };
  const kubernetes = {
    service: 'web',
    namespace: 'shop',
    port: 'http',
    api_server: server.url.replace('127.0.0.1', 'localhost'),
    token_file: token,
    ca_file: certificate.cert_file,
  };
  const fairlead = await startFairlead({ config: configOf({ kubernetes }) });
  expect(await untilThere(fairlead, '2')).toMatchObject([{ found_by: 'kubernetes' }]);
  expect(server.asked[0]).toBe(
    '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb',
  );
  expect(tokens[0]).toBe('Bearer first');

  // In two slices, one of them in both.
  await say('ADDED', slice('b', port, '127.0.0.3', '127.0.0.2'));
  await untilThere(fairlead, '2', '3');
  await say('BOOKMARK', { kind: 'EndpointSlice' });
  // Cut in the middle of a line: it goes on from the bookmark, with the token that is there now.
  writeFileSync(token, 'second\n');
  const half = '{"type":"DELETED","object":{"meta';
  await new Promise<unknown>((resolve) => watches.at(-1)?.write(half, resolve));
  const count = watches.length;
  watches.at(-1)?.destroy();
  await waitFor(() => watches.length > count);
  expect(server.asked.at(-1)).toContain('watch=1&allowWatchBookmarks=true');
  expect(server.asked.at(-1)).toContain(`resourceVersion=${version}`);
  expect(tokens.at(-1)).toBe('Bearer second');
  await say('DELETED', slice('a', port));
  await say('MODIFIED', slice('b', port, '127.0.0.3'));
  await untilThere(fairlead, '3');

  // Too old: as a status of the answer, and as an event in the watch.
  items = [slice('b', port, '127.0.0.3', '127.0.0.4')];
  isGone = true;
  let before = watches.length;
  watches.at(-1)?.destroy();
  await untilThere(fairlead, '3', '4');
  await waitFor(() => watches.length > before);
  before = watches.length;
  items = [slice('b', port, '127.0.0.4')];
  watches
    .at(-1)
    ?.write('{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n');
  await untilThere(fairlead, '4');
  expect(fairlead.logs().some(({ event }) => event === 'discovery.failed')).toBe(false);

  // Garbage is a fault, and then all is listed anew.
  await waitFor(() => watches.length > before);
  watches.at(-1)?.write('garbage\n');
  await fairlead.waitForLog(({ event }) => event === 'discovery.failed');
  await fairlead.waitForLog(({ event }) => event === 'discovery.recovered');
  expect((await viewsOf(fairlead)).length).toBe(1);
}, 60_000);

test('a server that is not the one it should be is asked for nothing', async () => {
  const certificate = makeCertificate();
  const tls = {
    cert: readFileSync(certificate.cert_file, 'utf8'),
    key: readFileSync(certificate.key_file, 'utf8'),
  };
  const server = await apiServer((_request, response) => void response.end('{}'), { tls });
  const kubernetes = { service: 'web', namespace: 'shop', api_server: server.url };
  const fairlead = await startFairlead({ config: configOf({ kubernetes }) });
  await untilFailing(fairlead, /self-signed|certificate/);
  expect(server.asked).toEqual([]);
});

test('outside of a pod, and without a server, it says so', async () => {
  const kubernetes = { service: 'web', namespace: 'shop' };
  const fairlead = await startFairlead({ config: configOf({ kubernetes }) });
  const { asks } = await untilFailing(fairlead, 'KUBERNETES_SERVICE_HOST is not set');
  expect(asks).toBe('shop/web in Kubernetes');
});
