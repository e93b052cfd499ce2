/**
 * Every data thread sealed session tickets with keys of its own: with two of them, a client that came back met the other one
 * every second time and paid a whole handshake, and all clients did once a thread had been replaced.
 */
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import tls from 'node:tls';
import { BroadcastChannel } from 'node:worker_threads';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { TICKET_KEYS_ROTATION_MS, TicketKeys } from '../../src/control/ticket-keys.ts';
import { backend } from '../control/fixtures.ts';
import { type Running, running } from '../control/running.ts';
import { makeCertificate } from '../support/certificate.ts';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { tlsSettings } from '../support/tls-settings.ts';
import { waitFor } from '../support/wait-for.ts';

const MORTAL_WORKER = new URL('../control/mortal-worker.mjs', import.meta.url);
/** That all of them meet the same one of two threads is next to impossible. */
const VISITS = 20;
const GET = 'GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n';

interface Visit {
  readonly isReused: boolean;
  readonly session: Buffer;
  /** Of the certificate; a resumed session shows the one that it began with. */
  readonly name: string;
}

/** One request over a connection of its own, and the ticket that came with it. */
async function visit(port: number, version: tls.SecureVersion, session?: Buffer): Promise<Visit> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    maxVersion: version,
    ...(session && { session }),
  });
  let latest = session;
  socket.on('session', (ticket) => {
    latest = ticket;
  });
  await once(socket, 'secureConnect');
  const isReused = socket.isSessionReused();
  const name = String(socket.getPeerCertificate().subject?.CN);
  // Not ended: who ends before the answer counts as gone, and then there may be no ticket either.
  socket.write(GET);
  socket.resume();
  await once(socket, 'close');
  if (latest === undefined) throw new Error('no ticket came');
  return { isReused, session: latest, name };
}

async function resumed(port: number, version: tls.SecureVersion, session: Buffer): Promise<number> {
  let count = 0;
  for (let index = 0; index < VISITS; index++) {
    if ((await visit(port, version, session)).isReused) count++;
  }
  return count;
}

async function start(): Promise<Running> {
  const { url } = await httpBackend();
  const tlsOf = tlsSettings(makeCertificate());
  return running({ threads: 2, backends: [backend(url)], tls: tlsOf }, MORTAL_WORKER);
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'over %s it resumes on any data thread, and after all of them have been replaced',
  async (version) => {
    const self = await start();
    const { port } = self.fairlead;
    const { session, isReused } = await visit(port, version);
    expect(isReused).toBe(false);
    expect(await resumed(port, version, session)).toBe(VISITS);

    const channel = new BroadcastChannel('fairlead-test');
    channel.postMessage('exit');
    channel.close();
    const restarts = /^fairlead_data_thread_restarts_total [1-9]/m;
    await waitFor(async () => restarts.test((await self.call('GET', '/metrics')).text));
    await waitFor(() =>
      visit(port, version)
        .then(() => true)
        .catch(() => false),
    );
    expect(await resumed(port, version, session)).toBe(VISITS);
  },
);

test('it gets a new ticket for each that it shows, and so resumes as often as it comes', async () => {
  const self = await start();
  const { port } = self.fairlead;
  const tickets = new Set<string>();
  let { session } = await visit(port, 'TLSv1.3');
  for (let round = 0; round < 6; round++) {
    tickets.add(session.toString('hex'));
    const next = await visit(port, 'TLSv1.3', session);
    expect(next.isReused).toBe(true);
    session = next.session;
  }
  expect(tickets.size).toBe(6);
});

test('it resumes after a reload that took another certificate', async () => {
  const { url } = await httpBackend();
  const pair = makeCertificate('before');
  const fairlead = await startFairlead({ config: { backends: [url], ssl: pair } });
  const { session } = await visit(fairlead.port, 'TLSv1.3');
  const next = makeCertificate('after');
  copyFileSync(next.cert_file, pair.cert_file);
  copyFileSync(next.key_file, pair.key_file);
  const reloaded = await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' });
  expect(reloaded.status).toBe(200);
  await waitFor(async () => (await visit(fairlead.port, 'TLSv1.3')).name === 'after');
  expect(await resumed(fairlead.port, 'TLSv1.3', session)).toBe(VISITS);
});

test('new keys reach all data threads while they run: old tickets open nothing any more', async () => {
  const intervals = vi.spyOn(globalThis, 'setInterval');
  const { fairlead } = await start();
  const rotation = intervals.mock.calls.find(([, ms]) => ms === TICKET_KEYS_ROTATION_MS);
  intervals.mockRestore();
  const { session } = await visit(fairlead.port, 'TLSv1.3');
  expect(await resumed(fairlead.port, 'TLSv1.3', session)).toBe(VISITS);
  rotation?.[0]();
  await waitFor(async () => (await resumed(fairlead.port, 'TLSv1.3', session)) === 0);
  const { session: fresh } = await visit(fairlead.port, 'TLSv1.3');
  expect(await resumed(fairlead.port, 'TLSv1.3', fresh)).toBe(VISITS);
});

describe('the keys', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test('are replaced from time to time, until they are no longer needed', () => {
    vi.useFakeTimers();
    const told: Uint8Array[] = [];
    const keys = new TicketKeys((next) => told.push(next));
    const first = keys.current;
    vi.advanceTimersByTime(TICKET_KEYS_ROTATION_MS);
    expect(told).toEqual([keys.current]);
    expect(keys.current).not.toEqual(first);
    keys.stop();
    vi.advanceTimersByTime(2 * TICKET_KEYS_ROTATION_MS);
    expect(told).toHaveLength(1);
  });
});
