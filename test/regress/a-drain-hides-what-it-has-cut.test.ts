/**
 * Data threads told the control plane in messages how much the deadline of a drain had cut. That nothing is in flight any more stands in
 * shared memory at once: a control plane that was late said that the backend was drained and that nothing had been cut, and
 * `fairlead remove --wait` exited with 0. Here no message is delivered at all.
 */
import { expect, test } from 'vitest';
import type { Backend } from '../../src/control/backend.ts';
import { Drains } from '../../src/control/drains.ts';
import type { BackendConnection } from '../../src/data/backend/backend-connection.ts';
import { OpenTunnels } from '../../src/data/relay/open-tunnels.ts';
import { Tunnel } from '../../src/data/relay/tunnel.ts';
import { clientTerms } from '../../src/data/stream/client-terms.ts';
import type { RequestFacts } from '../../src/data/wire/request.ts';
import { BackendCounters, createBackendCounters } from '../../src/snapshot/counters.ts';
import { backend, poolRegistry, recordLog, settings } from '../control/fixtures.ts';
import { liveBackends, WaitingUser } from '../support/live-backends.ts';
import { rawBackend } from '../support/raw-backend.ts';

const FACTS = { upgrade: '', authenticatesConnection: false } as RequestFacts;

/** A backend that drains, of two threads. */
function draining(counters: SharedArrayBuffer) {
  const registry = poolRegistry({
    settings: settings({ backends: [backend('http://localhost:8081')] }),
    threadCount: 2,
  });
  const drains = new Drains({
    log: recordLog(),
    threadCount: 2,
    tell: () => {},
    moveSessions: async () => {},
    poolOf: () => 'default',
    countersOf: () => counters,
    hasSessions: () => false,
  });
  registry.planUpdate(0, { state: 'draining' }).commit();
  const one: Backend = { ...(registry.backends()[0] as Backend), counters };
  drains.start(0, 60_000);
  return {
    drains,
    seen() {
      const view = drains.view(one);
      const { cut, cut_requests } = view?.draining ?? {};
      return { drained: view?.drained, cut, cut_requests };
    },
  };
}

/** The tunnels of one thread, each of which says what is seen as soon as it has ended. */
function tunnelsOf(buffer: SharedArrayBuffer, thread: number, onOver: () => void) {
  const counters = new BackendCounters(buffer, thread, 2);
  const tunnels = new OpenTunnels(Math.random, () => {});
  const open = (): void => {
    counters.requestStarted();
    const owner = {
      context: { tunnels, heldMemory: { paused: () => {} } },
      onTunnelBytes: () => {},
      onTunnelOver(): void {
        tunnel.settle();
        counters.requestFinished();
        onOver();
      },
      onTunnelBroken: () => {},
      onCrashed(error: unknown): never {
        throw error;
      },
    };
    const connection = {
      backend: { spec: { id: 0 }, counters },
      assign: () => {},
      enableTcpKeepAlive: () => {},
    };
    const client = {} as ConstructorParameters<typeof Tunnel>[1];
    const tunnel = new Tunnel(owner, client, connection as unknown as BackendConnection, true);
  };
  return { tunnels, open };
}

test('WebSockets are counted before they end', () => {
  const buffer = createBackendCounters(2);
  const { drains, seen } = draining(buffer);
  const views: ReturnType<typeof seen>[] = [];
  const threads = [0, 1].map((thread) => tunnelsOf(buffer, thread, () => views.push(seen())));
  const cut = (): void => {
    for (const { open } of threads) open();
    for (const { tunnels } of threads) tunnels.cut(0);
  };
  cut();
  expect(views).toEqual([
    { drained: false, cut: 1, cut_requests: 0 },
    { drained: true, cut: 2, cut_requests: 0 },
  ]);
  // Of a later drain, that is the past.
  drains.start(0, 60_000);
  expect(seen()).toEqual({ drained: true, cut: 0, cut_requests: 0 });
  cut();
  expect(seen()).toEqual({ drained: true, cut: 2, cut_requests: 0 });
  drains.forget(0);
});

test.each(['http1', 'h2'] as const)(
  'requests are counted before they end (%s)',
  async (protocol) => {
    const { port } = await rawBackend(async (connection) => {
      await connection.closed;
    });
    const { threads } = liveBackends(port, false, clientTerms(null, protocol));
    const buffer = threads[0].spec.counters;
    const { drains, seen } = draining(buffer);
    const views: ReturnType<typeof seen>[] = [];
    for (const thread of threads) {
      const user = new WaitingUser();
      user.onCutOff = () => {
        thread.counters.requestFinished();
        views.push(seen());
      };
      thread.counters.requestStarted();
      thread.acquire(user, FACTS, false, performance.now(), 0);
    }
    for (const thread of threads) expect(thread.cutOff()).toBe(1);
    expect(views).toEqual([
      { drained: false, cut: 0, cut_requests: 1 },
      { drained: true, cut: 0, cut_requests: 2 },
    ]);
    drains.forget(0);
  },
);
