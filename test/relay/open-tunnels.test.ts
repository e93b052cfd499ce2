/** When tunnels are told to go, and when they are cut, on a clock of the test's own. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type OpenTunnel, OpenTunnels } from '../../src/data/relay/open-tunnels.ts';

const TICK_MS = 100;

class FakeTunnel implements OpenTunnel {
  readonly backendId: number;
  readonly backendUrl: string;
  isClosing = false;
  /** Whether the client can be told at once; else it is never told. */
  readonly #isTold: boolean;
  readonly #set: OpenTunnels;
  readonly events: string[] = [];

  constructor(set: OpenTunnels, backendId = 0, isTold = true, url = 'http://a') {
    this.#set = set;
    this.backendUrl = url;
    this.backendId = backendId;
    this.#isTold = isTold;
    set.add(this);
  }

  goAway(): void {
    this.events.push('go away');
    this.isClosing = this.#isTold;
  }

  stay(): void {
    this.events.push('stay');
  }

  end(): void {
    this.events.push('end');
    this.#set.delete(this);
  }

  cut(): void {
    this.events.push('cut');
    this.end();
  }

  onCrashed(error: unknown): void {
    throw error;
  }
}

function stage(random: () => number = () => 0.5) {
  const cuts: [backendId: number, count: number][] = [];
  const set = new OpenTunnels(random, (backendId, count) => cuts.push([backendId, count]));
  let nowMs = 5_000;
  return {
    set,
    cuts,
    now: () => nowMs,
    run(ms: number): void {
      for (const endMs = nowMs + ms; nowMs < endMs; ) set.tick((nowMs += TICK_MS));
    },
  };
}

describe('a drain', () => {
  test('gives everybody a turn, spread over nine tenths of its time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 60 }),
        (count, shares) => {
          let next = 0;
          const { set, run } = stage(() => shares[next++ % shares.length] as number);
          const tunnels = Array.from({ length: count }, () => new FakeTunnel(set));
          set.drain(0, 10_000, 5_000);
          for (let part = 1; part <= 9; part++) {
            run(1_000);
            const told = tunnels.filter(({ events }) => events.includes('go away')).length;
            // Each has its turn in its own part of the time, so the count is never off by more than one.
            expect(Math.abs(told - (count * part) / 9)).toBeLessThanOrEqual(1);
          }
          run(TICK_MS);
          expect(tunnels.every(({ events }) => events[0] === 'go away')).toBe(true);
        },
      ),
    );
  });

  test('waits for the close of a client that was told, not for ever', () => {
    const { set, run } = stage();
    const tunnel = new FakeTunnel(set);
    set.drain(0, 20_000, 5_000);
    run(9_000 + TICK_MS);
    expect(tunnel.events).toEqual(['go away']);
    run(1_500);
    expect(tunnel.events).toEqual(['go away']);
    run(1_000);
    expect(tunnel.events).toEqual(['go away', 'end']);
  });

  test('cuts at its deadline who could not be told, and says how many', () => {
    const { set, cuts, run } = stage();
    const stuck = new FakeTunnel(set, 0, false);
    const other = new FakeTunnel(set, 1, false);
    set.drain(0, 10_000, 5_000);
    run(9_900);
    expect(stuck.events).toEqual(['go away']);
    run(TICK_MS);
    expect(stuck.events).toEqual(['go away', 'cut', 'end']);
    expect(cuts).toEqual([[0, 1]]);
    run(60_000);
    expect(other.events).toEqual([]);
    expect(cuts).toEqual([[0, 1]]);
  });

  test('without time cuts at once', () => {
    const { set, cuts, run } = stage();
    const tunnel = new FakeTunnel(set);
    set.drain(0, 0, 5_000);
    run(TICK_MS);
    expect(tunnel.events).toContain('end');
    expect(cuts).toEqual([[0, 1]]);
  });

  test('that is called off lets everybody stay who was not told yet', () => {
    const { set, cuts, run } = stage();
    const [told, waiting] = [new FakeTunnel(set), new FakeTunnel(set, 0, false)];
    const later = new FakeTunnel(set);
    set.drain(0, 9_000, 5_000);
    // The parts are 2700 ms long, and each turn is in the middle of one.
    run(4_200);
    expect(later.events).toEqual([]);
    set.keep(0);
    run(60_000);
    expect(told.events).toEqual(['go away', 'end']);
    expect(waiting.events).toEqual(['go away', 'stay']);
    expect(later.events).toEqual([]);
    expect(cuts).toEqual([]);
  });

  test('that is begun again runs on its new time', () => {
    const { set, run, now } = stage();
    const tunnel = new FakeTunnel(set);
    set.drain(0, 1_000_000, now());
    run(1_000);
    set.drain(0, 10_000, now());
    run(4_400);
    expect(tunnel.events).toEqual([]);
    run(2 * TICK_MS);
    expect(tunnel.events).toEqual(['go away']);
  });

  test('reaches a tunnel that is opened in the middle of it', () => {
    const { set, run } = stage();
    set.drain(0, 10_000, 5_000);
    run(5_000);
    const tunnel = new FakeTunnel(set);
    run(1_900);
    expect(tunnel.events).toEqual([]);
    run(2 * TICK_MS);
    expect(tunnel.events).toEqual(['go away']);
  });

  test('leaves a tunnel alone that is opened after its deadline', () => {
    const { set, run } = stage();
    set.drain(0, 1_000, 5_000);
    run(2_000);
    const tunnel = new FakeTunnel(set);
    run(60_000);
    expect(tunnel.events).toEqual([]);
  });
});

test('a drain is not that of another backend that has had the id before', () => {
  const { set, cuts, run } = stage();
  const old = new FakeTunnel(set, 0, false);
  const own = new FakeTunnel(set, 0, false, 'http://b');
  set.drain(0, 10_000, 5_000, 'http://b');
  const late = new FakeTunnel(set, 0, false);
  run(20_000);
  expect([old, own, late].map(({ events }) => events)).toEqual([[], ['go away', 'cut', 'end'], []]);
  expect(cuts).toEqual([[0, 1]]);
  set.cut(0, 'http://b');
  expect(old.events).toEqual([]);
  set.cut(0);
  expect(old.events).toEqual(['cut', 'end']);
});

describe('the end of the process', () => {
  test('gives the tunnels of all backends a turn, and cuts none by itself', () => {
    const { set, cuts, run } = stage();
    const tunnels = [0, 1, 2].map((id) => new FakeTunnel(set, id, id !== 2));
    set.drainAll(9_000, 5_000);
    run(8_200);
    expect(tunnels.map(({ events }) => events[0])).toEqual(['go away', 'go away', 'go away']);
    run(60_000);
    expect(tunnels.map(({ events }) => events[1])).toEqual(['end', 'end', undefined]);
    expect(cuts).toEqual([]);
  });

  test('does not put off the turn that a drain has given, and is not called off with it', () => {
    const { set, run } = stage();
    const tunnel = new FakeTunnel(set);
    set.drain(0, 2_000, 5_000);
    set.drainAll(100_000, 5_000);
    set.keep(0);
    run(1_000);
    expect(tunnel.events).toEqual(['go away']);
  });
});
