/** `tracing`: spans as a collector gets them, and what backends are told of the trace. */
import { readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { runFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { type OtlpReceiver, otlpReceiver } from '../support/otlp-receiver.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { call, endOf, message } from './grpc-client.ts';
import { OK, severalBackends } from './several-backends.ts';
import { get, metrics, type ScriptedBackend, startProxy } from './stage.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const RECORDED = `00-${TRACE}-${SPAN}-01`;
const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;

async function setUp(
  count = 1,
  tracing: Readonly<Record<string, unknown>> = {},
  config: Readonly<Record<string, unknown>> = {},
) {
  const collector = await otlpReceiver();
  const of = { tracing: { endpoint: collector.url, ...tracing }, ...config };
  const the = await severalBackends(count, of);
  return { ...the, collector };
}

/** What a backend was told with the request for this path: the values of these fields. */
function toldOf({ raw }: ScriptedBackend, path: string, name: string): string[] {
  const head = raw
    .received()
    .split('\r\n\r\n')
    .find((one) => one.includes(` ${path} HTTP`));
  return (head ?? '')
    .split('\r\n')
    .filter((line) => line.toLowerCase().startsWith(`${name}:`))
    .map((line) => line.slice(name.length + 1).trim());
}

/** What a request says of a client's trace. */
function asked(url: string, fields: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(url, { headers: { 'user-agent': 'shop/1', ...fields } });
}

function expectFlawless(collector: OtlpReceiver): void {
  expect(collector.faults).toEqual([]);
}

test('a span for the request and one for its attempt, in the trace of the client', async () => {
  const { fairlead, backends, collector } = await setUp(
    1,
    { headers: { 'api-key': 'abc' }, service_name: 'edge' },
    { access_log: false },
  );
  const [backend] = backends as [ScriptedBackend];
  const said = { traceparent: RECORDED, tracestate: 'a=1,b=2' };
  const path = '/shop?page=2&token=hidden';
  await asked(`${fairlead.url}${path}`, said);

  const [server, client, ...more] = await collector.ofPath('/shop', 2);
  expect(more).toEqual([]);
  expect(server).toMatchObject({
    traceId: TRACE,
    parentSpanId: SPAN,
    traceState: 'a=1,b=2',
    kind: SERVER,
    name: 'GET',
    status: 0,
    attributes: {
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'url.scheme': 'http',
      'url.path': '/shop',
      'url.query': 'page=2&token=REDACTED',
      'server.address': '127.0.0.1',
      'server.port': fairlead.port,
      'client.address': '127.0.0.1',
      'network.protocol.version': '1.1',
      'user_agent.original': 'shop/1',
      'fairlead.pool': 'default',
    },
  });
  expect(server?.resource).toMatchObject({ 'service.name': 'edge' });
  expect(server?.attributes).not.toHaveProperty(['error.type']);
  expect(client).toMatchObject({
    traceId: TRACE,
    parentSpanId: server?.spanId,
    kind: CLIENT,
    name: 'GET',
    status: 0,
    attributes: {
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'url.full': `${backend.url}/shop?page=2&token=REDACTED`,
      'server.address': '127.0.0.1',
      'server.port': backend.raw.port,
      'fairlead.backend': backend.url,
    },
  });
  expect(client?.attributes).not.toHaveProperty(['http.request.resend_count']);
  expect((client?.startNs ?? 0n) >= (server?.startNs ?? 0n)).toBe(true);
  expect((client?.endNs ?? 0n) <= (server?.endNs ?? 0n)).toBe(true);
  // The backend goes on where the attempt is.
  expect(toldOf(backend, path, 'traceparent')).toEqual([`00-${TRACE}-${client?.spanId}-01`]);
  expect(toldOf(backend, path, 'tracestate')).toEqual(['a=1,b=2']);
  expect(collector.headers[0]).toMatchObject({ 'api-key': 'abc' });
  expectFlawless(collector);
});

test('each attempt is a span: a retry says so, and what failed says why', async () => {
  const { fairlead, backends, everywhere, collector } = await setUp(
    2,
    {},
    {
      retries: { on_status: [503] },
      routes: [{ path: '/', pool: 'default' }],
    },
  );
  let requests = 0;
  everywhere('/flaky', (connection) =>
    connection.write(requests++ === 0 ? 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy' : OK),
  );
  await asked(`${fairlead.url}/flaky`);
  const [server, first, second] = await collector.ofPath('/flaky', 3);
  expect(server).toMatchObject({
    parentSpanId: '',
    status: 0,
    attributes: { 'http.response.status_code': 200 },
  });
  expect(server?.name).toBe(`GET ${server?.attributes['http.route']}`);
  expect(first).toMatchObject({
    parentSpanId: server?.spanId,
    status: ERROR,
    attributes: { 'http.response.status_code': 503, 'error.type': 'ERR_BACKEND_STATUS' },
  });
  expect(second).toMatchObject({
    parentSpanId: server?.spanId,
    status: 0,
    attributes: { 'http.response.status_code': 200, 'http.request.resend_count': 1 },
  });
  const told = backends.flatMap((backend) => toldOf(backend, '/flaky', 'traceparent'));
  const ours = [first, second].map((span) => `00-${server?.traceId}-${span?.spanId}-01`);
  expect(told.toSorted()).toEqual(ours.toSorted());
  expectFlawless(collector);
});

test('a hedge and the attempt that was called off for it', async () => {
  const { fairlead, everywhere, collector } = await setUp(
    2,
    {},
    { retries: { hedge_after: '200ms' } },
  );
  let requests = 0;
  everywhere('/slow', async (connection) => {
    if (requests++ > 0) await connection.write(OK);
    else await connection.closed;
  });
  await asked(`${fairlead.url}/slow`);
  const [server, slow, hedge] = await collector.ofPath('/slow', 3);
  expect(server?.attributes).toMatchObject({ 'http.response.status_code': 200 });
  expect(slow).toMatchObject({ status: 0, attributes: { 'fairlead.called_off': true } });
  expect(hedge?.attributes).toMatchObject({
    'http.request.resend_count': 1,
    'http.response.status_code': 200,
  });
  expectFlawless(collector);
});

test('what Fairlead answers itself: 502, and its reason', async () => {
  const { fairlead, everywhere, collector } = await setUp();
  everywhere('/dies', (connection) => {
    connection.end();
  });
  const response = await fetch(`${fairlead.url}/dies`, { method: 'POST', body: 'a' });
  expect(response.status).toBe(502);
  const [server, client] = await collector.ofPath('/dies', 2);
  for (const span of [server, client]) {
    expect(span).toMatchObject({
      status: ERROR,
      attributes: { 'error.type': 'ERR_BACKEND_CLOSED' },
    });
  }
  expect(server?.attributes).toMatchObject({ 'http.response.status_code': 502 });
  expect(client?.attributes).not.toHaveProperty(['http.response.status_code']);
  expect(client?.attributes).toHaveProperty(['fairlead.no_retry']);
  expectFlawless(collector);
});

test('HTTP/2 on both sides, and calls of gRPC', async () => {
  const collector = await otlpReceiver();
  const told: unknown[] = [];
  const backend = await http2Backend((stream, fields) => {
    told.push(fields['traceparent'], fields['tracestate']);
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14' }));
    stream.resume();
    stream.end();
  });
  await onFreePorts(1, async ([port = 0]) => {
    await startProxy(
      [backend.url],
      {
        protocol: 'h2',
        listeners: [{ port, host: '127.0.0.1', h2c: true }],
        tracing: { endpoint: collector.url },
        retries: false,
      },
      { args: [] },
    );
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    afterTest(() => session.destroy());
    const stream = call(session, '/test.Echo/Unary', { traceparent: RECORDED, tracestate: 'a=1' });
    stream.end(message('hello'));
    expect((await endOf(stream)).status).toBe(14);
  });
  const [server, client] = await collector.ofPath('/test.Echo/Unary', 2);
  expect(server).toMatchObject({
    parentSpanId: SPAN,
    status: ERROR,
    attributes: {
      'http.response.status_code': 200,
      'network.protocol.version': '2',
      'rpc.system': 'grpc',
      'rpc.grpc.status_code': 14,
      'error.type': '14',
    },
  });
  expect(client?.attributes).toMatchObject({ 'network.protocol.version': '2' });
  expect(told).toEqual([`00-${TRACE}-${client?.spanId}-01`, 'a=1']);
  expectFlawless(collector);
});

test('who began the trace has decided; a malformed one is none, and its state goes with it', async () => {
  const { fairlead, backends, collector } = await setUp(1, { sample: 0 });
  const [backend] = backends as [ScriptedBackend];
  const passed = `00-${TRACE}-${SPAN}-00`;
  await asked(`${fairlead.url}/unrecorded`, { traceparent: passed, tracestate: 'a=1' });
  expect(toldOf(backend, '/unrecorded', 'traceparent')).toEqual([passed]);
  expect(toldOf(backend, '/unrecorded', 'tracestate')).toEqual(['a=1']);

  const malformed = `00-${TRACE}-${SPAN}-1`;
  await asked(`${fairlead.url}/malformed`, { traceparent: malformed, tracestate: 'a=1' });
  const [told = ''] = toldOf(backend, '/malformed', 'traceparent');
  expect(told).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  expect(told).not.toContain(TRACE);
  expect(toldOf(backend, '/malformed', 'tracestate')).toEqual([]);

  await asked(`${fairlead.url}/none`);
  expect(toldOf(backend, '/none', 'traceparent')[0]).toMatch(/-00$/);

  await asked(`${fairlead.url}/recorded`, { traceparent: RECORDED });
  await collector.ofPath('/recorded', 2);
  expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
  expectFlawless(collector);
});

test('a reload turns it on and off, and what is off passes everything on as it came', async () => {
  const { fairlead, backends, collector } = await setUp(1);
  const [backend] = backends as [ScriptedBackend];
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(String(readFileSync(file))) as Record<string, unknown>;
  const reload = async (tracing: unknown): Promise<void> => {
    writeFileSync(file, JSON.stringify({ ...config, tracing }));
    const { status } = await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' });
    expect(status).toBe(200);
  };
  await reload(false);
  await asked(`${fairlead.url}/off`, { traceparent: 'not one', tracestate: 'a=1' });
  expect(toldOf(backend, '/off', 'traceparent')).toEqual(['not one']);
  expect(toldOf(backend, '/off', 'tracestate')).toEqual(['a=1']);
  await asked(`${fairlead.url}/none`);
  expect(toldOf(backend, '/none', 'traceparent')).toEqual([]);
  await reload({ endpoint: `${collector.url}/v1/traces/`, headers: { 'api-key': 'abc' } });
  await asked(`${fairlead.url}/on`);
  await collector.ofPath('/on', 2);
  expect(collector.spans.some(({ attributes }) => attributes['url.path'] === '/off')).toBe(false);
  const shown = await (await fetch(`${fairlead.adminUrl}/config`)).text();
  expect(shown).toContain('"api-key": "***"');
  expect(shown).not.toContain('abc');
});

test('what waits is exported at the end', async () => {
  const { fairlead, collector } = await setUp();
  await asked(`${fairlead.url}/last`);
  expect(await fairlead.stop()).toBe(0);
  expect(collector.spans.map(({ kind }) => kind)).toEqual([SERVER, CLIENT]);
});

test('a collector that refuses costs spans, which are counted and told, and no request', async () => {
  const { fairlead, collector } = await setUp();
  collector.mode = 'refuses';
  expect((await asked(`${fairlead.url}/a`)).status).toBe(200);
  const { msg } = await fairlead.waitForLog(({ event }) => event === 'tracing.failed');
  expect(msg).toContain('the collector does not take spans (tracing.endpoint)');
  const failed = 'fairlead_spans_total{result="failed"}';
  await waitFor(async () => (await metrics(fairlead)).get(failed) === 2);
  collector.mode = 'takes';
  await asked(`${fairlead.url}/b`);
  await collector.ofPath('/b', 2);
  expect((await metrics(fairlead)).get('fairlead_spans_total{result="exported"}')).toBe(2);
});

test('a collector that hangs holds up neither requests nor the end, and what waits is bounded', async () => {
  const { fairlead, collector } = await setUp();
  collector.mode = 'hangs';
  const dropped = 'fairlead_spans_total{result="dropped"}';
  const client = await rawClient(fairlead.port);
  await waitFor(
    async () => {
      await client.write(get('/a').repeat(200));
      for (let index = 0; index < 200; index++) {
        expect((await client.readResponse()).status).toBe(200);
      }
      return ((await metrics(fairlead)).get(dropped) ?? 0) > 0;
    },
    4 * LONG_MS,
    'dropped spans',
  );
  client.reset();
  expect(await fairlead.stop()).toBe(0);
});

test('without a package that a part of the config needs, it is refused, with what to install', async () => {
  const folder = temporaryFolder('no-package');
  const preload = join(folder, 'preload.mjs');
  writeFileSync(
    preload,
    `import Module from 'node:module';
const { _resolveFilename: resolve } = Module;
Module._resolveFilename = function (name, ...rest) {
  if (name.startsWith('@opentelemetry/') || name === 'ioredis') throw new Error('not here');
  return resolve.call(this, name, ...rest);
};
`,
  );
  writeFileSync(
    join(folder, 'fairlead.config.yaml'),
    'tracing: {}\ncluster: { redis: { url: "redis://127.0.0.1" } }\n',
  );
  const { code, stdout, stderr } = await runFairlead(
    ['check', '--config', 'fairlead.config.yaml'],
    {
      cwd: folder,
      env: { NODE_OPTIONS: `--import=${pathToFileURL(preload).href}` },
    },
  );
  expect(code).not.toBe(0);
  expect(stdout + stderr).toContain(
    'tracing: needs the package @opentelemetry/exporter-trace-otlp-http, which is not installed beside Fairlead (npm install @opentelemetry/exporter-trace-otlp-http)',
  );
  expect(stdout + stderr).toContain(
    'cluster.redis: needs the package ioredis, which is not installed beside Fairlead (npm install ioredis)',
  );
});
