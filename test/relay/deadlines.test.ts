import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deadlines } from '../../src/data/deadlines.ts';
import { AwakeClock } from '../../src/snapshot/awake-clock.ts';
import { afterTest } from '../support/after-test.ts';
import { waitFor } from '../support/wait-for.ts';

function start() {
  const deadlines = new Deadlines(() => Date.now());
  const ticks: number[] = [];
  deadlines.start((nowMs) => ticks.push(nowMs));
  return { deadlines, ticks };
}

/** Both ends of a connection in this process. */
async function connection(): Promise<readonly [Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const one = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [other] = await accepted;
  afterTest(() => {
    one.destroy();
    other.destroy();
  });
  return [one, other];
}

function sleepSoundly(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('the awake clock', () => {
  test('goes like any other while its thread does', () => {
    const clock = new AwakeClock();
    for (let ms = 0; ms < 1_000; ms += 100) expect(clock.awake(ms, 100)).toBe(ms);
    expect(clock.at(950)).toBe(950);
    expect(clock.pausedMs).toBe(0);
  });

  test('stands still while its thread does, and never goes back', () => {
    const clock = new AwakeClock();
    clock.awake(1_000, 100);
    // Who asks before the thread has said that it is awake again gets the same answer.
    expect(clock.at(4_000)).toBe(clock.limitMs);
    const woken = clock.awake(4_000, 100);
    expect(woken).toBeGreaterThanOrEqual(1_100);
    expect(woken).toBeLessThan(1_200);
    expect(clock.at(4_050)).toBe(woken + 50);
    expect(clock.pausedMs).toBe(4_000 - woken);
  });
});

describe('deadlines', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('are met in their order, whatever the order in which they were set, within milliseconds', () => {
    const { deadlines } = start();
    const from = deadlines.now();
    const met: number[] = [];
    const afters = Array.from({ length: 300 }, (_, index) => 1 + ((index * 7_919) % 301));
    for (const after of afters) {
      const onDue = (): void => {
        const lateMs = deadlines.now() - from - after;
        expect(lateMs >= 0 && lateMs <= 2).toBe(true);
        met.push(after);
      };
      deadlines.set(from + after, { onDue });
    }
    vi.advanceTimersByTime(400);
    expect(met).toEqual(afters.toSorted((one, other) => one - other));
  });

  test('that are called off are not met, and take no room', () => {
    const { deadlines } = start();
    let met = 0;
    const onDue = (): void => void met++;
    const all = Array.from({ length: 5_000 }, (_, index) =>
      deadlines.set(deadlines.now() + 50 + (index % 100), { onDue }),
    );
    for (const [index, deadline] of all.entries()) if (index % 10 > 0) deadlines.callOff(deadline);
    for (const deadline of all.slice(0, 10)) deadlines.callOff(deadline);
    vi.advanceTimersByTime(300);
    expect(met).toBe(499);
  });

  test('tick ten times a second', () => {
    const { ticks } = start();
    vi.advanceTimersByTime(1_000);
    // Each is counted from the one before, which may have been a millisecond late.
    expect(ticks.length).toBeGreaterThanOrEqual(9);
    expect(ticks.length).toBeLessThanOrEqual(10);
  });

  test('set by the coarse clock never come early', () => {
    const { deadlines, ticks } = start();
    for (let ms = 0; ms < 250; ms++) {
      vi.advanceTimersByTime(1);
      const deadline = deadlines.nowMs + 500;
      expect(deadline).toBeGreaterThanOrEqual(deadlines.now() + 500);
    }
    expect(ticks.length).toBe(2);
  });

  test('an exception in one keeps nobody else waiting', () => {
    const { deadlines, ticks } = start();
    const met: string[] = [];
    const now = deadlines.now();
    deadlines.set(now + 10, {
      onDue: () => {
        throw new Error('a mistake');
      },
    });
    deadlines.set(now + 10, { onDue: () => met.push('the other') });
    expect(() => vi.advanceTimersByTime(20)).toThrow('a mistake');
    vi.advanceTimersByTime(200);
    expect(met).toEqual(['the other']);
    expect(ticks.length).toBeGreaterThan(0);
  });

  test('none is met after the end', () => {
    const { deadlines, ticks } = start();
    deadlines.set(deadlines.now() + 10, { onDue: () => ticks.push(-1) });
    deadlines.stop();
    deadlines.set(deadlines.now() + 10, { onDue: () => ticks.push(-1) });
    vi.advanceTimersByTime(1_000);
    expect(ticks).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a thread that was kept from running', () => {
  test('reads what has arrived before it calls anything late', async () => {
    const deadlines = new Deadlines();
    afterTest(() => deadlines.stop());
    const events: string[] = [];
    deadlines.start(() => events.push('tick'));
    const [one, other] = await connection();
    other.on('data', () => events.push('data'));
    await waitFor(() => events.includes('tick'));
    events.length = 0;
    deadlines.set(deadlines.now() + 5, { onDue: () => events.push('due') });
    setImmediate(() => {
      one.write('an answer');
      sleepSoundly(400);
    });
    await waitFor(() => events.includes('tick') && events.includes('due'));
    expect(events[0]).toBe('data');
  });

  test('gives everybody the time back in which it did not run', async () => {
    const deadlines = new Deadlines();
    afterTest(() => deadlines.stop());
    deadlines.start(() => {});
    const from = performance.now();
    let metAt = 0;
    deadlines.set(deadlines.now() + 300, { onDue: () => (metAt = performance.now()) });
    setImmediate(() => sleepSoundly(1_000));
    await waitFor(() => metAt !== 0);
    // What a tick may be late by counts as time awake.
    expect(metAt - from).toBeGreaterThanOrEqual(1_300 - 130);
  });
});
