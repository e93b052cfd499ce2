/**
 * A backend's name had two addresses, of which the second one refused. The thread stood still for a moment (a stopped process, a
 * busy machine) while the first one connected; Node's timer for the next address ran before that was read, the first
 * address was given up, and a healthy backend was blamed for a timeout.
 */
import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test, vi } from 'vitest';
import { connect } from '../../src/data/stream/connect.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { afterTest } from '../support/after-test.ts';

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function afterTicks(count: number, step: () => void): void {
  process.nextTick(() => (count === 1 ? step() : afterTicks(count - 1, step)));
}

test('the thread stands still for longer than the next address has to wait', async () => {
  const server = createServer((socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const addresses = [
    { address: '127.0.0.1', family: 4 },
    { address: '127.0.0.3', family: 4 },
  ];
  const lookup = (_host: string, _options: unknown, answer: (...all: unknown[]) => void) => {
    process.nextTick(() => {
      answer(null, addresses);
      // The first address has been begun with by then.
      afterTicks(4, () => standStill(600));
    });
  };
  vi.spyOn(dns, 'lookup').mockImplementation(lookup as unknown as typeof dns.lookup);
  afterTest(() => void vi.restoreAllMocks());
  const { port } = server.address() as AddressInfo;
  const outcome = await new Promise((resolve) => {
    const user = {
      mayHave: () => true,
      onConnected: (stream: { destroy(): void }, address: string) => {
        stream.destroy();
        resolve(address);
      },
      onConnectFailed: resolve,
      onBytes() {},
      onEnd() {},
      onDrain() {},
      onWriteFailed() {},
      onClosed() {},
      onCrashed: resolve,
    };
    connect({ host: 'two.test', port, tls: false }, user, new ThreadIo());
  });
  expect(outcome).toBe('127.0.0.1');
});
