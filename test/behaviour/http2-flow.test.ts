/** Backpressure on HTTP/2 streams, priorities, drains, WebSockets, and what a connection may be asked for. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Authority } from '../support/authority.ts';
import { frameClient, settings } from '../support/frame-client.ts';
import {
  DATA,
  frame,
  GOAWAY,
  PREFACE,
  RST_STREAM,
  uint32,
  WINDOW_UPDATE,
} from '../support/http2-frames.ts';
import { okResponse } from '../support/raw-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { LONG_MS, waitFor, within } from '../support/wait-for.ts';
import { answerOf, ask, type Http2Stage, startHttp2 } from './http2-stage.ts';
import { answer, type Connection, SWITCHED, silent } from './stage.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const MAX_ID = 0x7fffffff;

let stage: Http2Stage;
beforeAll(async () => {
  stage = await startHttp2();
});

/** Answers with a body of this length, and says how much of it has been taken. */
function sends(length: number): {
  script: (connection: Connection) => Promise<void>;
  taken: number;
} {
  const body = {
    taken: 0,
    script: async (connection: Connection): Promise<void> => {
      connection.socket.on('error', () => {});
      await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
      const chunk = Buffer.alloc(64 * KIB, 'x');
      for (let sent = 0; sent < length && !connection.isEnded; sent += chunk.length) {
        await connection.write(chunk);
        body.taken = sent + chunk.length;
      }
    },
  };
  return body;
}

/** When it has not changed for a while. */
async function settledValue(read: () => number): Promise<number> {
  let last = -1;
  let since = performance.now();
  await waitFor(() => {
    const value = read();
    if (value !== last) [last, since] = [value, performance.now()];
    return performance.now() - since > 500;
  });
  return last;
}

test('a stream that nobody reads pauses its own backend, and no other stream', async () => {
  const body = sends(64 * MIB);
  stage.on('/unread', body.script);
  const client = await frameClient(stage.h2c);
  client.get(1, '/unread');
  await waitFor(() => client.body(1).length === 65_535, LONG_MS, 'what the windows let through');
  // The window of the connection is used up as well.
  client.send(frame(WINDOW_UPDATE, 0, 0, uint32(MIB)));
  client.get(3, '/other');
  expect(await client.answer(3)).toBe('200 ok');
  expect(await settledValue(() => body.taken)).toBeLessThan(32 * MIB);
  client.send(frame(RST_STREAM, 0, 1, uint32(8)));
});

test('an upload that its backend does not take stops at its window, and no other stream does', async () => {
  stage.on('/untaken', async (connection) => {
    connection.socket.pause();
    await connection.closed.catch(() => {});
  });
  const session = stage.session();
  const stuck = session.request({ ':method': 'POST', ':path': '/untaken' });
  stuck.on('error', () => {});
  const chunk = Buffer.alloc(64 * KIB);
  let sent = 0;
  const goOn = (): void => {
    if (sent >= 64 * MIB || stuck.destroyed) return;
    stuck.write(chunk, () => {
      sent += chunk.length;
      goOn();
    });
  };
  goOn();
  await stage.backend.request('/untaken');
  expect(await settledValue(() => sent)).toBeLessThan(32 * MIB);
  const upload = randomBytes(MIB);
  stage.on('/taken', async (connection) => {
    const bytes = await connection.readBytes(MIB);
    await connection.write(okResponse(String(bytes.equals(upload))));
  });
  const head = { ':method': 'POST', ':path': '/taken', 'content-length': MIB };
  expect(String((await ask(session, head, upload)).body)).toBe('true');
  stuck.close(http2.constants.NGHTTP2_CANCEL);
});

test('what ten streams have sent that nobody takes stops no upload beside them', async () => {
  // Nothing is answered, so nothing of it may go on; each may send what its own window is, all together more than the connection's.
  stage.on('/unopened', silent);
  const session = stage.session();
  await within(once(session, 'remoteSettings'), LONG_MS, 'the settings');
  const stalled = Array.from({ length: 10 }, () =>
    session.request(handshake('/unopened'), { endStream: false }),
  );
  const sent = stalled.map(
    (stream) =>
      new Promise((resolve) => {
        stream.on('error', () => {});
        stream.write(Buffer.alloc(256 * KIB), resolve);
      }),
  );
  await within(Promise.all(sent), LONG_MS, 'ten windows');
  const upload = randomBytes(3 * MIB);
  stage.on('/beside', async (connection) => {
    const bytes = await connection.readBytes(upload.length);
    await connection.write(okResponse(String(bytes.equals(upload))));
  });
  const head = { ':method': 'POST', ':path': '/beside', 'content-length': upload.length };
  expect(String((await ask(session, head, upload)).body)).toBe('true');
  for (const stream of stalled) stream.close(http2.constants.NGHTTP2_CANCEL);
  session.destroy();
  expect((await stage.leftover()).inFlight).toBe(0);
});

test('of what waits for the connection, the most urgent goes first, and what is incremental takes turns', async () => {
  const client = await frameClient(stage.h2c, { said: [PREFACE, settings([4, MIB])] });
  // What one segment of the loopback holds: all of it waits here once its head has come.
  const length = 20 * KIB;
  const paths = ['/low', '/high', '/turns-1', '/turns-2'];
  for (const path of paths) stage.on(path, answer(okResponse('x'.repeat(length))));
  // The window of the connection, used up.
  stage.on('/first', answer(okResponse('x'.repeat(65_535))));
  client.get(1, '/first');
  expect((await client.answer(1)).length).toBe(65_539);
  client.get(3, '/low', [['priority', 'u=7']]);
  client.get(5, '/turns-1', [['priority', 'u=2, i']]);
  client.get(7, '/turns-2', [['priority', 'u=2, i']]);
  client.get(9, '/high', [['priority', 'u=0']]);
  const ids = [3, 5, 7, 9];
  await waitFor(() => ids.every((id) => client.heads(id).length === 1), LONG_MS, 'the heads');
  const before = client.frames.length;
  for (let given = 0; given < 4 * length; given += 16 * KIB) {
    client.send(frame(WINDOW_UPDATE, 0, 0, uint32(16 * KIB)));
  }
  for (const id of ids) await client.answer(id);
  const order = client.frames
    .slice(before)
    .filter(({ type, payload }) => type === DATA && payload.length > 0)
    .map(({ streamId }) => streamId);
  const runs = order.filter((id, index) => id !== order[index - 1]);
  expect([runs[0], runs.at(-1)]).toEqual([9, 3]);
  // Each of the two more than once.
  expect(runs.filter((id) => id === 5).length).toBeGreaterThan(1);
  expect(runs.filter((id) => id === 7).length).toBeGreaterThan(1);
});

describe('a drain', () => {
  test('says GOAWAY twice, serves what is on its way, and finishes what is under way', async () => {
    const draining = await startHttp2();
    draining.on('/held', silent);
    const client = await frameClient(draining.h2c);
    client.get(1, '/held');
    const held = await draining.backend.request('/held');
    const stopped = draining.fairlead.stop('SIGTERM', LONG_MS);
    const goaways = (): number[] => client.of(GOAWAY).map(({ payload }) => payload.readUInt32BE(0));
    await waitFor(() => goaways().length === 1, LONG_MS, 'the first GOAWAY');
    expect(goaways()).toEqual([MAX_ID]);
    client.get(3, '/on-its-way');
    expect(await client.answer(3)).toBe('200 ok');
    await waitFor(() => goaways().length === 2, LONG_MS, 'the second GOAWAY');
    expect(goaways()).toEqual([MAX_ID, 3]);
    // It was told that this is not served: it may ask somebody else.
    client.get(5, '/too-late');
    await held.write(okResponse('late'));
    expect(await client.answer(1)).toBe('200 late');
    expect(await client.goneWith()).toBe(0);
    expect(await stopped).toBe(0);
    expect(draining.backend.served('/too-late')).toEqual([]);
    expect(draining.fairlead.accessLines().map(({ path }) => path)).not.toContain('/too-late');
  });
});

const handshake = (path: string): http2.OutgoingHttpHeaders => ({
  ':method': 'CONNECT',
  ':protocol': 'websocket',
  ':path': path,
  ':authority': 'test',
  'sec-websocket-version': '13',
  'sec-websocket-protocol': 'chat',
});

describe('a WebSocket (RFC 8441)', () => {
  test('is an upgrade to a backend that speaks HTTP/1.1, and bytes both ways from then on', async () => {
    const heads: string[] = [];
    stage.on('/socket', async (connection, head) => {
      heads.push(head);
      await connection.write(SWITCHED.replace('\r\n\r\n', '\r\nSec-WebSocket-Accept: x\r\n\r\n'));
      connection.socket.on('data', (bytes) => connection.socket.write(bytes));
      await connection.closed;
      connection.end();
    });
    const session = stage.session(true);
    await within(once(session, 'remoteSettings'), LONG_MS, 'the settings');
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
    const stream = session.request(handshake('/socket'), { endStream: false });
    const [head] = await within(once(stream, 'response'), LONG_MS, 'the answer');
    expect([head[':status'], head['upgrade'], head['sec-websocket-accept']]).toEqual([
      200,
      undefined,
      undefined,
    ]);
    const sent = randomBytes(300_000);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.write(sent);
    await waitFor(() => Buffer.concat(chunks).length === sent.length, LONG_MS, 'the echo');
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    stream.end();
    await waitFor(() => stream.closed, LONG_MS, 'the end');
    expect(heads[0]).toMatch(/^GET \/socket HTTP\/1\.1\r\n/);
    expect(heads[0]).toMatch(/\r\nconnection: upgrade\r\nupgrade: websocket\r\n/i);
    expect(heads[0]).toMatch(/\r\nsec-websocket-key: [\w+/]{22}==\r\n/i);
    expect((await stage.logged('/socket'))['status']).toBe(101);
  });

  test('a backend that answers 200 has not opened one', async () => {
    const session = stage.session();
    await within(once(session, 'remoteSettings'), LONG_MS, 'the settings');
    const { status, body } = await answerOf(
      session.request(handshake('/no-socket'), { endStream: false }),
    );
    expect([status, String(body)]).toEqual([502, 'ok']);
    stage.on('/refused', answer('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
    const refused = await answerOf(session.request(handshake('/refused'), { endStream: false }));
    expect([refused.status, String(refused.body)]).toEqual([403, 'no']);
  });

  test('any other CONNECT is refused', async () => {
    const session = stage.session();
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'test:443' });
    const { status } = await answerOf(stream).catch(() => ({ status: 405 }));
    expect(status).toBe(405);
  });
});

test('a name that the certificate is not for is 421, one that it is for is served', async () => {
  const authority = new Authority();
  const folder = temporaryFolder('sites');
  const certificates = ['one.test', 'two.test'].map((name) => {
    const names = name === 'one.test' ? ['one.test', 'also-one.test'] : [name];
    const { cert, key } = authority.sign(name, undefined, { names });
    const pair = { cert_file: join(folder, `${name}.crt`), key_file: join(folder, `${name}.key`) };
    writeFileSync(pair.cert_file, cert);
    writeFileSync(pair.key_file, key);
    return pair;
  });
  const sites = await startHttp2({}, { tls: { tls: { certificates } } });
  const session = sites.session(true, { servername: 'one.test' });
  const asked = async (host: string): Promise<number> =>
    (await ask(session, { ':path': '/', ':authority': host })).status;
  expect(await asked('one.test')).toBe(200);
  expect(await asked('ALSO-one.test:8443')).toBe(200);
  expect(await asked('two.test')).toBe(421);
  expect(await asked('one.test')).toBe(200);
  expect((await sites.logged('/', 2))['error']).toBe('ERR_MISDIRECTED');
});

test('a listener that sends its clients to https sends those of HTTP/2, too', async () => {
  const away = await startHttp2({}, { h2c: { redirect_to_https: true } });
  const { status, headers } = await ask(away.session(), { ':path': '/a?b', ':authority': 'test' });
  expect([status, headers.location]).toEqual([308, `https://test:${away.tls}/a?b`]);
});

test('a tunnel that its client resets is closed at the backend', async () => {
  stage.on('/reset-socket', async (connection) => {
    await connection.write(SWITCHED);
    await connection.closed;
    connection.end();
  });
  const session = stage.session();
  await within(once(session, 'remoteSettings'), LONG_MS, 'the settings');
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/reset-socket', ':authority': 'a' },
    { endStream: false },
  );
  await within(once(stream, 'response'), LONG_MS, 'the answer');
  stream.close(http2.constants.NGHTTP2_CANCEL);
  const backend = await stage.backend.request('/reset-socket');
  await within(backend.closed, LONG_MS, 'the end of the backend connection');
  session.destroy();
  expect((await stage.leftover()).inFlight).toBe(0);
});
