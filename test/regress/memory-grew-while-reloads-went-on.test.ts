/**
 * A config that was reloaded every 100 ms was never at rest, so nothing was given back: on Node 24 the room for what is young in the
 * heap of the control thread grew to a hundred megabytes.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SpareMemory } from '../../src/control/spare-memory.ts';

const EVERY_MS = 100;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function readFor(memory: SpareMemory, ms: number): void {
  for (let at = 0; at < ms; at += EVERY_MS) {
    memory.configRead();
    vi.advanceTimersByTime(EVERY_MS);
  }
}

test('where configs are read all the time, memory is given back now and then', () => {
  const giveBack = vi.fn<() => void>();
  const memory = new SpareMemory(giveBack);
  readFor(memory, 65_000);
  // Every ten seconds.
  expect(giveBack).toHaveBeenCalledTimes(6);
  memory.stop();
  vi.advanceTimersByTime(60_000);
  expect(giveBack).toHaveBeenCalledTimes(6);
});

test('a few readings cost one collection, once they are over', () => {
  const giveBack = vi.fn<() => void>();
  const memory = new SpareMemory(giveBack);
  readFor(memory, 3_000);
  vi.advanceTimersByTime(4_800);
  expect(giveBack).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(giveBack).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(60_000);
  expect(giveBack).toHaveBeenCalledTimes(1);
  // The next ones have their ten seconds from their own beginning.
  readFor(memory, 9_000);
  expect(giveBack).toHaveBeenCalledTimes(1);
});
