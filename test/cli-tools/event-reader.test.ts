import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventReader } from '../../src/cli/terminal/event-reader.ts';

const TEXT = Buffer.from(
  'retry: 1000\nid: 41\n\n: alive\n\nid: 42\nevent: a.b\ndata: {"msg":"ä: b"}\n\nid: 43\nevent: c\ndata: {}\n\nid: 44\nev',
);

test('events are whole, in whatever pieces they come', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(TEXT.length), { maxLength: 10 }), (cuts) => {
      const reader = new EventReader();
      const ends = [...cuts, TEXT.length].toSorted((a, b) => a - b);
      const starts = [0, ...ends];
      const events = ends.flatMap((end, index) => reader.push(TEXT.subarray(starts[index], end)));
      expect(events).toEqual([
        { id: 42, event: 'a.b', data: '{"msg":"ä: b"}' },
        { id: 43, event: 'c', data: '{}' },
      ]);
      expect(reader.lastId).toBe(43);
    }),
  );
});

test('where it is, is known before anything has happened', () => {
  const reader = new EventReader();
  expect(reader.lastId).toBeUndefined();
  expect(reader.push(TEXT.subarray(0, 22))).toEqual([]);
  expect(reader.lastId).toBe(41);
});
