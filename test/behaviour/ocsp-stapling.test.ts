/** Certificates that ask for a stapled OCSP answer get one, from a responder that openssl answers for. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { describe, expect, test } from 'vitest';
import {
  issuedIn,
  type OcspAnswer,
  ocspRequest,
  readOcspAnswer,
} from '../../src/control/certificates/ocsp.ts';
import { afterTest } from '../support/after-test.ts';
import { Authority, type Signed } from '../support/authority.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

const WITHOUT_TLS_HANDLES = new URL('../support/without-tls-handles.mjs', import.meta.url).href;

type Respond = (request: Buffer, response: ServerResponse) => void;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function responder(respond: Respond): Promise<number> {
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => respond(body, response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function mustStaple(authority: Authority, port: number): Signed {
  const extensions = [
    'tlsfeature=status_request',
    `authorityInfoAccess=OCSP;URI:http://127.0.0.1:${port}/`,
  ];
  return authority.sign('one.test', undefined, { extensions });
}

async function start(
  authority: Authority,
  { cert, key }: Signed,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly fairlead: Fairlead; readonly port: number }> {
  const folder = temporaryFolder('ocsp');
  writeFileSync(join(folder, 'a.crt'), cert + readFileSync(authority.file, 'utf8'));
  writeFileSync(join(folder, 'a.key'), key);
  const tlsOf = { certificates: [{ folder }] };
  const backend = await httpBackend();
  return onFreePorts(2, async ([port = 0, adminPort = 0]) => {
    const fairlead = await startFairlead({
      config: { admin_port: adminPort, backends: [backend.url], listeners: [{ port, tls: tlsOf }] },
      ports: { port, adminPort },
      env,
    });
    return { fairlead, port };
  });
}

/** Null: none came. */
async function stapled(port: number): Promise<Buffer | null> {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false, requestOCSP: true };
  const socket = tls.connect(options as tls.ConnectionOptions);
  const answer = once(socket, 'OCSPResponse') as Promise<[Buffer | null]>;
  const [bytes] = await within(answer, SOON_MS, 'the handshake');
  socket.destroy();
  return bytes === null || bytes.length === 0 ? null : bytes;
}

describe.runIf(hasTool('openssl'))('a certificate that asks for it', () => {
  test.each([
    ['on handles', {}],
    ['on sockets', { NODE_OPTIONS: `--import ${WITHOUT_TLS_HANDLES}` }],
  ])('is served with its issuer’s answer, %s', async (_way, env) => {
    const authority = new Authority();
    const answers: Buffer[] = [];
    const signed = mustStaple(
      authority,
      await responder((request, response) => {
        answers.push(authority.answer(request));
        response.end(answers.at(-1));
      }),
    );
    const { fairlead, port } = await start(authority, signed, env);
    const answer = await waitFor(() => stapled(port));
    expect(answer.equals(answers[0] as Buffer)).toBe(true);
    expect(await (await fetch(`${fairlead.adminUrl}/certificates`)).json()).toMatchObject({
      certificates: [{ must_staple: true, stapled: true }],
    });
  });

  test.each<[string, (authority: Authority, signed: () => Signed) => Respond, RegExp]>([
    ['nothing', () => (_request, response) => response.destroy(), /socket hang up|ECONNRESET/],
    ['an error', () => (_request, response) => response.writeHead(500).end(), /answers 500/],
    ['no OCSP', () => (_request, response) => response.end('<html>'), /cut off|no value|length/],
    [
      'too much',
      () => (_request, response) => response.end(Buffer.alloc(100_000)),
      /longer than 65536/,
    ],
    [
      'that it was revoked',
      (authority, signed) => (request, response) => {
        authority.revoke(signed());
        response.end(authority.answer(request));
      },
      /has been revoked/,
    ],
    [
      'what another authority says',
      () => {
        const other = new Authority();
        return (request, response) => response.end(other.answer(request));
      },
      /not signed by the issuer|does not know|unauthorized/,
    ],
  ])(
    'goes without, and that is told, where the responder says %s',
    async (_what, make, message) => {
      const authority = new Authority();
      let signed: Signed | undefined;
      const respond = make(authority, () => signed as Signed);
      signed = mustStaple(authority, await responder(respond));
      const { fairlead, port } = await start(authority, signed);
      const line = await fairlead.waitForLog(({ event }) => event === 'ocsp.failed');
      expect(line).toMatchObject({
        level: 'warn',
        file: expect.stringMatching(/a\.crt$/) as string,
      });
      expect(line.msg).toMatch(message);
      expect(await stapled(port)).toBe(null);
    },
  );
});

test.runIf(hasTool('openssl'))('no changed byte of an answer passes for another answer', () => {
  const authority = new Authority();
  const signed = authority.sign('one.test');
  const issued = issuedIn(signed.cert + readFileSync(authority.file, 'utf8'));
  if (issued === undefined) throw new Error('no issuer');
  const answer = authority.answer(ocspRequest(issued));
  const nowMs = Date.now();
  const read = readOcspAnswer(answer, issued, nowMs);
  expect(read.nextUpdateMs).toBeGreaterThan(nowMs);
  expect(() => readOcspAnswer(answer, issued, read.nextUpdateMs)).toThrow('out of date');
  for (let index = 0; index < answer.length; index++) {
    const changed = Buffer.from(answer);
    changed[index] = (changed[index] as number) ^ 1;
    expect([read, null]).toContainEqual(readOrNull(changed, issued, nowMs));
    expect(() => readOcspAnswer(answer.subarray(0, index), issued, nowMs)).toThrow(Error);
  }
});

function readOrNull(...answer: Parameters<typeof readOcspAnswer>): OcspAnswer | null {
  try {
    return readOcspAnswer(...answer);
  } catch {
    return null;
  }
}
