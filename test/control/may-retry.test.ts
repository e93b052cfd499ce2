/** During a shutdown backends are checked for requests that may go to another one yet, and for nobody else. */
import { expect, test } from 'vitest';
import { mayRetry } from '../../src/control/may-retry.ts';
import { BackendCounters } from '../../src/snapshot/counters.ts';
import { PoolCounters } from '../../src/snapshot/pool-counters.ts';
import { backend, flatSettings, poolRegistry, settings } from './fixtures.ts';

function setUp(attempts: number) {
  const plain = flatSettings();
  const registry = poolRegistry({
    settings: settings({
      backends: [backend('http://127.0.0.1:1'), backend('http://127.0.0.1:2')],
      retries: { ...plain.retries, attempts },
    }),
    threadCount: 1,
  });
  const buffer = registry.backend(1)?.counters as SharedArrayBuffer;
  return {
    second: new BackendCounters(buffer, 0, 1),
    pool: new PoolCounters(registry.counters, 0, 1),
    mayRetry: () => mayRetry(registry, 1),
  };
}

test('nothing is under way: nobody is checked', () => {
  expect(setUp(3).mayRetry()).toBe(false);
});

test('a request is in flight, and may be tried again: until it is over', () => {
  const the = setUp(2);
  the.second.requestStarted();
  expect(the.mayRetry()).toBe(true);
  the.second.requestFinished();
  expect(the.mayRetry()).toBe(false);
});

test('a request that has one try needs no other backend', () => {
  const the = setUp(1);
  the.second.requestStarted();
  expect(the.mayRetry()).toBe(false);
});

test('tunnels can not be tried again, requests beside them can', () => {
  const the = setUp(2);
  the.second.requestStarted();
  the.second.tunnelsChanged(1);
  expect(the.mayRetry()).toBe(false);
  the.second.requestStarted();
  expect(the.mayRetry()).toBe(true);
});

test('who waits in the queue goes to a backend yet, whatever retries say', () => {
  const the = setUp(1);
  expect(the.pool.tryEnqueue(10, false)).toBe(true);
  expect(the.mayRetry()).toBe(true);
  the.pool.dequeued(0, false);
  expect(the.mayRetry()).toBe(false);
});
