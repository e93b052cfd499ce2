/** Credit of a client's HTTP/2 connection for the bodies that come on it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Http2Bodies } from '../../src/data/listen/http2-bodies.ts';
import { ReceiveWindow } from '../../src/data/wire/http2/windows.ts';

/** Of a window of 100, which tells its credit in pieces of 50 and more. */
function bodies(mostHeld: number): Http2Bodies {
  return new Http2Bodies(new ReceiveWindow(100), mostHeld);
}

test('what has come is credited at once, whoever takes it', () => {
  const all = bodies(1_000);
  for (let round = 0; round < 10; round++) {
    expect(all.take(100)).toBe(true);
    expect(all.arrived(100)).toBe(100);
  }
  // There was credit for it before.
  expect(all.handedOn(1_000)).toBe(0);
});

test('what is held beyond the most keeps its part of the window until it has been handed on', () => {
  const all = bodies(60);
  expect(all.take(100)).toBe(true);
  expect(all.arrived(100)).toBe(60);
  expect(all.take(60)).toBe(true);
  expect(all.arrived(60)).toBe(0);
  expect(all.take(1)).toBe(false);
  expect(all.handedOn(49)).toBe(0);
  // Those before as well: they were not worth telling.
  expect(all.handedOn(11)).toBe(60);
  expect(all.handedOn(100)).toBe(0);
});

test('what comes for nobody is credited, however much is held', () => {
  const all = bodies(0);
  all.take(50);
  expect(all.arrived(50)).toBe(0);
  all.take(50);
  expect(all.dropped(50)).toBe(50);
});

test('no more is under way than the window, and no credit is lost', () => {
  const step = fc.record({ arrives: fc.nat(40), handsOn: fc.nat(60) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(300), (steps, mostHeld) => {
      const all = bodies(mostHeld);
      let mayCome = 100;
      let held = 0;
      for (const { arrives, handsOn } of steps) {
        const length = Math.min(arrives, mayCome);
        expect(all.take(length)).toBe(true);
        mayCome += all.arrived(length) - length;
        held += length;
        const taken = Math.min(handsOn, held);
        mayCome += all.handedOn(taken);
        held -= taken;
        expect(mayCome).toBeLessThanOrEqual(100);
        expect(held).toBeLessThanOrEqual(mostHeld + 100);
        // Less than half of the window may be owed, and what is held beyond the most.
        expect(mayCome).toBeGreaterThan(100 - 50 - Math.max(0, held - mostHeld) - 1);
      }
    }),
    { numRuns: 300 },
  );
});
