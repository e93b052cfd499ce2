/** nginx as a backend that speaks HTTP/2: in the clear by prior knowledge, and over TLS. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import type http2 from 'node:http2';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ask } from '../../behaviour/http2-stage.ts';
import { Authority } from '../../support/authority.ts';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { hasTool, pathOf } from '../../support/tools.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Front, session, startFront, untilNothingIsLeft } from '../front.ts';
import { beginUpload, uploadByCurl } from './early.ts';
import { startLoad } from './load.ts';
import { type Program, startProgram } from './program.ts';

const MIB = 1024 * 1024;
const POOLS = ['plain', 'tls', 'few'] as const;

interface Nginx {
  readonly program: Program;
  readonly ports: readonly number[];
  /** Each request so far: `worker connection method uri protocol`. */
  seen(): string[][];
}

/** All pools have the same files: /POOL/name. */
const files: Record<string, Buffer> = {
  empty: Buffer.alloc(0),
  small: randomBytes(100),
  middle: randomBytes(70_000),
  large: randomBytes(MIB),
};

function configOf(folder: string, [plain, tls, few]: readonly number[]): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    events { worker_connections 1024; }
    http {
      log_format seen '$pid $connection $request_method $request_uri $server_protocol';
      access_log ${folder}/access.log seen;
      default_type application/octet-stream; client_max_body_size 0;
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
      root ${folder}/files;
      server {
        listen 127.0.0.1:${plain} http2; listen 127.0.0.1:${tls} ssl http2;
        ssl_certificate ${folder}/own.crt; ssl_certificate_key ${folder}/own.key;
        location / { dav_methods PUT; }
      }
      server {
        listen 127.0.0.1:${few} http2; keepalive_requests 10;
        location / { return 200 $request_uri; }
      }
    }`;
}

async function startNginx(authority: Authority): Promise<Nginx> {
  const folder = temporaryFolder('nginx');
  mkdirSync(join(folder, 'files'));
  mkdirSync(join(folder, 'files/plain'));
  symlinkSync('plain', join(folder, 'files/tls'));
  for (const [name, bytes] of Object.entries(files)) {
    writeFileSync(join(folder, 'files/plain', name), bytes);
  }
  const { cert, key } = authority.sign('localhost');
  writeFileSync(join(folder, 'own.crt'), cert);
  writeFileSync(join(folder, 'own.key'), key);
  const config = join(folder, 'nginx.conf');
  for (let left = 3; ; left--) {
    const ports = [await freePort(), await freePort(), await freePort()];
    writeFileSync(config, configOf(folder, ports));
    const program = startProgram(pathOf('nginx') ?? '', ['-c', config]);
    // It is written once all ports are bound.
    const pid = join(folder, 'nginx.pid');
    await waitFor(() => existsSync(pid) || !program.isRunning());
    if (program.isRunning()) {
      const log = join(folder, 'access.log');
      const seen = () =>
        readFileSync(log, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => line.split(' '));
      return { program, ports, seen };
    }
    if (left === 1) throw new Error(`nginx did not start:\n${program.output()}`);
  }
}

function sha(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

let nginx: Nginx;
let front: Front;

function workers(): number {
  return new Set(nginx.seen().map(([pid]) => pid)).size;
}

describe.runIf(hasTool('nginx') && hasTool('openssl') && hasTool('curl'))('nginx', () => {
  beforeAll(async () => {
    const authority = new Authority();
    nginx = await startNginx(authority);
    const pools = POOLS.map((pool, index) => {
      const at = pool === 'tls' ? 'https://localhost' : 'http://127.0.0.1';
      return [pool, { protocol: 'h2', backends: [`${at}:${nginx.ports[index]}`] }] as const;
    });
    const env = { NODE_EXTRA_CA_CERTS: authority.file };
    front = await startFront(Object.fromEntries(pools), { env });
  });

  describe.each([
    ['in the clear', 'plain', false],
    ['over TLS', 'tls', true],
  ])('%s', (_name, pool, isTls) => {
    let client: http2.ClientHttp2Session;
    beforeAll(() => {
      client = session(front, isTls);
    });

    function get(path: string, fields: http2.OutgoingHttpHeaders = {}) {
      return ask(client, { ':path': `/${pool}/${path}`, ...fields });
    }

    test('files of all sizes, to clients of both versions', async () => {
      for (const [name, bytes] of Object.entries(files)) {
        const { status, headers, body } = await get(name);
        expect([status, Number(headers['content-length']), sha(body)]).toEqual([
          200,
          bytes.length,
          sha(bytes),
        ]);
        const old = await fetch(`http://127.0.0.1:${front.h2c}/${pool}/${name}`);
        expect([old.status, sha(Buffer.from(await old.arrayBuffer()))]).toEqual([200, sha(bytes)]);
      }
      const versions = new Set(nginx.seen().map((request) => request[4]));
      expect([...versions]).toEqual(['HTTP/2.0']);
    });

    test('HEAD, parts, what has not changed, what is not there', async () => {
      const head = await get('large', { ':method': 'HEAD' });
      expect([head.status, head.headers['content-length'], head.body.length]).toEqual([
        200,
        String(MIB),
        0,
      ]);
      const part = await get('large', { range: 'bytes=1000-70999' });
      expect([part.status, sha(part.body)]).toEqual([
        206,
        sha(files['large']?.subarray(1000, 71_000) ?? Buffer.alloc(0)),
      ]);
      const same = await get('large', { 'if-none-match': String(head.headers['etag']) });
      expect([same.status, same.body.length]).toEqual([304, 0]);
      expect((await get('none')).status).toBe(404);
    });

    test.each([true, false])(
      'an upload of 1 MiB comes back as it was; its length is known: %s',
      async (isCounted) => {
        const body = randomBytes(MIB);
        const length = isCounted ? { 'content-length': MIB } : {};
        const name = `${pool}-${isCounted}`;
        const path = `/${pool}/${name}`;
        const put = await ask(client, { ':method': 'PUT', ':path': path, ...length }, body);
        expect(put.status).toBe(201);
        expect(sha((await get(name)).body)).toBe(sha(body));
        const old = await fetch(`http://127.0.0.1:${front.h2c}${path}`, { method: 'PUT', body });
        expect(old.status).toBe(204);
        expect(sha((await get(name)).body)).toBe(sha(body));
      },
    );

    test('an upload that is answered before it has come', async () => {
      const path = `/${pool}/small`;
      expect(await uploadByCurl(front, path)).toMatch(/ 405$/);
      expect(await beginUpload(front, path, isTls)).toMatch(/ 405 0$/);
      expect((await get('small')).status).toBe(200);
    });

    test('100 at once', async () => {
      const names = Object.keys(files);
      const asked = Array.from({ length: 100 }, (_, index) => names[index % 3] ?? '');
      const answers = await Promise.all(asked.map((name) => get(name)));
      expect(answers.map(({ status, body }) => [status, sha(body)])).toEqual(
        asked.map((name) => [200, sha(files[name] ?? Buffer.alloc(0))]),
      );
    });
  });

  test('a connection that takes ten requests: nothing is lost, and nothing comes twice', async () => {
    const client = session(front, false);
    const paths = Array.from({ length: 200 }, (_, index) => `/few/${index}`);
    const left = paths.toReversed();
    const answers: string[] = [];
    async function postAll(): Promise<void> {
      for (let path = left.pop(); path !== undefined; path = left.pop()) {
        const head = { ':method': 'POST', ':path': path };
        const { status, body } = await ask(client, head, randomBytes(1000));
        answers.push(`${status} ${body}`);
      }
    }
    // Many more at once than a connection takes: some have to go to another one several times.
    await Promise.all(Array.from({ length: 60 }, postAll));
    expect(answers.toSorted()).toEqual(paths.map((path) => `200 ${path}`).toSorted());
    // It logs a request once it has answered it.
    const seen = await waitFor(() => {
      const all = nginx.seen().filter((request) => request[3]?.startsWith('/few/'));
      return all.length >= paths.length ? all : null;
    });
    expect(seen.map((request) => request[3]).toSorted()).toEqual(paths.toSorted());
    const connections = new Set(seen.map((request) => request[1]));
    expect(connections.size).toBeGreaterThanOrEqual(paths.length / 10);
  });

  test('it is reloaded under load, again and again: nothing is lost', async () => {
    const path = '/plain/middle';
    const expected = sha(files['middle'] ?? Buffer.alloc(0));
    const load = startLoad(front, path, (answer) => sha(answer.body) === expected);
    for (let round = 0; round < 3; round++) {
      const before = workers();
      const answered = load.answered();
      await waitFor(() => load.answered() > answered + 20);
      nginx.program.signal('SIGHUP');
      await waitFor(() => workers() > before);
    }
    expect(await load.stop()).toEqual([]);
  });

  test('at the end nothing is left, and nobody has broken a rule', async () => {
    expect(await untilNothingIsLeft(front)).toEqual([]);
  });
});
