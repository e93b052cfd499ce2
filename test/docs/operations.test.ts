import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { codeRows, readPage, sectionOf } from './markdown.ts';

const page = readPage('docs/operations.md');

/** Name, type and labels of every metric on the page, in the form of the documented table. */
function metricsOf(text: string): string[] {
  const types = new Map<string, string>();
  const labels = new Map<string, string>();
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\w+)$/gm)) {
    types.set(name, type);
    labels.set(name, '');
  }
  for (const [, name = '', pairs] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const family = labels.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    const names = Array.from((pairs ?? '').matchAll(/(\w+)="/g), ([, label]) => label);
    labels.set(family, names.filter((label) => label !== 'le').join(', '));
  }
  return Array.from(labels, ([name, of]) => `${types.get(name)} ${name} {${of}}`).toSorted();
}

/** A call of gRPC, whatever it is answered. */
async function callOf(path: string, tlsPort: number): Promise<void> {
  const session = http2.connect(`https://127.0.0.1:${tlsPort}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  const fields = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' };
  const call = session.request(fields, { endStream: true });
  call.resume();
  await once(call, 'close');
  session.destroy();
}

async function runningWithTraffic(): Promise<Fairlead> {
  const backend = await httpBackend(async ({ url }, response) => {
    if (url === '/until-another-waits') await waitFor(async () => (await queued()) === 1);
    if (url === '/half') response.write('ok');
    else response.end('ok');
  });
  const other = await http2Backend((stream) => {
    stream.respond();
    stream.end('ok');
  });
  const file = join(temporaryFolder('found'), 'backends.txt');
  writeFileSync(file, 'http://127.0.0.1:1\n');
  let tlsPort = 0;
  const fairlead = await onFreePorts(1, ([port = 0]) => {
    tlsPort = port;
    return startFairlead({
      config: {
        backends: [backend.url],
        listeners: [{ port, tls: { certificates: [makeCertificate()] } }],
        max_requests: 1,
        queue: {},
        pools: {
          other: { backends: [other.url], protocol: 'h2' },
          found: { discover: { file } },
        },
        routes: [{ path: '/other', split: [{ pool: 'other' }] }],
      },
    });
  });
  expect((await fetch(`${fairlead.url}/other`)).status).toBe(200);
  await callOf('/other', tlsPort);
  const queued = async (): Promise<number> => {
    const status = await (await fetch(`${fairlead.adminUrl}/status`)).json();
    return (status as { queued: number }).queued;
  };
  const url = `${fairlead.url}/until-another-waits`;
  const first = fetch(url);
  await waitFor(() => backend.requests.includes('GET /until-another-waits'));
  const both = [first, fetch(fairlead.url)];
  expect((await Promise.all(both)).map(({ status }) => status)).toEqual([200, 200]);
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  const impatient = await rawClient(fairlead.port);
  await impatient.write('GET /half HTTP/1.1\r\nHost: a\r\n\r\n');
  await impatient.readUntil('ok\r\n');
  impatient.reset();
  await waitFor(() => fairlead.accessLines().some(({ path }) => path === '/half'));
  await backend.close();
  await sleep(50);
  expect((await fetch(fairlead.url)).status).toBe(502);
  const old = await rawClient(fairlead.port);
  await old.write('GET /old HTTP/1.0\r\nHost: a\r\n\r\n');
  await old.closed;
  return fairlead;
}

test('metrics and access-log fields are those of a running proxy, both ways', async () => {
  const fairlead = await runningWithTraffic();
  const metrics = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
  const documented = codeRows(readPage('docs/metrics.md')).map(
    ([name, type, labels]) => `${type} ${name} {${labels}}`,
  );
  expect(documented.toSorted()).toEqual(metricsOf(metrics));

  await waitFor(() => fairlead.accessLines().length >= 7);
  const fields = new Set(fairlead.accessLines().flatMap((line) => Object.keys(line)));
  const explained = codeRows(sectionOf(page, '## Access log')).map(([name]) => name);
  expect(explained.toSorted()).toEqual([...fields].toSorted());
});

test('the table of log events is what the source logs', () => {
  const source = new URL('../../src/', import.meta.url);
  const logged = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) =>
      Array.from(
        readFileSync(new URL(name, source), 'utf8').matchAll(
          /\blog\.(info|warn|error|fatal)\(\s*'([a-z_.]+)'/g,
        ),
        ([, level, event]) => `${event} ${level}`,
      ),
    );
  const documented = codeRows(sectionOf(page, '## Logs'))
    .filter((cells) => cells.length === 3)
    .map(([event, level]) => `${event} ${level}`);
  expect(documented.toSorted()).toEqual([...new Set(logged)].toSorted());
});

test('the keys that need a restart are those that a reload refuses', () => {
  const source = readFileSync(
    new URL('../../src/control/reload/reload.ts', import.meta.url),
    'utf8',
  );
  const keys = Array.from(source.matchAll(/compare\('([\w.]+)'/g), ([, key]) => key ?? '');
  const line = /\*\*Needs a restart\*\*:([^]*?)\. A/.exec(page)?.[1] ?? '';
  const documented = Array.from(line.matchAll(/`([\w.]+)`/g), ([, key]) => key ?? '');
  expect(documented.toSorted()).toEqual(keys.toSorted());
});
