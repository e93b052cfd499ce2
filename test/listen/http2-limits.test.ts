import { expect, test } from 'vitest';
import { Http2Limits } from '../../src/data/listen/http2-limits.ts';

const TERMS = { streams: 100, resets: 60, controlFrames: 600, continuations: 8 };

/** How many of them are no flood. */
function most(step: () => boolean): number {
  let count = 0;
  while (!step()) count++;
  return count;
}

test('resets: a minute’s worth at once, and from then on as they come in', () => {
  const limits = new Http2Limits(TERMS, 0);
  expect(most(() => limits.reset(0))).toBe(60);
  const steady = new Http2Limits(TERMS, 0);
  for (let second = 1; second < 1_000; second++) expect(steady.reset(second * 1_000)).toBe(false);
});

test('resets: a request that is served pays for one, and no store is laid in', () => {
  const limits = new Http2Limits(TERMS, 0);
  for (let request = 0; request < 10_000; request++) {
    limits.served();
    expect(limits.reset(0)).toBe(false);
  }
  for (let request = 0; request < 10_000; request++) limits.served();
  expect(most(() => limits.reset(0))).toBe(60);
  // Two called off for one that is served.
  const rapid = new Http2Limits(TERMS, 0);
  let rounds = 0;
  for (; rounds < 1_000; rounds++) {
    rapid.served();
    if (rapid.reset(0) || rapid.reset(0)) break;
  }
  expect(rounds).toBe(59);
});

test('a long silence earns no more than a minute’s worth', () => {
  const limits = new Http2Limits(TERMS, 0);
  limits.reset(0);
  expect(most(() => limits.reset(1e9))).toBe(60);
});

test('frames that bring nothing: requests and DATA pay for some', () => {
  const bare = new Http2Limits(TERMS, 0);
  expect(most(() => bare.controlFrame(0))).toBe(600);
  // One update of each window for every frame that was sent, or that has come.
  const busy = new Http2Limits(TERMS, 0);
  for (let frame = 0; frame < 10_000; frame++) {
    busy.dataSent(1);
    expect([busy.controlFrame(0), busy.controlFrame(0)]).toEqual([false, false]);
    expect(busy.data(0, 16_384, false)).toBe(false);
  }
  const asking = new Http2Limits(TERMS, 0);
  for (let request = 0; request < 10_000; request++) {
    asking.request();
    for (let frame = 0; frame < 4; frame++) expect(asking.controlFrame(0)).toBe(false);
  }
});

test('DATA: an empty frame is one that brings nothing, a short one a part of it, an end is none', () => {
  const empty = new Http2Limits(TERMS, 0);
  expect(most(() => empty.data(0, 0, false))).toBe(600);
  const short = new Http2Limits(TERMS, 0);
  expect(most(() => short.data(0, 1, false))).toBe(2_400);
  const ends = new Http2Limits(TERMS, 0);
  for (let stream = 0; stream < 10_000; stream++) expect(ends.data(0, 0, true)).toBe(false);
});
