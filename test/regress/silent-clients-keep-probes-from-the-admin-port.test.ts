/** Six hundred connections that said nothing took all the places of the admin port: `/livez` was not answered. */
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { AdminConnections } from '../../src/control/admin/connections.ts';
import { recordLog } from '../control/fixtures.ts';
import { afterTest } from '../support/after-test.ts';
import { startFairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';

interface Silent {
  readonly sockets: readonly Socket[];
  readonly openCount: () => number;
}

function openSilent(port: number, count: number, firstBytes: string): Silent {
  let open = 0;
  const sockets = Array.from({ length: count }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.once('connect', () => {
      open++;
      if (firstBytes !== '') socket.write(firstBytes);
      socket.once('close', () => open--);
    });
    // What is not read never ends, and its end is not seen.
    socket.resume();
    return socket;
  });
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
  });
  return { sockets, openCount: () => open };
}

describe('the admin port and clients that wait', () => {
  it.each([
    ['say nothing', ''],
    ['stop in the head', 'GET /status HTTP/1.1\r\nHo'],
    ['stop in the body', 'PUT /strategy HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{'],
  ])('answers probes and operators while 600 clients %s', async (_what, firstBytes) => {
    const fairlead = await startFairlead({ args: ['http://127.0.0.1:1'] });
    const { sockets } = openSilent(fairlead.adminPort, 600, firstBytes);
    // Of so many at once the system drops some first packets, which come again after 1, 3 and 7 s.
    await waitFor(() => sockets.every(({ pending, destroyed }) => !pending || destroyed), 15_000);
    const answers = Array.from({ length: 20 }, async (_, index) => {
      const path = index % 2 === 0 ? '/livez' : '/status';
      const answer = await fetch(`${fairlead.adminUrl}${path}`);
      await answer.text();
      return answer.status;
    });
    expect(await Promise.all(answers)).toEqual(answers.map(() => 200));
    await fairlead.waitForLog(({ event }) => event === 'admin.crowded');
  });

  it('leaves few of one address when they have been silent for a second', async () => {
    const fairlead = await startFairlead({ args: ['http://127.0.0.1:1'] });
    const { openCount } = openSilent(fairlead.adminPort, 200, '');
    await waitFor(() => openCount() === 200);
    await waitFor(async () => {
      const answer = await fetch(`${fairlead.adminUrl}/livez`, {
        headers: { Connection: 'close' },
      });
      await answer.text();
      return openCount() < 32;
    });
    expect(openCount()).toBeGreaterThan(20);
  });

  it('answers a hundred calls that come at once', async () => {
    const fairlead = await startFairlead({ args: ['http://127.0.0.1:1'] });
    const calls = Array.from({ length: 100 }, () => fetch(`${fairlead.adminUrl}/backends`));
    const answers = await Promise.all(calls);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(100);
  });
});

class FakeSocket {
  isDestroyed = false;
  readonly remoteAddress: string;
  #onClose = (): void => {};

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }

  once(_event: 'close', listener: () => void): void {
    this.#onClose = listener;
  }

  destroy(): void {
    this.isDestroyed = true;
    this.#onClose();
  }
}

function place() {
  const clock = { ms: 0 };
  const log = recordLog();
  const connections = new AdminConnections({ log, now: () => clock.ms });
  const open = (address: string): FakeSocket => {
    const socket = new FakeSocket(address);
    connections.admit(socket as unknown as Socket);
    return socket;
  };
  const begin = (socket: FakeSocket): void => connections.begin(socket as unknown as Socket);
  const done = (socket: FakeSocket): void => connections.done(socket as unknown as Socket);
  return { clock, log, open, begin, done };
}

describe('the places at the admin port', () => {
  it('the one that has waited longest goes first, and none that is worked for', () => {
    const { clock, log, open, begin, done } = place();
    const sockets = Array.from({ length: 32 }, () => open('10.0.0.1'));
    const [first, second, third] = sockets as [FakeSocket, FakeSocket, FakeSocket];
    begin(first);
    begin(second);
    clock.ms = 1500;
    done(second);
    open('10.0.0.1');
    expect(sockets.map(({ isDestroyed }) => isDestroyed).indexOf(true)).toBe(2);
    expect(third.isDestroyed).toBe(true);
    expect(log.events()).toEqual(['admin.crowded']);
    for (let index = 0; index < 29; index++) open('10.0.0.1');
    expect(sockets.filter(({ isDestroyed }) => !isDestroyed)).toEqual([first, second]);
    // Not a line for each.
    expect(log.events()).toEqual(['admin.crowded']);
  });

  it('what has just come is not closed for others of its address', () => {
    const { open } = place();
    const sockets = Array.from({ length: 200 }, () => open('10.0.0.1'));
    expect(sockets.filter(({ isDestroyed }) => isDestroyed)).toEqual([]);
  });

  it('where all places are taken, the address with the most gives one', () => {
    const { open, begin } = place();
    const lone = open('10.0.0.2');
    const many = Array.from({ length: 511 }, () => open('10.0.0.1'));
    const another = open('10.0.0.3');
    expect([lone, another].map(({ isDestroyed }) => isDestroyed)).toEqual([false, false]);
    expect(many.findIndex(({ isDestroyed }) => isDestroyed)).toBe(0);
    for (const socket of [lone, another, ...many]) begin(socket);
    expect(open('10.0.0.4').isDestroyed).toBe(true);
  });
});
