/** TLS to the backends of a pool: its own authority, name and certificate, for requests and checks; and what a reload does. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Authority, type Signed } from '../support/authority.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { TlsBackend } from '../support/tls-backend.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const WITHOUT_TLS_HANDLES = new URL('../support/without-tls-handles.mjs', import.meta.url).href;
const CHECK = { frequency: '1h', down_frequency: '1h', timeout: '10s' };

interface View {
  readonly health: string;
  readonly reason: string;
  readonly hint?: string;
}

/** Each pool with one backend, by the path `/NAME`. */
function configOf(
  pools: Readonly<Record<string, { url: string; tls?: object }>>,
  check = {},
): Record<string, unknown> {
  return {
    pools: Object.fromEntries(
      Object.entries(pools).map(([name, { url, tls }]) => [
        name,
        {
          backends: [url],
          health_check: { ...CHECK, ...check },
          retries: false,
          ...(tls && { tls }),
        },
      ]),
    ),
    routes: Object.keys(pools).map((name) => ({ path: `/${name}`, pool: name })),
  };
}

async function viewOf(fairlead: Fairlead, pool: string): Promise<View> {
  return waitFor(async () => {
    const answer = await fetch(`${fairlead.adminUrl}/pools/${pool}/backends`);
    const [view] = (await answer.json()) as View[];
    return view?.health === 'unknown' ? undefined : view;
  });
}

function filesOf(signed: Signed): { readonly cert_file: string; readonly key_file: string } {
  const folder = temporaryFolder('pair');
  const files = { cert_file: join(folder, 'a.crt'), key_file: join(folder, 'a.key') };
  writeFileSync(files.cert_file, signed.cert);
  writeFileSync(files.key_file, signed.key);
  return files;
}

describe.runIf(hasTool('openssl')).each([
  ['on handles', ''],
  ['on sockets', `--import ${WITHOUT_TLS_HANDLES}`],
])('TLS to the backends of a pool, %s', (_name, options) => {
  let authority: Authority;

  beforeAll(() => {
    authority = new Authority();
  });

  async function start(pools: Parameters<typeof configOf>[0], check = {}): Promise<Fairlead> {
    return startFairlead({ config: configOf(pools, check), env: { NODE_OPTIONS: options } });
  }

  test('each pool trusts whom it says, by the name that it says, and asks for that', async () => {
    const shop = await new TlsBackend(authority.sign('shop.test')).listen();
    const old = await new TlsBackend(authority.sign('shop.test', '210101000000Z')).listen();
    const url = `https://127.0.0.1:${shop.port}`;
    const ca = { ca_file: authority.file };
    const fairlead = await start({
      named: { url, tls: { ...ca, server_name: 'shop.test' } },
      unnamed: { url, tls: ca },
      misnamed: { url, tls: { ...ca, server_name: 'other.test' } },
      unknown: { url, tls: { server_name: 'shop.test' } },
      careless: { url, tls: { verify: false, server_name: 'any.test' } },
      expired: { url: `https://127.0.0.1:${old.port}`, tls: { ...ca, server_name: 'shop.test' } },
    });
    expect(await viewOf(fairlead, 'named')).toMatchObject({ health: 'healthy' });
    expect(await viewOf(fairlead, 'named')).not.toHaveProperty('hint');
    expect(await viewOf(fairlead, 'careless')).toMatchObject({ health: 'healthy' });
    expect(await viewOf(fairlead, 'unnamed')).toMatchObject({
      health: 'unhealthy',
      reason: expect.stringMatching(/IP: 127\.0\.0\.1 is not in the cert's list/),
      hint: expect.stringContaining('server_name'),
    });
    expect(await viewOf(fairlead, 'misnamed')).toMatchObject({
      reason: expect.stringMatching(/Host: other\.test\. is not .*DNS:shop\.test/),
      hint: expect.stringContaining('does not name other.test'),
    });
    expect(await viewOf(fairlead, 'unknown')).toMatchObject({
      reason: expect.stringMatching(
        /unable to (verify the first certificate|get local issuer certificate)/,
      ),
      hint: expect.stringContaining('ca_file'),
    });
    expect(await viewOf(fairlead, 'expired')).toMatchObject({
      reason: expect.stringContaining('certificate has expired'),
      hint: expect.stringContaining('renewed'),
    });
    const line = await fairlead.waitForLog(
      (one) => one.event === 'backend.down' && one['pool'] === 'misnamed',
    );
    expect(line).toMatchObject({ hint: expect.stringContaining('other.test') });

    shop.names.length = 0;
    expect((await fetch(`${fairlead.url}/named`)).status).toBe(200);
    expect(shop.names).toEqual(['shop.test']);
    expect((await fetch(`${fairlead.url}/careless`)).status).toBe(200);
    expect(shop.names).toEqual(['shop.test', 'any.test']);
    for (const pool of ['unnamed', 'misnamed', 'unknown', 'expired']) {
      expect((await fetch(`${fairlead.url}/${pool}`)).status).toBe(503);
    }
  });

  test('a certificate of ours is shown to who asks, by requests and by checks', async () => {
    const own = new Authority();
    const backend = await new TlsBackend(authority.sign('localhost'), {
      requestCert: true,
      rejectUnauthorized: true,
      ca: readFileSync(own.file, 'utf8'),
    }).listen();
    const url = `https://localhost:${backend.port}`;
    const ca = { ca_file: authority.file };
    const fairlead = await start({
      shown: { url, tls: { ...ca, ...filesOf(own.sign('proxy.test')) } },
      none: { url, tls: ca },
      foreign: { url, tls: { ...ca, ...filesOf(authority.sign('proxy.test')) } },
    });
    expect(await viewOf(fairlead, 'shown')).toMatchObject({ health: 'healthy' });
    expect(await viewOf(fairlead, 'none')).toMatchObject({ health: 'unhealthy' });
    expect(await viewOf(fairlead, 'foreign')).toMatchObject({ health: 'unhealthy' });
    expect((await fetch(`${fairlead.url}/shown`)).status).toBe(200);
    // The check, and the request.
    expect(backend.clients).toEqual(['proxy.test', 'proxy.test']);
  });

  test('a reload with another authority closes what was made under the old one', async () => {
    const backend = await new TlsBackend(authority.sign('localhost')).listen();
    const file = filesOf(authority.sign('none')).cert_file;
    copyFileSync(authority.file, file);
    const url = `https://localhost:${backend.port}`;
    const fairlead = await start(
      {
        a: { url, tls: { ca_file: file } },
        b: { url, tls: { verify: false } },
      },
      { down_frequency: '200ms', rise: 1, fall: 1 },
    );
    await viewOf(fairlead, 'a');
    await viewOf(fairlead, 'b');
    const before = backend.closed.length;
    expect((await fetch(`${fairlead.url}/a`)).status).toBe(200);
    expect((await fetch(`${fairlead.url}/b`)).status).toBe(200);
    const [ofA, ofB] = backend.closed.slice(before) as [Promise<unknown>, Promise<unknown>];

    copyFileSync(new Authority().file, file);
    expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
    await ofA;
    const answer = await fetch(`${fairlead.url}/a`);
    // 502 or, once the check has found out, 503; never by the session of the old authority.
    expect([502, 503]).toContain(answer.status);
    const down = await waitFor(async () => {
      const view = await viewOf(fairlead, 'a');
      return view.health === 'unhealthy' ? view.hint : undefined;
    });
    expect(down).toContain(file);
    const opened = backend.closed.length;
    expect((await fetch(`${fairlead.url}/b`)).status).toBe(200);
    expect(await Promise.race([ofB, 'is open'])).toBe('is open');

    writeFileSync(file, 'nothing');
    expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(422);
    copyFileSync(authority.file, file);
    expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
    await waitFor(async () => (await viewOf(fairlead, 'a')).health === 'healthy');
    // A data thread hears of it a moment later.
    await waitFor(async () => (await fetch(`${fairlead.url}/a`)).status === 200);
    expect(backend.closed.length).toBeGreaterThan(opened);
  });
});

test.runIf(hasTool('openssl')).each([
  ['TLSv1.2', 29],
  // Two tickets come with a whole handshake and none with a resumed one, as Node has it: one that was good is shown again.
  ['TLSv1.3', 29],
] as const)(
  'sessions of %s are resumed on the terms of a pool, %i times of 30',
  async (maxVersion, expected) => {
    const authority = new Authority();
    const backend = await new TlsBackend(
      authority.sign('shop.test'),
      { maxVersion, requestCert: true, rejectUnauthorized: false },
      { Connection: 'close' },
    ).listen();
    const tls = {
      ca_file: authority.file,
      server_name: 'shop.test',
      ...filesOf(authority.sign('proxy.test')),
    };
    const fairlead = await startFairlead({
      config: configOf({ a: { url: `https://127.0.0.1:${backend.port}`, tls } }),
      args: ['--threads', '1'],
    });
    await viewOf(fairlead, 'a');
    backend.reused.length = 0;
    for (let round = 0; round < 30; round++) {
      expect((await fetch(`${fairlead.url}/a`)).status).toBe(200);
    }
    expect(backend.reused.filter(Boolean).length).toBe(expected);
  },
);
