/** What was learnt, or not, of a backend from requests that were called off, lasted long, broke off late or came slowly. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { OK, severalBackends } from '../behaviour/several-backends.ts';
import { type Connection, HANDSHAKE, type Script, SWITCHED, silent } from '../behaviour/stage.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const BREAKER = { min_requests: 5, interval: '10s', open: '1s', half_open_requests: 2 };

type Stage = Awaited<ReturnType<typeof severalBackends>>;

/** Switches, and keeps the tunnel open. */
const tunnel: Script = async (connection) => {
  await connection.write(SWITCHED);
  await connection.closed;
};

const reads: Script = async (connection) => {
  await connection.readBytes(12);
  await connection.write(OK);
};

function events({ fairlead }: Stage): (string | undefined)[] {
  return fairlead.logs().map(({ event }) => event);
}

/** The status of a WebSocket's handshake; a tunnel stays open. */
async function upgrade(the: Stage, path: string, fields: readonly string[] = []) {
  const client = await rawClient(the.fairlead.port);
  await client.write(the.get(path, [...HANDSHAKE, ...fields]));
  return Number((await client.readUntil('\r\n\r\n')).split(' ')[1]);
}

/** A body of 12 bytes in pieces, with the whole of `ms` between the first and the last. */
async function upload(the: Stage, path: string, ms: number): Promise<number> {
  const client = await rawClient(the.fairlead.port);
  await client.write(`${the.get(path, ['Content-Length: 12'], 'POST')}head`);
  await sleep(ms / 2);
  await client.write('body');
  await sleep(ms / 2);
  await client.write('tail');
  return (await client.readResponse()).status;
}

test('peak-ewma left out a backend whose first request was a WebSocket, for as long as that lasted', async () => {
  const the = await severalBackends(2, { strategy: 'peak-ewma' });
  the.everywhere('/ws', tunnel);
  expect(await upgrade(the, '/ws')).toBe(101);
  const busy = the.backends.find((backend) => backend.served('/ws').length === 1);
  // Its handshake was answered at once; the other one takes its time.
  for (const backend of the.backends) {
    if (backend === busy) continue;
    backend.on('/', async (connection) => {
      await sleep(100);
      await connection.write(OK);
    });
  }
  for (let round = 0; round < 10; round++) expect((await the.ask('/')).status).toBe(200);
  expect(busy?.served('/').length).toBeGreaterThan(5);
});

test('the circuit breaker stayed half-open for as long as the WebSockets that had tried it', async () => {
  const the = await severalBackends(1, { circuit_breaker: BREAKER });
  the.everywhere('/ws', (connection) =>
    connection.write('HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\nno'),
  );
  await waitFor(async () => {
    await upgrade(the, '/ws');
    return events(the).includes('breaker.opened');
  });
  the.everywhere('/ws', tunnel);
  await waitFor(async () => {
    await upgrade(the, '/ws');
    return events(the).includes('breaker.closed');
  });
  expect(await upgrade(the, '/ws')).toBe(101);
});

test('answers that were still under way counted for nothing between failures in a row', async () => {
  const the = await severalBackends(2, {
    outlier_detection: { consecutive_5xx: 3 },
    sticky: { by: 'header', name: 'x-user' },
  });
  const fields = ['X-User: somebody'];
  the.everywhere('/stream', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n');
    await sleep(1_300);
    await connection.write('1\r\nb\r\n');
    await connection.closed;
  });
  the.everywhere('/bad', (connection) =>
    connection.write('HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\nno'),
  );
  for (let round = 0; round < 2; round++) await the.ask('/bad', fields);
  const client = await rawClient(the.fairlead.port);
  await client.write(the.get('/stream', fields));
  await client.readUntil('\r\n\r\n');
  await client.readUntil('b\r\n');
  for (let round = 0; round < 2; round++) await the.ask('/bad', fields);
  expect(events(the)).not.toContain('backend.ejected');
  await the.ask('/bad', fields);
  await waitFor(() => events(the).includes('backend.ejected'));
});

test('a backend that broke off all of its answers failed each time', async () => {
  const the = await severalBackends(2, { outlier_detection: { consecutive_failures: 3 } });
  the.backends[0]?.on('/', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    connection.end();
  });
  await waitFor(async () => {
    const client = await rawClient(the.fairlead.port);
    await client.write(the.get('/', ['Connection: close']));
    await client.closed;
    return events(the).includes('backend.ejected');
  });
  expect(the.backends[0]?.served('/').length).toBeGreaterThanOrEqual(3);
});

test('with hedges, nothing was learnt of a backend that was slower than all others', async () => {
  const the = await severalBackends(3, {
    strategy: 'peak-ewma',
    retries: { hedge_after: '50ms', budget_percent: 100 },
  });
  const slow = the.backends[0];
  // It was the quickest of all.
  for (const backend of the.backends) {
    if (backend === slow) continue;
    backend.on('/warm', async (connection) => {
      await sleep(20);
      await connection.write(OK);
    });
  }
  // On a busy machine it is late now and then as well.
  for (let round = 0; round < 30; round++) await the.ask('/warm');
  expect(slow?.served('/warm').length).toBeGreaterThan(5);
  slow?.on('/', silent);
  for (let round = 0; round < 40; round++) expect((await the.ask('/')).status).toBe(200);
  expect(slow?.served('/').length).toBeLessThanOrEqual(3);
});

test('a slow call was none when a hedge was quicker', async () => {
  const the = await severalBackends(2, {
    outlier_detection: { consecutive_failures: 3, slow_call: '100ms' },
    retries: { hedge_after: '200ms', budget_percent: 100 },
  });
  the.backends[0]?.on('/', silent);
  await waitFor(async () => {
    expect((await the.ask('/')).status).toBe(200);
    return events(the).includes('backend.ejected');
  });
  const line = the.fairlead.logs().find(({ event }) => event === 'backend.ejected');
  expect(line?.['reason']).toMatch(/the last: no answer after \d+ ms$/);
});

test('requests that tried a half-open backend out were called off by hedges, and it stayed half-open', async () => {
  const the = await severalBackends(2, {
    // Of the backend, that is. Half of all requests fail, and that of the pool stays closed.
    circuit_breaker: { ...BREAKER, failure_percent: 80 },
    panic_threshold_percent: 0,
    retries: { hedge_after: '50ms', budget_percent: 100 },
  });
  const sick = the.backends[0];
  sick?.on('/', (connection) =>
    connection.write('HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\nno'),
  );
  await waitFor(async () => {
    await the.ask('/');
    return events(the).includes('breaker.opened');
  });
  sick?.on('/', async (connection) => {
    await sleep(150);
    await connection.write(OK);
  });
  await waitFor(async () => {
    expect((await the.ask('/')).status).toBe(200);
    return events(the).includes('breaker.closed');
  });
});

test('a client that uploaded slowly made its backend slow', async () => {
  const the = await severalBackends(2, {
    strategy: 'peak-ewma',
    outlier_detection: { consecutive_failures: 1, slow_call: '1200ms' },
  });
  the.everywhere('/upload', reads);
  const uploads = Array.from({ length: 4 }, () => upload(the, '/upload', 2_000));
  expect(await Promise.all(uploads)).toEqual([200, 200, 200, 200]);
  expect(events(the)).not.toContain('backend.ejected');
  const status = (await (await fetch(`${the.fairlead.adminUrl}/status`)).json()) as {
    backends: { latency_ms: number }[];
  };
  for (const { latency_ms: ms } of status.backends) expect(ms).toBeLessThan(1_800);
});

test('what broke long after its request had come counted as the race for an idle connection', async () => {
  const the = await severalBackends(2, {
    outlier_detection: { consecutive_failures: 0, failure_percent: 30, min_requests: 10 },
  });
  const sick = the.backends[0];
  const used = new Set<Connection>();
  sick?.on('/', async (connection) => {
    if (used.has(connection)) {
      await sleep(150);
      connection.end();
    } else {
      used.add(connection);
      await connection.write(OK);
    }
  });
  await waitFor(
    async () => {
      const client = await rawClient(the.fairlead.port);
      await client.write(the.get('/', ['Content-Length: 0'], 'POST'));
      await client.readResponse();
      return events(the).includes('backend.ejected');
    },
    15_000,
    'the ejection',
  );
  expect(used.size).toBeGreaterThan(1);
});

test('a drain sent WebSockets away, and their sessions brought them back', async () => {
  const the = await severalBackends(2, { sticky: { by: 'header', name: 'x-user' } });
  the.everywhere('/ws', tunnel);
  const fields = ['X-User: somebody'];
  await the.ask('/first', fields);
  const home = the.backends.findIndex((backend) => backend.served('/first').length === 1);
  const response = await fetch(`${the.fairlead.adminUrl}/backends/${the.id(home)}?drain=30s`, {
    method: 'PATCH',
    body: JSON.stringify({ state: 'draining' }),
  });
  expect(response.status).toBe(200);
  await the.ask('/stays', fields);
  expect(the.backends[home]?.served('/stays').length).toBe(1);
  expect(await upgrade(the, '/ws', fields)).toBe(101);
  expect(the.backends[1 - home]?.served('/ws').length).toBe(1);
  await the.ask('/moved', fields);
  expect(the.backends[1 - home]?.served('/moved').length).toBe(1);
});

test('a WebSocket went nowhere when only the backend that drained had room', async () => {
  const the = await severalBackends(2, {
    max_requests: 1,
    sticky: { by: 'header', name: 'x-user' },
  });
  the.everywhere('/ws', tunnel);
  const fields = ['X-User: somebody'];
  await the.ask('/first', fields);
  const home = the.backends.findIndex((backend) => backend.served('/first').length === 1);
  await fetch(`${the.fairlead.adminUrl}/backends/${the.id(home)}?drain=30s`, {
    method: 'PATCH',
    body: JSON.stringify({ state: 'draining' }),
  });
  await the.occupy();
  expect(the.backends[1 - home]?.served('/occupied').length).toBe(1);
  expect(await upgrade(the, '/ws', fields)).toBe(101);
  expect(the.backends[home]?.served('/ws').length).toBe(1);
});

test('a backend that broke every WebSocket at once did well, by its handshakes', async () => {
  const the = await severalBackends(2, {
    outlier_detection: { consecutive_failures: 3, failure_percent: 0 },
  });
  the.everywhere('/ws', tunnel);
  the.backends[0]?.on('/ws', async (connection) => {
    await connection.write(SWITCHED);
    await sleep(20);
    connection.reset();
  });
  await waitFor(async () => {
    await upgrade(the, '/ws');
    return events(the).includes('backend.ejected');
  });
  expect(the.backends[0]?.served('/ws').length).toBeGreaterThanOrEqual(3);
});

test('a keep-alive race was a fault when the body had been held before', async () => {
  const the = await severalBackends(1, {});
  const used = new Set<Connection>();
  the.everywhere('/put', async (connection) => {
    if (used.has(connection)) {
      connection.end();
      return;
    }
    used.add(connection);
    await connection.readBytes(4);
    await connection.write(OK);
  });
  for (let round = 0; round < 4; round++) {
    const client = await rawClient(the.fairlead.port);
    await client.write(`${the.get('/put', ['Transfer-Encoding: chunked'], 'PUT')}4\r\nbody\r\n`);
    await sleep(70);
    await client.write('0\r\n\r\n');
    expect((await client.readResponse()).status).toBe(200);
    client.reset();
  }
  const status = (await (await fetch(`${the.fairlead.adminUrl}/status`)).json()) as {
    backends: { errors: number }[];
  };
  // On a busy machine an end may come too late to be taken for the race.
  const late = the.fairlead
    .accessLines()
    .flatMap((line) => (line['attempts'] as { outcome: string; duration_ms: number }[]) ?? [])
    .filter(({ outcome, duration_ms }) => outcome !== 'ok' && duration_ms >= 50);
  expect(status.backends[0]?.errors).toBeLessThanOrEqual(late.length);
  expect(the.served('/put')).toBeGreaterThan(4);
});

test('hedges took what a half-open breaker lets through, and never told how it went', async () => {
  const the = await severalBackends(2, {
    circuit_breaker: { ...BREAKER, failure_percent: 80 },
    panic_threshold_percent: 0,
    sticky: { by: 'header', name: 'x-user' },
    retries: { hedge_after: '50ms', budget_percent: 100 },
  });
  const fields = ['X-User: somebody'];
  await the.ask('/first', fields);
  const home = the.backends.findIndex((backend) => backend.served('/first').length === 1);
  const other = the.backends[1 - home];
  other?.on('/', (connection) =>
    connection.write('HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\nno'),
  );
  await waitFor(async () => {
    await the.ask('/', [`X-User: ${Math.random()}`]);
    // Most requests go well: the breaker of the pool stays closed.
    for (let round = 0; round < 3; round++) await the.ask('/', fields);
    return events(the).includes('breaker.opened');
  });
  other?.on('/slow', silent);
  the.backends[home]?.on('/slow', async (connection) => {
    await sleep(200);
    await connection.write(OK);
  });
  await the.halfOpen(1 - home);
  for (let round = 0; round < 3; round++) {
    expect((await the.ask('/slow', fields)).status).toBe(200);
  }
  expect(other?.served('/slow').length).toBe(0);
});
