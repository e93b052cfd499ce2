import { expect, test } from 'vitest';
import { Pulse } from '../../src/control/threads/pulse.ts';
import { createProcessCounters } from '../../src/snapshot/process-cells.ts';
import { ProcessCounters } from '../../src/snapshot/process-counters.ts';

/** Two threads, looked at every 250 ms of a clock that the test moves. */
function listening() {
  const counters = createProcessCounters(2);
  const threads = [0, 1].map((index) => new ProcessCounters(counters, index, 2));
  const heard: string[] = [];
  const log = (event: string): void => void heard.push(event);
  let nowMs = 1_000;
  const pulse = new Pulse({
    counters,
    threadCount: 2,
    log: { debug: log, info: log, warn: log, error: log, fatal: log },
    onLost: (index) => void heard.push(`lost ${index}`),
    now: () => nowMs,
  });
  return {
    heard,
    beat: (index: number) => threads[index]?.beat(),
    jump: (ms: number) => {
      nowMs += ms;
    },
    /** For so long both planes run; these threads beat. */
    run(ms: number, ...beating: number[]) {
      for (let passed = 0; passed < ms; passed += 250) {
        nowMs += 250;
        for (const index of beating) threads[index]?.beat();
        pulse.look();
      }
    },
    look: () => pulse.look(),
    areAllAlive: () => pulse.areAllAlive,
  };
}

test('a thread without a beat is reported once, then lost once; the other is let alone', () => {
  const the = listening();
  the.run(1_000, 0, 1);
  the.run(1_250, 0);
  expect(the.heard).toEqual([]);
  the.run(250, 0);
  expect(the.heard).toEqual(['data_thread.stuck']);
  the.run(1_750, 0);
  expect(the.heard).toEqual(['data_thread.stuck']);
  the.run(5_000, 0);
  expect(the.heard).toEqual(['data_thread.stuck', 'lost 1']);
});

test('a thread that beats again may get stuck again', () => {
  const the = listening();
  the.run(250, 0, 1);
  the.run(2_000, 0);
  the.run(1_000, 0, 1);
  expect(the.heard).toEqual(['data_thread.stuck']);
  the.run(2_000, 0);
  expect(the.heard).toEqual(['data_thread.stuck', 'data_thread.stuck']);
});

test('a thread that is still starting is not stuck', () => {
  const the = listening();
  the.run(60_000, 0);
  expect(the.heard).toEqual([]);
});

test('the time in which the control plane did not run counts for nobody', () => {
  const the = listening();
  the.run(1_000, 0, 1);
  for (let round = 0; round < 10; round++) {
    the.jump(60_000);
    // It looks before any thread had its turn.
    the.look();
    the.beat(0);
    the.beat(1);
  }
  expect(the.heard).toEqual([]);
});

test('systemd is told that all is well as long as no thread has been reported, and when it beats again', () => {
  const the = listening();
  expect(the.areAllAlive()).toBe(true);
  the.run(1_000, 0, 1);
  the.run(1_250, 0);
  expect(the.areAllAlive()).toBe(true);
  the.run(250, 0);
  expect(the.areAllAlive()).toBe(false);
  // It is lost, and its replacement has yet to begin.
  the.run(3_000, 0);
  expect(the.areAllAlive()).toBe(false);
  the.run(250, 0, 1);
  expect(the.areAllAlive()).toBe(true);
});
