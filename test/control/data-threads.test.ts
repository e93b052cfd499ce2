import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ListenError } from '../../src/control/listeners/listening.ts';
import { Registry } from '../../src/control/registry.ts';
import { DataThreads } from '../../src/control/threads/data-threads.ts';
import { planThreads } from '../../src/control/threads/plan-threads.ts';
import { readBackendCounters } from '../../src/snapshot/counters.ts';
import type { ConnectFailedMessage, DrainBackendMessage } from '../../src/snapshot/messages.ts';
import type { ListenerSnapshot } from '../../src/snapshot/snapshot.ts';
import { afterTest } from '../support/after-test.ts';
import { waitFor } from '../support/wait-for.ts';
import { backend, recordLog, STUB_WORKER, settings } from './fixtures.ts';

function setUp({ count = 1, host = '127.0.0.1', port = 0 } = {}) {
  const log = recordLog();
  const failed: ConnectFailedMessage[] = [];
  const accessed: string[] = [];
  const threads = new DataThreads({
    count,
    log,
    onConnectFailed: (message) => failed.push(message),
    onNoAnswer: () => {},
    onFaultsInARow: () => {},
    onNamesAsked: () => {},
    onTunnelsCut: () => {},
    onRequestsCut: () => {},
    onListenerLost: () => {},
    onTraced: () => {},
    onRateAsk: () => {},
    onSessionAsk: () => {},
    onAccessLog: (lines, _count, release) => {
      accessed.push(Buffer.from(lines).toString());
      release();
    },
    workerUrl: STUB_WORKER,
  });
  afterTest(() => threads.stop());
  const registry = new Registry({
    settings: settings({ host, port, backends: [backend('http://localhost:8081')] }),
    threadCount: threads.threadCount,
  });
  return { threads, registry, log, failed, accessed };
}

function portOf([listener]: readonly ListenerSnapshot[]): number {
  return listener?.address.kind === 'tcp' ? listener.address.port : 0;
}

/** Says one line to the stub and answers its reply; an empty text when it died over it. */
async function say(port: number, line: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`${line}\n`);
  let text = '';
  socket.on('data', (data) => {
    text += String(data);
    socket.destroy();
  });
  socket.on('error', () => {});
  await once(socket, 'close');
  return text;
}

describe('the number of data threads', () => {
  it('is settled by the platform', () => {
    expect(planThreads('auto', 'linux', '24.1.0', 16).count).toBe(8);
    expect(planThreads('auto', 'linux', '22.12.0', 2)).toEqual({ count: 2, note: undefined });
    expect(planThreads('auto', 'linux', '22.11.0', 4).count).toBe(1);
    expect(planThreads('auto', 'darwin', '24.1.0', 4).count).toBe(1);
    expect(planThreads(4, 'linux', '26.0.0', 1)).toEqual({ count: 4, note: undefined });
    expect(planThreads(4, 'linux', '20.20.0', 4).count).toBe(1);
    expect(planThreads(4, 'linux', '20.20.0', 4).note).toContain('one data thread instead of 4');
    expect(planThreads(0, 'linux', '20.20.0', 4)).toEqual({ count: 0, note: undefined });
  });
});

describe('data threads', () => {
  it('listen when they are told, on the snapshot that they were told last', async () => {
    const { threads, registry } = setUp();
    await threads.start(registry.snapshot());
    registry.defaultPool.planUpdate(0, { weight: 2 }).commit();
    threads.apply(registry.snapshot());
    const port = portOf(await threads.listen());
    expect(JSON.parse(await say(port, 'hello'))).toMatchObject({ thread: 0, generation: 2 });
  });

  it('pass on what they report', async () => {
    const { threads, registry, failed, accessed } = setUp();
    await threads.start(registry.snapshot());
    const port = portOf(await threads.listen());
    await say(port, 'fail 0');
    await say(port, 'log');
    expect(failed).toEqual([
      { kind: 'connect-failed', backendId: 0, code: 'ERR_BACKEND_REFUSED', detail: 'refused' },
    ]);
    expect(accessed).toEqual(['{"method":"GET"}\n']);
  });

  it('are replaced when they die, listen on the same port, and know what the dead one knew', async () => {
    const { threads, registry, log } = setUp();
    await threads.start(registry.snapshot());
    const port = portOf(await threads.listen());
    registry.defaultPool.live.setHealth(0, 'healthy', 'ok');
    threads.setEligible(0, registry.defaultPool.eligibility());
    for (const backendId of [1, 2, 3]) {
      threads.tell({ kind: 'drain-backend', backendId, deadlineMs: 60_000 });
    }
    threads.tell({ kind: 'keep-backend', backendId: 2 });
    threads.tell({ kind: 'cut-backend', backendId: 3 });
    for (const [turn, word] of ['die', 'throw'].entries()) {
      await say(port, word);
      const reply = await waitFor(() => say(port, 'hello'), 10_000);
      expect(JSON.parse(reply)).toMatchObject({ thread: 0, ids: [0] });
      expect(threads.restarts).toBe(turn + 1);
    }
    const deaths = log.lines.filter(({ event }) => event === 'data_thread.died');
    expect(deaths[0]?.fields).toMatchObject({ thread: 0, exit_code: 9 });
    expect(String(deaths[1]?.fields['error'])).toContain('the stub was told to throw');
    const drainsTold = () =>
      log.lines
        .filter(({ event, message }) => event === 'stub.told' && message.includes('drain-backend'))
        .map(({ message }) => JSON.parse(message) as DrainBackendMessage);
    await waitFor(() => drainsTold().length >= 5);
    // Those that are not over, with the time that they have left.
    const [again, last] = drainsTold().slice(3);
    expect([again?.backendId, last?.backendId]).toEqual([1, 1]);
    expect(again?.deadlineMs).toBeLessThan(60_000);
    expect(last?.deadlineMs).toBeLessThan(again?.deadlineMs ?? 0);
  });

  it('give back what a dead one held, of removed backends too', async () => {
    const { threads, registry } = setUp();
    await threads.start(registry.snapshot());
    const port = portOf(await threads.listen());
    const counters = registry.backend(0)?.counters as SharedArrayBuffer;
    await say(port, 'take');
    registry.defaultPool.planRemove(0).commit();
    threads.apply(registry.snapshot());
    expect(readBackendCounters(counters, 1).inFlight).toBe(1);
    await say(port, 'die');
    await waitFor(() => readBackendCounters(counters, 1).inFlight === 0, 10_000);
  });

  it('slow down when they die again and again', async () => {
    const { threads, registry, log } = setUp({ host: 'die-at-start' });
    await threads.start(registry.snapshot());
    await expect(threads.listen()).rejects.toMatchObject({ code: 'ERR_DATA_THREAD' });
    await waitFor(() => threads.restarts >= 5, 10_000);
    // The sixth waits a second: by then many would have died without the pause.
    await waitFor(() => threads.restarts >= 6);
    const deaths = log.events('data_thread.died').length;
    expect(deaths).toBeLessThanOrEqual(7);
  });

  it('say which error keeps them from listening', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    afterTest(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    for (const count of [1, 2]) {
      const { threads, registry } = setUp({ count, port });
      await threads.start(registry.snapshot());
      const error: unknown = await threads.listen().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ListenError);
      expect(error).toMatchObject({ code: 'EADDRINUSE' });
    }
  });

  it('drain, and say how many connections had to be cut off', async () => {
    const { threads, registry } = setUp();
    await threads.start(registry.snapshot());
    const port = portOf(await threads.listen());
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('hello\n');
    await once(socket, 'data');
    expect(await threads.drain(50)).toBe(1);
    await threads.stop();
    expect(threads.restarts).toBe(0);
  });
});
