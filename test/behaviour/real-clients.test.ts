/** What `openssl s_client` and curl say of certificates by name, resumption, client certificates, and proxies that they are told of. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, test } from 'vitest';
import { Authority, type Signed } from '../support/authority.ts';
import { startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';

const run = promisify(execFile);
const RESUMPTIONS = 20;

let folder: string;
beforeEach(() => {
  folder = temporaryFolder('real-clients');
});

function written(name: string, { cert, key }: Signed) {
  const pair = { cert_file: join(folder, `${name}.crt`), key_file: join(folder, `${name}.key`) };
  writeFileSync(pair.cert_file, cert);
  writeFileSync(pair.key_file, key);
  return pair;
}

async function start(tls: Readonly<Record<string, unknown>>): Promise<number> {
  const backend = await httpBackend();
  return onFreePorts(2, async ([port = 0, adminPort = 0]) => {
    await startFairlead({
      config: { admin_port: adminPort, backends: [backend.url], listeners: [{ port, tls }] },
      ports: { port, adminPort },
    });
    return port;
  });
}

/** All that it prints of a connection over which it asks for `/`. */
async function sClient(port: number, ...more: readonly string[]): Promise<string> {
  const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...more], {
    timeout: 30_000,
  });
  let text = '';
  for (const stream of [client.stdout, client.stderr]) {
    stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  }
  client.stdin.on('error', () => {});
  // It ends with what it has been given to say; the answer closes the connection.
  client.stdin.write('GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n');
  await once(client, 'close');
  return text;
}

describe.runIf(hasTool('openssl'))('openssl s_client', () => {
  test('is shown the certificate of the name that it asks for', async () => {
    const authority = new Authority();
    const certificates = ['one.test', 'two.test'].map((name) =>
      written(name, authority.sign(name)),
    );
    const port = await start({ certificates });
    for (const name of ['one.test', 'two.test']) {
      const text = await sClient(port, '-servername', name, '-CAfile', authority.file);
      expect(text).toMatch(new RegExp(`subject=CN ?= ?${name}\\n`));
      expect(text).toContain('Verify return code: 0 (ok)');
      expect(text).toContain('HTTP/1.1 200 OK');
    }
    expect(await sClient(port, '-servername', 'else.test')).toMatch(/subject=CN ?= ?one\.test\n/);
  });

  test('that asks for a name that is refused hears so', async () => {
    const certificates = [written('one', new Authority().sign('one.test'))];
    const port = await start({ certificates, unknown_name: 'refuse' });
    expect(await sClient(port, '-servername', 'else.test')).toMatch(/unrecognized name/);
  });

  test.each(['-tls1_2', '-tls1_3'])(
    'resumes its session over %s in every thread',
    async (version) => {
      const certificates = [written('one', new Authority().sign('one.test'))];
      const port = await start({ certificates });
      const session = join(folder, 'session.pem');
      const first = await sClient(port, version, '-servername', 'one.test', '-sess_out', session);
      expect(first).toMatch(/^New, TLSv1\.[23]/m);
      let resumed = 0;
      for (let round = 0; round < RESUMPTIONS; round++) {
        const again = await sClient(port, version, '-servername', 'one.test', '-sess_in', session);
        if (/^Reused, TLSv1\.[23]/m.test(again)) resumed++;
      }
      expect(resumed).toBe(RESUMPTIONS);
    },
  );

  test('needs a certificate of its own where one is required', async () => {
    const authority = new Authority();
    const certificates = [written('one', authority.sign('one.test'))];
    const demand = { mode: 'require', ca_file: authority.file };
    const port = await start({ certificates, client_certificates: demand });
    const { cert_file, key_file } = written('alice', authority.sign('alice'));
    const mine = await sClient(port, '-cert', cert_file, '-key', key_file);
    expect(mine).toContain('HTTP/1.1 200 OK');
    const none = await sClient(port);
    expect(none).toMatch(/alert (certificate required|handshake failure)/);
    expect(none).not.toContain('HTTP/1.1 200 OK');
  });
});

/** Two sites with a pool each. */
async function site() {
  const [one, two] = await Promise.all(
    ['one', 'two'].map((name) =>
      httpBackend((request, response) => {
        response.end(`${name} ${request.headers.host} ${request.headers['x-secret'] ?? '-'}`);
      }),
    ),
  );
  const { url } = await startFairlead({
    config: {
      pools: { one: { backends: [one?.url] }, two: { backends: [two?.url] } },
      routes: [
        { host: 'one.test', pool: 'one' },
        { host: 'two.test', pool: 'two' },
      ],
    },
  });
  return url;
}

describe.runIf(hasTool('curl'))('curl that takes Fairlead for its proxy', () => {
  test('is led by what it asks for, and not by its Host', async () => {
    const url = await site();
    const args = ['-sS', '--proxy', url, '-H', 'Host: two.test', 'http://one.test/'];
    expect((await run('curl', args)).stdout).toBe('one one.test -');
  });

  test('gets no tunnel, whatever it says to its proxy', async () => {
    const url = await site();
    const proxy = ['--proxy', url, '--proxytunnel', '--proxy-header', 'X-Secret: for-the-proxy'];
    const code = ['-o', '/dev/null', '-w', '%{http_connect}'];
    const refused = await run('curl', ['-sS', ...proxy, ...code, 'http://one.test/']).catch(
      (error: { stdout: string }) => error,
    );
    expect(refused.stdout).toBe('405');
  });
});
