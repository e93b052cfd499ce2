/**
 * Node frees its handle of TLS when no JavaScript holds it, also in the middle of a handshake or a connection: then what came next
 * was for the socket that had found the address, which was gone, and the exception was nobody's.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as netConnect, type Socket } from 'node:net';
import tls from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { takeHandle } from '../../src/data/stream/connect.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { hasTlsHandles } from '../../src/data/stream/tls-handles.ts';
import { beginTls, encodeProtocols } from '../../src/data/stream/tls-handshake.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A server that accepts, and begins with TLS when it is told. */
async function patientServer() {
  const { cert_file, key_file } = makeCertificate();
  const ca = readFileSync(cert_file);
  const secureContext = tls.createSecureContext({ cert: ca, key: readFileSync(key_file) });
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const accepted = once(server, 'connection').then(([socket]) => socket as Socket);
  const goOn = async () => {
    const socket = await accepted;
    socket.on('error', () => {});
    afterTest(() => void socket.destroy());
    return new tls.TLSSocket(socket, { isServer: true, secureContext });
  };
  return { port: (server.address() as AddressInfo).port, ca, accepted, goOn };
}

test('a handshake that only its connection knows of outlives a collection of garbage', async () => {
  const { port, ca, accepted, goOn } = await patientServer();
  const socket = netConnect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  const outcome: string[] = [];
  const secured = new Promise<void>((resolve) => {
    begin(socket, port, ca, (how) => {
      outcome.push(how);
      resolve();
    });
  });
  await accepted;
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  await goOn();
  await secured;
  expect(outcome).toEqual(['secure']);
});

function begin(socket: Socket, port: number, ca: Buffer, over: (how: string) => void): void {
  const carrier = takeHandle(socket);
  if (carrier === null || !hasTlsHandles()) throw new Error('no handles');
  afterTest(() => carrier.close());
  const terms = {
    context: tls.createSecureContext({ ca }),
    protocols: encodeProtocols(['http/1.1']),
    verifies: true,
    scope: '',
    nameOf: (name: string) => name,
  };
  beginTls(carrier, terms, { host: 'localhost', port }, new ThreadIo(), {
    onSecure: () => over('secure'),
    onHandshakeFailed: ({ message }) => over(message),
    onCrashed: (error) => over(String(error)),
  });
}
