import { expect, test } from 'vitest';
import { ReaderWatch } from '../../src/data/listen/reader-watch.ts';
import type { DataContext } from '../../src/data/relay/context.ts';

function watched() {
  const watch = new ReaderWatch();
  const cut: string[] = [];
  return {
    cut,
    look: (nowMs: number, unsentBytes: number): number =>
      watch.nextLookMs(unsentBytes, {
        nowMs,
        view: { snapshot: { timeouts: { idleMs: 3_000 } } },
        counters: { cutOff: (ending: string) => cut.push(ending) },
      } as unknown as DataContext),
  };
}

test('who reads slowly is waited for, who has stopped is not', () => {
  const { look, cut } = watched();
  const held = [500, 400, 400, 400, 300, 300, 300];
  for (const [second, unsent] of held.entries()) {
    expect(look(second * 1_000, unsent)).toBe((second + 1) * 1_000);
  }
  expect(cut).toEqual([]);
  expect(look(7_000, 300)).toBe(0);
  expect(cut).toEqual(['client_timeout']);
});

test('of a later answer as much may wait as of the one before', () => {
  const { look, cut } = watched();
  expect(look(0, 500)).toBe(1_000);
  expect(look(60_000, 500)).toBe(61_000);
  expect(cut).toEqual([]);
});
