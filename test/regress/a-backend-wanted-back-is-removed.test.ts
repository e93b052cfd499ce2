/**
 * A backend was draining before its removal. Just as the last request ended, an operator set it to enabled, was told
 * that it is, and the removal, already waiting for its turn, took it away all the same.
 */
import { expect, test } from 'vitest';
import { Drains } from '../../src/control/drains.ts';
import { Operator } from '../../src/control/operator.ts';
import { Registry } from '../../src/control/registry.ts';
import { StateStore } from '../../src/control/state/state-file.ts';
import { backend, recordLog, settings } from '../control/fixtures.ts';
import { waitFor } from '../support/wait-for.ts';

test('a removal that waits for its turn is called off by whoever comes first', async () => {
  const registry = new Registry({
    settings: settings({ backends: [backend('http://localhost:8081')] }),
    threadCount: 1,
  });
  let publishing: (() => void) | undefined;
  let isSlow = false;
  const operator = new Operator({
    registry,
    store: new StateStore(undefined),
    log: recordLog(),
    drains: new Drains({
      log: recordLog(),
      threadCount: 1,
      tell: () => {},
      moveSessions: async () => {},
      poolOf: () => 'default',
      countersOf: (id) => registry.backend(id)?.counters,
      hasSessions: () => false,
    }),
    publish: () =>
      new Promise((resolve) => {
        if (isSlow) publishing = resolve;
        else resolve();
      }),
  });
  let waiting = 0;
  const remove = operator.remove.bind(operator);
  operator.remove = (...args) => {
    waiting++;
    return remove(...args);
  };

  await operator.leave(0, 60_000);
  isSlow = true;
  const update = operator.update(0, { state: 'enabled' });
  // Nothing is in flight: the removal lines up behind the update, which is not through yet.
  await waitFor(() => waiting === 1 && publishing !== undefined);
  isSlow = false;
  publishing?.();
  expect((await update).adminState).toBe('enabled');
  await operator.stop();
  expect(registry.backends()).toMatchObject([{ id: 0, adminState: 'enabled' }]);
});
