/** A real authority on loopback: pebble, with a DNS server in which every name is this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { afterTest } from './after-test.ts';
import { Authority } from './authority.ts';
import { freePort } from './free-port.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { pathOf } from './tools.ts';
import { waitFor } from './wait-for.ts';

export interface PebbleOptions {
  /** Where it asks for HTTP-01, and for TLS-ALPN-01. */
  readonly httpPort?: number;
  readonly tlsPort?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Seconds that certificates are good for. */
  readonly validity?: number;
  readonly externalAccounts?: Readonly<Record<string, string>>;
  /** Names that it refuses. */
  readonly blocked?: readonly string[];
}

interface Ports {
  readonly own: number;
  readonly management: number;
  readonly dns: number;
  readonly records: number;
}

export class Pebble {
  /** Of the authority that has signed the certificate of its directory. */
  readonly caFile: string;
  readonly directoryUrl: string;
  /** Of the DNS server, to put records there. */
  readonly recordsUrl: string;
  readonly #folder: string;
  readonly #ports: Ports;
  readonly #options: PebbleOptions;
  readonly #children: ChildProcess[] = [];
  #output = '';

  constructor(folder: string, caFile: string, ports: Ports, options: PebbleOptions) {
    this.#folder = folder;
    this.caFile = caFile;
    this.#ports = ports;
    this.#options = options;
    this.directoryUrl = `https://localhost:${ports.own}/dir`;
    this.recordsUrl = `http://127.0.0.1:${ports.records}`;
  }

  /** All that it has said. */
  get output(): string {
    return this.#output;
  }

  /** So many certificates were asked for. */
  get orders(): number {
    return this.#output.match(/Added order "/g)?.length ?? 0;
  }

  get accounts(): number {
    return this.#output.match(/There are now \d+ accounts in memory/g)?.length ?? 0;
  }

  /** @param changes of the options, for this start. */
  async start(changes: Partial<PebbleOptions> = {}): Promise<void> {
    const { own, management, dns, records } = this.#ports;
    const {
      httpPort = 1,
      tlsPort = 1,
      env = {},
      validity,
      externalAccounts,
      blocked = [],
    } = { ...this.#options, ...changes };
    const config = join(this.#folder, 'pebble.json');
    writeFileSync(
      config,
      JSON.stringify({
        pebble: {
          listenAddress: `127.0.0.1:${own}`,
          managementListenAddress: `127.0.0.1:${management}`,
          certificate: join(this.#folder, 'pebble.crt'),
          privateKey: join(this.#folder, 'pebble.key'),
          httpPort,
          tlsPort,
          externalAccountBindingRequired: externalAccounts !== undefined,
          externalAccountMACKeys: externalAccounts ?? {},
          domainBlocklist: blocked,
          ...(validity !== undefined && { certificateValidityPeriod: validity }),
        },
      }),
    );
    const dnsServer = `127.0.0.1:${dns}`;
    this.#spawn('pebble-challtestsrv', [
      `-dns01=${dnsServer}`,
      `-management=127.0.0.1:${records}`,
      '-defaultIPv6=',
      '-http01=',
      '-https01=',
      '-tlsalpn01=',
    ]);
    this.#spawn('pebble', [`-config=${config}`, `-dnsserver=${dnsServer}`, '-strict'], {
      PEBBLE_VA_NOSLEEP: '1',
      PEBBLE_AUTHZREUSE: '0',
      ...env,
    });
    await waitFor(
      async () =>
        this.#children.some(({ exitCode }) => exitCode !== null) || (await this.#answers()),
      undefined,
      'pebble to answer',
    );
    if (this.#children.some(({ exitCode }) => exitCode !== null)) throw new Error(this.#output);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#children.at(-1)?.kill(name);
  }

  async kill(): Promise<void> {
    await Promise.all(
      this.#children.splice(0).map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }),
    );
  }

  #spawn(tool: 'pebble' | 'pebble-challtestsrv', args: readonly string[], env = {}): void {
    const child = spawn(pathOf(tool) ?? tool, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
    const killNow = (): void => void child.kill('SIGKILL');
    process.on('exit', killNow);
    child.on('exit', () => process.off('exit', killNow));
    this.#children.push(child);
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const asked = get(
        this.directoryUrl,
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

export async function startPebble(options: PebbleOptions = {}): Promise<Pebble> {
  const folder = temporaryFolder('pebble');
  const authority = new Authority();
  const { cert, key } = authority.sign('localhost');
  writeFileSync(join(folder, 'pebble.crt'), cert);
  writeFileSync(join(folder, 'pebble.key'), key);
  for (let tries = 0; ; tries++) {
    const [own, management, dns, records] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const pebble = new Pebble(folder, authority.file, { own, management, dns, records }, options);
    afterTest(() => pebble.kill());
    try {
      await pebble.start();
      return pebble;
    } catch (error) {
      await pebble.kill();
      // Another process may have taken a port meanwhile.
      if (tries === 2) throw error;
    }
  }
}
