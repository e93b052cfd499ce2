import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PeerSettings } from '../../../src/data/wire/http2/settings.ts';
import { MAX_WINDOW, ReceiveWindow, SendWindow } from '../../../src/data/wire/http2/windows.ts';

describe('the window to send by', () => {
  test('is taken from and added to', () => {
    const window = new SendWindow(10);
    window.take(10);
    expect(window.available).toBe(0);
    expect(window.add(5)).toBe(true);
    expect(window.available).toBe(5);
  });

  test('is 2^31 − 1 at most', () => {
    const window = new SendWindow(1);
    expect(window.add(MAX_WINDOW)).toBe(false);
    expect(window.add(MAX_WINDOW - 1)).toBe(true);
    expect(window.shift(1)).toBe(false);
    expect(window.available).toBe(MAX_WINDOW);
  });

  test('falls below 0 when SETTINGS make it smaller, and comes back', () => {
    const window = new SendWindow(100);
    window.take(80);
    expect(window.shift(-90)).toBe(true);
    expect(window.available).toBe(-70);
    expect(window.add(70)).toBe(true);
    expect(window.available).toBe(0);
    // From below 0, more may come at once than a window can be.
    const low = new SendWindow(0);
    low.shift(-10);
    expect(low.add(MAX_WINDOW)).toBe(true);
  });
});

describe('the window to receive by', () => {
  test('lets no more in than it has', () => {
    const window = new ReceiveWindow(10);
    expect(window.take(10)).toBe(true);
    expect(window.take(1)).toBe(false);
  });

  test('gives credit back at half of it, all at once', () => {
    const window = new ReceiveWindow(10);
    window.take(10);
    expect(window.giveBack(4)).toBe(0);
    expect(window.giveBack(1)).toBe(5);
    expect(window.available).toBe(5);
    expect(window.giveBack(5)).toBe(5);
    expect(window.available).toBe(10);
  });

  test('grows', () => {
    const window = new ReceiveWindow(10);
    window.take(6);
    expect(window.giveBack(2)).toBe(0);
    expect(window.grow(8)).toBe(0);
    expect(window.grow(30)).toBe(22);
    expect(window.available).toBe(26);
    expect(window.giveBack(4)).toBe(0);
  });

  test('a peer that sends what it may never waits for ever, nor has more than the size', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.nat(), { maxLength: 50 }),
        (size, steps) => {
          const window = new ReceiveWindow(size);
          let mayBeSent = size;
          let held = 0;
          for (const step of steps) {
            const sent = step % (mayBeSent + 1);
            mayBeSent -= sent;
            held += sent;
            expect(window.take(sent)).toBe(true);
            const gone = (step >>> 8) % (held + 1);
            held -= gone;
            mayBeSent += window.giveBack(gone);
            expect(mayBeSent).toBe(window.available);
            expect(mayBeSent + held).toBeLessThanOrEqual(size);
          }
          mayBeSent += window.giveBack(held);
          expect(mayBeSent).toBeGreaterThan(0);
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('what a peer says of itself', () => {
  const peer = new PeerSettings();
  expect({ ...peer }).toEqual({
    headerTableSize: 4096,
    maxConcurrentStreams: Number.POSITIVE_INFINITY,
    initialWindowSize: 65535,
    maxFrameSize: 16384,
    maxHeaderListSize: Number.POSITIVE_INFINITY,
    enableConnectProtocol: false,
  });
  for (const [id, value] of [
    [1, 0],
    [2, 0],
    [3, 7],
    [4, 1],
    [5, 20000],
    [6, 900],
    [8, 1],
    [77, 5],
  ] as const) {
    peer.set(id, value);
  }
  expect({ ...peer }).toEqual({
    headerTableSize: 0,
    maxConcurrentStreams: 7,
    initialWindowSize: 1,
    maxFrameSize: 20000,
    maxHeaderListSize: 900,
    enableConnectProtocol: true,
  });
});
