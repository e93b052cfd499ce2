/** A real etcd on loopback, which can be killed, frozen, wiped and started again under the same address. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { get } from 'node:http';
import { get as getOverTls } from 'node:https';
import { join } from 'node:path';
import { afterTest } from './after-test.ts';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';
import { pathOf } from './tools.ts';

export interface EtcdOptions {
  /** Everything that it stores lies in it. */
  readonly folder: string;
  /** Further flags. */
  readonly flags?: readonly string[];
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

export class Etcd {
  readonly port: number;
  readonly url: string;
  readonly #peerPort: number;
  readonly #options: EtcdOptions;
  readonly #process = new ServerProcess('etcd');

  constructor(port: number, peerPort: number, options: EtcdOptions) {
    this.port = port;
    this.#peerPort = peerPort;
    this.#options = options;
    this.url = `http${options.tls ? 's' : ''}://127.0.0.1:${port}`;
  }

  async start(): Promise<void> {
    const { flags = [], tls } = this.#options;
    const peer = `http://127.0.0.1:${this.#peerPort}`;
    await this.#process.start(
      [
        '--name=one',
        `--data-dir=${this.#data}`,
        `--listen-client-urls=${this.url}`,
        `--advertise-client-urls=${this.url}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=one=${peer}`,
        ...(tls ? [`--cert-file=${tls.certFile}`, `--key-file=${tls.keyFile}`] : []),
        ...flags,
      ],
      () => this.#isReady(),
    );
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.signal(name);
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  /** Everything that it has stored is gone. Only while it is not running. */
  wipe(): void {
    rmSync(this.#data, { recursive: true });
  }

  /** By etcdctl, which is not told whom to trust: not over TLS. @returns its output. */
  control(...words: readonly string[]): string {
    const args = [`--endpoints=${this.url}`, ...words];
    return execFileSync(pathOf('etcdctl') ?? 'etcdctl', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ETCDCTL_API: '3' },
    });
  }

  get #data(): string {
    return join(this.#options.folder, 'data');
  }

  /** It has a leader: itself. */
  #isReady(): Promise<boolean> {
    const ask = this.#options.tls ? getOverTls : get;
    return new Promise((resolve) => {
      const asked = ask(
        `${this.url}/health`,
        { agent: false, rejectUnauthorized: false },
        (answer) => {
          answer.resume();
          resolve(answer.statusCode === 200);
        },
      );
      asked.on('error', () => resolve(false));
    });
  }
}

export async function startEtcd(options: EtcdOptions): Promise<Etcd> {
  for (let tries = 0; ; tries++) {
    const etcd = new Etcd(await freePort(), await freePort(), options);
    afterTest(() => etcd.kill());
    try {
      await etcd.start();
      return etcd;
    } catch (error) {
      await etcd.kill();
      // Another process may have taken a port meanwhile.
      if (tries === 2) throw error;
    }
  }
}
