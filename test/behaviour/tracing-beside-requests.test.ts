/** Traces of what is no plain request to a port: a backend at a unix socket, a WebSocket, a copy; and beside a rule of a route. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { otlpReceiver } from '../support/otlp-receiver.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, HANDSHAKE, QUIET_HEALTH, SWITCHED } from './stage.ts';

/** Whose values backends are told, by path; `rawHeaders` has each field that came. */
type Told = Map<string, Record<'traceparent' | 'tracestate', string[]>>;

function note(told: Told, url: string | undefined, rawHeaders: readonly string[]): void {
  const valuesOf = (wanted: string): string[] =>
    rawHeaders.filter(
      (_, index) => rawHeaders[index - 1]?.toLowerCase() === wanted && index % 2 === 1,
    );
  told.set(url ?? '', {
    traceparent: valuesOf('traceparent'),
    tracestate: valuesOf('tracestate'),
  });
}

async function setUp() {
  const [told, copied]: [Told, Told] = [new Map(), new Map()];
  const path = join(temporaryFolder('tracing'), 'app.sock');
  const server = createServer(({ url, rawHeaders }, response) => {
    note(told, url, rawHeaders);
    response.end('ok');
  });
  server.on('upgrade', ({ url, rawHeaders }, socket: Socket) => {
    note(told, url, rawHeaders);
    afterTest(() => void socket.destroy());
    socket.write(SWITCHED);
    // What comes is sent back, and then it is over.
    socket.once('data', (bytes: Buffer) => socket.end(bytes));
  });
  server.listen(path);
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  const shadow = await httpBackend(({ url, rawHeaders }, response) => {
    note(copied, url, rawHeaders);
    response.end('ok');
  });
  const collector = await otlpReceiver();
  const fairlead = await startFairlead({
    config: {
      ...QUIET_HEALTH,
      backends: [`unix:${path}`],
      pools: { shadow: { backends: [shadow.url] } },
      routes: [
        { path: '/copied', pool: 'default', mirror: { pool: 'shadow' } },
        {
          path: '/ruled',
          pool: 'default',
          request_headers: { set: { Traceparent: 'theirs' }, add: { tracestate: 'b=2' } },
        },
        { path: '/', pool: 'default' },
      ],
      tracing: { endpoint: collector.url },
    },
  });
  return { fairlead, collector, told, copied, socket: path };
}

test('a unix socket, a WebSocket, a copy and a rule of a route', async () => {
  const { fairlead, collector, told, copied, socket } = await setUp();
  const { url } = fairlead;

  // ── At a unix socket ──
  await fetch(`${url}/plain`);
  const [, plain] = await collector.ofPath('/plain', 2);
  expect(plain?.attributes).toMatchObject({
    'server.address': socket,
    'network.transport': 'unix',
    'fairlead.backend': `unix:${socket}`,
  });
  expect(plain?.attributes).not.toHaveProperty(['server.port']);
  expect(plain?.attributes).not.toHaveProperty(['url.full']);
  expect(told.get('/plain')?.traceparent).toEqual([`00-${plain?.traceId}-${plain?.spanId}-01`]);

  // ── A WebSocket is a span as long as it is open ──
  const client = await rawClient(fairlead.port);
  await client.write(get('/socket', HANDSHAKE));
  await client.readUntil('\r\n\r\n');
  const opened = process.hrtime.bigint();
  expect(collector.spans.some(({ attributes }) => attributes['url.path'] === '/socket')).toBe(
    false,
  );
  await client.write('hello');
  await client.readUntil('hello');
  const openNs = process.hrtime.bigint() - opened;
  client.end();
  const [server, tunnel] = await collector.ofPath('/socket', 2);
  for (const span of [server, tunnel]) {
    expect(span).toMatchObject({ status: 0, attributes: { 'http.response.status_code': 101 } });
  }
  expect((server?.endNs ?? 0n) - (server?.startNs ?? 0n)).toBeGreaterThan(openNs / 2n);
  expect(tunnel?.parentSpanId).toBe(server?.spanId);
  expect(told.get('/socket')?.traceparent).toEqual([`00-${tunnel?.traceId}-${tunnel?.spanId}-01`]);

  // ── A copy has no span of its own: its backend goes on where the request is ──
  await fetch(`${url}/copied`);
  await waitFor(() => copied.has('/copied'));
  const [original, attempt] = await collector.ofPath('/copied', 2);
  expect(told.get('/copied')?.traceparent).toEqual([
    `00-${attempt?.traceId}-${attempt?.spanId}-01`,
  ]);
  expect(copied.get('/copied')?.traceparent).toEqual([
    `00-${original?.traceId}-${original?.spanId}-01`,
  ]);

  // ── A rule of a route sets none beside ours; what it says of the state of the trace stands ──
  await fetch(`${url}/ruled`, { headers: { tracestate: 'a=1' } });
  const [, ruled] = await collector.ofPath('/ruled', 2);
  expect(told.get('/ruled')).toEqual({
    traceparent: [`00-${ruled?.traceId}-${ruled?.spanId}-01`],
    tracestate: ['b=2'],
  });
  expect(fairlead.output()).toContain('Traceparent has no effect');

  expect(await fairlead.stop()).toBe(0);
  // All have been exported by now: the copy is none of them.
  expect(collector.spans.length).toBe(8);
  expect(collector.faults).toEqual([]);
});
