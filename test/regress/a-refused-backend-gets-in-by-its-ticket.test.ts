/**
 * A server of TLS 1.3 may send its tickets along with its own last message, before the client has looked at its certificate:
 * those written in Go do. Such a ticket of a server with somebody else's certificate was kept although the server was refused,
 * and with the next connection it was resumed, which asks for no certificate: the wrong server got the requests.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import { takeHandle } from '../../src/data/stream/connect.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { hasTlsHandles, type TlsHandle } from '../../src/data/stream/tls-handles.ts';
import { beginTls, encodeProtocols } from '../../src/data/stream/tls-handshake.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { hasTool } from '../support/tools.ts';

/** Every TLS handle that is made from here on, the newest last. */
const made: TlsHandle[] = [];
const { binding } = process as unknown as {
  binding: (name: string) => { wrap: (...all: unknown[]) => TlsHandle };
};
const tlsWrap = binding('tls_wrap');
const original = tlsWrap.wrap;
tlsWrap.wrap = (...all) => {
  const handle = original(...all);
  made.push(handle);
  return handle;
};

/**
 * Connects to a server whose certificate is good for `localhost`, as `host`; its tickets come `lateTicket` too, as OpenSSL
 * tells of those that it finds behind the last message of a handshake.
 * @returns what became of the handshake, and the session that the next one would show.
 */
async function kept(
  host: string,
  maxVersion: 'TLSv1.2' | 'TLSv1.3',
  lateTicket: Buffer | null,
): Promise<{ told: string; session: Buffer | undefined }> {
  const { cert_file, key_file } = makeCertificate();
  const cert = readFileSync(cert_file);
  const server = tls.createServer({ cert, key: readFileSync(key_file), maxVersion });
  server.on('secureConnection', (socket) => socket.on('error', () => {}).resume());
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const { port } = server.address() as net.AddressInfo;
  const socket = net.connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  const carrier = takeHandle(socket);
  if (carrier === null || !hasTlsHandles()) throw new Error('no handles');
  const io = new ThreadIo();
  const terms = {
    context: tls.createSecureContext({ ca: cert }),
    protocols: encodeProtocols(['http/1.1']),
    verifies: true,
    scope: '',
    nameOf: (name: string) => name,
  };
  made.length = 0;
  const over = new Promise<string>((resolve) => {
    beginTls(carrier, terms, { host, port }, io, {
      onSecure: () => resolve('secure'),
      onHandshakeFailed: ({ code }) => resolve(String(code)),
      onCrashed: (error) => resolve(String(error)),
    });
  });
  const [handle] = made as [TlsHandle];
  afterTest(() => handle.carrier.close());
  const told = await over;
  if (lateTicket !== null) handle.onnewsession(Buffer.alloc(0), lateTicket);
  return { told, session: io.sessions.take(`${host} ${host}:${port}`) };
}

const TICKET = Buffer.from('a ticket');
const REFUSED = 'ERR_TLS_CERT_ALTNAME_INVALID';

test.runIf(hasTool('openssl')).each([
  ['other.test', 'TLSv1.3', TICKET, REFUSED],
  ['other.test', 'TLSv1.2', null, REFUSED],
  ['other.test', 'TLSv1.2', TICKET, REFUSED],
] as const)(
  'as %s, by %s, with the late ticket %s: no session',
  async (host, version, late, told) => {
    expect(await kept(host, version, late)).toEqual({ told, session: undefined });
  },
);

test.runIf(hasTool('openssl'))('of a server that is the right one, sessions are kept', async () => {
  expect(await kept('localhost', 'TLSv1.3', TICKET)).toEqual({ told: 'secure', session: TICKET });
  const { told, session } = await kept('localhost', 'TLSv1.2', null);
  expect({ told, hasSession: session !== undefined }).toEqual({ told: 'secure', hasSession: true });
});
