/**
 * The control thread stood still for a moment, longer than a call to Redis may take. Timers come before what has arrived: all calls under way
 * counted as not answered, although their answers were there, and five of them took all instances' limits from Redis.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { RedisSettings } from '../../src/config/redis-settings.ts';
import {
  CallTimeout,
  type RedisModule,
  RedisStore,
} from '../../src/control/counter-engine/redis-store.ts';
import { afterTest } from '../support/after-test.ts';

const SETTINGS: RedisSettings = {
  url: 'redis://redis.test',
  username: undefined,
  password: undefined,
  passwordFile: undefined,
  prefix: 'test:',
  tls: {},
  files: {},
};
const CLAIM = { owner: 'web', key: 'k', value: '', instead: '', ttlMs: 1000, firstTtlMs: 1000 };

function storeOn(evalsha: () => Promise<unknown>): RedisStore {
  class Redis {
    connect = () => Promise.resolve();
    disconnect = () => {};
    on = () => this;
    evalsha = evalsha;
    eval = evalsha;
  }
  const events = { onReady: () => {}, onError: () => {} };
  return new RedisStore({ Redis } as unknown as RedisModule, SETTINGS, events);
}

test('calls whose answers have come while the thread stood still are answered', async () => {
  const { port1: server, port2: client } = new MessageChannel();
  afterTest(() => client.close());
  const store = storeOn(
    () =>
      new Promise((resolve) => {
        // It comes as bytes of a socket do: after the timers.
        client.once('message', resolve);
        server.postMessage('http://a');
      }),
  );
  // Behind this turn's messages: timers are next.
  await nextTurn();
  const whose = store.claim(CLAIM);
  const until = performance.now() + 40;
  while (performance.now() < until);
  expect(await whose).toBe('http://a');
});

test('a call without an answer fails all the same', async () => {
  const store = storeOn(() => new Promise(() => {}));
  await expect(store.claim(CLAIM)).rejects.toThrow(CallTimeout);
});
