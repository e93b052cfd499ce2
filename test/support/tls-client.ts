/** Clients of TLS that say what they were served with. */
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { afterTest } from './after-test.ts';
import { SOON_MS, within } from './wait-for.ts';

const MOST_PIECES = 100;

export interface TlsVisit {
  /** Common name of the certificate. */
  readonly name: string;
  readonly keyType: string | undefined;
  readonly isReused: boolean;
  readonly protocol: string | null;
  /** The latest that came; undefined: none. */
  readonly session: Buffer | undefined;
  /** Of the answer, head and body. */
  readonly answer: string;
}

/** One GET over a connection of its own. Rejects with the alert, or whatever else the handshake ends with. */
export async function visit(
  port: number,
  options: tls.ConnectionOptions = {},
  fields = '',
  host = 'test',
): Promise<TlsVisit> {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  let session: Buffer | undefined;
  socket.on('session', (latest) => {
    session = latest;
  });
  let answer = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text;
  });
  // With TLS 1.3 a client hears later that its certificate is missed.
  const closed = new Promise<void>((resolve, reject) => {
    socket.on('close', () => resolve()).on('error', reject);
  });
  closed.catch(() => {});
  await within(Promise.race([once(socket, 'secureConnect'), closed]), SOON_MS, 'the handshake');
  const { subject } = socket.getPeerCertificate();
  const isReused = socket.isSessionReused();
  const { asymmetricKeyType: keyType } = socket.getPeerX509Certificate()?.publicKey ?? {};
  const protocol = socket.getProtocol();
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${fields}\r\n`);
  await within(closed, SOON_MS, 'the end of the answer');
  return { name: String(subject?.CN), keyType, isReused, protocol, session, answer };
}

/** The code of what `visit` rejects with. */
export async function refusalOf(port: number, options: tls.ConnectionOptions): Promise<string> {
  try {
    await visit(port, options);
    return 'served';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** @returns the port of a way to `port` on which what a client says first arrives in pieces of this size, a hundred at most. */
export async function inPieces(port: number, bytes: number): Promise<number> {
  const server = net.createServer((client) => {
    const upstream = net.connect({ port, host: '127.0.0.1', noDelay: true });
    upstream.pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => upstream.destroy());
    client.once('data', (first: Buffer) => {
      client.pause();
      const write = async (): Promise<void> => {
        const end = Math.min(first.length, MOST_PIECES * bytes);
        for (let start = 0; start < end; start += bytes) {
          upstream.write(first.subarray(start, Math.min(start + bytes, end)));
          await sleep(2);
        }
        if (end < first.length) upstream.write(first.subarray(end));
        client.pipe(upstream);
      };
      void write();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  return (server.address() as net.AddressInfo).port;
}
