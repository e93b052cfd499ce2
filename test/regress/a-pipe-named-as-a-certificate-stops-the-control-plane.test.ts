/**
 * Files of certificates and keys were read whatever they were: a pipe named in `POST /config:validate` stopped the control plane for
 * good, /dev/zero filled its memory. The same pipe in the place of a watched certificate did it without any call.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { visit } from '../support/tls-client.ts';
import { hasTool } from '../support/tools.ts';
import { LONG_MS } from '../support/wait-for.ts';

const LARGE_BYTES = 1024 * 1024 + 1;

let folder: string;
let pipe: string;
let large: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'fairlead-pipe-'));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  pipe = path.join(folder, 'pipe.pem');
  execFileSync('mkfifo', [pipe]);
  large = path.join(folder, 'large.pem');
  writeFileSync(large, '');
  truncateSync(large, LARGE_BYTES);
});

interface Answer {
  readonly status: number;
  readonly messages: readonly string[];
}

async function validate({ adminUrl }: Fairlead, config: object): Promise<Answer> {
  const response = await fetch(`${adminUrl}/config:validate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(config),
    signal: AbortSignal.timeout(LONG_MS),
  });
  const { problems = [] } = (await response.json()) as { problems?: { message: string }[] };
  return { status: response.status, messages: problems.map(({ message }) => message) };
}

type Naming = (file: string, pair: ReturnType<typeof makeCertificate>) => object;

const NAMINGS: Readonly<Record<string, Naming>> = {
  'ssl.cert_file': (file, { key_file }) => ({ ssl: { cert_file: file, key_file } }),
  'ssl.key_file': (file, { cert_file }) => ({ ssl: { cert_file, key_file: file } }),
  'a certificate of a listener': (file, { key_file }) => ({
    listeners: [{ port: 1, tls: { certificates: [{ cert_file: file, key_file }] } }],
  }),
  'the authorities for clients': (file, pair) => ({
    listeners: [
      {
        port: 1,
        tls: { certificates: [pair], client_certificates: { mode: 'require', ca_file: file } },
      },
    ],
  }),
  'the authorities for backends': (file) => ({
    pools: { a: { backends: ['https://127.0.0.1:1'], tls: { ca_file: file } } },
    routes: [{ pool: 'a' }],
  }),
  'the certificate for backends': (file, { key_file }) => ({
    pools: { a: { backends: ['https://127.0.0.1:1'], tls: { cert_file: file, key_file } } },
    routes: [{ pool: 'a' }],
  }),
};

describe.runIf(hasTool('openssl'))('it is told', () => {
  test('where a config to validate names it, and the control plane goes on', async () => {
    const fairlead = await startFairlead({ config: {} });
    const pair = makeCertificate();
    for (const naming of Object.values(NAMINGS)) {
      for (const [file, message] of [
        [pipe, `${pipe} is no file`],
        ['/dev/zero', '/dev/zero is no file'],
        [large, `${large} is larger than 1 MiB`],
      ] as const) {
        const answer = await validate(fairlead, naming(file, pair));
        expect(answer).toEqual({ status: 422, messages: [message] });
      }
    }
    const page = await validate(fairlead, { error_pages: { 404: pipe } });
    expect(page).toEqual({ status: 422, messages: [`${pipe} is no file`] });
  });

  test('where it lies in a folder of certificates', async () => {
    const fairlead = await startFairlead({ config: {} });
    const config = { listeners: [{ port: 1, tls: { certificates: [{ folder }] } }] };
    const { status, messages } = await validate(fairlead, config);
    expect(status).toBe(422);
    expect(messages.toSorted()).toEqual([`${large} is larger than 1 MiB`, `${pipe} is no file`]);
  });

  test('where it takes the place of a certificate in use, which stays', async () => {
    const backend = await httpBackend();
    const pair = makeCertificate('kept');
    const fairlead = await onFreePorts(2, ([port = 0, adminPort = 0]) =>
      startFairlead({
        config: {
          admin_port: adminPort,
          backends: [backend.url],
          listeners: [{ port, tls: { certificates: [pair] } }],
        },
        ports: { port, adminPort },
      }),
    );
    renameSync(pipe, pair.cert_file);
    // A change before the watch has had its first look is none to it.
    const touching = setInterval(() => utimesSync(pair.cert_file, new Date(), new Date()), 500);
    afterTest(() => clearInterval(touching));
    const { msg } = await fairlead.waitForLog(
      ({ event }) => event === 'certificate.refused',
      LONG_MS,
    );
    expect(msg).toContain(`${pair.cert_file} is no file`);
    expect((await visit(fairlead.port)).name).toBe('kept');
  });
});
