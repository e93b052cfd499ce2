/**
 * Over TLS, one write is under way at a time, and what comes meanwhile waits. Of short pieces, as an answer trickles in from
 * its backend, any number waited: nobody asked the backend to stop, and one client that did not read held all of the answer.
 * The same held for the bodies of requests to a backend over TLS that did not read.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import { get, metrics, scriptedBackend, silent, startProxy } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;
const PIECE = Buffer.alloc(8 * 1024, 'p');
/** More than the system holds of the connections on the way. */
const MOST = 96 * MIB;

/** Sends piece by piece, none before the last has left. @returns how much it sent until nothing left for a second. */
async function trickle(socket: Socket, isOver: () => boolean): Promise<number> {
  let sent = 0;
  while (sent < MOST && !isOver()) {
    const left = new Promise<boolean>((resolve) => socket.write(PIECE, () => resolve(true)));
    const hasLeft = await Promise.race([left, sleep(1_000, false)]);
    if (!hasLeft) break;
    sent += PIECE.length;
  }
  return sent;
}

test.each(['1', '2'])(
  'of a long answer in short pieces little waits, with %s threads',
  async (threads) => {
    const backend = await scriptedBackend();
    const fairlead = await startProxy(
      [backend.url],
      { ssl: makeCertificate(), limits: { buffered: '1GiB' } },
      { args: ['--threads', threads] },
    );
    let sent = -1;
    let isOver = false;
    backend.on('/long', async (connection) => {
      connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
      sent = await trickle(connection.socket, () => isOver);
      await silent(connection);
    });
    const carrier = connectTcp(fairlead.port, '127.0.0.1');
    const client = tls.connect({ socket: carrier, rejectUnauthorized: false });
    afterTest(() => {
      isOver = true;
      client.destroy();
      carrier.destroy();
    });
    client.write(get('/long'));
    client.pause();
    let most = 0;
    await waitFor(async () => {
      most = Math.max(most, (await metrics(fairlead)).get('fairlead_buffered_bytes') ?? 0);
      return sent >= 0;
    }, LONG_MS * 2);
    expect(sent).toBeLessThan(MOST);
    expect(most).toBeLessThan(MIB);
  },
);
