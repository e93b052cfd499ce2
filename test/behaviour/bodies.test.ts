import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { beforeAll, describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { okResponse } from '../support/raw-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';
import { severalBackends } from './several-backends.ts';
import {
  answer,
  type Connection,
  get,
  leftover,
  NOTHING,
  type Stage,
  silent,
  startProxy,
  startStage,
} from './stage.ts';

const MIB = 1024 * 1024;

let stage: Stage;
/** A backend that tells the checksum of every upload. */
const hashing = { fairlead: {} as Fairlead, received: [] as string[] };
beforeAll(async () => {
  stage = await startStage();
  const backend = await httpBackend((request, response) => {
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk));
    request.on('end', () => {
      hashing.received.push(`${request.url} ${hash.digest('hex')}`);
      response.end('stored');
    });
  });
  hashing.fairlead = await startProxy([backend.url]);
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The same bytes for the same length, all values, without a short period. */
function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = 0x2545f491;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

function chunked(bytes: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) {
    const part = bytes.subarray(start, start + size);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** Resident memory of the proxy, in MiB. */
async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/** Writes without end until the connection breaks; the count grows by what has left for the kernel. */
function flood(connection: Connection | RawClient): { bytes: number } {
  const counter = { bytes: 0 };
  const piece = Buffer.alloc(256 * 1024, 'x');
  const more = (): void => {
    if (connection.socket.destroyed) return;
    connection.socket.write(piece, (error) => {
      if (error) return;
      counter.bytes += piece.length;
      // In a turn of its own: a receiver that keeps up must not keep this process from reading.
      setImmediate(more);
    });
  };
  more();
  return counter;
}

/** The most that TCP buffers of this kind may grow to, in bytes. */
function tcpBufferLimit(name: 'tcp_rmem' | 'tcp_wmem'): number {
  return Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'latin1').trim().split(/\s+/)[2]);
}

/** What the system may hold on the two connections of a request, and 8 MiB for the proxy. */
const HELD_AT_MOST = 2 * (tcpBufferLimit('tcp_rmem') + tcpBufferLimit('tcp_wmem')) + 8 * MIB;

/** Waits until the counter stands still for 300 ms: both ends' buffers are full. */
async function atRest(counter: { bytes: number }): Promise<number> {
  let last = -1;
  await waitFor(
    async () => {
      last = counter.bytes;
      await sleep(300);
      return last === counter.bytes;
    },
    10_000,
    'a sender that is held back',
  );
  return last;
}

describe('bodies arrive byte for byte', () => {
  const sizes = [0, 1, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 1_000_003, 24 * MIB];

  test.each(sizes)('downloads of %i bytes: by length, chunked, until close', async (size) => {
    const body = pattern(size);
    const head = 'HTTP/1.1 200 OK\r\n';
    const length = Buffer.from(`${head}Content-Length: ${size}\r\n\r\n`);
    stage.on(`/by-length/${size}`, answer(Buffer.concat([length, body])));
    const chunks = Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`);
    stage.on(`/chunked/${size}`, answer(Buffer.concat([chunks, chunked(body, 50_000)])));
    stage.on(`/until-close/${size}`, async (connection) => {
      await connection.write(Buffer.concat([Buffer.from(`${head}\r\n`), body]));
      connection.end();
    });
    const client = new Client(stage.fairlead.url);
    afterTest(() => client.destroy());
    for (const kind of ['by-length', 'chunked', 'until-close']) {
      const response = await client.request({ path: `/${kind}/${size}`, method: 'GET' });
      expect('content-length' in response.headers).toBe(kind === 'by-length');
      const received = Buffer.from(await response.body.arrayBuffer());
      expect(received.length).toBe(size);
      expect(sha256(received)).toBe(sha256(body));
    }
  });

  test.each(sizes)('uploads of %i bytes: by length and chunked', async (size) => {
    const body = pattern(size);
    const client = new Client(hashing.fairlead.url);
    afterTest(() => client.destroy());
    const from = hashing.received.length;
    const byLength = await client.request({ path: '/length', method: 'POST', body });
    expect(await byLength.body.text()).toBe('stored');
    const parts = Array.from({ length: Math.ceil(size / 70_000) }, (_, index) =>
      body.subarray(index * 70_000, (index + 1) * 70_000),
    );
    const byChunks = await client.request({
      path: '/chunks',
      method: 'POST',
      body: Readable.from(parts),
    });
    expect(await byChunks.body.text()).toBe('stored');
    expect(hashing.received.slice(from)).toEqual([
      `/length ${sha256(body)}`,
      `/chunks ${sha256(body)}`,
    ]);
  });

  test('a body in single bytes, with pauses, is sent on as it comes', async () => {
    stage.on('/drip', async (connection) => {
      const first = await connection.readBytes(1);
      await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n${first.toString()}`);
      for (let index = 1; index < 6; index++) await connection.write(await connection.readBytes(1));
    });
    const client = await stage.client();
    await client.write('POST /drip HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n');
    for (const byte of 'abcdef') {
      await client.write(byte);
      expect(await client.readUntil(byte)).toContain(byte);
    }
  });
});

describe('responses without a body', () => {
  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n', '1000'],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
    ['HEAD', 'HTTP/1.1 404 Not Found\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n', '1000'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
  ])('%s answered with %j has none, whatever it says', async (method, response, length) => {
    stage.on('/no-body', answer(response));
    const client = await stage.client();
    await client.write(get('/no-body', [], method));
    const first = await client.readResponse({ hasBody: false });
    expect(first.fields.get('content-length')?.[0]).toBe(length);
    expect(first.fields.has('transfer-encoding')).toBe(false);
    // The next answer is the next request's: nothing of a body came between.
    await client.write(get('/after-no-body'));
    expect((await client.readResponse()).body.toString()).toBe('ok');
  });

  test('a backend that sends a body to a HEAD loses the connection, the client sees none', async () => {
    stage.on('/head-with-body', answer(okResponse('should not be here')));
    const client = await stage.client();
    await client.write(get('/head-with-body', [], 'HEAD'));
    await client.readResponse({ hasBody: false });
    await client.write(get('/after-head'));
    expect((await client.readResponse()).body.toString()).toBe('ok');
    const connection = await stage.backend.request('/head-with-body');
    await within(connection.closed, SOON_MS, 'the end of the connection');
  });
});

describe('trailers', () => {
  test('of a response reach the client', async () => {
    stage.on(
      '/trailers-down',
      answer(
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\nContent-Length: 7\r\n\r\n',
      ),
    );
    const client = await stage.client();
    await client.write(get('/trailers-down', ['TE: trailers', 'Connection: TE']));
    expect(await client.readUntil('\r\n\r\n')).toContain('\r\nTrailer: X-Sum\r\n');
    expect(await client.readUntil('0\r\n')).toBe('2\r\nok\r\n0\r\n');
    expect(await client.readUntil('\r\n\r\n')).toBe('X-Sum: 1\r\nx-sum: 2\r\n\r\n');
    const head = (await stage.backend.request('/trailers-down')).text;
    expect(head).toContain('\r\nTE: trailers\r\n');
  });

  test('of a request reach the backend', async () => {
    stage.on('/trailers-up', async (connection) => {
      await connection.readUntil('\r\n0\r\n');
      const trailer = await connection.readUntil('\r\n\r\n');
      await connection.write(okResponse(trailer.trim()));
    });
    const client = await stage.client();
    await client.write(
      'POST /trailers-up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n',
    );
    expect((await client.readResponse()).body.toString()).toBe('X-Sum: 1');
  });
});

describe('interim responses', () => {
  test('100 Continue is the backend’s to give', async () => {
    let bodyBefore100 = true;
    stage.on('/continue', async (connection) => {
      bodyBefore100 = !connection.text.endsWith('\r\n\r\n');
      await connection.write('HTTP/1.1 100 Continue\r\n\r\n');
      await connection.write(okResponse((await connection.readBytes(4)).toString()));
    });
    const client = await stage.client();
    await client.write(
      'POST /continue HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
    );
    expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 100 Continue\r\n/);
    await client.write('body');
    expect((await client.readResponse()).body.toString()).toBe('body');
    expect(bodyBefore100).toBe(false);
  });

  test('a chunked body that waits for 100 Continue is not waited for', async () => {
    stage.on('/continue-chunked', async (connection) => {
      await connection.write('HTTP/1.1 100 Continue\r\n\r\n');
      await connection.readUntil('0\r\n\r\n');
      await connection.write(okResponse('got it'));
    });
    const client = await stage.client();
    await client.write(
      'POST /continue-chunked HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 100 /);
    await client.write('4\r\nbody\r\n0\r\n\r\n');
    expect((await client.readResponse()).body.toString()).toBe('got it');
  });

  test('a final answer in place of 100 Continue reaches the client, and the connection closes', async () => {
    stage.on('/unwanted', answer('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno'));
    const client = await stage.client();
    await client.write(
      'POST /unwanted HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
    );
    const response = await client.readResponse();
    expect(response.status).toBe(417);
    expect(response.body.toString()).toBe('no');
    expect(response.fields.get('connection')).toEqual(['close']);
    // The body that was announced may still come, or not: it is never read as a request.
    await client.write(get('/smuggled'));
    await client.readToEnd();
    expect(stage.backend.served('/smuggled')).toEqual([]);
  });

  test('103 Early Hints reach an HTTP/1.1 client, with their fields', async () => {
    stage.on('/hints', async (connection) => {
      await connection.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n');
      await connection.write('HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n');
      await connection.write(okResponse('page'));
    });
    const client = await stage.client();
    await client.write(get('/hints'));
    expect(await client.readUntil('\r\n\r\n')).toContain('\r\nLink: </a.css>; rel=preload\r\n');
    expect(await client.readUntil('\r\n\r\n')).toContain('\r\nLink: </b.css>\r\n');
    expect((await client.readResponse()).body.toString()).toBe('page');
  });

  test('an HTTP/1.0 client never sees one', async () => {
    stage.on('/hints-for-old', async (connection) => {
      await connection.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n');
      await connection.write(okResponse('page'));
    });
    const client = await stage.client();
    await client.write('GET /hints-for-old HTTP/1.0\r\n\r\n');
    expect((await client.readToEnd()).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test('but they show it a backend at work as well: its answer is waited for as long', async () => {
    const the = await severalBackends(1, { timeouts: { response: '1500ms' } }, { isAlone: true });
    the.everywhere('/slow', async (connection) => {
      for (let round = 0; round < 4; round++) {
        await sleep(600);
        await connection.write('HTTP/1.1 102 Processing\r\n\r\n');
      }
      await connection.write(okResponse('page'));
    });
    const client = await rawClient(the.fairlead.port);
    await client.write('GET /slow HTTP/1.0\r\n\r\n');
    expect((await client.readToEnd()).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });
});

describe('early responses', () => {
  test.each([
    ['keeps the connection', silent],
    ['closes it in order', (connection: Connection) => connection.end()],
    ['resets it at once', (connection: Connection) => connection.socket.destroy()],
  ])('a 413 while the upload runs reaches the client when the backend %s', async (name, then) => {
    const path = `/too-large/${name.replaceAll(' ', '-')}`;
    stage.on(path, async (connection) => {
      await connection.write(
        'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large',
      );
      await then(connection);
    });
    const rounds = 25;
    for (let round = 0; round < rounds; round++) {
      const client = await stage.client();
      void client.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
      flood(client);
      const response = await client.readResponse();
      expect(response.status).toBe(413);
      expect(response.body.toString()).toBe('too large');
      expect(response.fields.get('connection')).toEqual(['close']);
      client.socket.destroy();
    }
    expect((await stage.backends())[0]).toMatchObject({ alive: true, errors: 0 });
  });

  test('the client can read the answer after it has sent more than the drain holds back', async () => {
    stage.on('/late-reader', async (connection) => {
      await connection.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nauth');
      connection.end();
    });
    const client = await stage.client();
    client.pause();
    const size = 8 * MIB;
    await client.write(`PUT /late-reader HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    await within(client.write(Buffer.alloc(size)), SOON_MS, 'the upload to be taken');
    client.resume();
    const response = await client.readResponse();
    expect(response.status).toBe(401);
    expect(response.body.toString()).toBe('auth');
  });

  test('an echo streams both ways at once', async () => {
    const size = 16 * MIB;
    stage.on('/echo', async (connection) => {
      await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      let left = size;
      while (left > 0) {
        const piece = await connection.readBytes(Math.min(left, 128 * 1024));
        left -= piece.length;
        await connection.write(piece);
      }
    });
    const body = pattern(size);
    const client = await stage.client();
    await client.write(`POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    void client.write(body);
    const response = await client.readResponse({ ms: 45_000 });
    expect(sha256(response.body)).toBe(sha256(body));
  });

  test('after an echo that began early and ended late the connection is closed, not confused', async () => {
    stage.on('/early-head', async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n');
      await connection.write(await connection.readBytes(4));
    });
    const client = await stage.client();
    await client.write('POST /early-head HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n');
    await client.readUntil('\r\n\r\n');
    await client.write(`body${get('/behind-early')}`);
    expect((await client.readToEnd()).toString()).toBe('body');
    expect(stage.backend.served('/behind-early')).toEqual([]);
  });
});

describe('slow sides', () => {
  test('a GiB to a slow client stays out of the memory', async () => {
    const sent: { bytes: number }[] = [];
    stage.on('/gib', async (connection) => {
      await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${1024 * MIB}\r\n\r\n`);
      sent.push(flood(connection));
      await connection.closed;
    });
    const client = await stage.client();
    await client.write(get('/gib'));
    await client.readUntil('\r\n\r\n');
    let most = 0;
    let read = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk) => {
      read += chunk.length;
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 2);
    });
    for (const until = performance.now() + 4_000; performance.now() < until; ) {
      most = Math.max(most, await residentMiB(stage.fairlead.pid));
      await sleep(50);
    }
    expect(read).toBeGreaterThan(4 * MIB);
    expect(most).toBeLessThan(150);
    expect((sent[0]?.bytes ?? 0) - read).toBeLessThan(HELD_AT_MOST);
    client.reset();
    await within((await stage.backend.request('/gib')).closed, SOON_MS, 'the end of the download');
  });

  test('a client that reads nothing stops the backend', async () => {
    const sent: { bytes: number }[] = [];
    stage.on('/unread', async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3fffffff\r\n');
      sent.push(flood(connection));
      await connection.closed;
    });
    const client = await stage.client();
    await client.write(get('/unread'));
    await client.readUntil('\r\n\r\n');
    client.pause();
    expect(await atRest(sent[0] ?? { bytes: 0 })).toBeLessThan(HELD_AT_MOST);
    expect(await residentMiB(stage.fairlead.pid)).toBeLessThan(150);
    client.reset();
  });

  test('a backend that reads nothing stops the upload', async () => {
    stage.on('/unread-upload', (connection) => {
      connection.pause();
      return silent(connection);
    });
    const client = await stage.client();
    await client.write(
      `POST /unread-upload HTTP/1.1\r\nHost: a\r\nContent-Length: ${1024 * MIB}\r\n\r\n`,
    );
    expect(await atRest(flood(client))).toBeLessThan(HELD_AT_MOST);
    expect(await residentMiB(stage.fairlead.pid)).toBeLessThan(250);
    client.reset();
    (await stage.backend.request('/unread-upload')).socket.destroy();
  });

  test.each(['HTTP/1.1', 'HTTP/1.0'])(
    'the end of the last answer on a connection waits for a slow %s reader',
    async (version) => {
      const path = `/slow-end/${version}`;
      const size = 12 * MIB;
      stage.on(path, async (connection) => {
        await connection.write('HTTP/1.1 200 OK\r\n\r\n');
        await connection.write(Buffer.alloc(size, 'y'));
        connection.end();
      });
      const client = await stage.client();
      client.socket.pause();
      await client.write(`GET ${path} ${version}\r\nHost: a\r\nConnection: close\r\n\r\n`);
      // Read until the proxy has the whole response and only the client is left to wait for.
      const isLogged = (): boolean =>
        stage.fairlead.accessLines().some((line) => line['path'] === path);
      for (let round = 0; round < 1_000 && !isLogged(); round++) {
        client.socket.resume();
        await sleep(5);
        client.socket.pause();
        await sleep(15);
      }
      expect(isLogged()).toBe(true);
      // Longer than a connection lingers that has nothing left to send.
      await sleep(2_600);
      client.resume();
      const response = await client.readResponse();
      expect(response.body.length).toBe(size);
    },
  );

  test('a client that half-closes after its answer has begun still gets all of it', async () => {
    const size = 12 * MIB;
    stage.on('/half-closed', async (connection) => {
      await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      await connection.write(Buffer.alloc(size, 'y'));
    });
    const client = await stage.client();
    client.socket.pause();
    await client.write(get('/half-closed'));
    const isLogged = (): boolean =>
      stage.fairlead.accessLines().some((line) => line['path'] === '/half-closed');
    for (let round = 0; round < 1_000 && !isLogged(); round++) {
      client.socket.resume();
      await sleep(5);
      client.socket.pause();
      await sleep(15);
    }
    client.end();
    await sleep(200);
    client.resume();
    expect((await client.readResponse()).body.length).toBe(size);
  });
});

describe('limits.body', () => {
  let limited: Stage;
  beforeAll(async () => {
    limited = await startStage({ limits: { body: '10KiB' } });
  });

  test('a body of exactly the limit passes', async () => {
    limited.on('/exactly', async (connection) => {
      await connection.readBytes(10_240);
      await connection.write(okResponse('fits'));
    });
    const client = await limited.client();
    await client.write(
      `POST /exactly HTTP/1.1\r\nHost: a\r\nContent-Length: 10240\r\n\r\n${'x'.repeat(10_240)}`,
    );
    expect((await client.readResponse()).body.toString()).toBe('fits');
  });

  test('an announced larger one is refused, and the backend hears nothing of it', async () => {
    const client = await limited.client();
    await client.write('POST /announced HTTP/1.1\r\nHost: a\r\nContent-Length: 10241\r\n\r\n');
    const response = await client.readResponse();
    expect(response.status).toBe(413);
    expect(response.fields.get('connection')).toEqual(['close']);
    expect(limited.backend.served('/announced')).toEqual([]);
  });

  test('a chunked one is refused once it is over', async () => {
    limited.on('/over', silent);
    const client = await limited.client();
    await client.write('POST /over HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    await client.write(`2000\r\n${'x'.repeat(0x2000)}\r\n`);
    await limited.backend.request('/over');
    await client.write(`2000\r\n${'x'.repeat(0x2000)}\r\n`);
    expect((await client.readResponse()).status).toBe(413);
    await within(
      (await limited.backend.request('/over')).closed,
      SOON_MS,
      'the end of the attempt',
    );
    expect((await limited.backends())[0]).toMatchObject({ alive: true, errors: 0 });
    client.reset();
    expect(await leftover(limited.fairlead)).toEqual(NOTHING);
  });
});

test('afterwards nothing is in flight', async () => {
  expect(await stage.leftover()).toEqual(NOTHING);
});
