/** Sessions were not taken along in an upgrade: between two readings of the clock, the thread had to wait for its processor. */
import { afterEach, expect, test, vi } from 'vitest';
import { processClockOffsetMs } from '../../src/snapshot/process-clock.ts';

const WAIT_MS = 200;

afterEach(() => void vi.restoreAllMocks());

function waitForProcessor(): void {
  const since = performance.now();
  while (performance.now() - since < WAIT_MS);
}

test.each(['before', 'after'])('it waits %s it asks the system', (when) => {
  const { hrtime } = process;
  const steady = processClockOffsetMs();
  let times = 0;
  vi.spyOn(process, 'hrtime').mockImplementation(((...args: []) => {
    const isFirst = times++ === 0;
    if (isFirst && when === 'before') waitForProcessor();
    const reading = hrtime(...args);
    if (isFirst && when === 'after') waitForProcessor();
    return reading;
  }) as typeof hrtime);
  expect(Math.abs(processClockOffsetMs() - steady)).toBeLessThan(WAIT_MS / 4);
  expect(times).toBeGreaterThan(1);
});
