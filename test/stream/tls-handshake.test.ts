/** A handshake on a handle, and who pays for an exception in what comes of it. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import { takeHandle } from '../../src/data/stream/connect.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { hasTlsHandles } from '../../src/data/stream/tls-handles.ts';
import { beginTls, encodeProtocols } from '../../src/data/stream/tls-handshake.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { hasTool } from '../support/tools.ts';

/** Connects to a server of TLS, whose certificate is trusted or not. @returns what was told, and then the end at the server. */
async function handshake(host: string, isTrusted: boolean): Promise<string[]> {
  const { cert_file, key_file } = makeCertificate();
  const cert = readFileSync(cert_file);
  const server = tls.createServer({ cert, key: readFileSync(key_file) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const { port } = server.address() as net.AddressInfo;
  const closed = new Promise((resolve) => {
    server.on('connection', (socket) => socket.on('close', resolve).on('error', () => {}));
  });
  server.on('secureConnection', (socket) => socket.on('error', () => {}).resume());
  server.on('tlsClientError', () => {});
  const socket = net.connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  const carrier = takeHandle(socket);
  if (carrier === null || !hasTlsHandles()) throw new Error('no handles');
  const context = tls.createSecureContext(isTrusted ? { ca: cert } : {});
  const told: string[] = [];
  const terms = {
    context,
    protocols: encodeProtocols(['http/1.1']),
    verifies: true,
    scope: '',
    nameOf: (name: string) => name,
  };
  beginTls(carrier, terms, { host, port }, new ThreadIo(), {
    onSecure: () => {
      told.push('secure');
      throw new Error('in the middle of it');
    },
    onHandshakeFailed: ({ code }) => {
      told.push(String(code));
      throw new Error('of a failure');
    },
    onCrashed: (error) => told.push(String(error)),
  });
  await closed;
  return told;
}

test.runIf(hasTool('openssl')).each([
  ['localhost', true, ['secure', 'Error: in the middle of it']],
  ['localhost', false, ['DEPTH_ZERO_SELF_SIGNED_CERT', 'Error: of a failure']],
  ['other.test', true, ['ERR_TLS_CERT_ALTNAME_INVALID', 'Error: of a failure']],
] as const)(
  'to %s, trusted: %s: %j, and the connection is closed',
  async (host, isTrusted, told) => {
    expect(await handshake(host, isTrusted)).toEqual(told);
  },
);
