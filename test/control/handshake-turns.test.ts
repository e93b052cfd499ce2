/** TLS handshakes of the admin API: many at once, then one after the other; addresses take turns, and known ones have half of them. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { HandshakeTurns } from '../../src/control/admin/handshake-turns.ts';
import { createAdminServer } from '../../src/control/admin/secure-server.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { LONG_MS, waitFor, within } from '../support/wait-for.ts';

const AT_ONCE = 64;
const EVERY_MS = 20;

class FakeClock {
  ms = 5_000;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  now(): number {
    return this.ms;
  }

  after(ms: number, run: () => void): void {
    this.#timers.push({ atMs: this.ms + ms, run });
  }

  pass(ms: number): void {
    const endMs = this.ms + ms;
    for (;;) {
      const due = this.#timers.filter(({ atMs }) => atMs <= endMs);
      const [first] = due.toSorted((a, b) => a.atMs - b.atMs);
      if (first === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== first);
      this.ms = first.atMs;
      first.run();
    }
    this.ms = endMs;
  }
}

function setUp() {
  const clock = new FakeClock();
  const turns = new HandshakeTurns(clock);
  const begun: string[] = [];
  const take = (address: string, count = 1): (() => void)[] =>
    Array.from({ length: count }, () => turns.take(address, () => void begun.push(address)));
  return { clock, turns, begun, take };
}

test('so many begin at once, and each further one 20 ms later', () => {
  const { clock, begun, take } = setUp();
  take('flood', AT_ONCE + 3);
  expect(begun).toHaveLength(AT_ONCE);
  for (const count of [1, 2, 3, 3]) {
    clock.pass(EVERY_MS);
    expect(begun).toHaveLength(AT_ONCE + count);
  }
  clock.pass(AT_ONCE * EVERY_MS);
  take('flood', AT_ONCE);
  expect(begun).toHaveLength(2 * AT_ONCE + 3);
});

test('an address that has opened one waits for no more than one of each other address', () => {
  const { clock, begun, take } = setUp();
  take('flood', AT_ONCE + 100);
  take('other flood', 100);
  take('honest');
  begun.length = 0;
  clock.pass(3 * EVERY_MS);
  expect(begun.toSorted()).toEqual(['flood', 'honest', 'other flood']);
});

test('of every two one is for who was let in before, and one for who is new', () => {
  const { clock, turns, begun, take } = setUp();
  turns.know('operator');
  turns.know('script');
  for (let index = 0; index < 100; index++) take(`flood ${index}`, 2);
  take('script', 100);
  take('operator');
  begun.length = 0;
  clock.pass(8 * EVERY_MS);
  expect(begun.filter((address) => address.startsWith('flood'))).toHaveLength(4);
  expect(begun.filter((address) => address === 'operator')).toHaveLength(1);
});

test('what is called off takes no turn', () => {
  const { clock, begun, take } = setUp();
  take('flood', AT_ONCE);
  for (const callOff of take('gone', 100)) callOff();
  take('honest');
  begun.length = 0;
  clock.pass(EVERY_MS);
  expect(begun).toEqual(['honest']);
});

test('a flood of connections over TLS is bounded, and lets another address in', async () => {
  const { cert_file, key_file } = makeCertificate();
  const certificate = { cert: readFileSync(cert_file), key: readFileSync(key_file) };
  const clock = new FakeClock();
  const server = createAdminServer(
    () => ({ certificates: [certificate], clientCertificates: null, minVersion: '1.2' }) as never,
    {},
    new HandshakeTurns(clock),
    (_request, response) => response.end('ok'),
    () => {},
  );
  let accepted = 0;
  let closed = 0;
  server.on('connection', (socket) => {
    accepted++;
    socket.once('close', () => closed++);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const beneath = new Map<TLSSocket, Socket>();
  const open = (localAddress: string): TLSSocket => {
    const tcp = connect({ host: '127.0.0.1', port, localAddress });
    const socket = connectTls({ socket: tcp, rejectUnauthorized: false });
    beneath.set(socket, tcp);
    socket.on('error', () => {});
    afterTest(() => void socket.destroy());
    return socket;
  };
  const done = new Set<TLSSocket>();
  const flood = Array.from({ length: AT_ONCE + 40 }, () => open('127.0.0.2'));
  for (const socket of flood) socket.once('secureConnect', () => done.add(socket));
  await waitFor(() => done.size === AT_ONCE && accepted === flood.length, LONG_MS, 'the first');

  // One that leaves while it waits is no error that ends the process.
  const leaving = flood.find((socket) => !done.has(socket)) as TLSSocket;
  beneath.get(leaving)?.resetAndDestroy();
  await waitFor(() => closed === 1, LONG_MS, 'its end');

  const honest = open('127.0.0.3');
  await waitFor(() => accepted === flood.length + 1, LONG_MS, 'another address');
  expect(done.size).toBe(AT_ONCE);
  clock.pass(2 * EVERY_MS);
  await within(once(honest, 'secureConnect'), LONG_MS, 'the handshake of another address');
  await waitFor(() => done.size === AT_ONCE + 1, LONG_MS, 'the one whose turn it was besides');
  honest.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const [answer] = (await within(once(honest, 'data'), LONG_MS, 'the answer')) as [Buffer];
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
  clock.pass(40 * EVERY_MS);
  await waitFor(() => done.size === flood.length - 1, LONG_MS, 'the others');
});
