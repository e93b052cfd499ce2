import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startFairlead } from '../../src/control/fairlead.ts';
import { handleSignals } from '../../src/control/lifecycle.ts';
import type { StartFailed } from '../../src/control/start-failed.ts';
import { StopSignals } from '../../src/control/stop-signals.ts';
import { afterTest } from '../support/after-test.ts';
import { httpBackend } from '../support/http-backend.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';
import { backend, STUB_WORKER, settings } from './fixtures.ts';
import { loaded, running } from './running.ts';

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];

  exit(code: number): void {
    this.exits.push(code);
  }
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('hello\n');
  await once(socket, 'data');
  return socket;
}

describe('the lifecycle', () => {
  it('knows the health of every backend before it listens', async () => {
    const { url } = await httpBackend();
    const { call } = await running({ backends: [backend(url)] });
    expect((await call('GET', '/status')).json).toMatchObject({ active_backends: 1 });
  });

  it('is not ready while it shuts down, waits for what is in flight, and ends with 0', async () => {
    const { fairlead, call } = await running({ drainMs: 10_000 });
    const target = new FakeProcess();
    const stop = new StopSignals(target);
    stop.govern(fairlead);
    const socket = await open(fairlead.port);
    target.emit('SIGTERM', 'SIGTERM');
    await waitFor(async () => (await call('GET', '/readyz')).status === 503);
    expect((await call('GET', '/livez')).status).toBe(200);
    socket.destroy();
    expect(await within(fairlead.exited, SOON_MS, 'the end')).toBe(0);
    stop.release();
    expect(target.listenerCount('SIGTERM')).toBe(0);
  });

  it('ends at once at the second signal', async () => {
    const { fairlead } = await running({ drainMs: 60_000 });
    const target = new FakeProcess();
    let nowMs = 0;
    new StopSignals(target, () => nowMs).govern(fairlead);
    await open(fairlead.port);
    target.emit('SIGINT', 'SIGINT');
    nowMs = 301;
    target.emit('SIGINT', 'SIGINT');
    expect(await within(fairlead.exited, SOON_MS, 'the end')).toBe(0);
  });

  it('takes a Ctrl-C that npm passes on as well for one', async () => {
    const { fairlead, log } = await running({ drainMs: 60_000 });
    const target = new FakeProcess();
    let nowMs = 0;
    new StopSignals(target, () => nowMs).govern(fairlead);
    const socket = await open(fairlead.port);
    target.emit('SIGINT', 'SIGINT');
    nowMs = 20;
    target.emit('SIGINT', 'SIGINT');
    await waitFor(async () => (await log()).includes('stopping'));
    expect(await log()).not.toContain('killed');
    socket.destroy();
    expect(await within(fairlead.exited, SOON_MS, 'the end')).toBe(0);
  });

  it('a signal that comes while it starts stops it once it runs', async () => {
    const target = new FakeProcess();
    const stop = new StopSignals(target);
    target.emit('SIGTERM', 'SIGTERM');
    expect(stop.isRequested).toBe(true);
    const { fairlead } = await running({ drainMs: 60_000 });
    stop.govern(fairlead);
    expect(await within(fairlead.exited, SOON_MS, 'the end')).toBe(0);
  });

  it('reloads at SIGHUP, and lives on when the reload is refused', async () => {
    const the = running({ backends: [] });
    const self = await the;
    const target = new FakeProcess();
    handleSignals(self.fairlead, undefined, target);
    self.next = { ok: false, problems: [] };
    target.emit('SIGHUP', 'SIGHUP');
    await waitFor(async () => (await self.log()).includes('config.refused'));
    self.next = loaded(settings({ backends: [backend('http://127.0.0.1:1')] }));
    target.emit('SIGHUP', 'SIGHUP');
    await waitFor(async () => (await self.log()).includes('config.reloaded'));
    expect((await self.call('GET', '/status')).json).toMatchObject({ total_backends: 1 });
  });

  it('logs an error that nobody caught, and ends with 1', async () => {
    const { fairlead, log } = await running();
    const target = new FakeProcess();
    handleSignals(fairlead, undefined, target);
    target.emit('uncaughtException', new Error('nobody caught me'));
    await waitFor(() => target.exits.length > 0);
    expect(target.exits).toEqual([1]);
    await waitFor(async () => (await log()).includes('nobody caught me'));
  });

  it('takes a backend out at once when a data thread can not connect', async () => {
    const { url } = await httpBackend();
    const { fairlead, call, log } = await running({ backends: [backend(url)] });
    const socket = await open(fairlead.port);
    socket.write('fail 0\n');
    await waitFor(async () => (await call('GET', '/backends/0')).text.includes('"alive": false'));
    await waitFor(async () => (await log()).includes('backend.down'));
    const { text } = await waitFor(async () => {
      const answer = await call('GET', '/backends/0');
      return answer.text.includes('"alive": true') ? answer : undefined;
    });
    expect(text).toContain('"health": "healthy"');
    socket.destroy();
  });

  it('says which address is in use, and ends with 3', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    afterTest(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    for (const the of [
      settings({ port }),
      settings({
        admin: {
          host: '127.0.0.1',
          port,
          token: undefined,
          tokens: null,
          rates: null,
          isOff: false,
          unix: null,
          tls: undefined,
        },
      }),
    ]) {
      const context = {
        reload: () => loaded(the),
        look: () => loaded(the),
        validate: () => loaded(the),
        taken: () => {},
        effectiveConfig: () => ({ config: {}, origins: {} }),
        jsonSchema: () => ({}),
      };
      const error = (await startFairlead(the, context, {
        workerUrl: STUB_WORKER,
        logFile: '/dev/null',
      }).catch((reason: unknown) => reason)) as StartFailed;
      expect(error).toMatchObject({ exitCode: 3 });
      expect(error.message).toContain(`127.0.0.1:${port}`);
    }
  });
});
