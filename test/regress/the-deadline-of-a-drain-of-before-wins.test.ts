/**
 * A backend was drained twice within some ms, the second time without a deadline, which leaves it the one that it has. But the first drain began
 * after the turn of its change, and so after the second was planned: that began anew, with `timeouts.drain`, and in a cluster everywhere. Which of
 * the drains of two instances was in force was for the same reason not what the store says, but who came first after the turn.
 */
import { expect, test } from 'vitest';
import { type DrainTerms, KEPT } from '../../src/control/change-terms.ts';
import type { SharedChanges } from '../../src/control/cluster-port.ts';
import { Drains } from '../../src/control/drains.ts';
import { Operator } from '../../src/control/operator.ts';
import { Registry } from '../../src/control/registry.ts';
import { StateStore } from '../../src/control/state/state-file.ts';
import { backend, recordLog, settings } from '../control/fixtures.ts';

const THEIRS: DrainTerms = { ms: 9_000, sessions: 'keep', cutsRequests: false, begunAt: 1 };

/** @param coming with one change of the store after the other. */
function made(coming: DrainTerms[] = [THEIRS]) {
  const registry = new Registry({
    settings: settings({ backends: [backend('http://a'), backend('http://b')] }),
    threadCount: 1,
  });
  let revision = 1;
  let theirs: DrainTerms | undefined;
  const shared: SharedChanges = {
    nextId: 100,
    write: async () => ++revision,
    // Nothing is different but the drain of the other instance.
    take: () => {
      theirs = coming.shift() ?? theirs;
      return false;
    },
    drainOf: (_pool, url) => (url === 'http://a' ? theirs : undefined),
    appliedByAll: async () => {},
  };
  const deadlines: number[] = [];
  const drains = new Drains({
    log: recordLog(),
    threadCount: 1,
    tell: (message) => {
      if (message.kind === 'drain-backend') deadlines.push(message.deadlineMs);
    },
    moveSessions: async () => {},
    poolOf: () => 'default',
    countersOf: () => undefined,
    hasSessions: () => false,
  });
  const published: (() => void)[] = [];
  const operator = new Operator({
    registry,
    store: new StateStore(undefined),
    log: recordLog(),
    drains,
    publish: () =>
      new Promise<void>((resolve) => {
        published.push(resolve);
      }),
    shared,
  });
  return { operator, deadlines, dataThreadsKnow: () => published.shift()?.() };
}

const isSettled = () => new Promise((resolve) => setImmediate(resolve));

test.each(['drained', 'drained before it is removed'])(
  'of a backend that is %s, the drain of the last change in the store is in force',
  async (how) => {
    const { operator, deadlines, dataThreadsKnow } = made();
    const mine = drain(operator, how, 5_000);
    await isSettled();
    const theirs = operator.sharedChanged();
    const atTheTurnOfTheirs = operator.inTurn(async () => deadlines.slice());
    dataThreadsKnow();
    await Promise.all([mine, theirs]);
    expect(await atTheTurnOfTheirs).toEqual([5_000, 9_000]);
    await operator.stop();
  },
);

test.each(['drained', 'drained before it is removed'])(
  'of a backend that is %s, whoever drains it at the same moment and names no deadline has that one',
  async (how) => {
    const { operator, deadlines, dataThreadsKnow } = made();
    const first = drain(operator, how, 60_000);
    const second = operator.update(0, { state: 'draining' });
    await isSettled();
    dataThreadsKnow();
    await isSettled();
    dataThreadsKnow();
    await Promise.all([first, second]);
    expect(deadlines).toEqual([60_000]);
    await operator.stop();
  },
);

test('two that two other instances have begun in the same millisecond of their clocks are two', async () => {
  const { operator, deadlines, dataThreadsKnow } = made([THEIRS, { ...THEIRS, ms: 60_000 }]);
  const own = operator.update(0, { state: 'draining' }, { ...KEPT, isToBeKept: false }, 1_000);
  await isSettled();
  dataThreadsKnow();
  await own;
  await operator.sharedChanged();
  await operator.sharedChanged();
  expect(deadlines).toEqual([1_000, 9_000, 60_000]);
  await operator.stop();
});

function drain(operator: Operator, how: string, ms: number): Promise<unknown> {
  return how === 'drained'
    ? operator.update(0, { state: 'draining' }, KEPT, ms)
    : operator.leave(0, ms);
}
