/** Certificates by the name that a client asks for: `listeners[].tls.certificates`. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { Authority, type Signed, type SignOptions } from '../support/authority.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { inPieces, refusalOf, visit } from '../support/tls-client.ts';
import { hasTool } from '../support/tools.ts';

const exec = promisify(execFile);
const WITHOUT_TLS_HANDLES = new URL('../support/without-tls-handles.mjs', import.meta.url).href;
const WAYS = [
  ['on handles', undefined],
  ['on sockets', { NODE_OPTIONS: `--import ${WITHOUT_TLS_HANDLES}` }],
] as const;

interface Site {
  readonly fairlead: Fairlead;
  readonly port: number;
}

interface Pair {
  readonly cert_file: string;
  readonly key_file: string;
}

function folderOf(): string {
  const folder = temporaryFolder('tls-names');
  return folder;
}

function written(folder: string, name: string, { cert, key }: Signed): Pair {
  const pair = { cert_file: join(folder, `${name}.crt`), key_file: join(folder, `${name}.key`) };
  writeFileSync(pair.cert_file, cert);
  writeFileSync(pair.key_file, key);
  return pair;
}

/** Signed by an authority of their own; the first is the default. */
function pairs(...wanted: readonly (readonly [name: string, more?: SignOptions])[]): Pair[] {
  const authority = new Authority();
  const folder = folderOf();
  return wanted.map(([name, more], index) =>
    written(folder, String(index), authority.sign(name, undefined, more)),
  );
}

async function start(
  tls: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Site> {
  const backend = await httpBackend();
  return onFreePorts(2, async ([port = 0, adminPort = 0]) => {
    const fairlead = await startFairlead({
      config: { admin_port: adminPort, backends: [backend.url], listeners: [{ port, tls }] },
      ports: { port, adminPort },
      env,
    });
    return { fairlead, port };
  });
}

/** The same proxy at the same port, with other certificates. */
async function changed({ fairlead, port }: Site, tls: object): Promise<Site> {
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...config, listeners: [{ port, tls }] }));
  const answer = await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' });
  expect([answer.status, await answer.text()]).toEqual([200, expect.anything()]);
  return { fairlead, port };
}

describe.runIf(hasTool('openssl')).each(WAYS)('%s', (_way, env) => {
  let site: Site;
  beforeAll(async () => {
    site = await start({ certificates: pairs(['before.test']) }, env);
  });

  test('a client gets the certificate of the name that it asks for, or else the first', async () => {
    const certificates = pairs(
      ['default.test', { names: ['default.test', 'www.default.test'] }],
      ['wild.test', { names: ['*.wild.test'] }],
      ['exact.test', { names: ['one.wild.test'] }],
    );
    const { port } = await changed(site, { certificates });
    const served: Record<string, string> = {};
    const asked = ['www.default.test', 'two.wild.test', 'one.wild.test', 'TWO.Wild.Test'];
    for (const servername of [...asked, 'a.b.wild.test', 'wild.test', 'else.test', '']) {
      served[servername] = (await visit(port, { servername })).name;
    }
    expect(served).toEqual({
      'www.default.test': 'default.test',
      'two.wild.test': 'wild.test',
      'TWO.Wild.Test': 'wild.test',
      'one.wild.test': 'exact.test',
      // One label stands for the star, and no less.
      'a.b.wild.test': 'default.test',
      'wild.test': 'default.test',
      'else.test': 'default.test',
      '': 'default.test',
    });
  });

  test('however its first message is cut up', async () => {
    const certificates = pairs(['one.test'], ['two.test']);
    const { port } = await changed(site, { certificates });
    for (const bytes of [1, 100]) {
      const through = await inPieces(port, bytes);
      const { name, answer } = await visit(through, { servername: 'two.test' });
      expect(name).toBe('two.test');
      expect(answer).toContain('200 OK');
    }
  });

  test('an RSA certificate stands beside an ECDSA one for who can do no other', async () => {
    const certificates = pairs(
      ['both.test'],
      ['both.test', { isRsa: true }],
      ['other.test', { isRsa: true }],
    );
    const { port } = await changed(site, { certificates });
    const keyTypes = async (servername: string): Promise<(string | undefined)[]> => [
      (await visit(port, { servername })).keyType,
      (await visit(port, { servername, sigalgs: 'RSA-PSS+SHA256' })).keyType,
    ];
    expect(await keyTypes('both.test')).toEqual(['ec', 'rsa']);
    expect(await keyTypes('other.test')).toEqual(['rsa', 'rsa']);
    // The default, too.
    expect(await keyTypes('unknown.test')).toEqual(['ec', 'rsa']);
  });

  test('unknown_name: refuse is an alert, and nobody else is hurt', async () => {
    const certificates = pairs(['one.test']);
    const { port } = await changed(site, { certificates, unknown_name: 'refuse' });
    for (const servername of ['two.test', '']) {
      expect(await refusalOf(port, { servername })).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
    }
    expect((await visit(port, { servername: 'one.test' })).name).toBe('one.test');
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a session over %s is resumed in every thread, but not under another name',
    async (maxVersion) => {
      const certificates = pairs(['one.test'], ['two.test']);
      const { port } = await changed(site, { certificates });
      const first = await visit(port, { servername: 'one.test', maxVersion });
      const reused: boolean[] = [];
      for (let round = 0; round < 20; round++) {
        const { session } = first;
        const again = await visit(port, { servername: 'one.test', maxVersion, session });
        reused.push(again.isReused);
      }
      expect(reused.filter(Boolean)).toHaveLength(20);
      const { session } = first;
      const other = await visit(port, { servername: 'two.test', maxVersion, session });
      expect(other).toMatchObject({ isReused: false, name: 'two.test' });
    },
  );

  test('min_version, and no ciphers without forward secrecy and authentication', async () => {
    const certificates = pairs(['one.test']);
    const { port } = await changed(site, { certificates, min_version: 1.3 });
    expect((await visit(port)).protocol).toBe('TLSv1.3');
    expect(await refusalOf(port, { maxVersion: 'TLSv1.2' })).toMatch(/PROTOCOL_VERSION/);
    const { port: other } = await changed(site, { certificates });
    const weak = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } as const;
    expect(await refusalOf(other, weak)).toMatch(/HANDSHAKE_FAILURE/);
  });
});

test.runIf(hasTool('openssl') && hasTool('curl'))(
  'curl verifies each of two sites in a folder by its authority',
  async () => {
    const authority = new Authority();
    const folder = folderOf();
    for (const name of ['shop.test', 'blog.test']) written(folder, name, authority.sign(name));
    const { port } = await start({ certificates: [{ folder }], unknown_name: 'refuse' });
    const get = (name: string): Promise<{ readonly stdout: string }> => {
      const to = ['--resolve', `${name}:${port}:127.0.0.1`, `https://${name}:${port}/`];
      return exec('curl', [
        '-s',
        '--cacert',
        authority.file,
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        ...to,
      ]);
    };
    expect((await get('shop.test')).stdout).toBe('200');
    expect((await get('blog.test')).stdout).toBe('200');
    await expect(get('else.test')).rejects.toThrow(/curl/);
  },
);
