import { expect, test } from 'vitest';
import { ToldDrains } from '../../src/control/threads/told-drains.ts';

test('of drains that were told, those are left that are neither called off nor over, with the rest of their time', () => {
  let now = 0;
  const drains = new ToldDrains(() => now);
  const drain = (backendId: number, deadlineMs: number) =>
    drains.note({ kind: 'drain-backend', backendId, deadlineMs });
  drain(1, 10_000);
  drain(2, 10_000);
  drain(3, 1_000);
  drain(4, 10_000);
  drains.note({ kind: 'keep-backend', backendId: 2 });
  drains.note({ kind: 'cut-backend', backendId: 4 });
  drains.note({ kind: 'stop' });
  now = 1_000;
  drain(5, 2_000);
  expect(drains.left()).toEqual([
    { kind: 'drain-backend', backendId: 1, deadlineMs: 9_000 },
    { kind: 'drain-backend', backendId: 5, deadlineMs: 2_000 },
  ]);
  // Begun anew.
  drain(1, 500);
  now = 1_500;
  expect(drains.left()).toMatchObject([{ backendId: 5, deadlineMs: 1_500 }]);
});
