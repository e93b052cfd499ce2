/**
 * Half a second after a drain had begun, whoever had connected and said nothing yet was cut, also if it had come a moment
 * before: where its first packet was lost, or its machine was busy, an upgrade cut a client off.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import { get, metrics } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { ByteReader } from '../support/byte-reader.ts';
import { makeCertificate } from '../support/certificate.ts';
import { startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

/** By then one that had no more time than an idle client would have been closed. */
const A_FEW_TICKS_MS = 300;
/** A newcomer has three seconds: of a machine that has lost most of them, nothing can be said. */
const IN_TIME_MS = 2_500;
const TRIES = 5;
const REQUEST = get('/', ['Connection: close']);

async function silent(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  afterTest(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function ask(socket: Socket, before = ''): Promise<string> {
  const reader = new ByteReader(socket);
  socket.write(before + REQUEST);
  const end = await within(reader.closed, SOON_MS, 'an answer').catch(String);
  return reader.text.slice(0, 'HTTP/1.1 200'.length) || end;
}

/** What those in the clear, behind a proxy and over TLS are answered that speak once the idle clients have gone. */
async function afterADrain(): Promise<{
  readonly answers: readonly string[];
  readonly tookMs: number;
}> {
  const backend = await httpBackend();
  const { fairlead, ports } = await onFreePorts(4, async (free) => {
    const [port = 0, proxied = 0, secure = 0, adminPort = 0] = free;
    const listeners = [
      { port, host: '127.0.0.1' },
      { port: proxied, host: '127.0.0.1', proxy_protocol: { from: ['127.0.0.1'] } },
      { port: secure, host: '127.0.0.1', tls: { certificates: [makeCertificate()] } },
    ];
    const started = await startFairlead({
      config: { backends: [backend.url], listeners, admin_port: adminPort },
      ports: { port, adminPort },
    });
    return { fairlead: started, ports: [port, proxied, secure] as const };
  });
  const idle = await rawClient(ports[0]);
  await idle.write(get('/'));
  expect((await idle.readResponse()).status).toBe(200);

  const startedAt = performance.now();
  const [plain, proxied, carrier] = [
    await silent(ports[0]),
    await silent(ports[1]),
    await silent(ports[2]),
  ];
  await waitFor(async () => (await metrics(fairlead)).get('fairlead_client_connections') === 4);
  const stopped = fairlead.stop();
  await idle.closed;
  idle.end();
  await sleep(A_FEW_TICKS_MS);
  const tookMs = performance.now() - startedAt;
  const secure = tls.connect({ socket: carrier, rejectUnauthorized: false });
  const answers = await Promise.all([
    ask(plain),
    ask(proxied, 'PROXY TCP4 192.0.2.9 192.0.2.1 4386 80\r\n'),
    ask(secure),
  ]);
  for (const socket of [plain, proxied, secure]) socket.end();
  expect(await stopped).toBe(0);
  return { answers, tookMs };
}

test('who has come just before the drain is served, in the clear, behind a proxy and over TLS', async () => {
  for (let left = TRIES; ; left--) {
    const { answers, tookMs } = await afterADrain();
    if (tookMs > IN_TIME_MS && left > 1) continue;
    expect(answers).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 200']);
    return;
  }
});
