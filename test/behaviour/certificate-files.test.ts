/** The files of certificates are watched: what is good is taken up while clients connect, what is not changes nothing. */
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { Authority, type Signed } from '../support/authority.ts';
import { type Fairlead, runFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { reusedFairlead } from '../support/reused-fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { visit } from '../support/tls-client.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

let folder: string;
let authority: Authority;

beforeEach(() => {
  folder = temporaryFolder('certificate-files');
  authority = new Authority();
});

interface Site {
  readonly fairlead: Fairlead;
  readonly port: number;
}

async function start(certificate: object): Promise<Site> {
  const backend = await httpBackend();
  return onFreePorts(1, async ([port = 0]) => {
    const listeners = [{ port, tls: { certificates: [certificate] } }];
    const fairlead = await reusedFairlead({ config: { backends: [backend.url], listeners } });
    return { fairlead, port };
  });
}

/** Each file by a rename; between the two there may be a look. */
function replace(base: string, { cert, key }: Signed): void {
  for (const [ending, text] of [
    ['key', key],
    ['crt', cert],
  ]) {
    writeFileSync(`${base}.${ending}.new`, text as string);
    renameSync(`${base}.${ending}.new`, `${base}.${ending}`);
  }
}

async function serves(port: number, name: string, servername = ''): Promise<void> {
  await waitFor(async () => (await visit(port, { servername })).name === name);
}

async function admin(fairlead: Fairlead, path: string): Promise<string> {
  return (await fetch(`${fairlead.adminUrl}${path}`)).text();
}

async function problems(): Promise<string> {
  const tls = { certificates: [{ folder: 'certs' }] };
  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify({ backends: [':1'], listeners: [{ port: 1, tls }] }));
  const { code, stdout, stderr } = await runFairlead(['check', '--config', config]);
  expect(code).toBe(2);
  expect(stdout + stderr).toMatch(
    /config\.json:1:\d+: listeners\.0\.tls\.certificates\.0\.folder: /,
  );
  return stdout + stderr;
}

interface View {
  readonly certificates: readonly { readonly names: string[]; readonly default: boolean }[];
  readonly faults: readonly { readonly file: string; readonly message: string }[];
}

async function view(fairlead: Fairlead): Promise<View> {
  return JSON.parse(await admin(fairlead, '/certificates')) as View;
}

describe.runIf(hasTool('openssl'))('a good one is taken up', () => {
  test('that replaces its files, with no word to anybody; sessions go on', async () => {
    const base = join(folder, 'a');
    replace(base, authority.sign('one.test', undefined, { subject: '/CN=first' }));
    const { fairlead, port } = await start({ cert_file: `${base}.crt`, key_file: `${base}.key` });
    const { session } = await visit(port);
    replace(base, authority.sign('one.test', undefined, { subject: '/CN=second' }));
    await serves(port, 'second');
    expect((await visit(port, { session })).isReused).toBe(true);
    await fairlead.waitForLog(({ event }) => event === 'certificates.changed');
    expect((await view(fairlead)).faults).toEqual([]);
    expect(await admin(fairlead, '/metrics')).toMatch(
      /^fairlead_certificate_reloads_total\{result="success"\} [1-9]/m,
    );
  });

  test('by links, as certbot has it, and a site that comes to the folder', async () => {
    for (const name of ['archive', 'live', 'live/one.test']) mkdirSync(join(folder, name));
    const live = join(folder, 'live', 'one.test');
    const renew = (number: number, signed: Signed): void => {
      for (const [name, text] of [
        ['privkey', signed.key],
        ['fullchain', signed.cert],
      ] as const) {
        writeFileSync(join(folder, 'archive', `${name}${number}.pem`), text);
        symlinkSync(`../../archive/${name}${number}.pem`, join(live, `${name}.pem.new`));
        renameSync(join(live, `${name}.pem.new`), join(live, `${name}.pem`));
      }
    };
    writeFileSync(join(folder, 'live', 'README'), 'This directory contains your keys');
    renew(1, authority.sign('one.test', undefined, { subject: '/CN=first' }));
    const { port } = await start({ folder: join(folder, 'live') });
    await serves(port, 'first');
    renew(2, authority.sign('one.test', undefined, { subject: '/CN=second' }));
    await serves(port, 'second');
    mkdirSync(join(folder, 'live', 'two.test'));
    replace(join(folder, 'live', 'two.test', 'two'), authority.sign('two.test'));
    await serves(port, 'two.test', 'two.test');
    expect((await visit(port, { servername: 'one.test' })).name).toBe('second');
  });

  test('by a link to a folder, as Kubernetes has it', async () => {
    const mounted = join(folder, 'mounted');
    mkdirSync(mounted);
    const publish = (version: string, signed: Signed): void => {
      mkdirSync(join(mounted, version));
      writeFileSync(join(mounted, version, 'tls.crt'), signed.cert);
      writeFileSync(join(mounted, version, 'tls.key'), signed.key);
      symlinkSync(version, join(mounted, '..data.new'));
      renameSync(join(mounted, '..data.new'), join(mounted, '..data'));
    };
    publish('..1', authority.sign('first.test'));
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, join(mounted, name));
    const { port } = await start({ folder: mounted });
    await serves(port, 'first.test');
    publish('..2', authority.sign('second.test'));
    await serves(port, 'second.test');
    expect((await visit(port)).name).toBe('second.test');
  });

  test('every 100 ms, while clients connect: none of them fails, none is served a mixed pair', async () => {
    const base = join(folder, 'a');
    const [one, two] = [authority.sign('one.test'), authority.sign('two.test')];
    replace(base, one);
    const { fairlead, port } = await start({ cert_file: `${base}.crt`, key_file: `${base}.key` });
    const clients = { areDone: false };
    const names = new Map<string, number>();
    const running = Array.from({ length: 4 }, async () => {
      while (!clients.areDone) {
        const { name, answer } = await visit(port);
        expect(answer).toContain('200 OK');
        names.set(name, (names.get(name) ?? 0) + 1);
      }
    });
    // On a busy machine it may take some more until both were seen.
    for (let swap = 0; swap < 200 && (swap < 20 || names.size < 2); swap++) {
      replace(base, swap % 2 === 0 ? two : one);
      await sleep(100);
    }
    await fairlead.waitForLog(({ event }) => event === 'certificates.changed');
    clients.areDone = true;
    await Promise.all(running);
    expect([...names.keys()].toSorted()).toEqual(['one.test', 'two.test']);
  });
});

describe.runIf(hasTool('openssl'))('one that is not good leaves what was there', () => {
  test.each<[string, (base: string, other: Signed) => void, RegExp]>([
    [
      'a key of another',
      (base, { key }) => writeFileSync(`${base}.key`, key),
      /is not the key of the certificate/,
    ],
    ['no certificate', (base) => writeFileSync(`${base}.crt`, 'x'), /holds no certificate/],
    ['nothing', (base) => unlinkSync(`${base}.crt`), /no such file/],
  ])('%s', async (_what, spoil, message) => {
    const base = join(folder, 'a');
    replace(base, authority.sign('one.test'));
    const { fairlead, port } = await start({ cert_file: `${base}.crt`, key_file: `${base}.key` });
    const other = authority.sign('two.test');
    spoil(base, other);
    const line = await fairlead.waitForLog(({ event }) => event === 'certificate.refused');
    expect(line).toMatchObject({ level: 'error', file: expect.stringContaining(base) as string });
    expect(line.msg).toMatch(message);
    await serves(port, 'one.test');
    expect((await view(fairlead)).faults).toHaveLength(1);
    expect(await admin(fairlead, '/metrics')).toMatch(/^fairlead_certificate_files_broken 1$/m);
    replace(base, other);
    await serves(port, 'two.test');
    await waitFor(async () => (await view(fairlead)).faults.length === 0);
  });

  test('in a folder: the others go on, and those that were taken out are gone', async () => {
    const certs = join(folder, 'certs');
    mkdirSync(certs);
    for (const name of ['a', 'b', 'c']) {
      replace(join(certs, name), authority.sign(`${name}.test`));
    }
    const { fairlead, port } = await start({ folder: certs });
    writeFileSync(join(certs, 'b.key'), authority.sign('b.test').key);
    unlinkSync(join(certs, 'c.crt'));
    unlinkSync(join(certs, 'c.key'));
    replace(join(certs, 'd'), authority.sign('d.test'));
    await serves(port, 'd.test', 'd.test');
    await serves(port, 'a.test', 'c.test');
    await serves(port, 'b.test', 'b.test');
    await waitFor(async () => (await view(fairlead)).faults.length === 2);
    const { certificates } = await view(fairlead);
    expect(certificates.map(({ names }) => names)).toEqual([['a.test'], ['b.test'], ['d.test']]);
    expect(certificates.map((one) => one.default)).toEqual([true, false, false]);
  });
});

describe.runIf(hasTool('openssl'))('what is told', () => {
  test('/certificates and /metrics say what is served until when, and never a key', async () => {
    const base = join(folder, 'a');
    const signed = authority.sign('one.test', '401231000000Z', {
      names: ['one.test', '*.one.test'],
    });
    replace(base, signed);
    const { fairlead } = await start({ cert_file: `${base}.crt`, key_file: `${base}.key` });
    const text = await admin(fairlead, '/certificates');
    expect(JSON.parse(text)).toEqual({
      certificates: [
        {
          listener: 'listeners.0',
          names: ['one.test', '*.one.test'],
          served_names: ['one.test', '*.one.test'],
          default: true,
          not_before: '2020-01-01T00:00:00.000Z',
          not_after: '2040-12-31T00:00:00.000Z',
          days_left: expect.any(Number) as number,
          subject: 'CN=one.test',
          issuer: 'CN=authority',
          serial: expect.stringMatching(/^[0-9a-f]+$/) as string,
          fingerprint_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
          key_type: 'ec',
          cert_file: `${base}.crt`,
          key_file: `${base}.key`,
          must_staple: false,
          stapled: false,
        },
      ],
      faults: [],
      acme: [],
    });
    for (const line of signed.key.split('\n').slice(1, -2)) expect(text).not.toContain(line);
    expect(await admin(fairlead, '/metrics')).toContain(
      `fairlead_certificate_expiry_timestamp_seconds{name="one.test",file="${base}.crt"} ${Date.UTC(2040, 11, 31) / 1000}`,
    );
  });

  test('one that ends soon is warned of', async () => {
    const base = join(folder, 'a');
    const soon = new Date(Date.now() + 5 * 86_400_000).toISOString();
    const ends = `${soon.slice(2, 19).replaceAll(/[-T:]/g, '')}Z`;
    replace(base, authority.sign('one.test', ends));
    const { fairlead } = await start({ cert_file: `${base}.crt`, key_file: `${base}.key` });
    const line = await fairlead.waitForLog(({ event }) => event === 'certificate.expires');
    expect(line).toMatchObject({ level: 'warn', names: ['one.test'] });
    expect(line.msg).toMatch(/a\.crt \(one\.test\) expires in [45] days, on 20\d\d-\d\d-\d\d$/);
  });
});

describe.runIf(hasTool('openssl'))('a folder is a config error', () => {
  test.each<[string, (certs: string) => void, string]>([
    ['that is not there', (certs) => rmSync(certs, { recursive: true }), 'certs: no such file'],
    [
      'without a pair',
      (certs) => writeFileSync(join(certs, 'note.txt'), ''),
      'holds no certificate with its key',
    ],
    [
      'with a key that is of no certificate',
      (certs) => writeFileSync(join(certs, 'a.key'), authority.sign('a.test').key),
      'a.key is the key of no certificate',
    ],
    [
      'with a certificate without its key',
      (certs) => writeFileSync(join(certs, 'a.crt'), authority.sign('a.test').cert),
      'a.crt: the key of this certificate is not in',
    ],
  ])('%s', async (_which, spoil, message) => {
    const certs = join(folder, 'certs');
    mkdirSync(certs);
    spoil(certs);
    expect(await problems()).toContain(message);
  });
});
