/**
 * The process was stopped for a while (SIGSTOP, a starved container, a machine that was moved), and whatever had arrived
 * meanwhile was called late: answers became 504, backends were ejected, breakers opened, hedges doubled the requests.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { severalBackends } from '../behaviour/several-backends.ts';
import { get, startProxy } from '../behaviour/stage.ts';
import { stallingServer } from '../behaviour/stalling-server.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { okResponse } from '../support/raw-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const SECONDS = 1_000;
const PATIENT = { ms: 30 * SECONDS };
const WITHOUT_HANDLES = new URL('../support/without-tcp-handles.mjs', import.meta.url).href;

function stop({ pid }: Fairlead): void {
  process.kill(pid, 'SIGSTOP');
  afterTest(() => void process.kill(pid, 'SIGCONT'));
}

function goOn({ pid }: Fairlead): void {
  process.kill(pid, 'SIGCONT');
}

/** Keeps requests for `/held` until they are answered all at once; everything else is answered right away. */
async function holdingBackend(certificate?: ReturnType<typeof makeCertificate>) {
  const held: ServerResponse[] = [];
  const handler: RequestListener = (request, response) => {
    if (request.url === '/held') held.push(response);
    else response.end('ok');
  };
  const server =
    certificate === undefined
      ? createServer(handler)
      : createTlsServer(
          { cert: readFileSync(certificate.cert_file), key: readFileSync(certificate.key_file) },
          handler,
        );
  server.keepAliveTimeout = 60 * SECONDS;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  const scheme = certificate === undefined ? 'http' : 'https';
  return {
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    held,
    answer(): void {
      for (const response of held) response.end('ok');
    },
  };
}

async function statuses(clients: readonly RawClient[]): Promise<number[]> {
  return Promise.all(clients.map(async (client) => (await client.readResponse(PATIENT)).status));
}

function events({ logs }: Fairlead): (string | undefined)[] {
  return logs().map(({ event }) => event);
}

const BLAME = ['backend.ejected', 'breaker.opened', 'backend.down'];

test.each([
  ['on TCP handles', {}],
  ['on sockets', { NODE_OPTIONS: `--import ${WITHOUT_HANDLES}` }],
  ['over TLS', null],
] as const)('60 answers that arrived while it was stopped, %s', async (_name, env) => {
  const certificate = env === null ? makeCertificate() : undefined;
  const backends = [await holdingBackend(certificate), await holdingBackend(certificate)];
  const fairlead = await startProxy(
    backends.map(({ url }) => url),
    {
      timeouts: { response: '2s' },
      circuit_breaker: true,
      ...(certificate === undefined ? {} : { ssl: { enabled: true, ...certificate } }),
    },
    { args: [], env: env ?? { NODE_EXTRA_CA_CERTS: certificate?.cert_file ?? '' } },
  );
  const clients = await Promise.all(
    Array.from({ length: 60 }, () => rawClient(fairlead.port, { tls: env === null })),
  );
  for (const client of clients) void client.write(get('/held'));
  await waitFor(() => backends.reduce((sum, { held }) => sum + held.length, 0) === 60);
  stop(fairlead);
  for (const backend of backends) backend.answer();
  await sleep(3 * SECONDS);
  goOn(fairlead);
  expect(await statuses(clients)).toEqual(Array(60).fill(200));
  for (const client of clients.slice(0, 30)) void client.write(get('/next'));
  expect(await statuses(clients.slice(0, 30))).toEqual(Array(30).fill(200));
  for (const event of BLAME) expect(events(fairlead)).not.toContain(event);
});

test('one attempt for each request, though the time of a try and of a hedge was over by the clock on the wall', async () => {
  const backends = [await holdingBackend(), await holdingBackend()];
  const fairlead = await startProxy(
    backends.map(({ url }) => url),
    {
      // Long enough that all are on their way before it is stopped, on a busy machine as well.
      retries: { per_try_timeout: '3s', hedge_after: '2s', budget_percent: 100 },
      outlier_detection: { slow_call: '2s' },
    },
  );
  const clients = await Promise.all(Array.from({ length: 60 }, () => rawClient(fairlead.port)));
  for (const client of clients) void client.write(get('/held'));
  const count = (): number => backends.reduce((sum, { held }) => sum + held.length, 0);
  await waitFor(() => count() === 60);
  stop(fairlead);
  for (const backend of backends) backend.answer();
  await sleep(4 * SECONDS);
  goOn(fairlead);
  expect(await statuses(clients)).toEqual(Array(60).fill(200));
  expect(count()).toBe(60);
  for (const event of BLAME) expect(events(fairlead)).not.toContain(event);
});

test('clients that come again and again lose nothing, whatever they are at', async () => {
  const backends = [await holdingBackend(), await holdingBackend()];
  const fairlead = await startProxy(
    backends.map(({ url }) => url),
    { timeouts: { response: '2s', head: '2s', keep_alive: '2s', idle: '2s' } },
    { args: [] },
  );
  const over = new AbortController();
  let answered = 0;
  const run = async (): Promise<void> => {
    const client = await rawClient(fairlead.port);
    while (!over.signal.aborted) {
      // A head in two parts, and pauses between requests: each has a deadline of its own.
      await client.write('GET /load HTTP/1.1\r\n');
      await sleep(10);
      await client.write('Host: test\r\n\r\n');
      expect((await client.readResponse(PATIENT)).status).toBe(200);
      answered++;
      await sleep(10);
    }
  };
  const running = Promise.all(Array.from({ length: 20 }, run));
  await waitFor(() => answered > 200);
  for (let round = 0; round < 2; round++) {
    stop(fairlead);
    await sleep(3 * SECONDS);
    const before = answered;
    goOn(fairlead);
    await waitFor(() => answered > before + 200);
  }
  over.abort();
  await running;
  for (const event of BLAME) expect(events(fairlead)).not.toContain(event);
});

test('a connection that was made while it was stopped', async () => {
  const server = await stallingServer();
  const fairlead = await startProxy([server.url], {
    timeouts: { connect: '2s', response: '1s' },
    retries: false,
  });
  await server.stall();
  const client = await rawClient(fairlead.port);
  await client.write(get('/connecting'));
  await waitFor(async () => {
    const page = await (await fetch(`${fairlead.adminUrl}/status`)).text();
    return /"conns": ?1/.test(page);
  });
  stop(fairlead);
  // The system tries again after 1 s, and after 3.
  server.goOn();
  await sleep(4 * SECONDS);
  goOn(fairlead);
  // Nobody answers there, but that is another matter.
  expect((await client.readResponse(PATIENT)).body.toString()).toContain(
    'ERR_BACKEND_RESPONSE_TIMEOUT',
  );
  expect(events(fairlead)).not.toContain('backend.down');
});

test('a place in the queue whose turn came while it was stopped', async () => {
  const config = { max_requests: 1, queue: { timeout: '2s' } };
  const the = await severalBackends(1, config, { isAlone: true });
  const answers: (() => void)[] = [];
  the.everywhere('/first', async (connection) => {
    await new Promise<void>((resolve) => answers.push(resolve));
    await connection.write(okResponse('first'));
  });
  const clients = [await rawClient(the.fairlead.port), await rawClient(the.fairlead.port)];
  await clients[0]?.write(get('/first'));
  await waitFor(() => the.served('/first') === 1);
  await clients[1]?.write(get('/second'));
  await waitFor(async () => (await the.metric('fairlead_queue_depth')) === 1);
  stop(the.fairlead);
  for (const answer of answers) answer();
  await sleep(3 * SECONDS);
  goOn(the.fairlead);
  expect(await statuses(clients)).toEqual([200, 200]);
});
