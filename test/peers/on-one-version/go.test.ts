/** Go's net/http as a backend that speaks HTTP/2 over TLS. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { answerOf, ask } from '../../behaviour/http2-stage.ts';
import { Authority } from '../../support/authority.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { hasTool, pathOf } from '../../support/tools.ts';
import { LONG_MS, waitFor, within } from '../../support/wait-for.ts';
import { type Front, session, startFront, untilNothingIsLeft } from '../front.ts';
import { beginUpload, uploadByCurl } from './early.ts';
import { startLoad } from './load.ts';
import { type Program, startProgram } from './program.ts';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('go/main.go', import.meta.url));
const MIB = 1024 * 1024;

let front: Front;
let servers: readonly Program[];
let client: http2.ClientHttp2Session;

function sha(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Without modules, the network and a cache of its own user. */
async function build(folder: string): Promise<string> {
  const program = join(folder, 'server');
  const env = {
    PATH: process.env['PATH'],
    GO111MODULE: 'off',
    GOPROXY: 'off',
    GOTOOLCHAIN: 'local',
    GOCACHE: join(folder, 'cache'),
  };
  await run(pathOf('go') ?? '', ['build', '-o', program, SOURCE], { env });
  return program;
}

function portOf(server: Program): Promise<string> {
  return waitFor(() => /^port (\d+)$/m.exec(server.output())?.[1]);
}

function outputs(): string[] {
  return servers.flatMap((server) => server.output().split('\n'));
}

/** Waits until one of the servers has said it. */
async function said(line: string): Promise<string> {
  return waitFor(() => outputs().find((one) => one === line), LONG_MS, line);
}

describe.runIf(hasTool('go') && hasTool('openssl') && hasTool('curl'))('Go', () => {
  beforeAll(async () => {
    const folder = temporaryFolder('go');
    const program = await build(folder);
    const authority = new Authority();
    const { cert, key } = authority.sign('localhost');
    const files = [join(folder, 'own.crt'), join(folder, 'own.key')] as const;
    writeFileSync(files[0], cert);
    writeFileSync(files[1], key);
    const start = () => startProgram(program, ['-cert', files[0], '-key', files[1]]);
    servers = [start(), start()];
    const ports = await Promise.all(servers.map(portOf));
    const backends = ports.map((port) => `https://localhost:${port}`);
    front = await startFront(
      { go: { protocol: 'h2', backends } },
      { env: { NODE_EXTRA_CA_CERTS: authority.file } },
    );
    client = session(front, true);
  });

  test('answers of all sizes, to clients of both versions', async () => {
    for (const size of [0, 1, 2_048, 16_384, 65_535, MIB]) {
      for (const counted of ['', '1']) {
        const path = `/go/bytes?size=${size}&counted=${counted}`;
        const { status, headers, body } = await ask(client, { ':path': path });
        // Go counts what it has not yet begun to send when it is complete.
        const length = counted === '1' || size <= 2_048 ? String(size) : undefined;
        expect([status, headers['content-length'], body.length]).toEqual([200, length, size]);
        expect(body.every((byte) => byte === size % 256)).toBe(true);
        const old = await fetch(`http://127.0.0.1:${front.h2c}${path}`);
        expect([old.status, sha(new Uint8Array(await old.arrayBuffer()))]).toEqual([
          200,
          sha(body),
        ]);
      }
    }
    const hello = await ask(client, { ':path': '/go/hello', ':authority': 'shop.test' });
    expect(String(hello.body)).toBe('GET HTTP/2.0 shop.test');
  });

  test('HEAD', async () => {
    const head = await ask(client, { ':method': 'HEAD', ':path': '/go/bytes?size=9&counted=1' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '9', 0]);
  });

  test('an upload of 1 MiB, counted or not, and trailers behind it', async () => {
    const body = randomBytes(MIB);
    const post = { ':method': 'POST', ':path': '/go/digest' };
    const counted = await ask(client, { ...post, 'content-length': MIB }, body);
    expect(String(counted.body)).toBe(`${MIB} ${sha(body)} `);
    const stream = client.request({ ...post, trailer: 'x-sum' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': sha(body) }));
    expect(String((await answerOf(stream, body)).body)).toBe(`-1 ${sha(body)} ${sha(body)}`);
    const old = await fetch(`http://127.0.0.1:${front.h2c}/go/digest`, { method: 'POST', body });
    expect(await old.text()).toBe(`${MIB} ${sha(body)} `);
  });

  test('1 MiB comes back while it goes out, and trailers, announced and not', async () => {
    const sent = randomBytes(MIB);
    const { body, trailers } = await ask(client, { ':method': 'POST', ':path': '/go/echo' }, sent);
    expect([body.length, sha(body)]).toEqual([MIB, sha(sent)]);
    expect([trailers['x-digest'], trailers['x-unannounced']]).toEqual([sha(sent), 'yes']);
  });

  test('each part goes through as it comes, in both directions', async () => {
    const stream = client.request({ ':method': 'POST', ':path': '/go/turns' });
    await within(once(stream, 'response'), LONG_MS, 'the head before the first part');
    for (let round = 0; round < 20; round++) {
      stream.write(`part ${round}\n`);
      const [part] = await within(once(stream, 'data'), LONG_MS, `part ${round}`);
      expect(String(part)).toBe(`part ${round}\n`);
    }
    const ended = answerOf(stream);
    stream.end();
    await ended;
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
  });

  test('early hints', async () => {
    const stream = client.request({ ':path': '/go/hints' });
    const hints: unknown[] = [];
    stream.on('headers', (head) => hints.push([head[':status'], head['link']]));
    const { status, body } = await answerOf(stream);
    expect([status, String(body)]).toEqual([200, 'hinted']);
    expect(hints).toEqual([[103, '</a.css>; rel=preload']]);
  });

  test('an upload that is answered before it has come', async () => {
    expect(await uploadByCurl(front, '/go/refuse')).toBe('who are you? 401');
    expect(await beginUpload(front, '/go/refuse', true)).toBe('who are you? 401 0');
    expect((await ask(client, { ':path': '/go/hello' })).status).toBe(200);
  });

  test('an answer that breaks off is not taken for a whole one', async () => {
    await expect(ask(client, { ':path': '/go/abort' })).rejects.toThrow(/INTERNAL_ERROR/);
    expect((await ask(client, { ':path': '/go/hello' })).status).toBe(200);
  });

  test('what is called off is called off there: by a reset, and by the end of a connection', async () => {
    const reset = client.request({ ':path': '/go/silent?reset' });
    reset.on('error', () => {});
    await said('came reset');
    reset.close(http2.constants.NGHTTP2_CANCEL);
    expect(await said('called off reset')).toBeTruthy();
    const other = session(front, true);
    const lost = other.request({ ':path': '/go/silent?lost' });
    lost.on('error', () => {});
    await said('came lost');
    other.destroy();
    expect(await said('called off lost')).toBeTruthy();
  });

  test('100 at once', async () => {
    const sizes = Array.from({ length: 100 }, (_, index) => index * 500);
    const answers = await Promise.all(
      sizes.map((size) => ask(client, { ':path': `/go/bytes?size=${size}` })),
    );
    expect(answers.map(({ status, body }) => [status, body.length])).toEqual(
      sizes.map((size) => [200, size]),
    );
  });

  test('one of two is shut down in order under load: nothing is lost', async () => {
    const load = startLoad(front, '/go/bytes?size=5000', ({ body }) => body.length === 5_000);
    await waitFor(() => load.answered() > 50);
    expect(await servers[0]?.stop()).toBe(0);
    const answered = load.answered();
    await waitFor(() => load.answered() > answered + 50);
    expect(await load.stop()).toEqual([]);
  });

  test('at the end nothing is left, and nobody has broken a rule', async () => {
    expect(await untilNothingIsLeft(front)).toEqual([]);
  });
});
