/** TLS to backends: who is trusted, what is said when not, and sessions that are resumed; on handles and on sockets. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server as TcpServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { Authority } from '../support/authority.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { metrics, startProxy } from './stage.ts';

const WITHOUT_TLS_HANDLES = new URL('../support/without-tls-handles.mjs', import.meta.url).href;

async function portOf(server: TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Over a connection of its own, which is over with it: the next test has the same process. */
function ask({ url }: Fairlead): Promise<Response> {
  return fetch(url, { headers: { Connection: 'close' } });
}

describe.runIf(hasTool('openssl')).each([
  ['on handles', ''],
  ['on sockets', `--import ${WITHOUT_TLS_HANDLES}`],
])('TLS to a backend, %s', (_name, options) => {
  let authority: Authority;

  beforeAll(() => {
    authority = new Authority();
  });

  function start(port: number, config: object = {}): Promise<Fairlead> {
    const env = { NODE_EXTRA_CA_CERTS: authority.file, NODE_OPTIONS: options };
    return startProxy([`https://localhost:${port}`], { ...config }, { env, isReused: true });
  }

  /** Answers over TLS as `good` until it is told to be somebody else, for every new connection. */
  async function changing(): Promise<{ port: number; become: (other: TcpServer) => void }> {
    const good = createServer(authority.sign('localhost'), (_request, response) => {
      response.setHeader('Connection', 'close').end('ok');
    });
    let current: TcpServer = good;
    const port = await portOf(createTcp((socket) => current.emit('connection', socket)));
    return {
      port,
      become: (other) => {
        current = other;
      },
    };
  }

  const WRONG: readonly (readonly [string, () => TcpServer, RegExp])[] = [
    [
      'a certificate that signs itself',
      () => {
        const { cert_file, key_file } = makeCertificate();
        return createServer({ cert: readFileSync(cert_file), key: readFileSync(key_file) });
      },
      /^self-signed certificate/,
    ],
    [
      'a certificate that has expired',
      () => createServer(authority.sign('localhost', '210101000000Z')),
      /^certificate has expired$/,
    ],
    [
      'the certificate of another host',
      () => createServer(authority.sign('other.test')),
      /Host: localhost\. is not .*DNS:other\.test/,
    ],
    [
      'the certificate of an authority that is not known',
      () => createServer(new Authority().sign('localhost')),
      /^unable to (verify the first certificate|get local issuer certificate)/,
    ],
    ['no TLS at all', () => createHttp(), /wrong version number|packet length too long/],
  ];

  test.each(WRONG)('%s is a 502 that says so', async (_what, wrong, detail) => {
    const { port, become } = await changing();
    const fairlead = await start(port);
    expect((await ask(fairlead)).status).toBe(200);
    become(wrong());
    const response = await ask(fairlead);
    expect(response.status).toBe(502);
    expect(response.headers.get('proxy-status')).toBe('fairlead; error=tls_protocol_error');
    expect(await response.text()).toContain('ERR_BACKEND_TLS');
    const line = await waitFor(() => fairlead.accessLines()[1]);
    expect(line).toMatchObject({
      error: 'ERR_BACKEND_TLS',
      error_detail: expect.stringMatching(detail),
    });
  });

  test.each([
    ['ends', (socket: { end: () => void }) => socket.end(), /ended before|disconnected before/],
    [
      'is reset',
      (socket: { resetAndDestroy: () => void }) => socket.resetAndDestroy(),
      /ECONNRESET/,
    ],
  ] as const)(
    'a connection that %s within the handshake is a 502',
    async (_what, leave, detail) => {
      const { port, become } = await changing();
      const fairlead = await start(port);
      become(createTcp((socket) => socket.once('data', () => leave(socket)).on('error', () => {})));
      expect((await ask(fairlead)).status).toBe(502);
      const line = await waitFor(() => fairlead.accessLines()[0]);
      expect(line).toMatchObject({
        error: 'ERR_BACKEND_UNREACHABLE',
        error_detail: expect.stringMatching(detail),
      });
      const open = async () => (await metrics(fairlead)).get('fairlead_backend_requests_in_flight');
      await waitFor(async () => ((await open()) ?? 0) === 0);
    },
  );

  test('one that never ends its handshake is given up when its time is over', async () => {
    const { port, become } = await changing();
    const fairlead = await start(port, { timeouts: { connect: '300ms' } });
    const closed = new Promise((resolve) => {
      become(
        createTcp((socket) =>
          socket
            .on('error', () => {})
            .on('close', resolve)
            .resume(),
        ),
      );
    });
    const response = await ask(fairlead);
    expect(response.status).toBe(504);
    expect(await response.text()).toContain('ERR_BACKEND_CONNECT_TIMEOUT');
    await closed;
  });
});

/** Of each connection, whether it resumed a session. */
async function resuming(authority: Authority, version: 'TLSv1.2' | 'TLSv1.3') {
  const signed = authority.sign('localhost');
  const server: Server = createServer({ ...signed, maxVersion: version }, (_request, response) => {
    response.setHeader('Connection', 'close').end('ok');
  });
  const reused: boolean[] = [];
  server.on('secureConnection', (socket: TLSSocket) => reused.push(socket.isSessionReused()));
  return { port: await portOf(server), reused };
}

test.runIf(hasTool('openssl')).each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a session of %s is resumed by the next connection to the same backend',
  async (version) => {
    const authority = new Authority();
    const { port, reused } = await resuming(authority, version);
    const fairlead = await startProxy(
      [`https://localhost:${port}`],
      {},
      { env: { NODE_EXTRA_CA_CERTS: authority.file }, args: ['--threads', '1'] },
    );
    reused.length = 0;
    // The backend gives two tickets with its first handshake, and each is good for one.
    for (let round = 0; round < 3; round++) expect((await fetch(fairlead.url)).status).toBe(200);
    expect(reused).toEqual([false, true, true]);
  },
);
