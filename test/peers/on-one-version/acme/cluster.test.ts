/** Instances of a cluster that share certificates by a real etcd, and an authority that asks any of them. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Etcd, startEtcd } from '../../../support/etcd.ts';
import { type Fairlead, startFairlead } from '../../../support/fairlead.ts';
import { freePort } from '../../../support/free-port.ts';
import { type Pebble, startPebble } from '../../../support/pebble.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { visit } from '../../../support/tls-client.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { call, initCluster } from '../etcd/instances.ts';
import { Front } from './front.ts';

const LONG_MS = 40_000;
const ROOT = '/fairlead/shop/acme/';

class Instance {
  readonly name: string;
  readonly cwd: string;
  readonly keyFile: string;
  readonly ports: { plain: number; http: number; alpn: number; admin: number };
  running: Fairlead | undefined;

  constructor(name: string, keyFile: string, ports: number[]) {
    const [plain = 0, http = 0, alpn = 0, admin = 0] = ports;
    this.name = name;
    this.cwd = temporaryFolder(name);
    this.keyFile = keyFile;
    this.ports = { plain, http, alpn, admin };
  }

  static async make(name: string, keyFile: string): Promise<Instance> {
    const ports: number[] = [];
    for (let count = 0; count < 4; count++) ports.push(await freePort());
    return new Instance(name, keyFile, ports);
  }

  get fairlead(): Fairlead {
    if (this.running === undefined) throw new Error(`${this.name} does not run`);
    return this.running;
  }

  config(etcd: Etcd, pebble: Pebble, http: readonly string[], alpn: readonly string[]) {
    const { plain, http: httpPort, alpn: alpnPort, admin } = this.ports;
    const listener = (port: number, names: readonly string[], challenge: string) => {
      const acme = { ca: pebble.directoryUrl, ca_file: pebble.caFile, names, challenge };
      return { port, host: '127.0.0.1', tls: { acme } };
    };
    return {
      admin_port: admin,
      cluster: {
        name: 'shop',
        instance: this.name,
        etcd: { endpoints: [etcd.url] },
        key_file: this.keyFile,
      },
      listeners: [
        { port: plain, host: '127.0.0.1' },
        listener(httpPort, http, 'http-01'),
        listener(alpnPort, alpn, 'tls-alpn-01'),
      ],
    };
  }

  async start(config: Record<string, unknown>): Promise<void> {
    const ports = { port: this.ports.plain, adminPort: this.ports.admin };
    this.running = await startFairlead({ cwd: this.cwd, ports, config });
  }

  async reload(config: object): Promise<void> {
    writeFileSync(join(this.cwd, 'fairlead.config.json'), JSON.stringify(config));
    const { status, body } = await call(this.fairlead, 'POST', '/reload');
    if (status !== 200) throw new Error(JSON.stringify(body));
  }

  issued(name: string): boolean {
    return this.fairlead
      .logs()
      .some((line) => line.event === 'certificate.issued' && line['name'] === name);
  }

  async fingerprint(name: string): Promise<string | undefined> {
    const { body } = await call(this.fairlead, 'GET', '/certificates');
    const { certificates } = body as {
      certificates: { names: string[]; fingerprint_sha256: string }[];
    };
    return certificates.find(({ names }) => names.includes(name))?.fingerprint_sha256;
  }

  async serves(name: string, port: number): Promise<string> {
    await waitFor(async () => (await this.fingerprint(name)) !== undefined, LONG_MS, name);
    await waitFor(() => visit(port, { servername: name }), LONG_MS, `${name} at ${this.name}`);
    return (await this.fingerprint(name)) ?? '';
  }
}

test.skipIf(!hasTool('etcd') || !hasTool('pebble') || !hasTool('pebble-challtestsrv'))(
  'one orders, all answer and serve, and when it is frozen or dies in the middle another goes on',
  async () => {
    const [httpFront, tlsFront] = await Promise.all([new Front().start(), new Front().start()]);
    const pebble = await startPebble({ httpPort: httpFront.port, tlsPort: tlsFront.port });
    const etcd = await startEtcd({ folder: temporaryFolder('etcd') });
    const keyFile = join(temporaryFolder('key'), 'key');
    writeFileSync(keyFile, randomBytes(32).toString('base64'));
    await initCluster(etcd.url, { backends: [] });
    const a = await Instance.make('a', keyFile);
    const b = await Instance.make('b', keyFile);
    const leadTo = ({ ports }: Instance): void => {
      httpFront.leadTo(ports.plain);
      tlsFront.leadTo(ports.alpn);
    };
    const challenges = (): string => etcd.control('get', `${ROOT}challenge/`, '--prefix');

    // Alone, it answers itself.
    leadTo(b);
    await b.start(b.config(etcd, pebble, ['first.test'], ['alpn.test']));
    const first = await b.serves('first.test', b.ports.http);
    await b.serves('alpn.test', b.ports.alpn);
    expect(pebble.orders).toBe(2);

    // What is there is served by who comes later, without an order; what it does not know of, it answers for.
    await a.start(a.config(etcd, pebble, ['first.test'], ['alpn.test']));
    expect(await a.serves('first.test', a.ports.http)).toBe(first);
    leadTo(a);
    await b.reload(
      b.config(etcd, pebble, ['first.test', 'http2.test'], ['alpn.test', 'alpn2.test']),
    );
    await b.serves('http2.test', b.ports.http);
    await b.serves('alpn2.test', b.ports.alpn);
    expect(pebble.orders).toBe(4);
    expect(a.issued('http2.test')).toBe(false);

    // Frozen while its challenge is out.
    httpFront.to = undefined;
    const names = ['first.test', 'frozen.test'];
    await b.reload(b.config(etcd, pebble, names, ['alpn.test']));
    await waitFor(() => challenges() !== '', LONG_MS, 'a challenge');
    process.kill(b.fairlead.pid, 'SIGSTOP');
    try {
      leadTo(a);
      await a.reload(a.config(etcd, pebble, names, ['alpn.test']));
      await waitFor(() => a.issued('frozen.test'), LONG_MS, 'a to take over');
    } finally {
      process.kill(b.fairlead.pid, 'SIGCONT');
    }
    expect(pebble.orders).toBe(5);
    const print = await a.serves('frozen.test', a.ports.http);
    expect(await b.serves('frozen.test', b.ports.http)).toBe(print);
    const { kvs } = JSON.parse(
      etcd.control('get', `${ROOT}certificate/`, '--prefix', '-w', 'json'),
    ) as { kvs: { version: number }[] };
    expect(kvs.map(({ version }) => version)).toEqual([1, 1, 1, 1, 1]);
    expect(b.issued('frozen.test')).toBe(false);

    // Killed while its challenge is out: whoever has it to answer does.
    httpFront.to = undefined;
    names.push('killed.test');
    await a.reload(a.config(etcd, pebble, names, ['alpn.test']));
    await waitFor(() => challenges() !== '', LONG_MS, 'a challenge');
    await a.fairlead.kill();
    leadTo(b);
    await b.reload(b.config(etcd, pebble, names, ['alpn.test']));
    await waitFor(() => b.issued('killed.test'), LONG_MS, 'b to take over');
    expect(pebble.orders).toBe(6);
    expect(pebble.accounts).toBe(1);

    // Neither etcd nor the disk knows what is in it, and without etcd the disk does.
    const disk = join(b.cwd, 'fairlead.cluster-b.acme.json');
    await waitFor(() => readFileSync(disk, 'utf8').match(/acme\/certificate\//g)?.length === 6);
    for (const text of [etcd.control('get', ROOT, '--prefix'), readFileSync(disk, 'utf8')]) {
      expect(text).not.toMatch(/PRIVATE|BEGIN|\.test/);
    }
    await etcd.kill();
    await b.serves('killed.test', b.ports.http);
    await b.fairlead.stop();
    await b.start(b.config(etcd, pebble, names, ['alpn.test']));
    await b.serves('killed.test', b.ports.http);
    await b.serves('alpn.test', b.ports.alpn);
    expect(pebble.orders).toBe(6);
  },
  120_000,
);
