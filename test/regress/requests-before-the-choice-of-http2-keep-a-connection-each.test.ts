/**
 * `protocol: auto`: requests that came before a backend's choice was known each opened a connection, and each of these stayed, with
 * one request, though the first was open for all. Nor may they wait for the first: over HTTP/1.1 they need their own.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { clientTerms } from '../../src/data/stream/client-terms.ts';
import type { RequestFacts } from '../../src/data/wire/request.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { liveBackends, WaitingUser } from '../support/live-backends.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const FACTS = { upgrade: '', authenticatesConnection: false } as RequestFacts;
const TERMS = { ca: '', cert: '', key: '', serverName: 'localhost', verifies: false };

/** Where connections come in, in their order; the server has them when they are let through. */
class Door {
  readonly #sockets: Socket[] = [];
  readonly #server: Server;
  readonly #behind: Server;

  constructor(behind: Server) {
    this.#behind = behind;
    this.#server = createServer((socket) => void this.#sockets.push(socket.on('error', () => {})));
  }

  async open(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    afterTest(() => {
      for (const socket of this.#sockets) socket.destroy();
      this.#server.close();
    });
    return (this.#server.address() as AddressInfo).port;
  }

  get count(): number {
    return this.#sockets.length;
  }

  letThrough(index: number): void {
    this.#behind.emit('connection', this.#sockets[index]);
  }
}

/** A backend that three requests have come to at once. */
async function threeRequests(server: Server) {
  server.on('sessionError', () => {});
  server.on('tlsClientError', () => {});
  const door = new Door(server);
  const { threads, open } = liveBackends(await door.open(), true, clientTerms(TERMS, 'auto'));
  const [backend] = threads;
  const users = [new WaitingUser(), new WaitingUser(), new WaitingUser()] as const;
  const acquire = (user: WaitingUser) => backend.acquire(user, FACTS, false, 0, 0);
  const streams = users.map(acquire);
  afterTest(() => {
    for (const [index, user] of users.entries()) (user.moved ?? streams[index])?.cancel();
  });
  await waitFor(() => door.count === users.length);
  expect(open()).toBe(3);
  return { door, open, users, acquire };
}

describe.runIf(hasTool('openssl'))('before the choice is known', () => {
  let pair: { readonly cert: Buffer; readonly key: Buffer };

  beforeAll(() => {
    const { cert_file, key_file } = makeCertificate();
    pair = { cert: readFileSync(cert_file), key: readFileSync(key_file) };
  });

  test('all of them go over the first connection that speaks HTTP/2', async () => {
    const server = http2.createSecureServer({ ...pair, allowHTTP1: true });
    const { door, open, users, acquire } = await threeRequests(server);
    door.letThrough(1);
    await waitFor(() => users.every(({ isConnected }) => isConnected));
    expect(users.map(({ moved, failure }) => [moved !== null, failure])).toEqual([
      [true, ''],
      [false, ''],
      [true, ''],
    ]);
    expect(open()).toBe(1);
    // From now on they share.
    expect(acquire(new WaitingUser())?.isReused).toBe(true);
    expect(open()).toBe(1);
  });

  test('each has its own over HTTP/1.1, and waits for no other', async () => {
    const { door, open, users } = await threeRequests(createHttps(pair));
    door.letThrough(2);
    await waitFor(() => users[2].isConnected);
    door.letThrough(0);
    await waitFor(() => users[0].isConnected);
    expect(users[1].isConnected).toBe(false);
    expect(open()).toBe(3);
    door.letThrough(1);
    await waitFor(() => users[1].isConnected);
    expect(open()).toBe(3);
  });
});
