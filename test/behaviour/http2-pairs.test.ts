/**
 * The four pairs: clients of HTTP/1.1 and HTTP/2, each in front of backends of HTTP/1.1 and HTTP/2. The same exchanges come out the
 * same, whatever is spoken on either side.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { waitFor } from '../support/wait-for.ts';
import { metrics, QUIET_HEALTH, startProxy } from './stage.ts';

const POOL = Buffer.alloc(1_100_000);
for (let index = 0; index < POOL.length; index++) POOL[index] = (index * 7919) >>> 5;

function bytes(seed: number, length: number): Buffer {
  return POOL.subarray(seed % 1000, (seed % 1000) + length);
}

function hash(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

/** What node:http2 holds of bodies, in MB; with more of them it resets streams. */
const ROOMY = { maxSessionMemory: 1_000 };

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, unknown>>;
}

interface Ask {
  readonly path: string;
  readonly method?: string;
  readonly body?: Buffer;
  readonly trailers?: Readonly<Record<string, string>>;
  /** It leaves once so many bytes of the answer have come. */
  readonly leavesAfter?: number;
}

type Client = (ask: Ask) => Promise<Answer>;

/** Rejects when there is no whole answer. */
function http1Client(port: number): Client {
  const agent = new http.Agent({ keepAlive: true });
  afterTest(() => agent.destroy());
  return ({ path, method = 'GET', body, trailers, leavesAfter = Number.POSITIVE_INFINITY }) =>
    new Promise((resolve, reject) => {
      const request = http.request({ port, host: '127.0.0.1', path, method, agent });
      if (body !== undefined && trailers === undefined) {
        request.setHeader('Content-Length', body.length);
      }
      request.setHeader('TE', 'trailers');
      request.on('error', reject);
      request.on('response', (response) => {
        const parts: Buffer[] = [];
        let length = 0;
        response.on('data', (part: Buffer) => {
          parts.push(part);
          length += part.length;
          if (length < leavesAfter) return;
          request.destroy();
          reject(new Error('left'));
        });
        response.on('error', reject);
        response.on('end', () => {
          const { statusCode: status = 0, trailers: behind } = response;
          resolve({ status, body: Buffer.concat(parts), trailers: behind });
        });
      });
      if (trailers !== undefined) {
        request.setHeader('Transfer-Encoding', 'chunked');
        request.addTrailers(trailers);
      }
      request.end(body);
    });
}

function http2Client(port: number): Client {
  const session = http2.connect(`http://127.0.0.1:${port}`, ROOMY);
  session.on('error', () => {});
  afterTest(() => session.destroy());
  return ({ path, method = 'GET', body, trailers, leavesAfter = Number.POSITIVE_INFINITY }) =>
    new Promise((resolve, reject) => {
      const isEmpty = body === undefined && trailers === undefined;
      const stream = session.request(
        { ':path': path, ':method': method, te: 'trailers' },
        { endStream: isEmpty, waitForTrailers: trailers !== undefined },
      );
      const parts: Buffer[] = [];
      let length = 0;
      let status = 0;
      let behind: Readonly<Record<string, unknown>> = {};
      stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
      stream.on('response', (fields) => {
        status = fields[':status'] ?? 0;
      });
      stream.on('trailers', (fields) => {
        behind = { ...fields };
      });
      stream.on('data', (part: Buffer) => {
        parts.push(part);
        length += part.length;
        if (length < leavesAfter) return;
        stream.close(http2.constants.NGHTTP2_CANCEL);
        reject(new Error('left'));
      });
      stream.on('error', reject);
      stream.on('end', () => resolve({ status, body: Buffer.concat(parts), trailers: behind }));
      if (!isEmpty) stream.end(body);
    });
}

/** The same in both: node:http2 has it as node:http does. */
function answer(
  request: http.IncomingMessage | http2.Http2ServerRequest,
  response: http.ServerResponse | http2.Http2ServerResponse,
): void {
  const { searchParams, pathname } = new URL(request.url ?? '/', 'http://test');
  const size = Number(searchParams.get('size') ?? 0);
  const seed = Number(searchParams.get('seed') ?? 0);
  const write = response.write.bind(response) as (part: Buffer) => boolean;
  const parts: Buffer[] = [];
  request.on('error', () => {});
  response.on('error', () => {});
  request.on('data', (part: Buffer) => parts.push(part));
  switch (pathname.split('/').at(-1)) {
    case 'echo':
      request.on('end', () => {
        response.addTrailers({ 'x-hash': hash(Buffer.concat(parts)), ...seenTrailers(request) });
        response.setHeader('trailer', 'x-hash');
        write(bytes(seed, size));
        response.end();
      });
      break;
    case 'early':
      response.writeHead(413, { 'content-length': '4' });
      response.end('stop');
      break;
    case 'broken':
      response.writeHead(200, { 'content-length': String(size + 10) });
      write(bytes(seed, size));
      setImmediate(() => {
        if ('stream' in response && response instanceof http2.Http2ServerResponse) {
          response.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        } else request.socket.destroy();
      });
      break;
    default:
      response.writeHead(200, { 'content-length': String(size) });
      if (size > 0) write(bytes(seed, size));
      response.end();
  }
}

function seenTrailers(request: {
  readonly trailers: Readonly<Record<string, unknown>>;
}): Record<string, string> {
  const seen = request.trailers['x-check'];
  return seen === undefined ? {} : { 'x-seen': String(seen) };
}

/** Of one that had not left us when it broke there is an answer of ours. */
async function expectBroken(asked: Promise<Answer>): Promise<void> {
  const status = await asked.then(
    (one) => one.status,
    () => 502,
  );
  expect(status).toBe(502);
}

let fairlead: Fairlead;
let clients: Record<'HTTP/1.1' | 'HTTP/2', Client>;

beforeAll(async () => {
  const servers = [http.createServer(answer), http2.createServer(ROOMY, answer)];
  const urls: string[] = [];
  for (const server of servers) {
    server.on('sessionError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    urls.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    afterTest(() => void server.close());
  }
  const [http1Url = '', http2Url = ''] = urls;
  await onFreePorts(1, async ([port = 0]) => {
    const { health_check_timeout: timeout } = QUIET_HEALTH;
    const health_check = { method: 'tcp', frequency: '1h', timeout };
    fairlead = await startProxy(
      [http1Url],
      {
        listeners: [{ port, host: '127.0.0.1', h2c: true }],
        pools: { two: { backends: [http2Url], protocol: 'h2', health_check } },
        routes: [
          { path: '/2/', pool: 'two' },
          { path: '/', pool: 'default' },
        ],
        access_log: false,
        // The clients of this file leave often.
        limits: { http2_resets: 1_000_000 },
      },
      { args: [] },
    );
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(http2Url) === true,
    );
    clients = { 'HTTP/1.1': http1Client(port), 'HTTP/2': http2Client(port) };
  });
});

const SIZES = [0, 1, 100, 16_383, 16_384, 65_535, 65_536, 300_000, 1_000_000];

describe.each(['HTTP/1.1', 'HTTP/2'] as const)('a client of %s', (client) => {
  describe.each([
    ['HTTP/1.1', '/1'],
    ['HTTP/2', '/2'],
  ])('a backend of %s', (_backend, root) => {
    test('bodies of all sizes pass both ways, with trailers', async () => {
      const asks = SIZES.map(async (size, seed) => {
        const sent = bytes(seed + 500, SIZES[SIZES.length - 1 - seed] as number);
        const got = await clients[client]({
          path: `${root}/echo?size=${size}&seed=${seed}`,
          method: 'POST',
          body: sent,
          ...(seed % 2 === 0 && { trailers: { 'x-check': `${seed}` } }),
        });
        expect(got.status).toBe(200);
        expect(hash(got.body)).toBe(hash(bytes(seed, size)));
        expect(got.trailers['x-hash']).toBe(hash(sent));
        expect(got.trailers['x-seen']).toBe(seed % 2 === 0 ? `${seed}` : undefined);
      });
      await Promise.all(asks);
    });

    test('an answer to half a request, one that breaks off, one that nobody waits for', async () => {
      const ask = clients[client];
      const early = ask({ path: `${root}/early`, method: 'POST', body: bytes(1, 1_000_000) });
      // The connection may end with the answer on its way.
      const status = await early.then(
        (one) => one.status,
        () => 413,
      );
      expect(status).toBe(413);
      await expectBroken(ask({ path: `${root}/broken?size=100000` }));
      const path = `${root}/plain?size=1000000&seed=3`;
      await expect(ask({ path, leavesAfter: 100_000 })).rejects.toThrow('left');
      expect(hash((await ask({ path })).body)).toBe(hash(bytes(3, 1_000_000)));
    });
  });
});

test('a mix of all of that leaves not one wrong byte, and nothing behind', async () => {
  let random = 1;
  const next = (below: number): number => {
    random = (random * 48_271) % 0x7fffffff;
    return random % below;
  };
  let whole = 0;
  const wrong: string[] = [];
  const one = async (): Promise<void> => {
    const ask = clients[next(2) === 0 ? 'HTTP/1.1' : 'HTTP/2'];
    const root = `/${1 + next(2)}`;
    const size = SIZES[next(SIZES.length)] as number;
    const seed = next(1_000);
    const query = `?size=${size}&seed=${seed}`;
    const kind = next(10);
    if (kind === 0) {
      await expectBroken(ask({ path: `${root}/broken${query}` }));
    } else if (kind === 1) {
      await ask({ path: `${root}/plain${query}`, leavesAfter: next(100_000) }).catch(() => {});
    } else if (kind === 2) {
      await ask({ path: `${root}/early`, method: 'POST', body: bytes(seed, size) }).catch(() => {});
    } else {
      const body = bytes(next(1_000), SIZES[next(SIZES.length)] as number);
      const got = await ask({ path: `${root}/echo${query}`, method: 'PUT', body });
      const isRight = hash(got.body) === hash(bytes(seed, size));
      if (got.status === 200 && isRight && got.trailers['x-hash'] === hash(body)) whole++;
      else wrong.push(`${got.status} ${query}`);
    }
  };
  const rounds = Array.from({ length: 16 }, async () => {
    for (let round = 0; round < 25; round++) await one();
  });
  await Promise.all(rounds);
  expect(wrong).toEqual([]);
  expect(whole).toBeGreaterThan(200);
  await waitFor(async () => {
    const samples = await metrics(fairlead);
    return [...samples].every(
      ([name, value]) => !name.startsWith('fairlead_backend_requests_in_flight') || value === 0,
    );
  });
});
