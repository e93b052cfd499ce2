/**
 * What the client sees when the first backend that its request goes to takes no connection, or takes it and lets go of it
 * at once, while another backend is well.
 */
import { describe, expect, test } from 'vitest';
import { leftover, NOTHING, scriptedBackend, startProxy } from '../behaviour/stage.ts';
import { stallingServer } from '../behaviour/stalling-server.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { crowdedBackend } from './crowded-backend.ts';
import { outcomeOf, REQUEST_NAMES, type RequestName } from './requests.ts';
import { serve } from './two-backends.ts';

interface Breakable {
  readonly url: string;
  break(): void | Promise<void>;
}

async function refusing(): Promise<Breakable> {
  const backend = await rawBackend((connection) => connection.end());
  return { url: backend.url, break: () => backend.close() };
}

async function notAccepting(): Promise<Breakable> {
  const server = await stallingServer();
  return { url: server.url, break: () => server.stall() };
}

async function resetting(): Promise<Breakable> {
  let isBroken = false;
  const backend = await rawBackend(async (connection) => {
    if (isBroken) connection.reset();
    await connection.closed;
    connection.end();
  });
  return {
    url: backend.url,
    break: () => {
      isBroken = true;
    },
  };
}

/** Nothing was sent: any method goes elsewhere, whatever its body. */
const NOT_SENT: Readonly<Record<RequestName, RegExp>> = {
  GET: /^200 whole$/,
  'small PUT': /^200 whole$/,
  'small POST': /^200 whole$/,
  'PUT over the replay buffer': /^200 whole$/,
  'POST over the replay buffer': /^200 whole$/,
};

/**
 * The system has accepted the connection: whether bytes were sent before its end was noticed is a race that either may
 * win. It is never doubtful for the client, though: saved, or told.
 */
const MAY_BE_SENT: Readonly<Record<RequestName, RegExp>> = {
  ...NOT_SENT,
  'small POST': /^(200 whole|502 connection_terminated)$/,
  'PUT over the replay buffer': /^(200 whole|502 connection_terminated)$/,
  'POST over the replay buffer': /^(200 whole|502 connection_terminated)$/,
};

const FAULTS = [
  ['refuses', refusing, NOT_SENT, /^ERR_BACKEND_REFUSED$/],
  ['accepts no more', notAccepting, NOT_SENT, /^ERR_BACKEND_CONNECT_TIMEOUT$/],
  ['accepts and resets at once', resetting, MAY_BE_SENT, /^ERR_BACKEND_/],
  ['has run out of file descriptors', crowdedBackend, MAY_BE_SENT, /^ERR_BACKEND_/],
] as const;

describe('a backend that', () => {
  test.each(FAULTS)('%s', async (_fault, start, expected, code) => {
    const broken = await start();
    const well = await scriptedBackend();
    // One for each request: after a failed connect the next ones go elsewhere.
    const proxies = await Promise.all(
      REQUEST_NAMES.map(() =>
        startProxy([broken.url, well.url], {
          retries: { budget_percent: 100 },
          outlier_detection: false,
          timeouts: { connect: '400ms' },
        }),
      ),
    );
    await broken.break();
    await Promise.all(
      proxies.map(async (fairlead, index) => {
        const request = REQUEST_NAMES[index] as RequestName;
        const path = `/${request.replaceAll(' ', '-')}`;
        well.on(path, serve);
        const seen = await outcomeOf(fairlead.port, path, request);
        expect([request, seen]).toEqual([request, expect.stringMatching(expected[request])]);
        expect(well.served(path).length).toBe(seen === '200 whole' ? 1 : 0);
        const line = await waitFor(() => fairlead.accessLines()[0]);
        const [first] = (line['attempts'] ?? []) as { outcome: string }[];
        expect(first?.outcome).toMatch(code);
        expect(await leftover(fairlead)).toEqual(NOTHING);
      }),
    );
  });
});

test('twenty clients at once of a backend without file descriptors all get their answers', async () => {
  const broken = await crowdedBackend();
  const well = await scriptedBackend();
  const config = { retries: { budget_percent: 100 } };
  const fairlead = await startProxy([broken.url, well.url], config);
  await broken.break();
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async () => (await fetch(fairlead.url)).status),
  );
  expect(statuses).toEqual(Array.from({ length: 20 }, () => 200));
});

/** Comes up and goes down at one port; serves what its script says while it is up. */
class FlappingBackend {
  readonly port: number;
  readonly ids: string[] = [];
  #up: Awaited<ReturnType<typeof rawBackend>> | null = null;

  constructor(port: number) {
    this.port = port;
  }

  /** The port may be a client's meanwhile, for a moment. */
  async rise(): Promise<void> {
    this.#up = await waitFor(() =>
      rawBackend(
        async (connection) => {
          try {
            for (;;) {
              const head = await connection.readHead(60_000);
              this.ids.push(/x-id: (\S+)/i.exec(head)?.[1] ?? '');
              await connection.readBytes(head.startsWith('POST') ? 2 : 0);
              await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
            }
          } catch {
            connection.end();
          }
        },
        { port: this.port },
      ),
    );
  }

  async fall(): Promise<void> {
    await this.#up?.close();
  }
}

test('a backend that goes down and comes up again and again costs no GET, and repeats no POST', async () => {
  const ROUNDS = 6;
  const REQUESTS_WHILE_DOWN = 30;
  const first = await rawBackend(() => {});
  await first.close();
  const flapping = new FlappingBackend(first.port);
  await flapping.rise();
  const wellIds: string[] = [];
  const well = await scriptedBackend();
  well.on('/', async (connection, head) => {
    wellIds.push(/x-id: (\S+)/i.exec(head)?.[1] ?? '');
    await serve(connection, head);
  });
  const fairlead = await startProxy([`http://127.0.0.1:${flapping.port}`, well.url], {
    health_check_frequency: '50ms',
    health_check_rise: 1,
    retries: { budget_percent: 100 },
    outlier_detection: false,
  });
  const load = new AbortController();
  let sent = 0;
  const failed: string[] = [];
  const clients = Array.from({ length: 8 }, async () => {
    while (!load.signal.aborted) {
      const id = String(++sent);
      const method = sent % 2 === 0 ? 'POST' : 'GET';
      const body = method === 'POST' ? { body: 'hi' } : {};
      const headers = { 'x-id': id };
      const { status } = await fetch(fairlead.url, { method, headers, ...body }).then(
        async (response) => {
          await response.text();
          return response;
        },
        () => ({ status: 0 }),
      );
      if (status !== 200) failed.push(`${method} ${id} ${status}`);
    }
  });
  for (let round = 0; round < ROUNDS; round++) {
    const before = flapping.ids.length;
    await waitFor(() => flapping.ids.length > before + 5, LONG_MS, 'requests at what came back');
    await flapping.fall();
    const sentBefore = sent;
    await waitFor(() => sent > sentBefore + REQUESTS_WHILE_DOWN);
    await flapping.rise();
  }
  load.abort();
  await Promise.all(clients);
  // A POST whose bytes were on their way: at most one for each client and fall.
  expect(failed.filter((line) => !/^POST \d+ 502$/.test(line))).toEqual([]);
  expect(failed.length).toBeLessThanOrEqual(8 * ROUNDS);
  const posts = [...flapping.ids, ...wellIds].filter((id) => Number(id) % 2 === 0);
  expect(posts.length).toBe(new Set(posts).size);
  // The clients keep their connections.
  expect((await leftover(fairlead, 500)).inFlight).toBe(0);
});
