import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { okResponse } from '../support/raw-backend.ts';
import { leastOf, SOON_MS, waitFor, within } from '../support/wait-for.ts';
import {
  answer,
  get,
  metrics,
  NOTHING,
  type Stage,
  scriptedBackend,
  startProxy,
  startStage,
} from './stage.ts';

const KEEP_ALIVE_MS = 400;

const ROUNDS = 150;

let stage: Stage;
beforeAll(async () => {
  stage = await startStage({
    timeouts: { keep_alive: `${KEEP_ALIVE_MS}ms`, backend_keep_alive: '5s' },
  });
});

/** Open connections to the backend, and how many of them are idle, as the metrics say. */
async function connections(): Promise<{ open: number; idle: number }> {
  const samples = await metrics(stage.fairlead);
  const labels = `pool="default",backend="${stage.backend.url}"`;
  const count = (state: string): number =>
    samples.get(`fairlead_backend_connections{${labels},state="${state}"}`) ?? Number.NaN;
  return { open: count('active') + count('idle'), idle: count('idle') };
}

/** No idle connection is left over from an earlier test. */
async function withoutIdleConnections(): Promise<void> {
  for (const { socket } of stage.backend.raw.connections) socket.end();
  await waitFor(async () => (await connections()).open === 0);
}

function post(body: string): string {
  return `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

describe('client connections', () => {
  test('an HTTP/1.1 connection serves one request after another', async () => {
    const client = await stage.client();
    for (let round = 0; round < 3; round++) {
      await client.write(get(`/again/${round}`));
      const response = await client.readResponse();
      expect(response.status).toBe(200);
      expect(response.fields.has('connection')).toBe(false);
    }
  });

  test('Connection: close is answered, closed, and nothing after it is read', async () => {
    const client = await stage.client();
    await client.write(get('/last', ['Connection: close']) + get('/after-close'));
    const response = await client.readResponse();
    expect(response.fields.get('connection')).toEqual(['close']);
    expect((await client.readToEnd()).length).toBe(0);
    expect(await client.closed).toBe('end');
    expect(stage.backend.served('/after-close')).toEqual([]);
  });

  test('the backend’s Connection: close is its own affair', async () => {
    stage.on('/backend-closes', async (connection) => {
      await connection.write(okResponse('bye', ['Connection: close']));
      connection.end();
    });
    const client = await stage.client();
    for (let round = 0; round < 2; round++) {
      await client.write(get('/backend-closes'));
      const response = await client.readResponse();
      expect(response.body.toString()).toBe('bye');
      expect(response.fields.has('connection')).toBe(false);
    }
  });

  test('an HTTP/1.0 client is closed after its answer', async () => {
    const client = await stage.client();
    await client.write('GET /old HTTP/1.0\r\n\r\n');
    const response = await client.readResponse();
    expect(response.head).toMatch(/^HTTP\/1\.1 200 /);
    expect(response.fields.get('connection')).toEqual(['close']);
    await client.readToEnd();
    expect(await client.closed).toBe('end');
  });

  test('an HTTP/1.0 client that asks for keep-alive gets it', async () => {
    const client = await stage.client();
    for (let round = 0; round < 2; round++) {
      await client.write('GET /old HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n');
      const response = await client.readResponse();
      expect(response.fields.get('connection')).toEqual(['keep-alive']);
    }
  });

  test('an HTTP/1.0 client gets a chunked body until close, without chunks', async () => {
    stage.on(
      '/chunked-for-old',
      answer(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
      ),
    );
    const client = await stage.client();
    await client.write('GET /chunked-for-old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    const response = await client.readResponse();
    expect(response.fields.has('transfer-encoding')).toBe(false);
    expect(response.fields.get('connection')).toEqual(['close']);
    expect(response.body.toString()).toBe('abcde');
  });

  test('an idle connection is closed after the keep-alive timeout, without an answer', async () => {
    const client = await stage.client();
    const from = performance.now();
    await client.write(get('/then-idle'));
    await client.readResponse();
    expect((await client.readToEnd(3_000)).length).toBe(0);
    expect(performance.now() - from).toBeGreaterThan(KEEP_ALIVE_MS - 150);
    expect(await client.closed).toBe('end');
  });
});

describe('pipelining', () => {
  test('answers leave in the order of the requests, one request at a time', async () => {
    let running = 0;
    let most = 0;
    const paths = Array.from({ length: 20 }, (_, index) => `/piped/${index}`);
    for (const [index, path] of paths.entries()) {
      stage.on(path, async (connection) => {
        most = Math.max(most, ++running);
        await sleep(index % 3 === 0 ? 10 : 0);
        running--;
        await connection.write(okResponse(path));
      });
    }
    const client = await stage.client();
    await client.write(paths.map((path) => get(path)).join(''));
    for (const path of paths) {
      expect((await client.readResponse()).body.toString()).toBe(path);
    }
    expect(most).toBe(1);
  });

  test('bodies and the requests after them are told apart', async () => {
    const client = await stage.client();
    stage.on('/echo', async (connection, head) => {
      const length = Number(/Content-Length: (\d+)/.exec(head)?.[1] ?? 0);
      const body = await connection.readBytes(length);
      await connection.write(okResponse(body.toString('latin1')));
    });
    const chunked =
      'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n';
    await client.write(post('one') + chunked + post('') + post('GET / HTTP/1.1\r\n\r\n'));
    for (const body of ['one', 'GET /', '', 'GET / HTTP/1.1\r\n\r\n']) {
      expect((await client.readResponse()).body.toString()).toBe(body);
    }
  });

  test('an error answer waits for the answers before it, and nothing follows it', async () => {
    stage.on('/slow-first', async (connection) => {
      await sleep(100);
      await connection.write(okResponse('first'));
    });
    const client = await stage.client();
    await client.write(`${get('/slow-first')}BAD\r\n\r\n${get('/never-served')}`);
    expect((await client.readResponse()).body.toString()).toBe('first');
    const refused = await client.readResponse();
    expect(refused.status).toBe(400);
    expect(refused.fields.get('connection')).toEqual(['close']);
    expect((await client.readToEnd()).length).toBe(0);
    expect(stage.backend.served('/never-served')).toEqual([]);
  });

  test('a client that asks much and reads nothing does not fill the memory', async () => {
    const size = 50_000;
    stage.on('/greedy', answer(okResponse('x'.repeat(size))));
    const client = await stage.client();
    client.pause();
    const requests = get('/greedy').repeat(20);
    // Written until the proxy stops reading: what it has asked the backend for by then is what it must hold.
    let total = 0;
    let lastServed = -1;
    for (let quietRounds = 0; quietRounds < 10 && total < 20_000; ) {
      if (client.socket.writableLength < 100_000) {
        void client.write(requests);
        total += 20;
      }
      await sleep(10);
      const served = stage.backend.served('/greedy').length;
      quietRounds = served === lastServed ? quietRounds + 1 : 0;
      lastServed = served;
    }
    // Kernel buffers of both ends hold some MiB.
    expect(lastServed * size).toBeLessThan(24 * 1024 * 1024);
    client.resume();
    for (let index = 0; index < Math.min(total, 300); index++) {
      expect((await client.readResponse()).body.length).toBe(size);
    }
    client.reset();
  });
});

describe('backend connections', () => {
  test('one connection serves the requests of many clients', async () => {
    await withoutIdleConnections();
    for (let index = 0; index < 5; index++) {
      const client = await stage.client();
      await client.write(get('/shared', ['Connection: close']));
      await client.readToEnd();
    }
    expect(new Set(stage.backend.served('/shared')).size).toBe(1);
  });

  test('the newest idle connection is used first', async () => {
    await withoutIdleConnections();
    const turns = ['/pool/a', '/pool/b', '/pool/c'];
    const release = new Map<string, () => void>();
    for (const path of turns) {
      stage.on(path, async (connection) => {
        await new Promise<void>((resolve) => release.set(path, resolve));
        await connection.write(okResponse(path));
      });
    }
    const clients = await Promise.all(turns.map(() => stage.client()));
    for (const [index, path] of turns.entries()) {
      await clients[index]?.write(get(path));
      await stage.backend.request(path);
    }
    // Released in this order, so /pool/b's connection became idle last.
    for (const path of ['/pool/a', '/pool/c', '/pool/b']) {
      release.get(path)?.();
      await clients[turns.indexOf(path)]?.readResponse();
    }
    const client = await stage.client();
    for (let round = 0; round < 3; round++) {
      await client.write(get('/pool/next'));
      await client.readResponse();
    }
    const newest = stage.backend.served('/pool/b')[0];
    expect(stage.backend.served('/pool/next')).toEqual([newest, newest, newest]);
  });

  test('a FIN on an idle connection takes it out of the pool', async () => {
    await withoutIdleConnections();
    const client = await stage.client();
    await client.write(get('/fin'));
    await client.readResponse();
    const first = await stage.backend.request('/fin');
    first.end();
    expect(await within(first.closed, SOON_MS, 'the end of the idle connection')).toBe('end');
    await waitFor(async () => (await connections()).open === 0);
    await client.write(get('/fin'));
    expect((await client.readResponse()).status).toBe(200);
    expect(stage.backend.served('/fin')[1]).not.toBe(first);
  });

  test('an idle connection is closed after backend_keep_alive', async () => {
    const backend = await scriptedBackend();
    const fairlead = await startProxy([backend.url], { timeouts: { backend_keep_alive: '300ms' } });
    const from = performance.now();
    await fetch(`${fairlead.url}/once`);
    const connection = await backend.request('/once');
    expect(await within(connection.closed, SOON_MS, 'the idle timeout')).toBe('end');
    expect(performance.now() - from).toBeGreaterThan(190);
  });

  test.each([
    ['Keep-Alive: timeout=2', 1_000],
    ['keep-alive: max=100, timeout=2', 1_000],
  ])('the backend’s "%s" ends the use a second earlier', async (field, limitMs) => {
    const path = `/stated/${field}`.replaceAll(' ', '');
    stage.on(path, answer(okResponse('ok', [field])));
    const client = await stage.client();
    let round = 0;
    const usedForMs = async (): Promise<number> => {
      const from = performance.now();
      await client.write(get(path));
      await client.readResponse();
      const answeredAt = performance.now();
      const connection = await stage.backend.request(path, round++);
      await within(connection.closed, SOON_MS, 'the end of the stated time');
      expect(performance.now() - from).toBeGreaterThan(limitMs - 110);
      return performance.now() - answeredAt;
    };
    const mostMs = limitMs + 900;
    expect(await leastOf(usedForMs, mostMs)).toBeLessThan(mostMs);
  });

  test('a backend that closes idle connections after a while without saying so is forestalled', async () => {
    await withoutIdleConnections();
    const closedByBackend: boolean[] = [];
    stage.on('/unsaid', async (connection) => {
      const index = closedByBackend.push(false) - 1;
      await answer(okResponse('ok'))(connection, '');
      setTimeout(() => {
        closedByBackend[index] = !connection.socket.readableEnded;
        connection.end();
      }, 2_000);
    });
    for (let round = 0; round === 0 || closedByBackend[round - 1] === true; round++) {
      await (await fetch(`${stage.fairlead.url}/unsaid`)).text();
      await (await stage.backend.request('/unsaid', round)).closed;
    }
    // It has to be seen more than once: a backend may have been restarted.
    expect(closedByBackend.length).toBeGreaterThan(2);
  });

  test.each(['timeout=1', 'timeout=0'])(
    'after "Keep-Alive: %s" a connection is not used again',
    async (value) => {
      const path = `/not-again/${value}`;
      stage.on(path, answer(okResponse('ok', [`Keep-Alive: ${value}`])));
      const client = await stage.client();
      for (let round = 0; round < 2; round++) {
        await client.write(get(path));
        await client.readResponse();
      }
      expect(new Set(stage.backend.served(path)).size).toBe(2);
    },
  );
});

describe('unsolicited bytes from a backend', () => {
  const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';

  test('on an idle connection destroy it, and never become a response', async () => {
    const client = await stage.client();
    await client.write(get('/stray-later'));
    await client.readResponse();
    const connection = await stage.backend.request('/stray-later');
    await connection.write(poison);
    await within(connection.closed, SOON_MS, 'the end of the poisoned connection');
    await client.write(get('/stray-later'));
    expect((await client.readResponse()).body.toString()).toBe('ok');
  });

  test.each([
    ['a response with a length', okResponse('fine')],
    [
      'a chunked response',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n',
    ],
    ['a 204', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['a 304 that names a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n'],
  ])('in the same read as %s destroy the connection', async (name, response) => {
    const path = `/stray-at-once/${name.replaceAll(' ', '-')}`;
    stage.on(path, answer(response + poison));
    const client = await stage.client();
    await client.write(get(path) + get('/not-poisoned'));
    expect((await client.readResponse()).status).toBe(Number(response.slice(9, 12)));
    expect((await client.readResponse()).body.toString()).toBe('ok');
    const connection = await stage.backend.request(path);
    await within(connection.closed, SOON_MS, 'the end of the poisoned connection');
  });

  test('in a write of their own right after a response never become a response', async () => {
    stage.on('/stray-after', (connection) => {
      connection.socket.write(okResponse('fine'));
      setImmediate(() => connection.socket.write(poison));
    });
    for (let round = 0; round < 100; round++) {
      const client = await stage.client();
      await client.write(get('/stray-after'));
      expect((await client.readResponse()).body.toString()).toBe('fine');
      await client.write(get('/stray-after', ['Connection: close']));
      expect((await client.readResponse()).body.toString()).toBe('fine');
    }
  });
});

/** A backend that closes each connection a moment after its answer: about when it is used again. */
function closingSoon(path: string, isReset: boolean): void {
  stage.on(path, async (connection, head) => {
    const length = Number(/Content-Length: (\d+)/.exec(head)?.[1] ?? 0);
    await connection.readBytes(length);
    await connection.write(okResponse());
    const delayMs = Math.random() * 2;
    setTimeout(() => {
      if (isReset) connection.reset();
      else connection.socket.destroy();
    }, delayMs);
    await connection.closed;
  });
}

/** Uses an idle connection of the backend and lets it die with the request already received. */
async function dyingReused(method: string, path: string): Promise<{ status: number }> {
  stage.on(path, async (connection) => {
    await connection.readBytes(5);
    const requests = stage.backend.served(path).filter((one) => one === connection).length;
    const isFresh =
      stage.backend.raw.connections.length - 1 ===
      stage.backend.raw.connections.indexOf(connection);
    if (requests === 1 && isFresh && stage.backend.served(path).length > 1) {
      await connection.write(okResponse('second'));
    } else {
      connection.reset();
    }
  });
  await withoutIdleConnections();
  const client = await stage.client();
  await client.write(get('/warm-up'));
  await client.readResponse();
  await client.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`);
  return client.readResponse();
}

async function rounds(request: string, isEnough: (status: number) => void): Promise<void> {
  const client = await stage.client();
  for (let round = 0; round < ROUNDS; round++) {
    await client.write(request);
    isEnough((await client.readResponse()).status);
    await sleep(Math.random() * 2);
  }
}

describe('the keep-alive race', () => {
  test.each([
    ['closes', false],
    ['resets', true],
  ])('a backend that %s idle connections costs a GET nothing', async (name, isReset) => {
    const path = `/race/get/${name}`;
    closingSoon(path, isReset);
    await rounds(get(path), (status) => expect(status).toBe(200));
  });

  test('a PUT with a small body is sent again on a fresh connection', async () => {
    closingSoon('/race/put', false);
    const put = `PUT /race/put HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`;
    await rounds(put, (status) => expect(status).toBe(200));
    expect(stage.backend.raw.errors).toEqual([]);
  });

  test('a POST that a dying connection has taken is never sent again', async () => {
    expect((await dyingReused('POST', '/race/post-once')).status).toBe(502);
    expect(stage.backend.served('/race/post-once').length).toBe(1);
    expect(await stage.logged('/race/post-once')).toMatchObject({
      status: 502,
      error: 'ERR_BACKEND_CLOSED',
      error_source: 'backend',
    });
  });

  test('a PUT that a dying connection has taken is sent again, whole', async () => {
    expect((await dyingReused('PUT', '/race/put-twice')).status).toBe(200);
    expect(stage.backend.served('/race/put-twice').length).toBe(2);
    expect(stage.backend.served('/race/put-twice')[1]?.text).toMatch(/\r\n\r\nhello$/);
    const { attempts } = await stage.logged('/race/put-twice');
    const url = stage.backend.url;
    const duration_ms = expect.any(Number) as number;
    expect(attempts).toEqual([
      {
        backend: url,
        outcome: 'ERR_BACKEND_CLOSED',
        reused: true,
        duration_ms,
        sent: true,
        body_bytes: 5,
        connection_age_ms: expect.any(Number) as number,
      },
      { backend: url, outcome: 'ok', status: 200, duration_ms },
    ]);
  });

  test('a PUT whose body is over the replay buffer is not sent again', async () => {
    const path = '/race/put-large';
    stage.on(path, async (connection) => {
      await connection.readBytes(200_000);
      connection.reset();
    });
    await withoutIdleConnections();
    const client = await stage.client();
    await client.write(get('/warm-up'));
    await client.readResponse();
    await client.write(`PUT ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n`);
    await client.write('x'.repeat(200_000));
    expect((await client.readResponse()).status).toBe(502);
    expect(stage.backend.served(path).length).toBe(1);
  });
});

test('afterwards nothing is in flight', async () => {
  expect(await stage.leftover()).toEqual(NOTHING);
});
