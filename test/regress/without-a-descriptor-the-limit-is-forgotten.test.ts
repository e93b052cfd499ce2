/**
 * How many descriptors there are is read from a file again and again, which takes one. Where none was left it could not be
 * read, and that meant that there is no limit: nothing was held back any more, and what was idle made no room.
 */
import { expect, test } from 'vitest';
import { Descriptors } from '../../src/data/descriptors.ts';

const READ_EVERY_MS = 5_000;

test('while it can not be read the limit is what it was', () => {
  let limit: number | undefined = 100;
  const descriptors = new Descriptors(() => limit);
  let madeRoom = 0;
  const makeRoom = (): boolean => ++madeRoom > 0;
  descriptors.relief = { makeRoom, makeRoomOfClients: makeRoom };
  expect([descriptors.mayAdmit(99), descriptors.mayConnect(99)]).toEqual([false, false]);
  expect(madeRoom).toBe(2);

  limit = undefined;
  descriptors.tick(READ_EVERY_MS);
  expect(descriptors.limit).toBe(100);
  expect([descriptors.mayAdmit(99), descriptors.mayConnect(99)]).toEqual([false, false]);
  expect(madeRoom).toBeGreaterThanOrEqual(4);

  limit = 1_000;
  descriptors.tick(2 * READ_EVERY_MS);
  expect([descriptors.mayAdmit(99), descriptors.mayConnect(99)]).toEqual([true, true]);
});
