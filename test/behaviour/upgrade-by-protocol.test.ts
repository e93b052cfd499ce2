/** An upgrade, as clients see it that speak TLS, HTTP/2 or WebSocket. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type http2 from 'node:http2';
import { join } from 'node:path';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { afterTest } from '../support/after-test.ts';
import { Authority } from '../support/authority.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { okResponse } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { visit } from '../support/tls-client.ts';
import { awaitedLater, LONG_MS, SOON_MS, waitFor, within } from '../support/wait-for.ts';
import { answerOf, ask, startHttp2 } from './http2-stage.ts';
import { get, HANDSHAKE, metrics, SWITCHED, startProxy } from './stage.ts';
import { CLIENTS, ended, reconnecting, upgrade } from './upgrade-stage.ts';

const THREADS = { threads: 2 } as const;
/** What is under way waits for the test, however long an upgrade takes on a busy machine. */
const PATIENT = { timeouts: { drain: '60s', response: '60s' } } as const;
const PATIENT_MS = 60_000;
const MAX_STREAM_ID = 0x7f_ff_ff_ff;

function wasCut(fairlead: Fairlead): boolean {
  return fairlead.logs().some(({ event }) => event === 'drain.cut_off');
}

/** Of the process that has the admin API. */
async function requestsIn(fairlead: Fairlead): Promise<number> {
  const samples = Array.from(await metrics(fairlead));
  const counts = samples.filter(([name]) => name.startsWith('fairlead_requests_total{'));
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

test('over TLS nobody is refused or cut off, and each name has its certificate as before', async () => {
  const folder = temporaryFolder('upgrade-tls');
  const authority = new Authority();
  const names = ['one.test', 'two.test'] as const;
  const signed = names.map((name) => authority.sign(name));
  const certificates = signed.map(({ cert, key }, index) => {
    const files = {
      cert_file: join(folder, `${index}.crt`),
      key_file: join(folder, `${index}.key`),
    };
    writeFileSync(files.cert_file, cert);
    writeFileSync(files.key_file, key);
    return files;
  });
  const slowOnes: ServerResponse[] = [];
  const backend = await httpBackend((request, response) => {
    if (request.url === '/slow') slowOnes.push(response);
    else response.end('ok');
  });
  const { fairlead, port } = await onFreePorts(2, async ([free = 0, adminPort = 0]) => {
    const listeners = [{ port: free, host: '127.0.0.1', tls: { certificates } }];
    const config = {
      ...THREADS,
      ...PATIENT,
      backends: [backend.url],
      access_log: false,
      listeners,
    };
    const started = await startFairlead({
      cwd: folder,
      config: { ...config, admin_port: adminPort },
      ports: { port: free, adminPort },
    });
    return { fairlead: started, port: free };
  });
  const faults: string[] = [];
  const seen = names.map(() => new Set<string>());
  const regulars = names.map((servername, index) =>
    reconnecting(() => {
      const socket = tls.connect({
        host: '127.0.0.1',
        port,
        servername,
        rejectUnauthorized: false,
      });
      socket.on('secureConnect', () =>
        seen[index]?.add(socket.getPeerCertificate().fingerprint256),
      );
      return socket;
    }, faults),
  );
  const resuming = (session: Buffer | undefined) =>
    visit(port, { servername: 'one.test', ...(session && { session }) });
  const { session } = await resuming(undefined);
  expect((await resuming(session)).isReused).toBe(true);
  const slow = await rawClient(port, { tls: true });
  await slow.write(get('/slow'));
  await waitFor(() => slowOnes.length === 1);

  await upgrade(fairlead);
  slowOnes[0]?.end('slow');
  const { body, fields } = await slow.readResponse();
  expect([body.toString(), fields.get('connection')]).toEqual(['slow', ['close']]);
  await waitFor(() => ended(fairlead) === 1);
  // All of these are with the new process.
  const before = regulars.map(({ answered }) => answered());
  const hasServedAll = () =>
    regulars.every(({ answered }, i) => answered() > (before[i] ?? 0) + CLIENTS);
  await waitFor(hasServedAll);
  // Its keys of session tickets are its own: a handshake in full, once.
  const anew = await resuming(session);
  expect([anew.isReused, anew.answer.slice(0, 12)]).toEqual([false, 'HTTP/1.1 200']);
  expect((await resuming(anew.session)).isReused).toBe(true);
  for (const { stop } of regulars) await stop();
  expect(faults).toEqual([]);
  const wanted = signed.map(({ cert }) => new Set([new X509Certificate(cert).fingerprint256]));
  expect(seen).toEqual(wanted);
  expect(wasCut(fairlead)).toBe(false);
});

/** What is half sent when the upgrade begins. */
interface UnderWay {
  readonly session: http2.ClientHttp2Session;
  /** The last ids that its GOAWAYs have said. */
  readonly lastIds: readonly number[];
  readonly download: ReturnType<typeof answerOf>;
  readonly upload: http2.ClientHttp2Stream;
  readonly uploaded: ReturnType<typeof answerOf>;
}

test.each([
  ['in the clear', false],
  ['over TLS', true],
])(
  'sessions of HTTP/2 %s are told to go, end what is under way, and come back to the new process',
  async (_, isTls) => {
    const stage = await startHttp2({ ...THREADS, ...PATIENT });
    const { fairlead } = stage;
    const [sent, rest] = [randomBytes(100_000), randomBytes(200_000)];
    const whole = Buffer.concat([sent, rest]);
    let release!: () => void;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    stage.on('/down', async (connection) => {
      await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${whole.length}\r\n\r\n`);
      await connection.write(sent);
      await released;
      await connection.write(rest);
    });
    stage.on('/up', async (connection) => {
      const got = await connection.readBytes(whole.length, PATIENT_MS);
      await connection.write(okResponse(String(got.equals(whole))));
    });
    const faults: string[] = [];
    const open = (): http2.ClientHttp2Session =>
      stage.session(isTls).on('error', (error: Error) => faults.push(error.message));
    const begin = (): UnderWay => {
      const session = open();
      const lastIds: number[] = [];
      session.on('goaway', (code: number, lastId: number) => {
        if (code === 0) lastIds.push(lastId);
        else faults.push(`GOAWAY ${code}`);
      });
      const download = awaitedLater(ask(session, { ':path': '/down' }));
      const fields = { ':path': '/up', ':method': 'POST', 'content-length': whole.length };
      const upload = session.request(fields, { endStream: false });
      upload.write(sent);
      return { session, lastIds, download, upload, uploaded: awaitedLater(answerOf(upload)) };
    };
    const clients = Array.from({ length: 8 }, begin);
    for (const path of ['/down', '/up']) {
      await waitFor(() => stage.backend.served(path).length === clients.length);
    }

    await upgrade(fairlead);
    await waitFor(() => clients.every(({ lastIds }) => lastIds.length > 0));
    const newcomers = clients.map(open);
    const first = await Promise.all(newcomers.map((session) => ask(session, { ':path': '/' })));
    expect(first.map(({ status }) => status)).toEqual(newcomers.map(() => 200));
    // The admin API is the new one's: it has served them, and not the old one, which is still there.
    await waitFor(async () => (await requestsIn(fairlead)) === newcomers.length);
    expect(ended(fairlead)).toBe(0);
    // First, that whatever is on its way is served, and a while later which stream is the last one.
    await waitFor(() => clients.every(({ lastIds }) => lastIds.length > 1));
    for (const { lastIds } of clients) expect(lastIds).toEqual([MAX_STREAM_ID, 3]);

    release();
    for (const { upload } of clients) upload.end(rest);
    for (const { session, download, uploaded } of clients) {
      const [down, up] = [await download, await uploaded];
      expect([down.status, down.body.equals(whole)]).toEqual([200, true]);
      expect([up.status, String(up.body)]).toEqual([200, 'true']);
      await waitFor(() => session.destroyed, LONG_MS, 'the end of the session');
    }
    await waitFor(() => ended(fairlead) === 1);
    for (const session of newcomers) {
      expect((await ask(session, { ':path': '/again' })).status).toBe(200);
      session.close();
    }
    expect(faults).toEqual([]);
    expect(wasCut(fairlead)).toBe(false);
  },
);

/** A client that comes back as soon as it is told to go. */
class Returning {
  readonly codes: number[] = [];
  readonly errors: string[] = [];
  readonly #url: string;
  #socket: WebSocket;

  constructor(url: string) {
    this.#url = url;
    this.#socket = this.#open();
    afterTest(() => this.#socket.terminate());
  }

  #open(): WebSocket {
    const socket = new WebSocket(this.#url);
    socket.on('error', ({ message }) => this.errors.push(message));
    socket.on('close', (code) => {
      this.codes.push(code);
      if (code === 1001) this.#socket = this.#open();
    });
    return socket;
  }

  async echo(text: string): Promise<string> {
    const socket = this.#socket;
    if (socket.readyState === WebSocket.CONNECTING) await once(socket, 'open');
    const answer = once(socket, 'message');
    socket.send(text);
    return String((await within(answer, SOON_MS, `the echo of ${text}`))[0]);
  }
}

test('WebSockets are told to go and come back to the new process; what can’t be told is cut at the deadline', async () => {
  const sockets = new WebSocketServer({ noServer: true });
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(data));
  });
  const backend = await httpBackend();
  backend.server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    afterTest(() => void socket.destroy());
    if (request.url !== '/half') {
      sockets.handleUpgrade(request, socket, head, (it) => sockets.emit('connection', it));
    } else {
      // Nobody can say anything to the client before the end of the frame.
      socket.write(`${SWITCHED}\x81\x0ahello`, 'latin1');
    }
  });
  // Long enough for whoever is told to go at nine tenths of it.
  const drainMs = 6_000;
  const config = { ...THREADS, timeouts: { drain: `${drainMs}ms` } };
  const fairlead = await startProxy([backend.url], config, { args: [] });
  const url = `ws://127.0.0.1:${fairlead.port}/`;
  const clients = Array.from({ length: 8 }, () => new Returning(url));
  for (const client of clients) expect(await client.echo('old')).toBe('old');
  const half = await rawClient(fairlead.port);
  await half.write(get('/half', HANDSHAKE));
  await half.readUntil('hello');

  await upgrade(fairlead);
  const { time: begun } = await fairlead.waitForLog(({ event }) => event === 'stopping');
  const { time: over, reset } = await fairlead.waitForLog(({ event }) => event === 'drain.cut_off');
  expect(reset).toBe(1);
  expect(Date.parse(String(over)) - Date.parse(String(begun))).toBeGreaterThan(drainMs * 0.95);
  expect(await within(half.closed, SOON_MS, 'the cut')).toBe('ECONNRESET');
  expect(half.text.endsWith('\x81\x0ahello')).toBe(true);
  await waitFor(() => ended(fairlead) === 1);
  for (const client of clients) {
    await waitFor(() => client.codes.length > 0, LONG_MS, 'the end of its first WebSocket');
    expect(await client.echo('new')).toBe('new');
    expect(new Set(client.codes)).toEqual(new Set([1001]));
    expect(client.errors).toEqual([]);
  }
});
